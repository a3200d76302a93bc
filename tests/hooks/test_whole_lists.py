"""A list from which it is concluded that something is not there: read as a whole, or an error."""

from __future__ import annotations

from typing import Any

import pytest
from api.local_server import Answer

from airflow_provider_visio.exceptions import UnexpectedReplyError
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook

LISTS = {
    "requests": (VisionoHook, "list_photo_requests"),
    "links": (VisionoHook, "list_permanent_links"),
    "dashboards": (VizdomHook, "list_dashboards"),
    "data sources": (VizdomHook, "list_data_sources"),
}
ONE, TWO = {"id": "a1", "name": "One"}, {"id": "a2", "name": "Two"}


@pytest.fixture(params=LISTS.values(), ids=LISTS)
def read(request: pytest.FixtureRequest, serve: Any, connection: Any) -> Any:
    """Return a function that reads a list as these answers give it: the ids, and the calls that it took."""
    hook, name = request.param

    def read(*bodies: Any, **how: Any) -> Any:
        server = serve(*(Answer(200, body) for body in bodies))
        found = getattr(hook(connection(f"my_{hook.conn_type}", server.url, "key12345")), name)(**how)
        return [one["id"] for one in found], [one.path for one in server.received]

    return read


def test_a_list_that_shows_all_it_counts_is_read_once(read):
    found, asked = read({"data": [ONE, TWO], "meta": {"total": 2}}, whole=True)
    assert (found, len(asked)) == (["a1", "a2"], 1)


def test_a_list_that_counts_more_is_read_once_more(read):
    short, whole = {"data": [ONE], "links": {"next": None}}, {"data": [ONE, TWO], "links": {"next": None}}
    found, asked = read({**short, "meta": {"total": 2}}, {**whole, "meta": {"total": 2}}, whole=True)
    assert (found, len(asked)) == (["a1", "a2"], 2)


def test_a_list_that_still_counts_more_is_an_error(read):
    short = {"data": [ONE], "links": {"next": None}, "meta": {"total": 2}}
    with pytest.raises(
        UnexpectedReplyError, match="counts 2 in a list and shows 1, so what is missing may be"
    ):
        read(short, short, whole=True)
    assert read(short)[0] == ["a1"], "who lists what there is gets that"


def test_a_reply_without_a_list_is_an_error(read):
    with pytest.raises(UnexpectedReplyError, match="without a list"):
        read({"data": None}, {"data": None}, whole=True)


def test_a_limit_is_kept_to(serve, connection):
    server = serve(Answer(200, {"data": [ONE, TWO], "meta": {"total": 57}}))
    hook = VisionoHook(connection("some_visio", server.url, "key12345"))
    assert [one["id"] for one in hook.list_photo_requests(limit=1, whole=True)] == ["a1"]
    assert len(server.received) == 1


def test_a_limit_is_kept_to_by_the_second_reading_as_well(serve, connection):
    """Which begins with what the first has shown, and ends where there is enough."""
    three = [ONE, TWO, {"id": "a3"}]
    server = serve(
        Answer(200, {"data": [ONE], "links": {"next": None}, "meta": {"total": 9}}),
        Answer(200, {"data": three, "links": {"next": "?page=2"}, "meta": {"total": 9}}),
    )
    hook = VisionoHook(connection("some_visio", server.url, "key12345"))
    assert [one["id"] for one in hook.list_photo_requests(limit=2, whole=True)] == ["a1", "a2"]
    assert len(server.received) == 2


def test_the_second_reading_leaves_out_the_filter_by_time(serve, connection):
    """It may be that the service does not count by it."""
    short, whole = {"data": [ONE], "links": {"next": None}}, {"data": [ONE, TWO], "links": {"next": None}}
    server = serve(*(Answer(200, {**body, "meta": {"total": 2}}) for body in (short, whole)))
    hook = VisionoHook(connection("some_visio", server.url, "key12345"))
    assert [one["id"] for one in hook.list_made_since(1000.0)] == ["a1", "a2"]
    assert ["created_after" in one.path for one in server.received] == [True, False]


@pytest.mark.parametrize("name", ["list_photo_requests", "list_permanent_links"])
@pytest.mark.parametrize("found", [{}, {"id": None}, {"id": ""}, {"id": True}, {"id": {}}], ids=str)
def test_what_has_no_id_is_an_error(serve, connection, name, found):
    server = serve(Answer(200, {"data": [{**found, "instructions": "x"}]}))
    hook = VisionoHook(connection("some_visio", server.url, "key12345"))
    with pytest.raises(UnexpectedReplyError, match=r"without `data\.id`"):
        list(getattr(hook, name)())


@pytest.mark.parametrize("name", ["list_photo_requests", "list_permanent_links"])
def test_an_id_that_is_a_number_becomes_text(serve, connection, name):
    server = serve(Answer(200, {"data": [{"id": 42}], "links": {"next": None}}))
    hook = VisionoHook(connection("some_visio", server.url, "key12345"))
    assert [one["id"] for one in getattr(hook, name)()] == ["42"]


def test_a_request_whose_id_is_a_number_is_not_gone(serve, connection):
    missing = Answer(404, {"message": "Not found."})
    server = serve(missing, Answer(200, {"data": [{"id": 42, "status": "pending"}], "links": {"next": None}}))
    hook = VisionoHook(connection("some_visio", server.url, "key12345"))
    assert hook.get_or_gone("42")["status"] == "pending"


TAG = {"airflow_task": "t"}


@pytest.mark.parametrize("status", ["pending", "submitted", "a word of tomorrow"])
def test_a_tagged_request_that_a_doubtful_list_shows_is_there(serve, connection, status):
    shown = {"id": "a1", "status": status, "metadata": TAG}
    server = serve(Answer(200, {"data": [shown], "links": {"next": None}, "meta": {"total": 2}}))
    hook = VisionoHook(connection("some_visio", server.url, "key12345"))
    assert [one["id"] for one in hook.find_photo_requests(TAG)] == ["a1"]


@pytest.mark.parametrize("status", ["expired", "cancelled", "deleted"])
def test_one_that_has_ended_leaves_room_for_another_that_a_doubtful_list_does_not_show(
    serve, connection, status
):
    shown = {"id": "a1", "status": status, "metadata": TAG}
    server = serve(Answer(200, {"data": [shown], "links": {"next": None}, "meta": {"total": 2}}))
    hook = VisionoHook(connection("some_visio", server.url, "key12345"))
    with pytest.raises(UnexpectedReplyError, match="counts 2 in a list and shows 1"):
        hook.find_photo_requests(TAG)
