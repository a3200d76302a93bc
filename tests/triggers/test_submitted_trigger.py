"""The trigger that watches a workspace for submitted photo requests, for an asset."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from tasks.streams import Triggerer, many, shared_streams

from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.triggers.visiono import VisionoPhotoRequestSubmittedTrigger
from triggers.watching import AssetStore, events

ROUTE = "GET /photo-requests"
DAY = 86400.0


@pytest.fixture(autouse=True)
def one_clock(sandbox):
    sandbox.settings(caller_clock="virtual")


def ask() -> str:
    return VisionoHook().create_photo_request("Photograph the meter")["id"]


def submit(sandbox: Any, request_id: str | None = None) -> str:
    """Submit a request, or one that somebody has created outside Airflow just now."""
    found = request_id or many(sandbox, 1)[0]
    sandbox.act(found, "submit")
    return found


def watch(store: Any = None, **more: Any) -> VisionoPhotoRequestSubmittedTrigger:
    path, kwargs = VisionoPhotoRequestSubmittedTrigger(**more).serialize()
    trigger = VisionoPhotoRequestSubmittedTrigger(**json.loads(json.dumps(kwargs)))
    assert trigger.serialize() == (path, kwargs)
    trigger.asset_state_store = store
    return trigger


def ids(fired: list[Any]) -> list[str]:
    assert all(set(event) == {"request_ids"} for event in fired)
    return [found for event in fired for found in event["request_ids"]]


def test_its_class_path_and_arguments_are_plain():
    trigger = VisionoPhotoRequestSubmittedTrigger(
        since="2026-06-01T12:00:00Z", poke_interval=timedelta(minutes=2)
    )
    path, kwargs = trigger.serialize()
    module, _, name = path.rpartition(".")
    assert getattr(__import__(module, fromlist=[name]), name) is VisionoPhotoRequestSubmittedTrigger
    assert kwargs == {
        "visiono_conn_id": "visiono_default",
        "since": 1_780_315_200.0,
        "poke_interval": 120.0,
        "max_age": 30 * DAY,
    }


@pytest.mark.parametrize(
    ("name", "value"), [("since", "noon"), ("poke_interval", -3), ("poke_interval", "60"), ("max_age", 0)]
)
def test_an_argument_that_cannot_be_is_refused_where_the_dag_is_parsed(name, value):
    with pytest.raises(InvalidRequestError) as caught:
        VisionoPhotoRequestSubmittedTrigger(**{name: value})
    assert list(caught.value.fields) == [name]


def test_each_submission_is_reported_once_with_its_id_only(sandbox, later):
    before, old = submit(sandbox), ask()
    new: list[str] = []
    steps = [
        (100, lambda: new.append(submit(sandbox, old))),
        (400, lambda: new.append(submit(sandbox))),
        (401, lambda: new.append(submit(sandbox))),
    ]
    fired = events(watch(AssetStore()), 900, later, *steps)
    assert sorted(ids(fired)) == sorted(new)
    assert [len(event["request_ids"]) for event in fired] == [1, 2]
    assert before not in new


def test_a_quiet_watch_costs_one_call_a_look(sandbox, later):
    many(sandbox, 150)
    assert events(watch(AssetStore()), 3600, later) == []
    # The first look reads the whole list of two pages, and a page of it is read each ten minutes.
    assert 59 <= sandbox.count("visiono", ROUTE) <= 61 + 1 + 6


def test_a_list_without_filters_is_watched_as_well(sandbox, later):
    sandbox.settings(list_filters=False, caller_clock="virtual")
    many(sandbox, 250)
    before = submit(sandbox)
    new: list[str] = []
    fired = events(watch(AssetStore()), 1800, later, (500, lambda: new.append(submit(sandbox))))
    assert (ids(fired), before in new) == (new, False)
    assert sandbox.count("visiono", ROUTE) <= 3 * 1800 / 180 + 6, "three pages a look, three times as seldom"


def test_submissions_while_no_triggerer_runs_are_reported_by_the_next_one(sandbox, later, clock):
    store, opened = AssetStore(), [ask() for _ in range(3)]
    assert events(watch(store), 100, later) == []
    submit(sandbox, opened[0])
    clock.sleep(3 * DAY / 2)
    assert ids(events(watch(store), 100, later)) == [opened[0]]
    assert events(watch(store), 100, later) == []
    submit(sandbox, opened[1])
    assert ids(events(watch(store), 100, later)) == [opened[1]]


def test_a_triggerer_that_dies_before_the_event_is_certain_reports_it_again(sandbox, later):
    store = AssetStore()
    new: list[str] = []
    later(100, lambda: new.append(submit(sandbox)))

    async def first() -> Any:
        fired = watch(store).run()
        event = await anext(fired)
        await fired.aclose()
        return event.payload

    assert ids([asyncio.run(asyncio.wait_for(first(), 30))]) == new
    assert ids(events(watch(store), 100, later)) == new
    assert ids(events(watch(store), 100, later)) == []


def test_without_a_store_a_watch_begins_when_it_starts(sandbox, later):
    submit(sandbox)
    new: list[str] = []
    assert ids(events(watch(None), 200, later, (100, lambda: new.append(submit(sandbox))))) == new
    assert events(watch(None), 200, later) == []


def test_since_takes_what_was_submitted_before(sandbox, later, clock):
    store, came, moments = AssetStore(), [], []
    for _ in range(3):
        clock.sleep(3600)
        moments.append(clock.now())
        came.append(submit(sandbox))
    assert ids(events(watch(store, since=moments[1]), 100, later)) == came[1:]
    assert events(watch(store, since=moments[1]), 100, later) == []
    assert ids(events(watch(store, since=moments[0]), 100, later)) == came, "another since restarts it"
    new = submit(sandbox)
    assert ids(events(watch(store), 100, later)) == [new], "without since it goes on from there"


def test_a_request_of_long_ago_is_not_reported(sandbox, later, clock):
    sandbox.settings(default_expires_in_hours=8760, caller_clock="virtual")
    store = AssetStore()
    old = ask()
    clock.sleep(5 * DAY)
    assert events(watch(store, max_age=timedelta(days=3)), 100, later) == []
    young = ask()
    submit(sandbox, old)
    submit(sandbox, young)
    assert ids(events(watch(store, max_age=timedelta(days=3)), 100, later)) == [young]


def test_ids_are_kept_as_long_as_a_request_can_be_reported(sandbox, later, clock):
    store = AssetStore()
    first = submit(sandbox)
    events(watch(store, max_age=timedelta(days=3)), 100, later)
    for _ in range(6):
        clock.sleep(DAY)
        submit(sandbox)
        assert len(ids(events(watch(store, max_age=timedelta(days=3)), 100, later))) == 1
    (kept,) = store.kept.values()
    assert sum(map(len, kept["seen"].values())) <= 4
    assert first not in str(kept)


@pytest.mark.parametrize("kind", ["status", "drop_before", "html", "rate_limit"])
def test_no_outage_ends_a_watch(sandbox, later, kind):
    more = {"status": {"status": 502}, "rate_limit": {"retry_after": 100}}.get(kind, {})
    store = AssetStore()
    assert events(watch(store), 100, later) == []
    sandbox.fault("visiono", kind, times=3 if kind == "rate_limit" else 12, **more)
    new: list[str] = []
    assert ids(events(watch(store), 3600, later, (100, lambda: new.append(submit(sandbox))))) == new


def test_a_key_that_is_refused_ends_no_watch_and_the_log_says_so(sandbox, later, caplog):
    key = sandbox.visiono_key
    new: list[str] = []
    steps = [
        (70, lambda: sandbox.keys(visiono=["another"])),
        (400, lambda: sandbox.keys(visiono=[key])),
        (900, lambda: new.append(submit(sandbox))),
    ]
    assert ids(events(watch(AssetStore()), 2400, later, *steps)) == new
    assert "watch of photo requests on connection visiono_default learns nothing" in caplog.text


@shared_streams
def test_watches_of_a_connection_share_one_poll(sandbox, later):
    new: list[str] = []
    later(100, lambda: new.append(submit(sandbox)))
    watches = [watch(AssetStore(), poke_interval=interval) for interval in (60, 120)]

    async def run() -> list[Any]:
        triggerer = Triggerer()
        streams = [
            one.filter_shared_stream(
                triggerer.manager.subscribe(trigger_id=number, trigger=one, key=one.shared_stream_key())
            )
            for number, one in enumerate(watches)
        ]
        try:
            return await asyncio.gather(*(anext(stream) for stream in streams))
        finally:
            await asyncio.gather(*(stream.aclose() for stream in streams))
            await triggerer.manager.stop_all()

    fired = asyncio.run(asyncio.wait_for(run(), 60))
    assert [event.payload["request_ids"] for event in fired] == [new, new]
    assert sandbox.count("visiono", ROUTE) == 3
    assert watches[0].shared_stream_key() != watch(visiono_conn_id="visiono_other").shared_stream_key()
