"""The trigger that watches a permanent link, for an asset and for a task, behind Airflow's own manager of streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from tasks.streams import Triggerer, shared_streams

from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.triggers.poll_report import PollReport
from airflow_provider_visio.triggers.visiono import VisionoPermanentLinkTrigger
from triggers.watching import AssetStore, events

ROUTE = "GET /permanent-links/{id}/submissions"


@pytest.fixture
def merged(monkeypatch) -> Callable[..., Any]:
    """Return a function that makes Airflow's own store of a trigger that watches for several assets."""
    context = pytest.importorskip("airflow.sdk.execution_time.context")
    if not hasattr(context, "AssetStateStoreAccessors"):
        pytest.skip("Airflow before 3.3 has none")
    from airflow.sdk.definitions.asset import AssetNameRef
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import AssetStateStoreResult

    stores: dict[str, AssetStore] = {}

    class Supervisor:
        async def asend(self, message: Any) -> Any:
            store = stores[message.name]
            if message.type == "SetAssetStateStoreByName":
                return await store.aset(message.key, message.value)
            return AssetStateStoreResult(value=found) if (found := await store.aget(message.key)) else None

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(), raising=False)

    def make(**kept: AssetStore) -> Any:
        stores.update(kept)
        return context.AssetStateStoreAccessors([AssetNameRef(name) for name in kept])

    return make


@pytest.fixture
def link(sandbox) -> str:
    sandbox.settings(caller_clock="virtual")
    return VisionoHook().create_permanent_link("Photograph the van")["id"]


def submit(sandbox: Any, link: str, value: str | None = None) -> str:
    body = {"photos": 0, "unique_field_value": value}
    return sandbox.control("POST", f"/permanent-links/{link}/submit", body)["id"]


def watch(link: str, store: Any = None, **more: Any) -> VisionoPermanentLinkTrigger:
    path, kwargs = VisionoPermanentLinkTrigger(link, **more).serialize()
    trigger = VisionoPermanentLinkTrigger(**json.loads(json.dumps(kwargs)))
    assert trigger.serialize() == (path, kwargs)
    trigger.asset_state_store = store
    return trigger


def ids(fired: list[Any]) -> list[str]:
    return [found for event in fired for found in event["submissions"]]


def test_its_class_path_and_arguments_are_plain():
    path, kwargs = VisionoPermanentLinkTrigger("sl_1", since="2026-06-01T12:00:00Z").serialize()
    module, _, name = path.rpartition(".")
    assert getattr(__import__(module, fromlist=[name]), name) is VisionoPermanentLinkTrigger
    assert kwargs["since"] == 1_780_315_200.0
    assert VisionoPermanentLinkTrigger.supports_triggerer_queue


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("link_id", ""),
        ("link_id", "a/../b"),
        ("link_id", ["sl_1", "sl_2"]),
        ("since", "noon"),
        ("poke_interval", -3),
        ("poke_interval", "60"),
        ("deadline", "noon"),
        ("min_dwell", -1),
    ],
)
def test_an_argument_that_cannot_be_is_refused_where_the_dag_is_parsed(name, value):
    with pytest.raises(InvalidRequestError) as caught:
        VisionoPermanentLinkTrigger(**{"link_id": "sl_1", name: value})
    assert list(caught.value.fields) == [name]


def test_what_a_task_put_out_and_timedeltas_become_plain():
    made = {"id": "sl_1", "request_url": "https://visio.now/s/x"}
    trigger = VisionoPermanentLinkTrigger(made, poke_interval=timedelta(minutes=5), unique_value=7)
    _, kwargs = trigger.serialize()
    assert (kwargs["link_id"], kwargs["poke_interval"], kwargs["unique_value"]) == ("sl_1", 300.0, "7")


def test_a_watcher_looks_as_often_as_a_timedelta_says(sandbox, link, later):
    new: list[str] = []
    step = (100, lambda: new.append(submit(sandbox, link)))
    fired = events(watch(link, AssetStore(), poke_interval=timedelta(minutes=5)), 1800, later, step)
    assert ids(fired) == new
    assert 6 <= sandbox.count("visiono", ROUTE) <= 8


