"""
Measure what webhooks spare and what they may spend, and print a table: `python -m benchmarks.webhooks`.

It runs on the fast clock of `benchmarks.waiting`, with the same triggerer. The inbox is a file, written with the
provider's own code when a request is submitted. Neither the receiver nor Airflow's database is in these figures.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_visio.webhooks.inbox import Inbox
from benchmarks.contestants import PROVIDER
from benchmarks.environment import MeasurementEnvironment
from benchmarks.message_files import START_LIMIT, START_LIMIT_EACH, write_message
from benchmarks.table import HEAD, Row, number
from benchmarks.wait_measurement import HOUR, Plan, WarmUp, serialized_triggers, triggerer
from dev.processes import Stopped, raise_on_signal
from dev.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.environment import Process

SPEED = 60.0
# Virtual seconds from a submission until its webhook is in the inbox.
DELIVERY = 1.0
# Calls that polls may make in a minute and an hour: the limits without the reserve.
SHARE_OF_MINUTE, SHARE_OF_HOUR = 45.0, 750.0


@dataclass(frozen=True)
class Scenario:
    """
    A measurement of one virtual hour.

    :param waits: number of requests to wait for.
    :param arrive: how many of them are submitted, evenly over the hour.
    :param flood: valid nudges in the first minute.
    :param webhooks: whether the submissions are announced.
    """

    waits: int
    arrive: int = 0
    flood: int = 0
    webhooks: bool = True


@dataclass(frozen=True)
class Found:
    """
    The result of a measurement.

    :param calls: calls in the hour.
    :param first_minute: calls in its first minute.
    :param refused: 429 replies.
    :param delays: virtual seconds from each submission to its event.
    """

    calls: float
    first_minute: float
    refused: float
    delays: list[float]


class Service:
    """Submits requests and announces them, as the service does."""

    def __init__(self, environment: MeasurementEnvironment, process: Process) -> None:
        self._environment = environment
        self._process = process
        self._inbox = Inbox("start", environment.clock.now())
        self.write()

    def submit(self, request_id: str) -> None:
        """Submit a request."""
        self._environment.sandbox.control("POST", f"/photo-requests/{request_id}/submit", {})

    def announce(self, *request_ids: str) -> None:
        """Announce requests, each by a webhook of its own."""
        for one in request_ids:
            self._inbox = self._inbox.after([f"photo_request:{one}"], self._environment.clock.now())
        self.write()

    def write(self) -> None:
        """Write the inbox where the triggerer reads it."""
        write_message(self._process.folder, "inbox", {"text": self._inbox.as_text()})


def measure(scenario: Scenario, folder: Path, warm_up: WarmUp) -> Found:
    """Run a measurement.

    :param folder: folder for messages and logs
    :param warm_up: the sandbox for the warm-up trigger
    """
    plan = Plan(PROVIDER, scenario.waits, speed=SPEED)
    settings = {"page_size": 100, "download_urls_of_open": "missing"}
    with MeasurementEnvironment(folder, SPEED, settings) as environment:
        environment.sandbox.control("POST", "/photo-requests", {"count": scenario.waits})
        process = triggerer(environment, plan, warm_up, webhooks=scenario.webhooks)
        service = Service(environment, process)
        ids, triggers = serialized_triggers(environment, plan)
        process.order(triggers=triggers)
        process.message("started", 4 * (START_LIMIT + scenario.waits * START_LIMIT_EACH))
        # The first look, and the poll's first pause.
        time.sleep(2 * 60 / SPEED)
        environment.sandbox.control("DELETE", "/counters")
        begin = environment.clock.now()
        submitted = _play(
            scenario, environment, service, random.Random(7).sample(ids, scenario.arrive), ids, begin
        )
        counters = environment.counters()
        time.sleep(2 * HOUR / 10 / SPEED)
        process.stop()
        events = process.message("report")["events"]
    seen = {ids[int(trigger) - 2]: at for trigger, at in events.items()}
    return Found(
        calls=counters["calls"],
        first_minute=submitted.pop("", 0.0),
        refused=counters["refused"],
        delays=sorted(seen.get(one, float("inf")) - at for one, at in submitted.items()),
    )


def _play(
    scenario: Scenario,
    environment: MeasurementEnvironment,
    service: Service,
    arrive: Sequence[str],
    ids: Sequence[str],
    begin: float,
) -> dict[str, float]:
    """Play the hour, and return when each request was submitted; under "" the calls of the first minute."""
    submitted: dict[str, float] = {}

    def until(seconds: float) -> None:
        time.sleep(max(0.0, begin + seconds - environment.clock.now()) / SPEED)

    parts = 60
    for second in range(parts if scenario.flood else 0):
        until(second * 60 / parts)
        count = scenario.flood // parts
        service.announce(*(ids[(second * count + n) % len(ids)] for n in range(count)))
    if scenario.flood:
        until(60)
        submitted[""] = environment.counters()["calls"]
    for place, one in enumerate(arrive):
        until((place + 0.5) * HOUR / len(arrive))
        service.submit(one)
        submitted[one] = environment.clock.now()
        if scenario.webhooks:
            time.sleep(DELIVERY / SPEED)
            service.announce(one)
    until(HOUR)
    return submitted


def rows(waits: int, folder: Path, only: Sequence[str], warm_up: WarmUp) -> list[Row]:
    """Measure, and return the rows of the table."""
    found: list[Row] = []
    for name, scenario, most in (
        ("10", Scenario(waits, 10), 30.0),
        ("500", Scenario(waits, waits // 2), 173.0),
    ):
        if name not in only:
            continue
        for one in (scenario, replace(scenario, webhooks=False)):
            result = measure(one, folder / f"{name}-{one.webhooks}", warm_up)
            what = f"{one.waits:,} wait, {one.arrive} arrive"
            who = "with webhooks" if one.webhooks else "polls only"
            target = most if one.webhooks else None
            found.append(Row(f"calls an hour: {what}", who, result.calls, most=target))
            found.append(
                Row(f"429s an hour: {what}", who, result.refused, most=0.0 if one.webhooks else None)
            )
            late = result.delays[min(len(result.delays) - 1, int(len(result.delays) * 0.95))]
            median = result.delays[len(result.delays) // 2]
            text = f"{number(median)}, p95 {number(late)}"
            found.append(Row(f"seconds from submission to event: {what}", who, median, text))
    if "flood" in only:
        result = measure(Scenario(waits, flood=10_000), folder / "flood", warm_up)
        what = "10,000 valid nudges in a minute"
        found.append(
            Row(f"calls in that minute: {what}", "with webhooks", result.first_minute, most=SHARE_OF_MINUTE)
        )
        found.append(Row(f"calls in that hour: {what}", "with webhooks", result.calls, most=SHARE_OF_HOUR))
        found.append(Row(f"429s: {what}", "with webhooks", result.refused, most=0.0))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurements, and print the table.

    :return: exit code
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.webhooks", description=__doc__)
    parser.add_argument("--waits", type=int, default=1000, help="number of waits (default: 1000)")
    parser.add_argument("--only", default="10,500,flood", help="measurements (default: 10,500,flood)")
    options = parser.parse_args(arguments)
    try:
        with (
            raise_on_signal(),
            tempfile.TemporaryDirectory(prefix="visio-bench-") as temporary,
            Sandbox(Path(temporary) / "warm-up") as sandbox,
        ):
            table = rows(options.waits, Path(temporary), options.only.split(","), WarmUp(sandbox))
    except Stopped as stopped:
        return stopped.exit_code
    print(HEAD, *(row.line() for row in table), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
