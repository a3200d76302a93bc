"""
Run Airflow's trigger supervisor and runner without a database. They read their triggers from a message.

    python -m benchmarks.triggerer FOLDER

It reads the message `setup` in the folder, writes `warm` when the warm-up trigger has ended, and waits for `order`. It
writes `started` when all triggers of the order run, waits for `stop`, and writes `report`.
"""

from __future__ import annotations

import os
import resource
import socket
import sys
from collections import deque
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import structlog
from airflow.executors.workloads.task import TaskInstanceDTO
from airflow.executors.workloads.trigger import RunTrigger
from airflow.jobs.triggerer_job_runner import TriggerLoggingFactory, TriggerRunnerSupervisor
from airflow.models.trigger import Trigger

from benchmarks.fast_clock import FastClock
from benchmarks.message_files import WARM_UP_ID, Json, read_message
from benchmarks.metered_trigger_runner import MeteredRunner

# Airflow loads 50 triggers a second from the database. That would take too long here.
BATCH = 500


class MessageSupervisor(TriggerRunnerSupervisor):
    """Airflow's supervisor, with messages in place of the database."""

    folder: ClassVar[Path]
    setup: ClassVar[Json]
    order: Json | None = None
    waiting: deque[tuple[int, str, Json]]

    @classmethod
    def run_in_process(cls) -> None:
        """Run the triggers, in the forked process."""
        clock = FastClock(**cls.setup["clock"])
        MeteredRunner(cls.folder, clock, cls.setup["waits"]).run()  # type: ignore[no-untyped-call]

    def begin(self) -> None:
        """Start the warm-up trigger."""
        self.waiting = deque()
        self._create(WARM_UP_ID, *self.setup["warm_up"])

    def load_triggers(self) -> None:
        """Load triggers from the order in batches, as Airflow does from the database."""
        if self.order is None and (order := read_message(self.folder, "order")):
            self.order = order
            self.waiting.extend(
                (number, *one) for number, one in enumerate(order["triggers"], WARM_UP_ID + 1)
            )
        while self.waiting and len(self.creating_triggers) < BATCH:
            self._create(*self.waiting.popleft())

    def should_stop(self) -> bool:
        """Return whether the message `stop` exists."""
        return read_message(self.folder, "stop") is not None

    def heartbeat(self) -> None:
        """Do nothing: no scheduler reads the heartbeat."""

    def clean_unused(self) -> None:
        """Do nothing: no database has unused triggers."""

    def metric_tags(self) -> dict[str, str]:
        """Return the tags of the metrics."""
        return {"hostname": socket.gethostname()}

    def on_trigger_event(self, trigger_id: int, event: Any) -> None:
        """Do nothing: the runner has recorded the event."""

    def on_trigger_failure(self, trigger_id: int, exc: list[str] | None) -> None:
        """Print the failure. The report has the number of failures."""
        print(f"trigger {trigger_id} failed:", *(exc or ["without an event"]), flush=True)

    def _create(self, number: int, path: str, kwargs: Json) -> None:
        task = TaskInstanceDTO(
            id=uuid4(),
            dag_version_id=uuid4(),
            task_id="wait",
            dag_id="benchmark",
            run_id="manual__2026-01-01T00:00:00+00:00",
            try_number=1,
            map_index=number,
            pool_slots=1,
            priority_weight=1,
        )
        log_path = f"{task.dag_id}/{task.task_id}/{number}.trigger.log"
        self.logger_cache[number] = TriggerLoggingFactory(log_path=log_path, ti=task)  # type: ignore[arg-type]
        encrypted = Trigger.encrypt_kwargs(kwargs)
        self.creating_triggers.append(
            RunTrigger(id=number, classpath=path, encrypted_kwargs=encrypted, ti=task)
        )


def read_inbox_from(folder: Path) -> None:
    """Have the provider read the webhooks' inbox from the message `inbox`, in place of Airflow's database."""
    from airflow_provider_visio.triggers import webhook_inbox
    from airflow_provider_visio.webhooks.inbox import Inbox

    async def read(conn_id: str) -> Inbox | None:
        message = None if conn_id.startswith("warm_") else read_message(folder, "inbox")
        return Inbox.from_text(message["text"]) if message else None

    os.environ["AIRFLOW__VISIO__WEBHOOKS"] = "True"
    module: Any = webhook_inbox
    module.read_inbox = read


def main(folder: Path) -> int:
    """Run one order.

    :param folder: folder for the messages
    :return: exit code
    """
    setup = read_message(folder, "setup")
    assert setup is not None
    # A triggerer has an open log file for each trigger.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    FastClock(**setup["clock"]).install()
    if setup["webhooks"]:
        read_inbox_from(folder)
    MessageSupervisor.folder, MessageSupervisor.setup = folder, setup
    supervisor = MessageSupervisor.start(job=None, capacity=setup["waits"] + 1, logger=structlog.get_logger())
    try:
        supervisor.begin()
        supervisor.run()
    finally:
        supervisor.kill(escalation_delay=30, force=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
