"""Many mapped tasks create requests at once, alone or beside a triggerer full of waits; how many get through."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import wait_measurement
from benchmarks.contestants import PROVIDER
from benchmarks.environment import Stage
from benchmarks.wait_measurement import orders, triggerer

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.message_files import Json
    from benchmarks.wait_measurement import WarmUp

PER_MINUTE, PER_HOUR = 60, 1000


@dataclass(frozen=True)
class Plan:
    """
    What is measured.

    :param slots: how many tasks run at once.
    :param count: how many there are.
    :param hours: virtual hours that they have.
    :param speed: virtual seconds in a real one.
    :param beside: what waits meanwhile.
    """

    slots: int
    count: int
    hours: float
    speed: float = 60.0
    beside: wait_measurement.Plan | None = None


@dataclass(frozen=True)
class Made:
    """
    What came of it; virtual time, counted from the first call of all.

    :param creates: requests made within the time measured.
    :param polls: calls let through within it that are no creates.
    :param refused: 429s within it.
    :param took: seconds until the last request was made.
    :param failed: tasks that failed.
    :param first_failure: the traceback of the first that did.
    :param deferrals: how often tasks gave their slot back.
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
        """Creates against what the hour's limit and the polls leave."""
        return self.creates / (PER_HOUR - self.polls)


def bound(count: int) -> float:
    """Return the seconds in which so many calls can be made at best: windows of a minute, each used up at once."""
    return (-(-count // PER_MINUTE) - 1) * 60.0


def measure(plan: Plan, folder: Path, warm_up: WarmUp) -> Made:
    """Carry out a plan."""
    with Stage(folder, plan.speed, {"page_size": 100}) as stage:
        tasks = stage.start(
            "benchmarks.create_tasks",
            {
                **PROVIDER.connection(stage.sandbox.info),
                **PROVIDER.connection(warm_up.sandbox.info, "warm_"),
            },
            slots=plan.slots,
        )
        tasks.note("ready")
        if plan.beside is not None:
            waiting = triggerer(stage, plan.beside, warm_up)
            stage.sandbox.control("POST", "/photo-requests", {"count": plan.beside.waits})
            waiting.order(triggers=orders(stage, plan.beside)[1])
        tasks.order(count=plan.count)
        until = time.monotonic() + plan.hours * wait_measurement.HOUR / plan.speed + 2.0
        while time.monotonic() < until and not tasks.left("finished"):
            time.sleep(0.1)
        tasks.stop()
        report = tasks.note("report")
        return _made(stage.sandbox.control("GET", "/calls"), plan.hours, report)


def _made(calls: list[Json], hours: float, report: Json) -> Made:
    calls = [call for call in calls if call["service"] == "visiono"]
    first = calls[0]["at"] if calls else 0.0
    calls = [call for call in calls if call["at"] <= first + hours * wait_measurement.HOUR]
    made = [call for call in calls if call["status"] == 201]
    refused = [call for call in calls if call["status"] == 429]
    return Made(
        creates=len(made),
        polls=len(calls) - len(made) - len(refused),
        refused=len(refused),
        took=made[-1]["at"] - first if made else 0.0,
        failed=report["failed"],
        first_failure=report["first_failure"],
        deferrals=report["deferrals"],
    )
