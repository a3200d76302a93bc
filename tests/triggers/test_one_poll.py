"""Many waits on one poll, behind Airflow's own manager of shared streams, with the real limits."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from tasks.streams import Triggerer, fire_alone, fire_shared, many, shared_streams

from airflow_provider_visio import clock as provider_clock
from airflow_provider_visio.api import client as client_module
from airflow_provider_visio.api.photo_request_poller import RequestPoller
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.triggers.poll_report import PollReport
from airflow_provider_visio.triggers.visiono import VisionoPhotoRequestTrigger

pytestmark = shared_streams

HOUR = 3600.0


@pytest.fixture
def ask(sandbox):
    sandbox.settings(caller_clock="virtual")
    return lambda number: many(sandbox, number)


def wait(
    request_id: str, clock: Any, *, hours: float | None = None, **more: Any
) -> VisionoPhotoRequestTrigger:
    deadline = None if hours is None else clock.now() + hours * HOUR
    return VisionoPhotoRequestTrigger(
        **{
            "visiono_conn_id": "visiono_default",
            "request_ids": [request_id],
            "deadline": deadline,
            "min_dwell": 0,
            **more,
        }
    )


def calls(sandbox: Any) -> int:
    return sum(sandbox.counters()["visiono"].values())


def refused(sandbox: Any) -> int:
    return sandbox.counters()["refused_429"]["visiono"]


def submits(sandbox: Any, request_id: str, after: float) -> None:
    sandbox.control(
        "PUT",
        f"/photo-requests/{request_id}/person",
        {"behaviour": "submit", "open_after": after, "photo_every": 0, "photos": 1},
    )


LISTS = pytest.mark.parametrize(
    ("lists", "most"),
    [
        # A sweep costs one call as long as there is nothing new, and one more when there is.
        ({}, 200),
        ({"list_total": False}, 300),
        ({"pagination": "cursor"}, 300),
    ],
    ids=["filtered", "no totals", "cursors"],
)


@LISTS
def test_two_hundred_waits_over_an_hour(sandbox, clock, ask, lists, most):
    ids = ask(200)
    sandbox.settings(**lists)
    started = clock.now()
    late = []
    for number, request_id in enumerate(ids):
        submits(sandbox, request_id, number * HOUR / len(ids))

    async def timed(trigger: VisionoPhotoRequestTrigger, triggerer: Triggerer, due: float) -> dict[str, Any]:
        event = await triggerer.fire(trigger)
        late.append(clock.now() - due)
        return event

    async def everybody() -> list[dict[str, Any]]:
        triggerer = Triggerer()
        waits = [
            timed(wait(i, clock), triggerer, started + number * HOUR / len(ids))
            for number, i in enumerate(ids)
        ]
        return await asyncio.wait_for(asyncio.gather(*waits), 60)

    events = asyncio.run(everybody())
    assert [(event["outcome"], event["arrived"]) for event in events] == [("done", [i]) for i in ids]
    assert refused(sandbox) == 0
    assert calls(sandbox) <= most
    assert max(late) <= 2 * 66


def test_while_nothing_arrives_a_look_costs_a_call(sandbox, clock, ask):
    ids = ask(200)
    events = asyncio.run(fire_shared([wait(i, clock, hours=1) for i in ids]))
    assert {event["outcome"] for event in events} == {"timeout"}
    assert 50 <= calls(sandbox) <= 80


def test_creates_find_room_however_often_the_poll_would_look(sandbox, clock, ask):
    """A fifth of the calls of a minute is made beside a poll that looks as often as it may."""
    ids = ask(10)
    pauses: list[float] = []
    made: list[str] = []

    def create() -> None:
        before = clock.now()
        made.append(VisionoHook().create_photo_request("a meter")["id"])
        pauses.append(clock.now() - before)

    async def creates() -> None:
        for _ in range(60):
            await provider_clock.asleep(5)
            await asyncio.to_thread(create)

    asyncio.run(fire_shared([wait(i, clock, hours=0.1, poke_interval=0.5) for i in ids], creates()))
    looks = calls(sandbox) - len(made)
    assert refused(sandbox) == 0
    assert len(made) == 60
    assert max(pauses) < 1
    assert looks > 100, "the poll did look as often as it might"


def test_a_key_that_was_rotated_is_read_again_once_for_all(sandbox, clock, ask, connection, later):
    ids = ask(30)

    def rotate() -> None:
        sandbox.keys(visiono=["vsk_live_new"])
        connection("visiono_default", sandbox.visiono_url, "vsk_live_new")
        for request_id in ids:
            sandbox.act(request_id, "submit")

    later(200, rotate)
    events = asyncio.run(fire_shared([wait(i, clock) for i in ids]))
    assert {event["outcome"] for event in events} == {"done"}
    assert [call["status"] for call in sandbox.calls()].count(401) == 1


def test_a_key_that_stays_refused_ends_every_wait_within_a_minute(sandbox, clock, ask, later):
    ids = ask(30)
    later(200, lambda: sandbox.keys(visiono=["another"]))
    started = clock.now()
    events = asyncio.run(fire_shared([wait(i, clock, poke_interval=30) for i in ids]))
    assert {(event["outcome"], event["trouble"]) for event in events} == {
        ("trouble", "AuthenticationError (401)")
    }
    assert clock.now() - started <= 200 + 60
    assert [call["status"] for call in sandbox.calls()].count(401) == 2


def test_an_id_that_the_key_may_not_read_ends_its_own_wait_only(sandbox, clock, ask):
    foreign, other = ask(2)
    submits(sandbox, other, 300)
    sandbox.fault("visiono", "status", status=403, times=None, path=foreign)
    events = asyncio.run(fire_shared([wait(foreign, clock), wait(other, clock)]))
    assert (events[0]["outcome"], events[0]["ended"]) == ("failed", {foreign: "refused"})
    assert events[1]["outcome"] == "done"


@pytest.mark.parametrize("known", [True, False], ids=["known to the worker", "not known"])
def test_each_end_ends_its_own_wait(sandbox, clock, ask, later, known):
    ids = ask(20)
    deleted, expired, cancelled, submitted, *others = ids
    actions = {deleted: "delete", expired: "expire", cancelled: "cancel", submitted: "submit"}
    for request_id, action in actions.items():
        later(600, lambda i=request_id, a=action: sandbox.act(i, a))
    seen = {"status": "pending", "created_at": "2020-01-01T00:00:00Z"}
    triggers = [wait(i, clock, hours=1.5, states={i: seen} if known else None) for i in [*ids, "req_nobody"]]
    events = dict(zip([*ids, "req_nobody"], asyncio.run(fire_shared(triggers)), strict=True))
    assert events[deleted]["ended"] == {deleted: "deleted"}
    assert events[expired]["ended"] == {expired: "expired"}
    assert events[cancelled]["ended"] == {cancelled: "cancelled"}
    assert events["req_nobody"]["ended"] == {"req_nobody": "deleted"}
    assert events[submitted]["arrived"] == [submitted]
    assert {events[i]["outcome"] for i in others} == {"timeout"}


def test_a_poll_pauses_as_long_as_a_503_asks(sandbox, clock, ask):
    (request_id,) = ask(1)
    sandbox.act(request_id, "submit")
    sandbox.fault("visiono", "status", status=503, headers={"Retry-After": "400"}, times=1)
    started = clock.now()
    (event,) = asyncio.run(fire_shared([wait(request_id, clock)]))
    assert event["outcome"] == "done"
    assert clock.now() - started >= 400


def test_replies_slower_than_the_interval(sandbox, clock, ask, monkeypatch):
    ids = ask(30)
    under_way: list[int] = [0, 0]
    attempt = client_module.TriggerClient._attempt

    async def slowly(self: Any, *args: Any) -> Any:
        under_way[0] += 1
        under_way[1] = max(under_way)
        # Only now does the call begin, for time stands still while one is under way.
        await provider_clock.asleep(100)
        try:
            return await attempt(self, *args)
        finally:
            under_way[0] -= 1

    monkeypatch.setattr(client_module.TriggerClient, "_attempt", slowly)
    for request_id in ids:
        submits(sandbox, request_id, 900)
    started = clock.now()
    events = asyncio.run(fire_shared([wait(i, clock, poke_interval=30) for i in ids]))
    assert {event["outcome"] for event in events} == {"done"}
    assert under_way[1] == 1, "looks do not pile up"
    assert clock.now() - started <= 900 + 3 * 133


@pytest.mark.parametrize("limits", [{"rate_headers": False}, {"retry_after_header": True}])
def test_more_waits_than_the_limit_s_calls_can_ask_for_singly(sandbox, clock, ask, limits):
    """Without a list to read, thirty waits that would look every second have but their share of the calls."""
    ids = ask(30)
    sandbox.settings(**limits)
    sandbox.fault("visiono", "status", status=403, times=None, path="^/photo-requests$")
    for request_id in ids:
        submits(sandbox, request_id, 240)
    events = asyncio.run(fire_shared([wait(i, clock, poke_interval=1) for i in ids]))
    assert {event["outcome"] for event in events} == {"done"}
    assert refused(sandbox) == 0


NONSENSE = {
    "negative": {"X-RateLimit-Limit": "-60", "X-RateLimit-Remaining": "-1", "X-RateLimit-Reset": "-5"},
    "words": {"X-RateLimit-Limit": "many", "X-RateLimit-Remaining": "nan", "X-RateLimit-Reset": "soon"},
    "noughts": {"X-RateLimit-Limit": "0", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "0"},
    "huge": {"X-RateLimit-Limit": "9" * 30, "X-RateLimit-Remaining": "1e400", "X-RateLimit-Reset": "inf"},
    "days away": {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9999999999"},
    "nothing left": {"X-RateLimit-Remaining": "0"},
}


@pytest.mark.parametrize("headers", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_in_rate_headers_does_not_stop_the_poll(sandbox, clock, ask, headers):
    (request_id,) = ask(1)
    sandbox.fault(
        "visiono",
        "body",
        body={"data": {"id": request_id, "status": "pending"}},
        headers=headers,
        times=3,
    )
    submits(sandbox, request_id, 1)
    started = clock.now()
    (event,) = asyncio.run(fire_shared([wait(request_id, clock)]))
    assert event["outcome"] == "done"
    assert clock.now() - started <= 3 * 130


def test_a_refusal_for_long_makes_the_poll_pause_and_ends_no_wait(sandbox, clock, ask):
    """Somebody else has used up the hour."""
    ids = ask(10)
    sandbox.fault("visiono", "rate_limit", retry_after=1800, times=1)
    for request_id in ids[1:]:
        submits(sandbox, request_id, 60)
    impatient, *others = [wait(ids[0], clock, hours=0.25), *(wait(i, clock) for i in ids[1:])]
    started = clock.now()
    ended: list[float] = []

    async def timed(triggerer: Triggerer, trigger: VisionoPhotoRequestTrigger) -> dict[str, Any]:
        event = await triggerer.fire(trigger)
        ended.append(clock.now() - started)
        return event

    async def everybody() -> list[dict[str, Any]]:
        triggerer = Triggerer()
        return await asyncio.gather(*(timed(triggerer, one) for one in [impatient, *others]))

    events = asyncio.run(asyncio.wait_for(everybody(), 60))
    assert [event["outcome"] for event in events] == ["timeout"] + ["done"] * 9
    assert ended[0] == pytest.approx(900, abs=1), "a deadline does not wait for the poll"
    assert all(1800 <= moment <= 2100 for moment in ended[1:])
    assert refused(sandbox) == 0
    assert calls(sandbox) <= 15


def test_a_poll_that_breaks_off_by_a_bug_ends_no_wait_silently(sandbox, clock, ask, monkeypatch):
    ids = ask(10)

    def broken(self: Any, waiting: Any, now: float) -> Any:
        raise KeyError("a fault of ours")

    monkeypatch.setattr(RequestPoller, "sweep", broken)
    events = asyncio.run(fire_shared([wait(i, clock) for i in ids]))
    assert [(event["outcome"], event["trouble"], event["waiting"]) for event in events] == [
        ("trouble", "KeyError", [i]) for i in ids
    ]


def test_a_bug_that_passes_is_borne(sandbox, clock, ask, monkeypatch):
    ids = ask(10)
    sweep, left = RequestPoller.sweep, [4]

    def broken(self: Any, waiting: Any, now: float) -> Any:
        if left[0]:
            left[0] -= 1
            raise KeyError("a fault of ours")
        return sweep(self, waiting, now)

    monkeypatch.setattr(RequestPoller, "sweep", broken)
    for request_id in ids:
        submits(sandbox, request_id, 1)
    assert {event["outcome"] for event in asyncio.run(fire_shared([wait(i, clock) for i in ids]))} == {"done"}


def test_a_bug_beside_the_sweep_ends_no_wait_silently(sandbox, clock, ask, monkeypatch):
    ids = ask(10)

    def broken(self: Any, client: Any, pause: float) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(PollReport, "write", broken)
    events = asyncio.run(fire_shared([wait(i, clock) for i in ids]))
    assert {(event["outcome"], event["trouble"]) for event in events} == {
        ("trouble", "the poll has broken off")
    }


def test_one_that_joins_after_a_fault_of_ours_is_looked_for(sandbox, clock, ask, monkeypatch, caplog):
    first, second = ask(2)
    submits(sandbox, second, 300)
    write, left = PollReport.write, [1]

    def broken(self: Any, client: Any, pause: float) -> None:
        if left[0]:
            left[0] -= 1
            raise RuntimeError("a fault of ours")
        write(self, client, pause)

    async def both() -> list[dict[str, Any]]:
        triggerer = Triggerer()
        broken_off = await triggerer.fire(wait(first, clock))
        return [broken_off, await triggerer.fire(wait(second, clock))]

    monkeypatch.setattr(PollReport, "write", broken)
    events = asyncio.run(asyncio.wait_for(both(), 30))
    assert [event["outcome"] for event in events] == ["trouble", "done"]
    assert "A poll has failed" in caplog.text


@pytest.mark.parametrize("pause", [0, 1, 2, 5])
def test_one_joins_as_the_last_leaves(sandbox, clock, ask, pause):
    """However many turns of the event loop lie between the two."""
    first, second = ask(2)
    sandbox.act(first, "submit")
    submits(sandbox, second, 500)

    async def both() -> list[dict[str, Any]]:
        triggerer = Triggerer()
        leaving = asyncio.create_task(triggerer.fire(wait(first, clock)))
        joining: list[asyncio.Task[Any]] = []
        leave = triggerer.manager.unsubscribe

        async def unsubscribe(number: int, key: Any) -> None:
            if not joining:
                gone = asyncio.create_task(leave(number, key))
                for _ in range(pause):
                    await asyncio.sleep(0)
                joining.append(asyncio.create_task(triggerer.fire(wait(second, clock))))
                await gone
            else:
                await leave(number, key)

        triggerer.manager.unsubscribe = unsubscribe  # type: ignore[method-assign]
        return [await leaving, await joining[0]]

    events = asyncio.run(asyncio.wait_for(both(), 30))
    assert [event["arrived"] for event in events] == [[first], [second]]


def test_a_poll_of_its_own_ends_alike(sandbox, clock, ask):
    ids = ask(5)
    actions = dict(zip(ids, ("delete", "expire", "submit"), strict=False))
    for request_id, action in actions.items():
        sandbox.act(request_id, action)

    def triggers() -> list[VisionoPhotoRequestTrigger]:
        return [wait(i, clock, hours=0.5) for i in [*ids, "req_nobody"]]

    async def alone() -> list[dict[str, Any]]:
        return await asyncio.gather(*(fire_alone(trigger) for trigger in triggers()))

    private = asyncio.run(alone())
    shared = asyncio.run(fire_shared(triggers()))
    outcomes = [event["outcome"] for event in private]
    assert outcomes == ["failed", "failed", "done", "timeout", "timeout", "failed"]
    for event in [*private, *shared]:
        event.pop("deadline")
    assert private == shared


def messages(caplog: pytest.LogCaptureFixture, name: str) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == f"airflow_provider_visio.triggers.{name}"]


def test_the_poll_says_what_it_does_once_a_minute_at_most(sandbox, clock, ask, caplog):
    ids = ask(12)
    with caplog.at_level(logging.INFO):
        asyncio.run(fire_shared([wait(i, clock, hours=0.5, poke_interval=10) for i in ids]))
    told = messages(caplog, "poll_report")
    assert 20 <= len(told) <= 31
    assert "The poll for photo requests on connection visiono_default serves 12 wait(s): " in told[0]
    for part in (
        "call(s) since the last report",
        "of 60 in 60 s and",
        "of 1,000 in 3600 s left for polls",
        "next query in",
    ):
        assert part in told[-1]


def test_a_wait_says_when_it_joined_and_what_ended_it(sandbox, clock, ask, caplog):
    a, b = ask(2)
    sandbox.act(a, "submit")
    sandbox.act(b, "cancel")
    with caplog.at_level(logging.INFO):
        asyncio.run(fire_shared([wait(a, clock), wait(b, clock)]))
    joined, ended = messages(caplog, "visiono"), messages(caplog, "base")
    assert f"shares with 1 other wait(s): {b}." in joined[1]
    assert "The wait ends: its goal is reached. The task continues on a worker." in ended
    assert "The wait ends: it can no longer succeed. The task continues on a worker." in ended


def test_nothing_secret_is_said(sandbox, clock, ask, caplog, later):
    ids = ask(5)
    later(100, lambda: sandbox.fault("visiono", "status", status=503, times=2))
    later(400, lambda: sandbox.keys(visiono=["another"]))
    with caplog.at_level(logging.DEBUG):
        events = asyncio.run(fire_shared([wait(i, clock) for i in ids]))
    assert {event["outcome"] for event in events} == {"trouble"}
    links = [made["request_url"] for made in sandbox.control("GET", "/photo-requests")]
    for secret in [sandbox.visiono_key, *links]:
        assert secret not in caplog.text
