"""Many requests in one task: what a look at the service's list may conclude, so that nobody is asked twice."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from tasks.conftest import needs_store

from airflow_provider_visio.exceptions import (
    AuthenticationError,
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    VisioProviderError,
)
from airflow_provider_visio.hooks import visiono as hooks
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.idempotency import batch_record as batch_book
from idempotency.test_create_batch import TEN, ask, dies, dies_on_the_way, made, people, words
from idempotency.test_lookups import deletes_while_listed


def test_a_call_is_waited_for_as_long_as_the_connection_would_have_waited(
    sandbox, run_task, monkeypatch, clock, later, connection
):
    connection("visiono_default", sandbox.visiono_url, sandbox.visiono_key, timeout=300)
    task = run_task(ask(batch=True))
    dies_on_the_way(task, monkeypatch, later, 290)
    run_task(ask(batch=True), task).run()
    clock.sleep(300)
    assert made(sandbox) == words(people(12))


def makes_some(monkeypatch: pytest.MonkeyPatch, number: int, error: Exception) -> None:
    """Have the service make so many of the first group before it refuses the call."""
    real, left = VisionoHook.create_photo_requests, [error]

    def some(self: Any, requests: Any) -> Any:
        if not left:
            return real(self, requests)
        for one in requests[:number]:
            self.create_photo_request(**one)
        raise left.pop()

    monkeypatch.setattr(VisionoHook, "create_photo_requests", some)


@pytest.mark.parametrize(
    "fields", [{"photo_requests.3.instructions": ["bad"]}, {}], ids=["named", "not named"]
)
@pytest.mark.parametrize("number", [0, 3, 10])
def test_what_a_refused_call_has_made_is_not_asked_for_again(sandbox, run_task, monkeypatch, fields, number):
    makes_some(monkeypatch, number, InvalidRequestError("Refused.", status=422, fields=fields))
    result = run_task(ask(people(12), batch=True, on_item_error="report")).run()
    bad = [3] if fields and number < 10 else []
    assert [one["index"] for one in result["failed"]] == bad
    assert made(sandbox) == words([one for n, one in enumerate(people(12)) if n not in bad])


def test_what_was_made_before_the_quota_was_used_up_is_found_by_the_next_try(sandbox, run_task, monkeypatch):
    makes_some(monkeypatch, 4, PermissionDeniedError("Your quota is used up.", status=402))
    task = run_task(ask(people(12), batch=True))
    with pytest.raises(PermissionDeniedError, match="quota"):
        task.run()
    assert len(run_task(ask(people(12), batch=True), task).run()["ids"]) == 12
    assert made(sandbox) == words(people(12))


def test_a_refused_call_after_which_nobody_can_look_is_not_made_again(sandbox, run_task, monkeypatch):
    makes_some(monkeypatch, 5, InvalidRequestError("Refused.", status=422, fields={}))
    sandbox.fault("visiono", "status", status=500, method="GET", path="^/photo-requests$")
    task = run_task(ask(people(10), batch=True))
    with pytest.raises(VisioProviderError, match=r"not known whether 10 photo request\(s\) were created"):
        task.run()
    sandbox.clear_faults()
    run_task(ask(people(10), batch=True), task).run()
    assert made(sandbox) == words(people(10))


@needs_store
@pytest.mark.parametrize(
    "error",
    [
        ConnectionFailedError("Visiono was never reached."),
        AuthenticationError("No such key.", status=401),
        NotFoundError("No such call.", status=404),
    ],
    ids=["never reached", "key", "no such call"],
)
def test_a_call_that_was_refused_as_a_whole_costs_no_look(sandbox, run_task, monkeypatch, error):
    makes_some(monkeypatch, 0, error)
    task = run_task(ask(people(12), batch=True))
    with contextlib.suppress(ConnectionFailedError, AuthenticationError):
        task.run()
    assert len(run_task(ask(people(12), batch=True), task).run()["ids"]) == 12
    assert sandbox.count("visiono", "GET /photo-requests") == 0
    assert made(sandbox) == words(people(12))


def test_a_call_that_is_not_refused_costs_no_look(sandbox, run_task):
    run_task(ask(people(30), batch=True)).run()
    counters = sandbox.counters()["visiono"]
    assert {route: count for route, count in counters.items() if count} == {TEN: 3}


@pytest.mark.parametrize("on_existing", ["reuse", "fail"])
def test_what_a_list_misses_as_it_changes_is_not_gone(sandbox, run_task, monkeypatch, on_existing):
    """Somebody deletes others while a cleared task reads the list, so that ours move over a page's border."""
    sandbox.settings(list_total=False)
    others = [VisionoHook().create_photo_request("Somebody's")["id"]]
    task = run_task(ask(people(8), batch=False))
    ids = task.run()["ids"]
    others.append(VisionoHook().create_photo_request("Somebody's")["id"])
    monkeypatch.setattr(hooks, "LIST_PAGE", 5)
    deletes_while_listed(sandbox, monkeypatch, others)
    again = run_task(ask(people(8), batch=False, on_existing=on_existing), task, cleared=True)
    if on_existing == "fail":
        with pytest.raises(VisioProviderError, match=r"^8 photo request"):
            again.run()
    else:
        assert again.run()["ids"] == ids
    assert made(sandbox) == words(people(8))


