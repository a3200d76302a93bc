"""
Mapped tasks that create photo requests, one process each, in a number of slots, as an executor runs them.

    python -m benchmarks.create_tasks FOLDER

It finds the note `setup` in the folder, leaves `ready`, waits for `order`, leaves `finished` when as many requests as
ordered are made, and `report` when it is told to stop.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator
from benchmarks.fast_clock import FastClock
from benchmarks.fork import forked
from benchmarks.message_files import appears, find, leave
from benchmarks.slots import Slots

if TYPE_CHECKING:
    from benchmarks.message_files import Json


class TaskInstance:
    """As much of a task instance as the operator uses."""

    def xcom_push(self, key: str, value: Any) -> None:
        """Take a value."""


def step(number: int, deferral: Json | None, prefix: str = "") -> Json:
    """Carry out a task, up to its end or its next deferral."""
    operator = VisionoCreatePhotoRequestOperator(
        task_id="ask",
        instructions=f"Photograph car {number}",
        visiono_conn_id=f"{prefix}visiono_default",
    )
    context: Any = {"ti": TaskInstance()}
    try:
        if deferral is None:
            operator.execute(context)
        else:
            operator.resume_execution(deferral["method"], deferral["kwargs"], context)
    except TaskDeferred as again:
        path, arguments = again.trigger.serialize()
        deferred = {"path": path, "arguments": arguments, "method": again.method_name, "kwargs": again.kwargs}
        return {"deferred": deferred}
    return {"done": True}


async def event_of(deferral: Json) -> Any:
    """Run the trigger that a task has deferred to, and return its event."""
    from airflow._shared.module_loading import import_string

    trigger = import_string(deferral["path"])(**deferral["arguments"])
    async for event in trigger.run():
        return json.loads(json.dumps(event.payload))
    raise RuntimeError("the trigger has ended without an event")


class Tasks:
    """The tasks, and how they went."""

    def __init__(self, slots: int) -> None:
        self._slots = Slots(slots)
        self.counts = Counter(done=0, failed=0, deferrals=0)
        self.first_failure = ""

    async def run(self, number: int) -> None:
        """Run one task to its end; while it is deferred, its slot is another's."""
        deferral: Json | None = None
        while True:
            async with self._slots.one(number):
                answer = await forked(functools.partial(step, number, deferral))
            deferral = answer.get("deferred")
            if deferral is None:
                break
            self.counts["deferrals"] += 1
            event = await event_of(deferral)
            deferral["kwargs"] = {**(deferral["kwargs"] or {}), "event": event}
        self.counts["failed" if "failed" in answer else "done"] += 1
        self.first_failure = self.first_failure or answer.get("failed", "")


async def carry_out(folder: Path, slots: int) -> None:
    """Carry out one order."""
    leave(folder, "ready", {})
    order = await appears(folder, "order")
    tasks = Tasks(slots)
    running = asyncio.gather(*(tasks.run(number) for number in range(order["count"])))
    running.add_done_callback(lambda _: leave(folder, "finished", {}))
    await appears(folder, "stop")
    leave(folder, "report", {**tasks.counts, "first_failure": tasks.first_failure})


def main(folder: Path) -> int:
    """Prepare, and carry out one order."""
    setup = find(folder, "setup")
    assert setup is not None
    FastClock(**setup["clock"]).install()
    # What tasks load is loaded here, by one that asks elsewhere: importing is not what is measured.
    step(0, None, "warm_")
    # The forked processes share these pages for as long as nobody collects garbage on them.
    gc.collect()
    gc.freeze()
    asyncio.run(carry_out(folder, setup["slots"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
