from __future__ import annotations

import asyncio
import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from tasks.streams import ask, fire, fire_shared, shared_streams

from airflow_provider_visio.api.client import TriggerClient
from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.hooks.vizdom import VizdomHook
from airflow_provider_visio.triggers.visiono import VisionoPhotoRequestTrigger
from airflow_provider_visio.triggers.vizdom import VizdomExportTrigger


@pytest.mark.parametrize(
    "trigger",
    [
        VisionoPhotoRequestTrigger(["req_1"], "c", 1.5, 60.0, 10.0),
        VizdomExportTrigger(["exp_1"], "c", None, 2.0, 10.0),
    ],
    ids=lambda trigger: type(trigger).__name__,
)
def test_arguments_are_plain_json_and_make_the_same_trigger_again(trigger):
    path, kwargs = trigger.serialize()
    again = type(trigger)(**json.loads(json.dumps(kwargs)))
    assert again.serialize() == (path, kwargs)
    assert path == f"{type(trigger).__module__}.{type(trigger).__name__}"


def test_arguments_of_the_first_release_still_make_a_trigger():
    VisionoPhotoRequestTrigger(visiono_conn_id="c", request_ids=["req_1"])
    VizdomExportTrigger(vizdom_conn_id="c", export_ids=["exp_1"])


KINDS = pytest.mark.parametrize(
    ("kind", "name"), [(VisionoPhotoRequestTrigger, "request_ids"), (VizdomExportTrigger, "export_ids")]
)


@KINDS
def test_one_id_and_timedeltas_become_plain(kind, name):
    _, kwargs = kind("id_1", poke_interval=timedelta(minutes=1), min_dwell=timedelta(seconds=5)).serialize()
    assert (kwargs[name], kwargs["poke_interval"], kwargs["min_dwell"]) == (["id_1"], 60.0, 5.0)


@KINDS
@pytest.mark.parametrize(
    ("argument", "value"),
    [
        (None, []),
        (None, [""]),
        (None, ["a/../b"]),
        (None, 5.5),
        ("poke_interval", 0),
        ("poke_interval", "60"),
        ("deadline", "noon"),
        ("min_dwell", -1),
    ],
)
def test_an_argument_that_cannot_be_is_refused(kind, name, argument, value):
    with pytest.raises(InvalidRequestError) as caught:
        kind(**{name: ["id_1"], argument or name: value})
    assert list(caught.value.fields) == [argument or name]


def test_the_queue_of_the_task_is_kept():
    assert VisionoPhotoRequestTrigger.supports_triggerer_queue


def test_the_event_carries_ids_and_statuses_only(sandbox):
    (request_id,) = ask(1)
    sandbox.act(request_id, "submit")
    event = fire(VisionoPhotoRequestTrigger([request_id], "visiono_default", None, 30, 0))
    assert event == {
        "outcome": "done",
        "arrived": [request_id],
        "ended": {},
        "waiting": [],
        "unknown": {},
        "trouble": None,
        "fatal": False,
        "deadline": None,
    }


def test_it_does_not_fire_before_its_dwell(sandbox, clock):
    (request_id,) = ask(1)
    sandbox.act(request_id, "submit")
    before = clock.now()
    fire(VisionoPhotoRequestTrigger([request_id], "visiono_default", None, 30, 12.0))
    assert clock.now() - before == pytest.approx(12.0)


def test_the_deadline_is_on_the_wall_clock(sandbox, clock):
    (request_id,) = ask(1)
    event = fire(VisionoPhotoRequestTrigger([request_id], "visiono_default", clock.now() + 100, 30, 0))
    assert (event["outcome"], event["waiting"]) == ("timeout", [request_id])
    assert sandbox.count("visiono", "GET /photo-requests/{id}") in {4, 5}


def test_a_deadline_that_passed_while_nobody_ran_it_ends_at_the_first_look(sandbox, clock):
    (request_id,) = ask(1)
    event = fire(VisionoPhotoRequestTrigger([request_id], "visiono_default", clock.now() - 5, 30, 0))
    assert event["outcome"] == "timeout"


def test_four_failures_in_a_row_are_borne_and_said(sandbox, caplog):
    (request_id,) = ask(1)
    sandbox.act(request_id, "submit")
    sandbox.fault("visiono", "status", status=503, times=4)
    with caplog.at_level(logging.WARNING):
        event = fire(VisionoPhotoRequestTrigger([request_id], "visiono_default", None, 30, 0))
    assert event["outcome"] == "done"
    assert "Poll failed (4 of 5 in a row): ServiceError (503)" in caplog.text