@needs_store
def test_a_request_whose_metadata_somebody_has_changed_is_not_gone(sandbox, run_task, monkeypatch):
    task = run_task(ask(people(3), batch=False))
    ids = task.run()["ids"]
    real = VisionoHook.list_photo_requests

    def changed(self: Any, **how: Any) -> Any:
        return ({**x, "metadata": {"by": "hand"}} if x["id"] == ids[1] else x for x in real(self, **how))

    monkeypatch.setattr(VisionoHook, "list_photo_requests", changed)
    assert run_task(ask(people(3), batch=False), task, cleared=True).run()["ids"] == ids
    assert sandbox.count("visiono", "GET /photo-requests/{id}") == 0


@needs_store
def test_an_id_that_cannot_be_looked_at_is_not_gone(sandbox, run_task):
    task = run_task(ask(people(2)))
    ids = task.run()["ids"]
    sandbox.act(ids[0], "delete")
    sandbox.fault("visiono", "status", status=500, method="GET", path=f"/{ids[0]}$")
    again = run_task(ask(people(2)), task, cleared=True)
    with pytest.raises(VisioProviderError, match=r"not known whether an earlier try .* nothing was created"):
        again.run()
    assert made(sandbox) == words(people(2)[1:])


@needs_store
@pytest.mark.parametrize("fails_at", [2, 3, 4])
def test_an_id_that_could_not_be_written_down_is_found(sandbox, run_task, monkeypatch, fails_at):
    """The store is away for once, and the task ends before it writes that page again."""
    monkeypatch.setattr(batch_book, "PAGE", 3)
    sandbox.fault(
        "visiono", "body", method="POST", status=403, skip=3, times=None, body={"message": "No more of them."}
    )
    task = run_task(ask(people(4), batch=False))
    real, written = type(task.store).set, []

    def fails(self: Any, key: str, value: Any, **more: Any) -> None:
        written.append(key)
        if key == "visio_batch_0" and written.count(key) == fails_at:
            raise RuntimeError("the API server is away")
        real(self, key, value, **more)

    monkeypatch.setattr(type(task.store), "set", fails)
    with pytest.raises(PermissionDeniedError):
        task.run()
    sandbox.clear_faults()
    run_task(ask(people(4), batch=False), task).run()
    assert made(sandbox) == words(people(4))


@needs_store
def test_an_id_that_cannot_be_written_down_at_all_ends_the_task_and_is_found(sandbox, run_task, monkeypatch):
    monkeypatch.setattr(batch_book, "PAGE", 3)
    task = run_task(ask(people(6), batch=False))
    real = type(task.store).set

    def fails(self: Any, key: str, value: Any, **more: Any) -> None:
        if key == "visio_batch_0" and any(value.values()):
            raise RuntimeError("the API server is away")
        real(self, key, value, **more)

    with monkeypatch.context() as patch:
        patch.setattr(type(task.store), "set", fails)
        with pytest.raises(RuntimeError):
            task.run()
    assert made(sandbox) == words(people(1))
    run_task(ask(people(6), batch=False), task).run()
    assert made(sandbox) == words(people(6))


@needs_store
def test_a_clear_after_more_deletions_than_the_limit_has_calls_comes_to_an_end(
    sandbox, run_task, connection, clock
):
    """Each of those that the list has not any more is asked for, once in all."""
    connection("visiono_default", sandbox.visiono_url, sandbox.visiono_key, calls_per_hour=20)
    task = run_task(ask(people(50), batch=True))
    for request_id in task.run()["ids"]:
        sandbox.act(request_id, "delete")
    clock.sleep(3600)
    again = run_task(ask(people(50), batch=True), task, cleared=True)
    assert len(again.run()["ids"]) == 50
    assert made(sandbox) == words(people(50))
    assert len(again.deferrals) == 2
    assert sandbox.count("visiono", "GET /photo-requests/{id}") == 50


