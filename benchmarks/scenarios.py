"""The scenarios of the benchmark. Each yields rows of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import create_measurement, wait_measurement
from benchmarks.contestants import HTTP_SENSOR, PLAIN, PROVIDER, SLEEPER, Contestant
from benchmarks.table import Row, number
from benchmarks.wait_measurement import Plan, WaitResult, WarmUp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MIB = 2**20
PEERS = (HTTP_SENSOR, PLAIN)
NO_FILTERS = {"list_filters": False, "list_total": False}


@dataclass
class BenchmarkRun:
    """
    One run of the benchmark.

    :param folder: folder for messages and logs.
    :param warm_up: the sandbox for warm-up triggers.
    :param log: prints a line of progress.
    :param quick: fewer waits, and a third of an hour.
    :param peers: the contestants beside this provider.
    """

    folder: Path
    warm_up: WarmUp
    log: Callable[[str], None]
    quick: bool = False
    peers: tuple[Contestant, ...] = PEERS
    _runs: int = 0

    @property
    def hours(self) -> float:
        """Return the virtual hours of a full measurement."""
        return 1 / 3 if self.quick else 1.0

    @property
    def medium_load(self) -> int:
        """Return the number of waits of the medium load: 1,000, or fewer in a quick run."""
        return 100 if self.quick else 1000

    @property
    def large_load(self) -> int:
        """Return the number of waits of the large load: 5,000, or fewer in a quick run."""
        return 100 if self.quick else 5000

    def next_folder(self) -> Path:
        """Return a new path for the next measurement."""
        self._runs += 1
        return self.folder / f"{self._runs:02}"

    def wait(self, plan: Plan) -> WaitResult:
        """Measure waits, and log the result."""
        found = wait_measurement.measure(plan, self.next_folder(), self.warm_up)
        self.log(
            f"{plan.contestant.name}, {plan.waits} waits: {found.calls:,.0f} calls and {found.refused:,.0f} 429s an "
            f"hour; {found.seen} of {len(found.delays)} submissions seen, delay median {number(found.delay(0.5))}, p95 "
            f"{number(found.delay(0.95))} intervals; {found.memory / MIB:.1f} MiB over idle; longest block "
            f"{found.block * 1000:.0f} ms (garbage collection {found.collection * 1000:.0f}, without collections "
            f"{found.without_collections * 1000:.0f}, processor time {found.work * 1000:.0f}); "
            f"{found.started} triggers started in {found.start_took:.1f} s"
            f"{', submissions began BEFORE all had started' if found.late else ''}"
            f"{f', {found.failed} triggers FAILED' if found.failed else ''}"
        )
        return found

    def create(self, what: str, plan: create_measurement.Plan) -> create_measurement.CreateResult:
        """Measure creates, and log the result."""
        made = create_measurement.measure(plan, self.next_folder(), self.warm_up)
        self.log(
            f"{what}: {made.creates} created, {made.polls} polls, {made.refused} 429s in {made.took:.0f} s; "
            f"{made.failed} tasks failed, {made.deferrals} deferrals"
            f"{made.first_failure and ': ' + made.first_failure}"
        )
        return made


FAST = 60.0


def speed_for(who: Contestant, number_of_waits: int) -> float:
    """Return the speed that the machine can reach. Peers need a slower one, because they poll for each wait."""
    return FAST if who is PROVIDER or number_of_waits <= 100 else 20.0


def half_arrive(run: BenchmarkRun) -> Iterator[Row]:
    """Measure 1,000 waits, half of which are submitted. Lists filter and have a total."""
    for who in (PROVIDER, *run.peers):
        plan = Plan(who, run.medium_load, share=0.5, hours=run.hours, speed=speed_for(who, run.medium_load))
        yield from _arrivals(run, plan, "lists filter", 200.0)


def half_arrive_unfiltered(run: BenchmarkRun) -> Iterator[Row]:
    """Measure the same with lists that do not filter and have no total."""
    plan = Plan(PROVIDER, run.medium_load, share=0.5, hours=run.hours, settings=NO_FILTERS)
    yield from _arrivals(run, plan, "lists do not filter", 700.0)


def _arrivals(run: BenchmarkRun, plan: Plan, lists: str, most: float) -> Iterator[Row]:
    found, who = run.wait(plan), plan.contestant
    ours = who is PROVIDER
    half = f"{plan.waits:,} wait, half arrive, {lists}"
    yield Row(f"calls an hour: {half}", who.name, found.calls, most=most if ours else None)
    yield Row(f"429s an hour: {half}", who.name, found.refused, most=0.0 if ours else None)
    for name, part, limit in (("median", 0.5, 0.6), ("p95", 0.95, 1.25)):
        text = f"{number(found.delay(part))} ({found.seen} of {len(found.delays)} seen)"
        yield Row(
            f"submission to event, {name}, in intervals: {half}",
            who.name,
            found.delay(part),
            text,
            most=limit if ours else None,
        )


def nothing_arrives(run: BenchmarkRun) -> Iterator[Row]:
    """Measure waits without any submission."""
    numbers = (10, 100) if run.quick else (10, 100, 1000, 5000)
    for waiting in numbers:
        for who in (PROVIDER, *run.peers):
            ours = who is PROVIDER
            if not ours and waiting > 100:
                continue
            found = run.wait(Plan(who, waiting, hours=run.hours if ours else 1 / 3))
            what = f"{waiting:,} wait, nothing arrives"
            yield Row(f"calls an hour: {what}", who.name, found.calls, most=70.0 if ours else None)
            yield Row(f"429s an hour: {what}", who.name, found.refused, most=0.0 if ours else None)
            if ours and waiting == run.large_load:
                yield from _process(found)


def floor(run: BenchmarkRun) -> Iterator[Row]:
    """Measure the memory and the blocks of Airflow itself and of the peers."""
    yield from _process(run.wait(Plan(SLEEPER, run.large_load, hours=0.3)))
    for who in run.peers:
        yield from _process(run.wait(Plan(who, run.large_load, hours=0.01 if run.quick else 0.03, speed=3.0)))


def _process(found: WaitResult) -> Iterator[Row]:
    who, ours = found.plan.contestant.name, found.plan.contestant is PROVIDER
    waiting = f"{found.plan.waits:,} wait"
    some = "" if found.started == found.plan.waits else f" ({found.started:,} had started)"
    memory, block = found.memory / MIB, found.block * 1000
    yield Row(
        f"memory over idle, MiB: {waiting}",
        who,
        memory,
        f"{memory:.1f}{some}",
        most=20.0 if ours else None,
    )
    yield Row(
        f"longest block of the event loop, ms: {waiting}",
        who,
        block,
        f"{block:.0f}; without garbage collections {found.without_collections * 1000:.0f}, of which processor time "
        f"{found.work * 1000:.0f}{some}",
        most=50.0 if ours else None,
    )


def creates_beside_waits(run: BenchmarkRun) -> Iterator[Row]:
    """Measure creates at full speed, while 1,000 requests are waited for, and alone."""
    beside = Plan(PROVIDER, run.medium_load, speed=FAST / 2)
    for what, plan in ((f"while {run.medium_load:,} wait", beside), ("alone", None)):
        # Half as fast, because each task starts a process.
        made = run.create(
            f"creates {what}", create_measurement.Plan(8, 2000, run.hours, speed=FAST / 2, beside=plan)
        )
        text = f"{made.creates} of {create_measurement.PER_HOUR - made.polls} ({made.share:.0%})"
        yield Row(f"creates an hour, {what}", PROVIDER.name, made.share, text, least=0.9 if plan else None)
        yield Row(f"429s: creates {what}", PROVIDER.name, made.refused, most=0.0)


def mapped_creates(run: BenchmarkRun) -> Iterator[Row]:
    """Measure 1,000 creates by a mapped task."""
    count = 200 if run.quick else 1000
    best = create_measurement.minimum_seconds(count)
    # Slower still, because the shortest time needs a call a second.
    plan = create_measurement.Plan(16, count, hours=2 * best / wait_measurement.HOUR, speed=10.0)
    made = run.create(f"{count} mapped creates", plan)
    done = made.creates == count
    text = f"{made.took:,.0f} s, at best {best:,.0f} s within the limit"
    yield Row(
        f"creating {count:,} requests by a mapped task, against the shortest time within the limit",
        PROVIDER.name,
        made.took / best if done else float("inf"),
        f"{made.took / best:.2f} ({text})" if done else f"{made.creates} created ({text})",
        most=1.1,
    )
    yield Row(f"429s: creating {count:,}", PROVIDER.name, made.refused, most=0.0)


SCENARIOS: dict[str, Callable[[BenchmarkRun], Iterator[Row]]] = {
    "A": half_arrive,
    "B": half_arrive_unfiltered,
    "C": nothing_arrives,
    "F": floor,
    "D": creates_beside_waits,
    "E": mapped_creates,
}
