"""One contestant waits for many requests in one triggerer for a while; what that took."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_visio.sandbox.clock import iso
from benchmarks.contestants import INTERVAL, Contestant, Wanted
from benchmarks.environment import Stage
from benchmarks.message_files import START_LIMIT, START_LIMIT_EACH, WARM_UP_ID, Json

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.environment import Process
    from dev.sandbox import Sandbox

HOUR = 3600.0
# What is submitted in the last minute is seen in these.
AFTERWARDS = 4 * INTERVAL
# Real seconds in which triggers have started, before the first request is submitted.
LEAD, LEAD_EACH = 3.0, 0.003


@dataclass(frozen=True)
class Plan:
    """
    What is measured.

    :param contestant: who waits.
    :param waits: for how many requests.
    :param share: which part of them is submitted within the time measured.
    :param hours: virtual hours measured.
    :param speed: virtual seconds in a real one.
    :param settings: of the sandbox.
    """

    contestant: Contestant
    waits: int
    share: float = 0.0
    hours: float = 1.0
    speed: float = 60.0
    settings: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """
    What came of it.

    :param calls: in a virtual hour.
    :param refused: 429s in a virtual hour.
    :param delays: from submission to event in poll intervals, infinite for those that were not seen.
    :param memory: bytes over idle.
    :param block: longest block of the event loop, in seconds.
    :param collection: Python's longest garbage collection, in seconds; the loop is blocked by these too.
    :param apart: longest block less the garbage collections within it, in seconds.
    :param work: the most processor time between two turns of the loop, apart from collections, in seconds.
    :param started: how many triggers had started when the measuring began.
    :param start_took: seconds until then.
    :param late: whether some were submitted before all triggers had started.
    :param failed: triggers that failed.
    """

    plan: Plan
    calls: float
    refused: float
    delays: list[float]
    memory: int
    block: float
    collection: float
    apart: float
    work: float
    started: int
    start_took: float
    late: bool
    failed: int

    @property
    def seen(self) -> int:
        """How many of the submitted were seen."""
        return sum(math.isfinite(delay) for delay in self.delays)

    def delay(self, part: float) -> float:
        """Return the delay that so many (0 to 1) of the submitted stay within."""
        ordered = sorted(self.delays)
        return ordered[min(len(ordered) - 1, math.ceil(part * len(ordered)) - 1)] if ordered else math.nan


class WarmUp:
    """A second sandbox, with one submitted request for triggers that load what the others need."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        sandbox.control("PATCH", "/settings", {"visiono_per_minute": 10**6, "visiono_per_hour": 10**6})
        (self.id,) = sandbox.control("POST", "/photo-requests", {"count": 1, "submit_within": 0})


def triggerer(stage: Stage, plan: Plan, warm_up: WarmUp) -> Process:
    """Start a triggerer, and have it loaded and warm."""
    who = plan.contestant
    process = stage.start(
        "benchmarks.triggerer",
        {**who.connection(stage.sandbox.info), **who.connection(warm_up.sandbox.info, "warm_")},
        waits=plan.waits,
        warm_up=who.order(_wanted(warm_up.sandbox, plan.speed)[0], "warm_"),
    )
    process.note("warm")
    return process


def orders(stage: Stage, plan: Plan) -> tuple[list[str], list[tuple[str, Json]]]:
    """Return the ids of all requests there are, and the triggers that wait for them."""
    wanted = _wanted(stage.sandbox, plan.speed)
    return [one.id for one in wanted], [plan.contestant.order(one) for one in wanted]


def measure(plan: Plan, folder: Path, warm_up: WarmUp) -> Found:
    """Carry out a plan."""
    with Stage(
        folder, plan.speed, {"page_size": 100, "download_urls_of_open": "missing", **plan.settings}
    ) as stage:
        process = triggerer(stage, plan, warm_up)
        begin = time.monotonic() + LEAD + plan.waits * LEAD_EACH
        _make(stage, plan, begin)
        ids, triggers = orders(stage, plan)
        process.order(triggers=triggers)
        started = process.note("started", 4 * (START_LIMIT + plan.waits * START_LIMIT_EACH))
        late = started["at"] > begin
        begin = max(begin, time.monotonic())
        _sleep_until(begin)
        stage.sandbox.control("DELETE", "/counters")
        _sleep_until(begin + plan.hours * HOUR / plan.speed)
        counters = stage.counters()
        if plan.share:
            time.sleep(AFTERWARDS / plan.speed)
        process.stop()
        report = process.note("report")
        delays = _delays(stage, ids, report)
    return Found(
        plan=plan,
        calls=counters["calls"] / plan.hours,
        refused=counters["refused"] / plan.hours,
        delays=delays,
        memory=report["most"] - report["idle"],
        block=report["block"],
        collection=report["collection"],
        apart=report["apart"],
        work=report["work"],
        started=started["number"],
        start_took=started["took"],
        late=late and bool(plan.share),
        failed=len(report["failed"]),
    )


def _make(stage: Stage, plan: Plan, begin: float) -> None:
    body: Json = {"count": plan.waits}
    if plan.share:
        after = (begin - time.monotonic()) * plan.speed
        body |= {"share": plan.share, "submit_after": after, "submit_within": plan.hours * HOUR}
    stage.sandbox.control("POST", "/photo-requests", body)


def _wanted(sandbox: Sandbox, speed: float) -> list[Wanted]:
    return [
        Wanted(one["id"], iso(one["created_at"]), iso(one["expires_at"]), speed)
        for one in sandbox.control("GET", "/photo-requests")
    ]


def _delays(stage: Stage, ids: list[str], report: Json) -> list[float]:
    seen = {ids[int(number) - WARM_UP_ID - 1]: at for number, at in report["events"].items()}
    return [
        (seen.get(one["id"], math.inf) - one["submitted_at"]) / INTERVAL
        for one in stage.sandbox.control("GET", "/photo-requests")
        if one["submitted_at"] is not None
    ]


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
