"""What a look at the service's list may conclude: could not look is never not there."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from tasks.conftest import needs_store

from airflow_provider_visio.api import client
from airflow_provider_visio.exceptions import UnexpectedReplyError
from airflow_provider_visio.hooks.visiono import VisionoHook
from idempotency.test_create_once import ask, defer, dies, made

LIST = "GET /photo-requests"
SINGLE = "GET /photo-requests/{id}"


@pytest.fixture
def lost(sandbox: Any, run_task: Any, monkeypatch: pytest.MonkeyPatch, clock: Any) -> Any:
    """A try that died after its request was made and before it knew the id, some time ago."""
    task = run_task(ask())
    real = VisionoHook.create_photo_request

    def die(self: Any, *args: Any, **kwargs: Any) -> None:
        real(self, *args, **kwargs)
        raise KeyboardInterrupt

    dies(task, monkeypatch, die)
    clock.sleep(300)
    return task


def shows(monkeypatch: pytest.MonkeyPatch, listed: Any, single: Any = lambda one: one) -> None:
    """Have the service show its requests otherwise than they are, in the list and singly."""
    real_list, real_get = VisionoHook.list_photo_requests, VisionoHook.get_photo_request
    monkeypatch.setattr(
        VisionoHook, "list_photo_requests", lambda self, **how: map(listed, real_list(self, **how))
    )
    monkeypatch.setattr(VisionoHook, "get_photo_request", lambda self, i: single(real_get(self, i)))


@pytest.mark.parametrize(
    ("kind", "reply"),
    [
        ("empty", {"status": 204}),
        ("body", {"body": {"data": None}}),
        ("body", {"body": {"data": [], "meta": {"current_page": 1, "last_page": 3, "total": 3}}}),
        ("body", {"body": {"data": [{"status": "pending"}]}}),
        ("body", {"body": {"data": ["req_1", "req_2"]}}),
    ],
    ids=["204", "null", "pages", "no id", "no objects"],
)
def test_what_is_no_whole_list_does_not_say_that_it_was_not_made(sandbox, lost, run_task, kind, reply):
    sandbox.fault("visiono", kind, method="GET", path="^/photo-requests$", **{"status": 200, **reply})
    with pytest.raises(
        UnexpectedReplyError, match=r"not known whether an earlier try .* nothing was created"
    ):
        defer(run_task(ask(), lost))
    sandbox.clear_faults()
    assert [defer(run_task(ask(), lost))] == made(sandbox)


def test_an_empty_page_with_a_next_one_is_followed(sandbox, lost, run_task):
    page = {"data": [], "meta": {"next_cursor": "YXQ9MA"}}
    sandbox.settings(pagination="cursor")
    sandbox.fault("visiono", "body", method="GET", path="^/photo-requests$", status=200, body=page, times=1)
    assert [defer(run_task(ask(), lost))] == made(sandbox)


def deletes_while_listed(sandbox: Any, monkeypatch: pytest.MonkeyPatch, ids: list[str]) -> None:
    """Have one of some requests deleted, from the last on, each time that a page of the list was read."""
    real, left = client.Client.send, list(ids)

    def send(self: Any, call: Any) -> Any:
        reply = real(self, call)
        if call.path == "/photo-requests" and left:
            sandbox.act(left.pop(), "delete")
        return reply

    monkeypatch.setattr(client.Client, "send", send)


@pytest.mark.parametrize("shown", [None, [], {}, ""], ids=repr)
def test_metadata_that_is_shown_as_nothing_does_not_say_that_it_has_none(
    sandbox, lost, run_task, monkeypatch, shown
):
    nothing = lambda one: {**one, "metadata": shown}  # noqa: E731
    with monkeypatch.context() as patch:
        shows(patch, nothing, nothing)
        with pytest.raises(UnexpectedReplyError, match="does not return the metadata"):
            defer(run_task(ask(), lost))
    assert [defer(run_task(ask(), lost))] == made(sandbox)


@pytest.mark.parametrize("shown", [None, [], {}], ids=repr)
def test_metadata_that_only_single_requests_tell_are_found_there(sandbox, lost, run_task, monkeypatch, shown):
    VisionoHook().create_photo_request("Somebody's, by hand")
    ours = made(sandbox)[0]
    shows(monkeypatch, lambda one: {**one, "metadata": shown})
    assert defer(run_task(ask(), lost)) == ours


@needs_store
@pytest.mark.parametrize("shown", [None, [], {}], ids=repr)
def test_requests_of_others_without_metadata_cost_no_call(sandbox, run_task, monkeypatch, clock, shown):
    task = run_task(ask())
    dies(task, monkeypatch, lambda self, *args, **kwargs: (_ for _ in ()).throw(KeyboardInterrupt))
    VisionoHook().create_photo_request("Somebody's", metadata={"claim": "C-1"})
    for _ in range(3):
        VisionoHook().create_photo_request("Somebody's, by hand")
    shows(monkeypatch, lambda one: {**one, "metadata": one["metadata"] or shown})
    clock.sleep(300)
    defer(run_task(ask(), task))
    assert (sandbox.count("visiono", LIST), sandbox.count("visiono", SINGLE)) == (1, 0)
    assert len(made(sandbox)) == 5


def test_a_request_whose_status_is_refused_is_not_asked_for_again_by_a_retry(sandbox, run_task, monkeypatch):
    """The recipient may have refused; the word is the service's, and unknown."""
    task = run_task(ask())
    request_id = defer(task)
    real = VisionoHook.get_photo_request
    monkeypatch.setattr(
        VisionoHook, "get_photo_request", lambda self, i: {**real(self, i), "status": "refused"}
    )
    assert defer(run_task(ask(), task)) == request_id
    assert made(sandbox) == [request_id]


