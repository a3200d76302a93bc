"""Webhooks wake the shared poll: how soon, and for how many calls. The inbox is a stand-in, the service the sandbox."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tasks.streams import Triggerer, fire_alone, fire_shared, many, shared_streams

from airflow_provider_visio import clock as provider_clock
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.triggers import webhook_inbox
from airflow_provider_visio.triggers.visiono import (
    VisionoPermanentLinkTrigger,
    VisionoPhotoRequestSubmittedTrigger,
    VisionoPhotoRequestTrigger,
)
from airflow_provider_visio.webhooks.inbox import Inbox

pytestmark = shared_streams

HOUR = 3600.0


class StandIn:
    """An inbox; ``reads`` has when it was read."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.inbox: Inbox | None = Inbox("start", clock.now())
        self.reads: list[float] = []
        self.error: Exception | None = None

    def sends(self, *ids: str, kind: str = "photo_request") -> None:
        for one in ids:
            self.inbox = (self.inbox or Inbox()).after([f"{kind}:{one}"], self.clock.now())

    async def read(self, conn_id: str) -> Inbox | None:
        assert conn_id == "visiono_default"
        self.reads.append(self.clock.now())
        if self.error is not None:
            raise self.error
        return self.inbox


@pytest.fixture
def inbox(clock, monkeypatch):
    monkeypatch.setenv("AIRFLOW__VISIO__WEBHOOKS", "True")
    stand_in = StandIn(clock)
    monkeypatch.setattr(webhook_inbox, "read_inbox", stand_in.read)
    return stand_in


@pytest.fixture
def ask(sandbox):
    sandbox.settings(caller_clock="virtual")
    return lambda number: many(sandbox, number)


def wait(request_id: str, clock: Any, hours: float | None = None) -> VisionoPhotoRequestTrigger:
    deadline = None if hours is None else clock.now() + hours * HOUR
    return VisionoPhotoRequestTrigger(request_ids=[request_id], deadline=deadline, min_dwell=0)


def calls(sandbox: Any) -> int:
    return sum(sandbox.counters()["visiono"].values())


def refused(sandbox: Any) -> int:
    return sandbox.counters()["refused_429"]["visiono"]


async def until_all_have_ended(triggers: list[Any], clock: Any) -> tuple[list[dict[str, Any]], list[float]]:
    """Return the events of waits that share a poll, and how long each wait took."""
    triggerer, started = Triggerer(), clock.now()

    async def timed(trigger: Any) -> tuple[dict[str, Any], float]:
        event = await triggerer.fire(trigger)
        return event, clock.now() - started

    found = await asyncio.wait_for(asyncio.gather(*map(timed, triggers)), 60)
    return [event for event, _ in found], [took for _, took in found]


@pytest.mark.parametrize("number", [1, 50])
@pytest.mark.parametrize("together", [1, 20])
def test_a_nudge_ends_a_wait_within_seconds(sandbox, clock, ask, inbox, later, number, together):
    ids = ask(max(number, together))

    def submit() -> None:
        for one in ids[:together]:
            sandbox.act(one, "submit")
        inbox.sends(*ids[:together])

    later(100, submit)
    events, took = asyncio.run(until_all_have_ended([wait(i, clock, hours=0.1) for i in ids], clock))
    assert [event["outcome"] for event in events] == ["done"] * together + ["timeout"] * (len(ids) - together)
    assert all(100 <= seconds <= 103 for seconds in took[:together])


def test_a_poll_of_its_own_is_woken_too(sandbox, clock, ask, inbox, later):
    """As on Airflow before 3.3."""
    (request_id,) = ask(1)
    later(100, lambda: (sandbox.act(request_id, "submit"), inbox.sends(request_id)))
    started = clock.now()
    event = asyncio.run(fire_alone(wait(request_id, clock)))
    assert event["outcome"] == "done"
    assert clock.now() - started <= 103


def test_a_submission_between_the_worker_s_look_and_the_wait(sandbox, clock, ask, inbox):
    """Its webhook came when nobody waited for it, and the poll is in a pause of five minutes."""
    ids = ask(10)
    started = clock.now()

    async def joins() -> tuple[dict[str, Any], float]:
        triggerer = Triggerer()
        others = [asyncio.create_task(triggerer.fire(wait(i, clock, hours=1))) for i in ids[1:]]
        await provider_clock.asleep(30)
        sandbox.act(ids[0], "submit")
        inbox.sends(ids[0])
        await provider_clock.asleep(20)
        event = await triggerer.fire(wait(ids[0], clock))
        took = clock.now() - started
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await triggerer.manager.stop_all()
        return event, took

    event, took = asyncio.run(asyncio.wait_for(joins(), 60))
    assert event["outcome"] == "done"
    assert took <= 55


def test_while_webhooks_arrive_nothing_costs_a_third(sandbox, clock, ask, inbox):
    ids = ask(200)
    asyncio.run(fire_shared([wait(i, clock, hours=1 / 3) for i in ids]))
    assert calls(sandbox) <= 9
    assert len(inbox.reads) == pytest.approx(HOUR / 3 / webhook_inbox.READ_EVERY, rel=0.01)


