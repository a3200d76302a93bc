"""
Run mapped tasks that create photo requests, each in its own process, with a limited number of slots.

    python -m benchmarks.create_tasks FOLDER

It reads the message `setup` in the folder, writes `ready`, and waits for `order`. It writes `finished` when all ordered
tasks have ended, waits for `stop`, and writes `report`.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import json
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator
from benchmarks.fast_clock import FastClock
from benchmarks.fork import run_in_fork
from benchmarks.message_files import read_message, wait_for_message, write_message
from benchmarks.slots import Slots

if TYPE_CHECKING:
    from benchmarks.message_files import Json


@dataclass(frozen=True)
class TaskInstance:
    """The part of a task instance that the operator uses.

    :param map_index: number of the mapped task
    """

    map_index: int
    dag_id: str = "benchmark"
    run_id: str = "manual__2026-01-01T00:00:00+00:00"
    task_id: str = "ask"
    try_number: int = 1

    def xcom_push(self, key: str, value: Any) -> None:
        """Ignore a value."""


def step(number: int, deferral: Json | None, prefix: str = "", *, in_pod: bool = False) -> Json:
    """Run a task until its end or its next deferral.

    :param number: number of the task
    :param deferral: its last deferral, to resume it; None: start it
    :param prefix: prefix of the connection's id
    :param in_pod: whether it has a folder for temporary files of its own, as in a pod that runs one task
    """
    if in_pod:
        tempfile.tempdir = tempfile.mkdtemp()
    operator = VisionoCreatePhotoRequestOperator(
        task_id="ask",
        instructions=f"Photograph car {number}",
        visiono_conn_id=f"{prefix}visiono_default",
    )
    context: Any = {"ti": TaskInstance(number), "task": operator}
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
    """Run the trigger of a deferral, and return its event."""
    from airflow._shared.module_loading import import_string

    trigger = import_string(deferral["path"])(**deferral["arguments"])
    async for event in trigger.run():
        return json.loads(json.dumps(event.payload))
    raise RuntimeError("the trigger ended without an event")


class Tasks:
    """Runs tasks, and counts their results."""

    def __init__(self, slots: int, *, in_pods: bool) -> None:
        self._slots = Slots(slots)
        self._in_pods = in_pods
        self.counts = Counter(done=0, failed=0, deferrals=0)
        self.first_failure = ""

    async def run(self, number: int) -> None:
        """Run a task to its end. It uses no slot while it is deferred."""
        deferral: Json | None = None
        while True:
            async with self._slots.one(number):
                answer = await run_in_fork(functools.partial(step, number, deferral, in_pod=self._in_pods))
            deferral = answer.get("deferred")
            if deferral is None:
                break
            self.counts["deferrals"] += 1
            event = await event_of(deferral)
            deferral["kwargs"] = {**(deferral["kwargs"] or {}), "event": event}
        self.counts["failed" if "failed" in answer else "done"] += 1
        self.first_failure = self.first_failure or answer.get("failed", "")


async def carry_out(folder: Path, slots: int, *, in_pods: bool) -> None:
    """Wait for an order, and run it."""
    write_message(folder, "ready", {})
    order = await wait_for_message(folder, "order")
    tasks = Tasks(slots, in_pods=in_pods)
    running = asyncio.gather(*(tasks.run(number) for number in order["numbers"]))
    running.add_done_callback(lambda _: write_message(folder, "finished", {}))
    await wait_for_message(folder, "stop")
    write_message(folder, "report", {**tasks.counts, "first_failure": tasks.first_failure})


def main(folder: Path) -> int:
    """Prepare the process, and run one order."""
    setup = read_message(folder, "setup")
    assert setup is not None
    FastClock(**setup["clock"]).install()
    # A first task, on another sandbox, imports all modules: imports are not measured.
    step(0, None, "warm_")
    # The forked processes share these memory pages until a garbage collection writes to them.
    gc.collect()
    gc.freeze()
    asyncio.run(carry_out(folder, setup["slots"], in_pods=setup["in_pods"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