AHEAD = 5 * 3600.0


def written_ahead(task: Any) -> None:
    """Have a task's record be of a worker whose clock was hours ahead."""
    task.store["visio_intent"]["asked_at"] += AHEAD
    task.store["visio_intent"]["wait_from"] += AHEAD


@needs_store
@pytest.mark.parametrize("after", [0.0, 7200.0])
def test_what_a_worker_asked_whose_clock_was_ahead_is_found(sandbox, lost, run_task, clock, after):
    written_ahead(lost)
    clock.sleep(after)
    before = clock.now()
    task = run_task(ask(timeout=600), lost)
    assert [defer(task)] == made(sandbox)
    assert clock.now() - before < 60
    assert lost.store["visio_intent"]["wait_from"] > before, "or this says nothing of the deadline"
    with pytest.raises(TaskDeferred) as caught:
        run_task(ask(timeout=600), task).operator.execute(task.context)
    assert caught.value.trigger.deadline - clock.now() <= 600


@needs_store
def test_what_a_worker_never_asked_whose_clock_was_ahead_is_looked_for_some_minutes(
    sandbox, run_task, monkeypatch, clock
):
    task = run_task(ask())
    dies(task, monkeypatch, Mock(side_effect=KeyboardInterrupt))
    written_ahead(task)
    before = clock.now()
    defer(run_task(ask(), task))
    assert 100 < clock.now() - before < 300
    assert len(made(sandbox)) == 1


def test_a_run_that_is_yet_to_be_due_says_nothing_of_when_it_asked(sandbox, run_task, clock):
    run = SimpleNamespace(run_after=datetime.fromtimestamp(clock.now() + AHEAD, UTC))
    task = run_task(ask(), store=None)
    request_id = defer(task)
    again = run_task(ask(), task)
    again.context["dag_run"] = run
    assert defer(again) == request_id
    assert made(sandbox) == [request_id]


def test_a_clock_that_is_put_back_meanwhile_holds_no_worker(sandbox, run_task, monkeypatch, clock):
    task = run_task(ask(), store=None)
    dies(task, monkeypatch, Mock(side_effect=KeyboardInterrupt))
    sleep, slept = clock.sleep, list[float]()

    def put_back(seconds: float) -> None:
        sleep(seconds)
        if not slept:
            clock.time -= AHEAD
        slept.append(seconds)

    monkeypatch.setattr("airflow_provider_visio.clock.sleep", put_back)
    monkeypatch.setattr("airflow_provider_visio.clock.ticks", lambda: sum(slept))
    defer(run_task(ask(), task))
    assert 100 < sum(slept) < 300