@pytest.mark.parametrize(
    "why", ["switched off", "no such Variable", "not in a triggerer", "cannot be read", "old"]
)
def test_without_webhooks_the_poll_keeps_its_pace(
    sandbox, clock, ask, inbox, later, monkeypatch, caplog, why
):
    reads = {"no such Variable": 41, "not in a triggerer": 1, "cannot be read": 21, "old": 601}
    if why == "switched off":
        monkeypatch.setenv("AIRFLOW__VISIO__WEBHOOKS", "False")
    elif why == "no such Variable":
        inbox.inbox = None
    elif why == "old":
        inbox.inbox = Inbox("old", clock.now() - 90_000)
    else:
        inbox.error = LookupError() if why == "not in a triggerer" else RuntimeError("Airflow is away")
    ids = ask(50)
    later(1000, lambda: sandbox.act(ids[0], "submit"))
    _, took = asyncio.run(until_all_have_ended([wait(i, clock, hours=1 / 3) for i in ids], clock))
    assert took[0] <= 1000 + 67
    assert calls(sandbox) >= 18
    assert len(inbox.reads) <= reads.get(why, 0)
    assert caplog.text.count("cannot be read") == (why == "cannot be read")


def test_an_inbox_that_appears_is_used(sandbox, clock, ask, inbox, later):
    (request_id,) = ask(1)
    inbox.inbox = None
    later(400, lambda: inbox.sends("another"))
    later(510, lambda: (sandbox.act(request_id, "submit"), inbox.sends(request_id)))
    events, took = asyncio.run(until_all_have_ended([wait(request_id, clock)], clock))
    assert events[0]["outcome"] == "done"
    assert took[0] <= 513


def test_lost_webhooks_cost_one_slow_poll_and_no_more(sandbox, clock, ask, inbox, later):
    ids = ask(20)
    for number, one in enumerate(ids[:5]):
        later(700 * (number + 1), lambda one=one: sandbox.act(one, "submit"))
    _, took = asyncio.run(until_all_have_ended([wait(i, clock, hours=1) for i in ids], clock))
    late = [seconds - 700 * (number + 1) for number, seconds in enumerate(took[:5])]
    assert 0 <= late[0] <= 331
    assert max(late[1:]) <= 67


def test_a_flood_of_valid_nudges_spends_little(sandbox, clock, ask, inbox):
    ids = ask(100)

    async def flood() -> None:
        for second in range(60):
            for n in range(170):
                inbox.sends(ids[(170 * second + n) % len(ids)])
            await provider_clock.asleep(1)

    asyncio.run(fire_shared([wait(i, clock, hours=0.2) for i in ids], flood()))
    assert refused(sandbox) == 0
    # A burst, what comes back in 12 minutes, and the poll's own looks.
    assert calls(sandbox) <= 12 + 25 + 8


def test_nobody_waits_nobody_reads(sandbox, clock, ask, inbox, later):
    ids = ask(2)
    later(50, lambda: (sandbox.act(ids[0], "submit"), inbox.sends(ids[0])))
    later(5000, lambda: (sandbox.act(ids[1], "submit"), inbox.sends(ids[1])))

    async def one_after_the_other() -> int:
        triggerer = Triggerer()
        await triggerer.fire(wait(ids[0], clock))
        before = len(inbox.reads)
        await provider_clock.asleep(4900)
        between = len(inbox.reads) - before
        await triggerer.fire(wait(ids[1], clock))
        assert len(inbox.reads) > before + between
        return between

    assert asyncio.run(asyncio.wait_for(one_after_the_other(), 60)) <= 1


def test_the_wait_for_a_permanent_link_is_woken_too(sandbox, clock, inbox, later):
    sandbox.settings(caller_clock="virtual")
    links = [VisionoHook().create_permanent_link("Photograph the van")["id"] for _ in range(2)]
    before = calls(sandbox)

    def submit() -> None:
        sandbox.control("POST", f"/permanent-links/{links[0]}/submit", {"photos": 0})
        inbox.sends(links[0], kind="permanent_link")

    later(100, submit)
    triggers = [
        VisionoPermanentLinkTrigger(link, once=True, min_dwell=0, deadline=clock.now() + 260)
        for link in links
    ]
    events, took = asyncio.run(until_all_have_ended(triggers, clock))
    assert [event["outcome"] for event in events] == ["done", "timeout"]
    assert 100 <= took[0] <= 103
    assert calls(sandbox) - before == 3


def test_a_watch_of_the_workspace_reports_a_submission_within_seconds(sandbox, clock, ask, inbox, later):
    """Also of a request that nobody waits for, and that was created outside Airflow."""
    new: list[str] = []

    def submit() -> None:
        new.extend(ask(1))
        sandbox.act(new[0], "submit")
        inbox.sends(new[0])

    later(2000, submit)
    started = clock.now()

    async def first() -> Any:
        fired = VisionoPhotoRequestSubmittedTrigger().run()
        event = await anext(fired)
        await fired.aclose()
        return event.payload

    assert asyncio.run(asyncio.wait_for(first(), 60)) == {"request_ids": new}
    assert 2000 <= clock.now() - started <= 2003
    # While webhooks can be relied on, it looks once in five minutes.
    assert calls(sandbox) <= 2000 / 300 + 2000 / 600 + 3
