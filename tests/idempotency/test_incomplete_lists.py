"""A list that changes while it is read, or counts more than it shows: what it shows is there all the same."""

from __future__ import annotations

from typing import Any

import pytest
from operators import test_vizdom as boards
from tasks.conftest import needs_store

from airflow_provider_visio.api import client
from airflow_provider_visio.api import visiono as api
from airflow_provider_visio.hooks import visiono as hooks
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook
from idempotency import test_create_batch as many
from idempotency import test_create_once as one
from idempotency import test_permanent_links_once as links


@pytest.fixture(params=[True, None], ids=["with a store", "without"])
def lost(request: Any, sandbox: Any, run_task: Any, monkeypatch: pytest.MonkeyPatch, clock: Any) -> Any:
    """A try that died after its request was made and before it knew the id, some time ago."""
    task = run_task(one.ask(), store=request.param)
    real = VisionoHook.create_photo_request

    def die(self: Any, *args: Any, **kwargs: Any) -> None:
        real(self, *args, **kwargs)
        raise KeyboardInterrupt

    one.dies(task, monkeypatch, die)
    clock.sleep(300)
    return task


@pytest.fixture(params=[True, None], ids=["with a store", "without"])
def lost_batch(request: Any, run_task: Any, monkeypatch: pytest.MonkeyPatch, clock: Any) -> Any:
    """A try of a batch that died after all of its three requests were made, some time ago."""
    task = run_task(many.ask(many.people(3), batch=True), store=request.param)
    many.dies(task, monkeypatch, 1)
    clock.sleep(300)
    return task


def busy(sandbox: Any, monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    """Have a list of several pages, and a request made by somebody each time that a page of it was read."""
    sandbox.settings(list_order=order)
    monkeypatch.setattr(hooks, "LIST_PAGE", 5)
    for number in range(7):
        VisionoHook().create_photo_request(f"Somebody's {number}")
    real = client.Client.send

    def send(self: Any, call: Any) -> Any:
        reply = real(self, call)
        if call.method == "GET" and call.path == "/photo-requests":
            real(self, api.create_photo_request("Somebody's, meanwhile"))
        return reply

    monkeypatch.setattr(client.Client, "send", send)


def lists(sandbox: Any, service: str, path: str, shown: list[Any], total: int) -> None:
    """Have the service show these and count so many."""
    body = {"data": shown, "meta": {"total": total}, "links": {"next": None}}
    sandbox.fault(service, "body", method="GET", path=path, status=200, body=body)


def counts_more(sandbox: Any, ids: Any = None) -> None:
    """Have the service show some of its requests, or all, and count one more than it has."""
    listed = list(VisionoHook().list_photo_requests())
    shown = [request for request in listed if ids is None or request["id"] in ids]
    lists(sandbox, "visiono", "^/photo-requests$", shown, len(listed) + 1)


def lists_more(sandbox: Any, service: str, path: str, shown: list[Any]) -> None:
    """Have the service show these and count one more."""
    lists(sandbox, service, path, shown, len(shown) + 1)


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_a_retry_finds_its_request_while_others_are_making_theirs(
    sandbox, lost, run_task, monkeypatch, order
):
    ours = one.made(sandbox)
    busy(sandbox, monkeypatch, order)
    assert [one.defer(run_task(one.ask(), lost))] == ours


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_a_retry_of_a_batch_finds_its_requests_while_others_are_making_theirs(
    sandbox, lost_batch, run_task, monkeypatch, order
):
    ours = one.made(sandbox)
    busy(sandbox, monkeypatch, order)
    again = run_task(many.ask(many.people(3), batch=True), lost_batch)
    assert sorted(again.run()["ids"]) == sorted(ours)


def test_a_request_that_is_shown_is_taken_up_whatever_the_list_counts(sandbox, lost, run_task):
    counts_more(sandbox)
    assert [one.defer(run_task(one.ask(), lost))] == one.made(sandbox)


def test_requests_of_a_batch_that_are_all_shown_are_taken_up_whatever_the_list_counts(
    sandbox, lost_batch, run_task
):
    counts_more(sandbox)
    again = run_task(many.ask(many.people(3), batch=True), lost_batch)
    assert sorted(again.run()["ids"]) == sorted(one.made(sandbox))


@needs_store
def test_a_cleared_batch_that_is_shown_is_judged_whatever_the_list_counts(sandbox, run_task):
    task = run_task(many.ask(many.people(3)))
    ids = task.run()["ids"]
    counts_more(sandbox, ids[:2])
    assert run_task(many.ask(many.people(3)), task, cleared=True).run()["ids"] == ids


@pytest.fixture(params=[True, None], ids=["with a store", "without"])
def lost_link(request: Any, run_task: Any, monkeypatch: pytest.MonkeyPatch, clock: Any) -> Any:
    """A try that died after its permanent link was made, some time ago."""
    task = run_task(links.make(), store=request.param)
    links.dies(task, monkeypatch)
    clock.sleep(300)
    return task


@pytest.fixture(params=[True, None], ids=["with a store", "without"])
def lost_board(request: Any, run_task: Any, monkeypatch: pytest.MonkeyPatch, clock: Any) -> Any:
    """A try that died after its dashboard was made, some time ago."""
    task = run_task(boards.board(), store=request.param)
    boards.dies_after_the_call(task, boards.board, monkeypatch)
    clock.sleep(300)
    return task


def test_a_link_that_is_shown_is_taken_up_whatever_the_list_counts(sandbox, lost_link, run_task):
    (ours,) = links.made()
    lists_more(sandbox, "visiono", "^/permanent-links$", [ours])
    assert run_task(links.make(), lost_link).run()["id"] == ours["id"]


def test_a_dashboard_that_is_shown_is_taken_up_whatever_the_list_counts(sandbox, lost_board, run_task):
    listed = list(VizdomHook().list_dashboards())
    (ours,) = [one for one in listed if one["name"] == boards.board().name]
    lists_more(sandbox, "vizdom", "^/dashboards$", listed)
    assert run_task(boards.board(), lost_board).run()["id"] == ours["id"]
