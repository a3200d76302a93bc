"""Measure how one contestant waits for many requests in one triggerer: calls, delays, memory and blocks."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_visio.sandbox.clock import iso
from benchmarks.contestants import INTERVAL, Contestant, WaitedRequest
from benchmarks.environment import MeasurementEnvironment
from benchmarks.message_files import START_LIMIT, START_LIMIT_EACH, WARM_UP_ID, Json

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.environment import Process
    from dev.sandbox import Sandbox

HOUR = 3600.0
# Virtual seconds after the measurement in which the last submissions are seen.
AFTERWARDS = 4 * INTERVAL
# Real seconds, and further seconds for each wait, for the start of triggers before the first submission.
LEAD, LEAD_EACH = 3.0, 0.003


@dataclass(frozen=True)
class Plan:
    """
    A measurement.

    :param contestant: the contestant.
    :param waits: number of requests to wait for.
    :param share: share of them that is submitted during the measurement, 0 to 1.
    :param hours: virtual hours of the measurement.
    :param speed: virtual seconds in a real second.
    :param settings: settings of the sandbox.
    """

    contestant: Contestant
    waits: int
    share: float = 0.0
    hours: float = 1.0
    speed: float = 60.0
    settings: Json = field(default_factory=dict)


@dataclass(frozen=True)
class WaitResult:
    """
    The result of a measurement.

    :param calls: calls in a virtual hour.
    :param refused: 429 replies in a virtual hour.
    :param delays: delay of each submission until its event, in poll intervals; infinite without an event.
    :param memory: memory over idle, in bytes.
    :param block: longest block of the event loop, in seconds.
    :param collection: longest garbage collection, in seconds; it blocks the loop too.
    :param without_collections: longest block without the garbage collections in it, in seconds.
    :param work: longest processor time between two steps of the loop, without collections, in seconds.
    :param started: number of triggers that had started when the measurement began.
    :param start_took: seconds until then.
    :param late: whether requests were submitted before all triggers had started.
    :param failed: number of failed triggers.
    """

    plan: Plan
    calls: float
    refused: float
    delays: list[float]
    memory: int
    block: float
    collection: float
    without_collections: float
    work: float
    started: int
    start_took: float
    late: bool
    failed: int

    @property
    def seen(self) -> int:
        """Return the number of submissions with an event."""
        return sum(math.isfinite(delay) for delay in self.delays)

    def delay(self, part: float) -> float:
        """Return a quantile of the delays, in poll intervals.

        :param part: the quantile, 0 to 1
        """
        ordered = sorted(self.delays)
        return ordered[min(len(ordered) - 1, math.ceil(part * len(ordered)) - 1)] if ordered else math.nan


class WarmUp:
    """A second sandbox with one submitted request, for warm-up triggers that import all modules."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        sandbox.control("PATCH", "/settings", {"visiono_per_minute": 10**6, "visiono_per_hour": 10**6})
        (self.id,) = sandbox.control("POST", "/photo-requests", {"count": 1, "submit_within": 0})


def triggerer(
    environment: MeasurementEnvironment,
    plan: Plan,
    warm_up: WarmUp,
    host: str = "",
    *,
    webhooks: bool = False,
) -> Process:
    """Start a triggerer on a host, and wait until its warm-up trigger has ended.

    :param webhooks: whether it reads an inbox of webhooks, from the message `inbox`
    """
    who = plan.contestant
    process = environment.start(
        "benchmarks.triggerer",
        {**who.connection(environment.sandbox.info), **who.connection(warm_up.sandbox.info, "warm_")},
        host,
        waits=plan.waits,
        webhooks=webhooks,
        warm_up=who.serialized_trigger(_waited_requests(warm_up.sandbox, plan.speed)[0], "warm_"),
    )
    process.message("warm")
    return process


def serialized_triggers(
    environment: MeasurementEnvironment, plan: Plan
) -> tuple[list[str], list[tuple[str, Json]]]:
    """Return the ids of all requests, and the triggers that wait for them."""
    requests = _waited_requests(environment.sandbox, plan.speed)
    return [one.id for one in requests], [plan.contestant.serialized_trigger(one) for one in requests]


def measure(plan: Plan, folder: Path, warm_up: WarmUp) -> WaitResult:
    """Run a measurement.

    :param folder: folder for messages and logs
    :param warm_up: the sandbox for the warm-up trigger
    """
    with MeasurementEnvironment(
        folder, plan.speed, {"page_size": 100, "download_urls_of_open": "missing", **plan.settings}
    ) as environment:
        process = triggerer(environment, plan, warm_up)
        begin = time.monotonic() + LEAD + plan.waits * LEAD_EACH
        _create_requests(environment, plan, begin)
        ids, triggers = serialized_triggers(environment, plan)
        process.order(triggers=triggers)
        started = process.message("started", 4 * (START_LIMIT + plan.waits * START_LIMIT_EACH))
        late = started["at"] > begin
        begin = max(begin, time.monotonic())
        _sleep_until(begin)
        environment.sandbox.control("DELETE", "/counters")
        _sleep_until(begin + plan.hours * HOUR / plan.speed)
        counters = environment.counters()
        if plan.share:
            time.sleep(AFTERWARDS / plan.speed)
        process.stop()
        report = process.message("report")
        delays = _delays(environment, ids, report)
    return WaitResult(
        plan=plan,
        calls=counters["calls"] / plan.hours,
        refused=counters["refused"] / plan.hours,
        delays=delays,
        memory=report["most"] - report["idle"],
        block=report["block"],
        collection=report["collection"],
        without_collections=report["without_collections"],
        work=report["work"],
        started=started["number"],
        start_took=started["took"],
        late=late and bool(plan.share),
        failed=len(report["failed"]),
    )


def _create_requests(environment: MeasurementEnvironment, plan: Plan, begin: float) -> None:
    body: Json = {"count": plan.waits}
    if plan.share:
        after = (begin - time.monotonic()) * plan.speed
        body |= {"share": plan.share, "submit_after": after, "submit_within": plan.hours * HOUR}
    environment.sandbox.control("POST", "/photo-requests", body)


def _waited_requests(sandbox: Sandbox, speed: float) -> list[WaitedRequest]:
    return [
        WaitedRequest(one["id"], iso(one["created_at"]), iso(one["expires_at"]), speed)
        for one in sandbox.control("GET", "/photo-requests")
    ]


def _delays(environment: MeasurementEnvironment, ids: list[str], report: Json) -> list[float]:
    seen = {ids[int(number) - WARM_UP_ID - 1]: at for number, at in report["events"].items()}
    return [
        (seen.get(one["id"], math.inf) - one["submitted_at"]) / INTERVAL
        for one in environment.sandbox.control("GET", "/photo-requests")
        if one["submitted_at"] is not None
    ]


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
