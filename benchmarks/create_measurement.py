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
    :param hosts: number of hosts that the tasks are on, each with these slots and its own temporary files; the waits
        are then on a further host. None: one host for all.
    :param in_pods: whether each task has its own temporary files, as in a pod that runs one task.
    """

    slots: int
    count: int
    hours: float
    speed: float = 60.0
    beside: wait_measurement.Plan | None = None
    hosts: int | None = None
    in_pods: bool = False


@dataclass(frozen=True)
class CreateResult:
    """
    The result of a measurement. It begins with the first call. All times are virtual.

    :param creates: number of created requests.
    :param polls: number of other accepted calls.
    :param refused: number of 429 replies.
    :param refused_in: number of them in each minute's window of the service.
    :param took: seconds until the last request was created.
    :param failed: number of failed tasks.
    :param first_failure: traceback of the first failed task.
    :param deferrals: number of deferrals.
    """

    creates: int
    polls: int
    refused: int
    refused_in: list[int]
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
        names = [f"host-{number}" for number in range(plan.hosts or 0)] or [""]
        hosts = [
            environment.start(
                "benchmarks.create_tasks",
                {
                    **PROVIDER.connection(environment.sandbox.info),
                    **PROVIDER.connection(warm_up.sandbox.info, "warm_"),
                },
                name,
                slots=plan.slots,
                in_pods=plan.in_pods,
            )
            for name in names
        ]
        for host in hosts:
            host.message("ready")
        if plan.beside is not None:
            waiting = triggerer(environment, plan.beside, warm_up, "waits" if plan.hosts else "")
            environment.sandbox.control("POST", "/photo-requests", {"count": plan.beside.waits})
            waiting.order(triggers=serialized_triggers(environment, plan.beside)[1])
        for number, host in enumerate(hosts):
            host.order(numbers=list(range(number, plan.count, len(hosts))))
        until = time.monotonic() + plan.hours * wait_measurement.HOUR / plan.speed + 2.0
        while time.monotonic() < until and not all(host.has_message("finished") for host in hosts):
            time.sleep(0.1)
        for host in hosts:
            host.stop()
        reports = [host.message("report") for host in hosts]
        return _result(environment.sandbox.control("GET", "/calls"), plan.hours, reports)


def _result(calls: list[Json], hours: float, reports: list[Json]) -> CreateResult:
    calls = [call for call in calls if call["service"] == "visiono"]
    first = calls[0]["at"] if calls else 0.0
    calls = [call for call in calls if call["at"] <= first + hours * wait_measurement.HOUR]
    created = [call for call in calls if call["status"] == 201]
    refused = [call for call in calls if call["status"] == 429]
    return CreateResult(
        creates=len(created),
        polls=len(calls) - len(created) - len(refused),
        refused=len(refused),
        refused_in=_refused_in(calls),
        took=created[-1]["at"] - first if created else 0.0,
        failed=sum(report["failed"] for report in reports),
        first_failure=next((report["first_failure"] for report in reports if report["failed"]), ""),
        deferrals=sum(report["deferrals"] for report in reports),
    )


def _refused_in(calls: list[Json]) -> list[int]:
    """Return the number of refusals in each minute's window, which begins with the first call after the last one."""
    refused: list[int] = []
    ends = 0.0
    for call in calls:
        if call["status"] == 429:
            refused[-1] += 1
        elif call["at"] >= ends:
            ends = call["at"] + 60.0
            refused.append(0)
    return refused
