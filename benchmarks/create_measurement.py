"""Measure how many photo requests mapped tasks create, alone or while a triggerer polls for others."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import wait_measurement
from benchmarks.contestants import PROVIDER
from benchmarks.environment import MeasurementEnvironment
from benchmarks.wait_measurement import serialized_triggers, triggerer

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.message_files import Json
    from benchmarks.wait_measurement import WarmUp

PER_MINUTE, PER_HOUR = 60, 1000


@dataclass(frozen=True)
class Plan:
    """
    A measurement.

    :param slots: number of tasks that run at the same time.
    :param count: number of tasks.
    :param hours: virtual hours of the measurement.
    :param speed: virtual seconds in a real second.
    :param beside: waits that poll at the same time; None: none.
    """

    slots: int
    count: int
    hours: float
    speed: float = 60.0
    beside: wait_measurement.Plan | None = None


@dataclass(frozen=True)
class CreateResult:
    """
    The result of a measurement. It begins with the first call. All times are virtual.

    :param creates: number of created requests.
    :param polls: number of other accepted calls.
    :param refused: number of 429 replies.
    :param took: seconds until the last request was created.
    :param failed: number of failed tasks.
    :param first_failure: traceback of the first failed task.
    :param deferrals: number of deferrals.
    """

    creates: int
    polls: int
    refused: int
    took: float
    failed: int
    first_failure: str
    deferrals: int

    @property
    def share(self) -> float:
        """Return the created requests, divided by the calls that the hourly limit leaves beside the polls."""
        return self.creates / (PER_HOUR - self.polls)


def minimum_seconds(count: int) -> float:
    """Return the shortest time for a number of calls, in seconds, with each minute's limit used at its start."""
    return (-(-count // PER_MINUTE) - 1) * 60.0


def measure(plan: Plan, folder: Path, warm_up: WarmUp) -> CreateResult:
    """Run a measurement.

    :param folder: folder for messages and logs
    :param warm_up: the sandbox for the first task
    """
    with MeasurementEnvironment(folder, plan.speed, {"page_size": 100}) as environment:
        tasks = environment.start(
            "benchmarks.create_tasks",
            {
                **PROVIDER.connection(environment.sandbox.info),
                **PROVIDER.connection(warm_up.sandbox.info, "warm_"),
            },
            slots=plan.slots,
        )
        tasks.message("ready")
        if plan.beside is not None:
            waiting = triggerer(environment, plan.beside, warm_up)
            environment.sandbox.control("POST", "/photo-requests", {"count": plan.beside.waits})
            waiting.order(triggers=serialized_triggers(environment, plan.beside)[1])
        tasks.order(count=plan.count)
        until = time.monotonic() + plan.hours * wait_measurement.HOUR / plan.speed + 2.0
        while time.monotonic() < until and not tasks.has_message("finished"):
            time.sleep(0.1)
        tasks.stop()
        report = tasks.message("report")
        return _result(environment.sandbox.control("GET", "/calls"), plan.hours, report)


def _result(calls: list[Json], hours: float, report: Json) -> CreateResult:
    calls = [call for call in calls if call["service"] == "visiono"]
    first = calls[0]["at"] if calls else 0.0
    calls = [call for call in calls if call["at"] <= first + hours * wait_measurement.HOUR]
    created = [call for call in calls if call["status"] == 201]
    refused = [call for call in calls if call["status"] == 429]
    return CreateResult(
        creates=len(created),
        polls=len(calls) - len(created) - len(refused),
        refused=len(refused),
        took=created[-1]["at"] - first if created else 0.0,
        failed=report["failed"],
        first_failure=report["first_failure"],
        deferrals=report["deferrals"],
    )