@pytest.mark.parametrize("kind", ["status", "drop_before", "html", "truncate", "empty"])
def test_the_fifth_failure_in_a_row_ends_the_wait(sandbox, kind):
    (request_id,) = ask(1)
    sandbox.fault("visiono", kind, **({"status": 502} if kind in {"status", "empty"} else {}))
    event = fire(VisionoPhotoRequestTrigger([request_id], "visiono_default", None, 30, 0))
    assert event["outcome"] == "trouble"
    assert event["waiting"] == [request_id]
    assert sandbox.count("visiono", "GET /photo-requests/{id}") == 5


def test_a_good_poll_between_resets_the_count(sandbox, clock):
    (request_id,) = ask(1)
    for skip in (0, 5):
        sandbox.fault("visiono", "status", status=503, times=4, skip=skip)
    event = fire(VisionoPhotoRequestTrigger([request_id], "visiono_default", clock.now() + 300, 30, 0))
    assert event["outcome"] == "timeout"


def test_a_refusal_with_429_is_waited_out_and_is_no_failure(sandbox, clock):
    (request_id,) = ask(1)
    sandbox.act(request_id, "submit")
    sandbox.fault("visiono", "rate_limit", retry_after=77, times=6)
    event = fire(VisionoPhotoRequestTrigger([request_id], "visiono_default", None, 30, 0))
    assert event["outcome"] == "done"
    assert len([pause for pause in clock.pauses if pause > 60]) == 6


def test_a_key_that_stays_refused_ends_the_wait_at_once(sandbox):
    (request_id,) = ask(1)
    sandbox.keys(visiono=["another"])
    event = fire(VisionoPhotoRequestTrigger([request_id], "visiono_default", None, 30, 0))
    assert (event["outcome"], event["trouble"]) == ("trouble", "AuthenticationError (401)")
    assert (
        sandbox.count("visiono", "GET /photo-requests/{id}") == 2
    )  # once more after the connection was read again


def test_a_missing_connection_ends_the_wait(sandbox):
    event = fire(VisionoPhotoRequestTrigger(["req_1"], "nobody", None, 30, 0))
    assert (event["outcome"], event["trouble"]) == ("trouble", "AirflowNotFoundException")


def test_a_client_that_fails_as_it_closes_does_not_keep_the_poll_going(sandbox, monkeypatch, caplog):
    close, left = TriggerClient.close, [1]

    async def broken(self: TriggerClient) -> None:
        await close(self)
        left[0] -= 1
        if left[0] >= 0:
            raise RuntimeError("a fault of ours")

    monkeypatch.setattr(TriggerClient, "close", broken)
    (request_id,) = ask(1)
    sandbox.act(request_id, "submit")
    event = fire(VisionoPhotoRequestTrigger([request_id], "visiono_default", None, 30, 0))
    assert event["outcome"] == "done"
    assert left[0] == 0
    assert "A poll has failed" not in caplog.text


def test_polls_are_spread(sandbox, clock):
    (request_id,) = ask(1)
    fire(VisionoPhotoRequestTrigger([request_id], "visiono_default", clock.now() + 300, 30, 0))
    polls = [pause for pause in clock.pauses if pause and pause != 300]
    assert len(set(polls)) > 3
    assert all(27 <= pause <= 33 for pause in polls)


def test_an_export_is_polled_less_and_less_often(sandbox, clock):
    sandbox.settings(export_seconds=200)
    export_id = VizdomHook().create_export("dash_abc123", "pdf")["id"]
    event = fire(VizdomExportTrigger([export_id], "vizdom_default", None, 2.0, 0))
    assert event["arrived"] == [export_id]
    polls = [pause for pause in clock.pauses if pause]
    assert polls[0] < 2.3
    assert 27 <= polls[-1] <= 33


def test_an_export_whose_words_were_replaced_is_judged_by_them(sandbox, connection):
    connection(
        "vizdom_default", sandbox.vizdom_url, sandbox.vizdom_key, contract={"done_words": ["processing"]}
    )
    export_id = VizdomHook().create_export("dash_abc123", "pdf")["id"]
    sandbox.advance(1)
    event = fire(VizdomExportTrigger([export_id], "vizdom_default", None, 0.5, 0))
    assert event["outcome"] == "done"


@shared_streams
def test_two_hundred_waits_share_one_poll(sandbox):
    sandbox.settings(visiono_per_minute=100_000, visiono_per_hour=100_000)
    ids = ask(200)
    for request_id in ids:
        sandbox.act(request_id, "submit")
    sandbox.control("DELETE", "/counters")
    triggers = [VisionoPhotoRequestTrigger([i], "visiono_default", None, 30, 0) for i in ids]
    events = asyncio.run(fire_shared(triggers))
    assert [event["arrived"] for event in events] == [[i] for i in ids]
    assert sandbox.count("visiono", "GET /photo-requests") <= 4
    assert sandbox.count("visiono", "GET /photo-requests/{id}") <= 5