def test_a_watcher_of_a_number_tells_of_that_alone(sandbox, link, later):
    new: list[str] = []
    steps = [(60, lambda: submit(sandbox, link, "8")), (61, lambda: new.append(submit(sandbox, link, "7")))]
    assert ids(events(watch(link, AssetStore(), unique_value=7), 300, later, *steps)) == new


@pytest.mark.parametrize("where", [(VisionoHook, "__init__"), (PollReport, "write")], ids=["before", "after"])
def test_no_fault_of_ours_beside_a_look_ends_a_watch(sandbox, link, later, monkeypatch, caplog, where):
    owner, name = where
    whole, left = getattr(owner, name), [3]

    def broken(*args: Any, **kwargs: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise RuntimeError("a fault of ours")
        return whole(*args, **kwargs)

    monkeypatch.setattr(owner, name, broken)
    new: list[str] = []
    fired = events(watch(link, AssetStore()), 900, later, (400, lambda: new.append(submit(sandbox, link))))
    assert ids(fired) == new
    assert caplog.text.count("A poll has failed") == 3
    assert "RuntimeError: a fault of ours" in caplog.text


def test_a_watcher_tells_of_each_new_submission_once_with_ids_only(sandbox, link, later, clock):
    submit(sandbox, link)
    clock.sleep(60)
    new: list[str] = []
    steps = [(after, lambda: new.append(submit(sandbox, link, "B-1"))) for after in (100, 400, 401)]
    fired = events(watch(link, AssetStore()), 900, later, *steps)
    assert sorted(ids(fired)) == sorted(new)
    assert [len(event["submissions"]) for event in fired] == [1, 2]
    assert all(set(event) == {"link_id", "submissions"} and event["link_id"] == link for event in fired)


def test_a_watcher_of_one_value_tells_of_that_alone(sandbox, link, later):
    new: list[str] = []
    steps = [
        (60, lambda: submit(sandbox, link, "B-2")),
        (61, lambda: new.append(submit(sandbox, link, "B-1"))),
    ]
    assert ids(events(watch(link, AssetStore(), unique_value="B-1"), 300, later, *steps)) == new


def test_since_takes_what_was_there_before(sandbox, link, later, clock):
    before = submit(sandbox, link)
    clock.sleep(60)
    assert ids(events(watch(link, AssetStore(), since=0), 120, later)) == [before]


def test_a_watch_begins_anew_where_another_since_says(sandbox, link, later, clock):
    store, came, moments = AssetStore(), [], []
    for _ in range(3):
        clock.sleep(3600)
        moments.append(clock.now())
        came.append(submit(sandbox, link))
    assert ids(events(watch(link, store, since=moments[1]), 100, later)) == came[1:]
    assert ids(events(watch(link, store, since=moments[1]), 100, later)) == []
    assert ids(events(watch(link, store, since=moments[0]), 100, later)) == came, "an earlier one"
    clock.sleep(3600)
    passed_over, moment = submit(sandbox, link), clock.now() + 60
    clock.sleep(120)
    told = submit(sandbox, link)
    assert ids(events(watch(link, store, since=moment), 100, later)) == [told], "a later one"
    assert passed_over not in came


def test_a_watch_whose_since_is_taken_away_goes_on_where_it_was(sandbox, link, later, clock):
    store = AssetStore()
    first = submit(sandbox, link)
    assert ids(events(watch(link, store, since=0), 100, later)) == [first]
    second = submit(sandbox, link)
    clock.sleep(3600)
    assert ids(events(watch(link, store), 100, later)) == [second]


def test_a_service_whose_clock_is_behind_loses_nothing(sandbox, link, later, clock):
    submit(sandbox, link)
    clock.sleep(60)
    clock.time += 300  # the service's stays
    store = AssetStore()
    assert events(watch(link, store), 30, later) == []
    new = [submit(sandbox, link)]  # while no triggerer runs
    steps = [(after, lambda: new.append(submit(sandbox, link))) for after in (30, 100)]
    fired = events(watch(link, store), 250, later, *steps)
    assert ids(fired) == new


def test_what_was_there_when_a_watch_began_is_not_told_of_after_an_outage(sandbox, link, later, clock):
    """Neither an empty board, nor a page that is lacking, nor a restart counts as having seen what is there."""
    submit(sandbox, link)
    sandbox.fault("visiono", "status", status=502)
    store, new = AssetStore(), []
    clock.sleep(60)
    assert events(watch(link, store), 100, later) == []
    sandbox.clear_faults()
    fired = events(watch(link, store), 300, later, (100, lambda: new.append(submit(sandbox, link))))
    assert ids(fired) == new


def test_a_restart_tells_of_what_came_meanwhile_and_of_nothing_twice(sandbox, link, later, clock):
    store, new = AssetStore(), []
    fired = events(watch(link, store), 300, later, (100, lambda: new.append(submit(sandbox, link))))
    clock.sleep(600)
    new.append(submit(sandbox, link))  # while no triggerer runs
    clock.sleep(600)
    fired += events(watch(link, store), 300, later)
    fired += events(watch(link, store), 300, later)
    assert ids(fired) == new


def test_a_watcher_that_has_told_of_nothing_yet_remembers_when_it_began(sandbox, link, later, clock):
    store = AssetStore()
    assert events(watch(link, store), 100, later) == []
    came = submit(sandbox, link)
    clock.sleep(600)
    assert ids(events(watch(link, store), 100, later)) == [came]


def test_a_triggerer_that_dies_right_after_an_event_tells_of_it_once_more(sandbox, link, clock):
    """The event may not be stored yet: better twice than not at all."""
    store = AssetStore()

    async def first() -> Any:
        stream = watch(link, store, since=0).run()
        event = await anext(stream)
        await stream.aclose()
        return event.payload

    submit(sandbox, link)
    told = [asyncio.run(asyncio.wait_for(first(), 30)) for _ in range(2)]
    assert told[0] == told[1]


def test_without_a_store_it_begins_when_it_starts(sandbox, link, later, clock):
    new: list[str] = []
    submit(sandbox, link)
    clock.sleep(60)
    fired = events(watch(link, None), 200, later, (100, lambda: new.append(submit(sandbox, link))))
    assert ids(fired) == new


@pytest.mark.parametrize("kind", ["status", "drop_before", "html", "rate_limit"])
def test_no_outage_ends_a_watch(sandbox, link, later, kind):
    more = {"status": {"status": 502}, "rate_limit": {"retry_after": 100}}.get(kind, {})
    # After a 429 the poll takes its time: the limit may be used up by others.
    sandbox.fault("visiono", kind, times=3 if kind == "rate_limit" else 12, **more)
    new: list[str] = []
    fired = events(watch(link, AssetStore()), 3600, later, (100, lambda: new.append(submit(sandbox, link))))
    assert ids(fired) == new


def test_a_link_that_is_gone_or_a_key_that_is_refused_ends_no_watch(sandbox, link, later):
    key = sandbox.visiono_key
    new: list[str] = []
    steps = [
        (50, lambda: sandbox.keys(visiono=["another"])),
        (400, lambda: sandbox.keys(visiono=[key])),
        (900, lambda: new.append(submit(sandbox, link))),
        (1500, lambda: VisionoHook().delete_permanent_link(link)),
    ]
    assert ids(events(watch(link, AssetStore()), 2400, later, *steps)) == new


def test_a_store_that_is_away_ends_no_watch(sandbox, link, later):
    store = AssetStore()
    store.broken = 3
    new: list[str] = []
    steps = [
        (400, lambda: new.append(submit(sandbox, link))),
        (401, lambda: setattr(store, "broken", 1)),
        (800, lambda: new.append(submit(sandbox, link))),
    ]
    assert ids(events(watch(link, store), 1500, later, *steps)) == new
    (kept,) = store.kept.values()
    assert set(kept["seen"]) <= set(new)


def test_watchers_that_airflow_made_one_of_for_two_assets_tell_of_each_once(
    sandbox, link, later, clock, merged
):
    """Also across a restart, and though one of the assets came later."""
    new: list[str] = []
    kept: dict[str, AssetStore] = {"one": AssetStore(), "two": AssetStore()}
    fired = events(
        watch(link, merged(one=kept["one"])), 300, later, (100, lambda: new.append(submit(sandbox, link)))
    )
    clock.sleep(600)
    new.append(submit(sandbox, link))
    clock.sleep(600)
    fired += events(watch(link, merged(**kept)), 300, later)
    fired += events(watch(link, merged(**kept)), 300, later)
    fired += events(watch(link, merged(two=kept["two"])), 300, later)
    assert ids(fired) == new
    assert kept["one"].kept == kept["two"].kept


def test_a_store_that_cannot_tell_which_asset_is_meant_is_done_without(sandbox, link, later, caplog):
    class Ambiguous:
        async def aget(self, key: str, default: Any = None) -> Any:
            raise ValueError("Task has 2 concrete inlets and outlets")

        aset = aget

    new: list[str] = []
    steps = [(after, lambda: new.append(submit(sandbox, link))) for after in (100, 400)]
    assert ids(events(watch(link, Ambiguous()), 900, later, *steps)) == new
    assert caplog.text.count("it is lost on restart") == 1


def test_watchers_of_other_values_on_one_asset_keep_a_cursor_each(sandbox, link, later, clock):
    store = AssetStore()
    for value in ("B-1", "B-2"):
        assert events(watch(link, store, unique_value=value), 100, later) == []
    quiet = submit(sandbox, link, "B-2")
    clock.sleep(3600)
    busy = submit(sandbox, link, "B-1")
    assert ids(events(watch(link, store, unique_value="B-1"), 100, later)) == [busy]
    assert ids(events(watch(link, store, unique_value="B-2"), 100, later)) == [quiet]


def test_a_list_of_many_pages_is_read_less_often(sandbox, link, later):
    for _ in range(201):
        submit(sandbox, link)
    events(watch(link, AssetStore()), 3600, later)
    assert 54 <= sandbox.count("visiono", ROUTE) <= 72  # some sixty an hour, as of a list of one page


def test_a_list_that_breaks_off_loses_nothing(sandbox, link, later, clock):
    """The newest come first, so what is told of lies behind what a refused page lacks."""
    waiting = {submit(sandbox, link) for _ in range(100)}
    clock.sleep(7200)
    waiting |= {submit(sandbox, link) for _ in range(100)}
    # The second page is refused a few times: first as one that needs another right.
    sandbox.fault("visiono", "status", status=403, skip=1, times=1, path="/submissions")
    fired = events(watch(link, AssetStore(), since=0), 600, later)
    assert [len(event["submissions"]) for event in fired] == [100, 100]
    assert sorted(ids(fired)) == sorted(waiting)


@shared_streams
def test_all_triggers_of_a_link_share_one_poll(sandbox, link, later, clock):
    new: list[str] = []
    later(100, lambda: new.append(submit(sandbox, link)))
    triggers = [watch(link, once=True, min_dwell=0, deadline=clock.now() + 600) for _ in range(20)]

    async def run() -> list[Any]:
        triggerer = Triggerer()
        try:
            return await asyncio.gather(*(triggerer.fire(trigger) for trigger in triggers))
        finally:
            await triggerer.manager.stop_all()

    fired = asyncio.run(asyncio.wait_for(run(), 60))
    assert {event["outcome"] for event in fired} == {"done"}
    assert sandbox.count("visiono", ROUTE) == 3
    assert triggers[0].shared_stream_key() != watch("sl_other").shared_stream_key()


@shared_streams
def test_a_wait_and_a_watch_share_one_poll(sandbox, link, later):
    later(100, lambda: submit(sandbox, link))
    watcher, waiter = watch(link, AssetStore()), watch(link, once=True, min_dwell=0)

    async def run() -> list[Any]:
        triggerer = Triggerer()
        key = watcher.shared_stream_key()
        stream = triggerer.manager.subscribe(trigger_id=99, trigger=watcher, key=key)
        told = watcher.filter_shared_stream(stream)
        try:
            found = await asyncio.gather(anext(told), triggerer.fire(waiter))
            await told.aclose()
            return found
        finally:
            await triggerer.manager.unsubscribe(99, key)
            await triggerer.manager.stop_all()

    watched, waited = asyncio.run(asyncio.wait_for(run(), 60))
    assert watched.payload["link_id"] == waited["arrived"][0] == link
    assert sandbox.count("visiono", ROUTE) == 3


def test_it_does_not_fire_for_a_task_before_its_dwell(sandbox, link, clock):
    submit(sandbox, link)
    before = clock.now()

    async def first() -> Any:
        (event,) = [event.payload async for event in watch(link, once=True, since=0, min_dwell=12).run()]
        return event

    event = asyncio.run(asyncio.wait_for(first(), 30))
    assert clock.now() - before == pytest.approx(12)
    assert event["since"] == 0