@pytest.mark.parametrize("store", [True, None], ids=["with a store", "without"])
def test_a_list_of_more_pages_than_the_limit_has_calls_is_read_to_its_end(
    sandbox, run_task, monkeypatch, connection, clock, store
):
    connection("visiono_default", sandbox.visiono_url, sandbox.visiono_key, calls_per_minute=10)
    monkeypatch.setattr(hooks, "LIST_PAGE", 2)
    VisionoHook().create_photo_requests(people(10, start=100))
    VisionoHook().create_photo_requests(people(10, start=200))
    task = run_task(ask(people(3), batch=False), store=store)
    dies(task, monkeypatch, 2)
    clock.sleep(300)
    started = clock.now()
    assert len(run_task(ask(people(3), batch=False), task).run()["ids"]) == 3
    assert clock.now() - started < 900
    assert len(made(sandbox)) == 23


@needs_store
@pytest.mark.parametrize("told", [{"status": "in_review"}, {}], ids=["a word", "none"])
def test_nothing_is_replaced_while_one_is_not_surely_open(sandbox, run_task, told):
    """Photos may be there."""
    task = run_task(ask(people(3)))
    ids = task.run()["ids"]
    listed = [
        {"id": ids[0], "status": "pending"},
        {"id": ids[1], **told},
        {"id": ids[2], "status": "pending"},
    ]
    body = {"data": listed, "meta": {"total": 3}, "links": {"next": None}}
    sandbox.fault("visiono", "body", method="GET", path="^/photo-requests$", body=body)
    with pytest.raises(VisioProviderError, match=rf"does not say.*{ids[1]} is open.*on_existing='reuse'"):
        run_task(ask(people(3), on_existing="replace"), task, cleared=True).run()
    assert sandbox.count("visiono", "DELETE /photo-requests/{id}") == 0
    assert made(sandbox) == words(people(3))


def test_what_somebody_deletes_while_it_is_replaced_is_asked_for_anew(sandbox, run_task, monkeypatch):
    task = run_task(ask(people(3)))
    ids = task.run()["ids"]
    real = VisionoHook.delete_photo_request

    def late(self: Any, request_id: str) -> None:
        sandbox.act(request_id, "delete")
        real(self, request_id)

    monkeypatch.setattr(VisionoHook, "delete_photo_request", late)
    again = run_task(ask(people(3), on_existing="replace"), task, cleared=True).run()["ids"]
    assert not set(again) & set(ids)
    assert made(sandbox) == words(people(3))


def was_ahead(task: Any) -> None:
    """Have a task's times been written down by a worker whose clock was five hours ahead."""
    head = task.store["visio_batch"]
    task.store["visio_batch"] = {**head, **{name: head[name] + 5 * 3600 for name in ("began", "asked_at")}}


@needs_store
def test_a_clock_that_was_ahead_has_nobody_asked_again_and_holds_no_worker(
    sandbox, run_task, monkeypatch, clock
):
    task = run_task(ask(people(3), batch=False))
    dies(task, monkeypatch, 2)
    was_ahead(task)
    clock.sleep(2 * 3600)
    started = clock.now()
    assert len(run_task(ask(people(3), batch=False), task).run()["ids"]) == 3
    assert clock.now() - started < 300
    assert made(sandbox) == words(people(3))


@needs_store
def test_a_clock_that_was_ahead_costs_no_call_for_each_after_a_clear(sandbox, run_task, clock):
    task = run_task(ask(people(3)))
    ids = task.run()["ids"]
    was_ahead(task)
    clock.sleep(2 * 3600)
    assert run_task(ask(people(3)), task, cleared=True).run()["ids"] == ids
    assert sandbox.count("visiono", "GET /photo-requests/{id}") == 0


def test_what_a_refused_call_has_made_is_found_in_a_list_that_lags(sandbox, run_task, monkeypatch, clock):
    makes_some(monkeypatch, 4, InvalidRequestError("Refused.", status=422, fields={}))
    refused_at = clock.now()
    real = VisionoHook.list_photo_requests

    def late(self: Any, **how: Any) -> Any:
        return iter(()) if clock.now() < refused_at + 4 else real(self, **how)

    monkeypatch.setattr(VisionoHook, "list_photo_requests", late)
    assert len(run_task(ask(people(10), batch=True)).run()["ids"]) == 10
    assert made(sandbox) == words(people(10))


def test_what_is_replaced_before_airflow_3_3_is_replaced_to_the_end_though_the_limit_breaks_it_off(
    sandbox, run_task
):
    task = run_task(ask(people(4)), store=None)
    ids = task.run()["ids"]
    sandbox.fault("visiono", "rate_limit", retry_after=1800, times=1, skip=2, method="DELETE")
    again = run_task(ask(people(4), on_existing="replace"), task, cleared=True)
    assert not set(again.run()["ids"]) & set(ids)
    assert len(again.deferrals) == 1
    assert made(sandbox) == words(people(4))
