"""Airflow's own trigger runner with a meter. Its supervisor forks its process."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from airflow.jobs.triggerer_job_runner import TriggerRunner

from benchmarks.message_files import START_LIMIT, START_LIMIT_EACH, WARM_UP_ID, write_message
from benchmarks.meter import Meter, resident

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.fast_clock import FastClock


class TimedEvents(deque[Any]):
    """The runner's queue of events, which records the virtual time of each event."""

    def __init__(self, clock: FastClock) -> None:
        super().__init__()
        self._clock = clock
        self.times: dict[int, float] = {}

    def append(self, entry: Any) -> None:
        """Record the time of an event, and queue it."""
        self.times.setdefault(entry.trigger_id, self._clock.now())
        super().append(entry)


class MeteredRunner(TriggerRunner):
    """
    A trigger runner that writes messages: `warm`, `started` when all triggers have started, and `report` at its end.

    :param folder: folder for the messages.
    :param clock: clock for the times of events.
    :param waits: number of triggers, without the warm-up trigger.
    """

    def __init__(self, folder: Path, clock: FastClock, waits: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._folder = folder
        self._clock = clock
        self._expected = waits + 1
        self._created = 0
        self._warm = False
        self._begun = False
        self._meter = Meter()
        self._first_start = 0.0
        self._failed: list[int] = []
        self.events: Any = TimedEvents(clock)

    def _handle_signal(self, signum: int, frame: object) -> None:  # noqa: ARG002
        """Write the report and exit at once, because an overloaded loop takes minutes to stop normally."""
        self._report()
        os._exit(0)

    async def cleanup_finished_triggers(self) -> list[int]:
        """Measure the idle memory after the first trigger has ended."""
        if self._created and not self.triggers and not self._warm:
            await asyncio.sleep(0.5)
            gc.collect()
            self._meter.idle = resident()
            self._warm = True
            write_message(self._folder, "warm", {"idle": self._meter.idle})
        finished = await super().cleanup_finished_triggers()
        self._failed += [trigger_id for trigger_id, _ in self.failed_triggers]
        return finished

    async def create_triggers(self) -> None:
        """Begin to measure when all triggers run. Their start is Airflow's own work."""
        new = len(self.to_create)
        if new and not self._first_start and self._created:
            self._first_start = time.monotonic()
            # An overloaded loop may never start all of them.
            asyncio.get_running_loop().call_later(
                START_LIMIT + self._expected * START_LIMIT_EACH, self._begin
            )
        await super().create_triggers()  # type: ignore[no-untyped-call]
        self._created += new
        if new and self._created == self._expected:
            for _ in range(10):
                await asyncio.sleep(0)
            self._begin()

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._meter.begin()
            now = time.monotonic()
            write_message(
                self._folder,
                "started",
                {"at": now, "took": now - self._first_start, "number": len(self.triggers)},
            )

    def _report(self) -> None:
        meter = self._meter
        report = {
            "idle": meter.idle,
            "most": meter.most,
            "block": meter.longest_block,
            "without_collections": meter.longest_without_collections,
            "work": meter.longest_work,
            "collection": meter.longest_collection,
            "events": {
                trigger_id: at for trigger_id, at in self.events.times.items() if trigger_id != WARM_UP_ID
            },
            "failed": self._failed,
            "waiting": len(self.triggers),
        }
        write_message(self._folder, "report", report)
