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


def test_a_reply_without_a_list_is_an_error(read):
    with pytest.raises(UnexpectedReplyError, match="else than a list"):
        read({"data": None}, whole=True)


def test_a_limit_is_kept_to(serve, connection):
    server = serve(Answer(200, {"data": [ONE, TWO], "meta": {"total": 57}}))
    hook = VisionoHook(connection("some_visio", server.url, "key12345"))
    assert [one["id"] for one in hook.list_photo_requests(limit=1, whole=True)] == ["a1"]
    assert len(server.received) == 1


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


TAG = {"airflow_task": "t"}


@pytest.mark.parametrize("status", ["pending", "submitted", "expired", "a word of tomorrow"])
def test_a_tagged_request_is_found_whatever_the_list_counts(serve, connection, status):
    shown = {"id": "a1", "status": status, "metadata": TAG}
    server = serve(Answer(200, {"data": [shown], "links": {"next": None}, "meta": {"total": 2}}))
    hook = VisionoHook(connection("some_visio", server.url, "key12345"))
    assert [one["id"] for one in hook.find_photo_requests(TAG)] == ["a1"]
