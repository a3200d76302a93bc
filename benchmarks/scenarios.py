"""What is measured: each scenario yields the rows that it has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import create_measurement, wait_measurement
from benchmarks.contestants import HTTP_SENSOR, PLAIN, PROVIDER, SLEEPER, Contestant
from benchmarks.table import Row, number
from benchmarks.wait_measurement import Found, Plan, WarmUp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MIB = 2**20
PEERS = (HTTP_SENSOR, PLAIN)
NO_FILTERS = {"list_filters": False, "list_total": False}


@dataclass
class Bench:
    """
    One run of all measurements.

    :param folder: where they leave their notes and logs.
    :param warm_up: the sandbox to warm up on.
    :param tell: told of what is going on.
    :param quick: fewer waits, and a third of an hour.
    :param peers: whom to compare with.
    """

    folder: Path
    warm_up: WarmUp
    tell: Callable[[str], None]
    quick: bool = False
    peers: tuple[Contestant, ...] = PEERS
    _runs: int = 0

    @property
    def hours(self) -> float:
        """How long the full measurements take, in virtual hours."""
        return 1 / 3 if self.quick else 1.0

    @property
    def many(self) -> int:
        """How many wait where the issue says 1,000."""
        return 100 if self.quick else 1000

    @property
    def most(self) -> int:
        """How many wait where the issue says 5,000."""
        return 100 if self.quick else 5000

    def room(self) -> Path:
        """Return a folder for the next measurement."""
        self._runs += 1
        return self.folder / f"{self._runs:02}"

    def wait(self, plan: Plan) -> Found:
        """Carry out a plan of waiting."""
        found = wait_measurement.measure(plan, self.room(), self.warm_up)
        self.tell(
            f"{plan.contestant.name}, {plan.waits} waits: {found.calls:,.0f} calls and {found.refused:,.0f} 429s an "
            f"hour, {found.seen} of {len(found.delays)} seen, median {number(found.delay(0.5))}, p95 "
            f"{number(found.delay(0.95))}; {found.memory / MIB:.1f} MiB, block {found.block * 1000:.0f} ms "
            f"(a collection {found.collection * 1000:.0f}, apart from them {found.apart * 1000:.0f}, of work "
            f"{found.work * 1000:.0f}), "
            f"{found.started} started in {found.start_took:.1f} s{', LATE' if found.late else ''}"
            f"{f', {found.failed} FAILED' if found.failed else ''}"
        )
        return found

    def ask(self, what: str, plan: create_measurement.Plan) -> create_measurement.Made:
        """Carry out a plan of asking."""
        made = create_measurement.measure(plan, self.room(), self.warm_up)
        self.tell(
            f"{what}: {made.creates} made, {made.polls} polls, {made.refused} 429s in {made.took:.0f} s; "
            f"{made.failed} failed, {made.deferrals} deferrals"
            f"{made.first_failure and ': ' + made.first_failure}"
        )
        return made


FAST = 60.0


def speed_for(who: Contestant, number_of_waits: int) -> float:
    """Return the speed at which a machine can keep up: peers poll once for each wait and interval."""
    return FAST if who is PROVIDER or number_of_waits <= 100 else 20.0


def half_arrive(bench: Bench) -> Iterator[Row]:
    """Have 1,000 wait and half of them arrive; lists filter and have a total."""
    for who in (PROVIDER, *bench.peers):
        plan = Plan(who, bench.many, share=0.5, hours=bench.hours, speed=speed_for(who, bench.many))
        yield from _arrivals(bench, plan, "lists filter", 200.0)


def half_arrive_unfiltered(bench: Bench) -> Iterator[Row]:
    """Do the same where lists cannot be filtered and show no total."""
    plan = Plan(PROVIDER, bench.many, share=0.5, hours=bench.hours, settings=NO_FILTERS)
    yield from _arrivals(bench, plan, "lists do not filter", 700.0)


def _arrivals(bench: Bench, plan: Plan, lists: str, most: float) -> Iterator[Row]:
    found, who = bench.wait(plan), plan.contestant
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


def nothing_arrives(bench: Bench) -> Iterator[Row]:
    """Have some wait, and none of them arrive."""
    numbers = (10, 100) if bench.quick else (10, 100, 1000, 5000)
    for waiting in numbers:
        for who in (PROVIDER, *bench.peers):
            ours = who is PROVIDER
            if not ours and waiting > 100:
                continue
            found = bench.wait(Plan(who, waiting, hours=bench.hours if ours else 1 / 3))
            what = f"{waiting:,} wait, nothing arrives"
            yield Row(f"calls an hour: {what}", who.name, found.calls, most=70.0 if ours else None)
            yield Row(f"429s an hour: {what}", who.name, found.refused, most=0.0 if ours else None)
            if ours and waiting == bench.most:
                yield from _process(found)


def floor(bench: Bench) -> Iterator[Row]:
    """Measure what Airflow itself costs, and the peers."""
    yield from _process(bench.wait(Plan(SLEEPER, bench.most, hours=0.3)))
    for who in bench.peers:
        yield from _process(bench.wait(Plan(who, bench.most, hours=0.01 if bench.quick else 0.03, speed=3.0)))


def _process(found: Found) -> Iterator[Row]:
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
        f"{block:.0f}; without garbage collections {found.apart * 1000:.0f}, of which processor time "
        f"{found.work * 1000:.0f}{some}",
        most=50.0 if ours else None,
    )


def creates_beside_waits(bench: Bench) -> Iterator[Row]:
    """Create flat out while 1,000 wait, and alone."""
    beside = Plan(PROVIDER, bench.many, speed=FAST / 2)
    for what, plan in ((f"while {bench.many:,} wait", beside), ("alone", None)):
        # Half as fast, for a process must be started for each task.
        made = bench.ask(
            f"creates {what}", create_measurement.Plan(8, 2000, bench.hours, speed=FAST / 2, beside=plan)
        )
        text = f"{made.creates} of {create_measurement.PER_HOUR - made.polls} ({made.share:.0%})"
        yield Row(f"creates an hour, {what}", PROVIDER.name, made.share, text, least=0.9 if plan else None)
        yield Row(f"429s: creates {what}", PROVIDER.name, made.refused, most=0.0)


def mapped_creates(bench: Bench) -> Iterator[Row]:
    """Create 1,000 requests by one mapped task."""
    count = 200 if bench.quick else 1000
    best = create_measurement.bound(count)
    # Slower still: the best pace is a call a second.
    plan = create_measurement.Plan(16, count, hours=2 * best / wait_measurement.HOUR, speed=10.0)
    made = bench.ask(f"{count} mapped creates", plan)
    done = made.creates == count
    text = f"{made.took:,.0f} s, the limit's own bound is {best:,.0f} s"
    yield Row(
        f"creating {count:,} requests by a mapped task, against the limit's bound",
        PROVIDER.name,
        made.took / best if done else float("inf"),
        f"{made.took / best:.2f} ({text})" if done else f"{made.creates} made ({text})",
        most=1.1,
    )
    yield Row(f"429s: creating {count:,}", PROVIDER.name, made.refused, most=0.0)


SCENARIOS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "A": half_arrive,
    "B": half_arrive_unfiltered,
    "C": nothing_arrives,
    "F": floor,
    "D": creates_beside_waits,
    "E": mapped_creates,
}