@shared_streams
def test_one_wait_s_end_does_not_touch_the_others(sandbox):
    deleted, expired, submitted, nobody = *ask(3), "req_nobody"
    sandbox.act(deleted, "delete")
    sandbox.act(expired, "expire")
    sandbox.act(submitted, "submit")
    triggers = [
        VisionoPhotoRequestTrigger([i], "visiono_default", None, 30, 0)
        for i in (deleted, expired, submitted, nobody)
    ]
    events = asyncio.run(fire_shared(triggers))
    assert [event["outcome"] for event in events] == ["failed", "failed", "done", "failed"]
    assert events[0]["ended"] == {deleted: "deleted"}
    assert events[1]["ended"] == {expired: "expired"}


@shared_streams
def test_a_wait_that_joins_later_learns_what_was_learnt_before(sandbox, clock):
    """Both wait for the same request; when the second joins, the poll has nothing new to tell."""
    first, second = ask(2)
    sandbox.act(first, "submit")
    sandbox.fault("visiono", "status", path=second, status=500, skip=1)

    class Late(VisionoPhotoRequestTrigger):
        async def filter_shared_stream(self, shared_stream):
            await clock.asleep(10)
            async for event in super().filter_shared_stream(shared_stream):
                yield event

    triggers = [
        VisionoPhotoRequestTrigger([first, second], "visiono_default", clock.now() + 50, 300, 0),
        Late([first], "visiono_default", None, 300, 0),
    ]
    events = asyncio.run(fire_shared(triggers))
    assert [event["outcome"] for event in events] == ["timeout", "done"]
    assert sandbox.count("visiono", "GET /photo-requests/{id}") == 2


@shared_streams
def test_connections_do_not_share(sandbox, connection):
    connection("visiono_other", sandbox.visiono_url, sandbox.visiono_key)
    one = VisionoPhotoRequestTrigger(["a"], "visiono_default")
    assert (
        one.shared_stream_key()
        == VisionoPhotoRequestTrigger(["b"], "visiono_default", 5.0, 9).shared_stream_key()
    )
    assert one.shared_stream_key() != VisionoPhotoRequestTrigger(["a"], "visiono_other").shared_stream_key()


def test_what_a_broken_off_sweep_learnt_is_kept_and_the_rest_comes_next(sandbox, clock):
    ids = ask(5)
    for request_id in ids:
        sandbox.act(request_id, "submit")
    # Three calls go through, then the limit is reached, again and again: no sweep of five is ever whole.
    for skip in (3, 6, 9):
        sandbox.fault("visiono", "rate_limit", method="GET", retry_after=5, times=1, skip=skip)
    event = fire(VisionoPhotoRequestTrigger(ids, "visiono_default", clock.now() + 900, 30, 0))
    assert (event["outcome"], sorted(event["arrived"])) == ("done", sorted(ids))
    assert sandbox.count("visiono", "GET /photo-requests/{id}") <= 12


def test_a_pause_that_the_service_asked_for_is_kept_to(sandbox, clock):
    (request_id,) = ask(1)
    sandbox.fault("visiono", "rate_limit", retry_after=100, times=3)
    fire(VisionoPhotoRequestTrigger([request_id], "visiono_default", clock.now() + 400, 1, 0))
    assert len([pause for pause in clock.pauses if 100 <= pause <= 110]) == 3


def test_a_nonsensical_pause_does_not_freeze_the_poll(sandbox, clock):
    (request_id,) = ask(1)
    sandbox.fault("visiono", "rate_limit", retry_after=1_000_000, times=1)
    fire(VisionoPhotoRequestTrigger([request_id], "visiono_default", clock.now() + 5000, 30, 0))
    assert max(clock.pauses) < 4000


def test_failed_polls_are_minutes_apart_not_seconds(sandbox, clock):
    (request_id,) = ask(1)
    sandbox.fault("visiono", "status", status=503)
    started = clock.now()
    assert (
        fire(VisionoPhotoRequestTrigger([request_id], "visiono_default", None, 1, 0))["outcome"] == "trouble"
    )
    assert clock.now() - started > 60


def test_waits_that_share_no_poll_ask_for_their_own_ids_only(sandbox):
    ids = ask(4)
    for request_id in ids:
        sandbox.act(request_id, "submit")

    async def alone(request_id: str) -> list[Any]:
        trigger = VisionoPhotoRequestTrigger([request_id], "visiono_default", None, 30, 0)
        return [event.payload async for event in trigger.run()]

    async def together() -> list[Any]:
        return await asyncio.gather(*(alone(i) for i in ids))

    asyncio.run(together())
    assert sandbox.count("visiono", "GET /photo-requests/{id}") == 4
