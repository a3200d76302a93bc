"""Calls that the hooks have no method for: `request` and `request_pages`, of both services."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from api.local_server import Answer

from airflow_provider_visio.exceptions import (
    AuthenticationError,
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    RateLimitedError,
    ServiceError,
    UnexpectedReplyError,
)
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook

BOTH = pytest.mark.parametrize("hook", [VisionoHook, VizdomHook])
LIST = {VisionoHook: "/photo-requests", VizdomHook: "/dashboards"}
SERVICE = {VisionoHook: "visiono", VizdomHook: "vizdom"}


def fill(hook, count):
    """Make sure that there are so many photo requests; dashboards are there from the beginning."""
    if hook is VisionoHook:
        for n in range(count):
            hook().create_photo_request(f"Photo {n}")


@BOTH
@pytest.mark.parametrize("pagination", ["page", "cursor", "none"])
def test_a_list_is_read_through_all_pages(sandbox, hook, pagination):
    sandbox.settings(pagination=pagination, page_size=1)
    fill(hook, 3)
    whole = {
        one["id"]
        for one in getattr(hook(), "list_photo_requests" if hook is VisionoHook else "list_dashboards")()
    }
    found = [one["id"] for one in hook().request_pages("get", LIST[hook].lstrip("/"))]
    assert len(found) == len(set(found)) >= 2
    assert set(found) == whole


@BOTH
def test_no_more_is_asked_for_than_is_taken(sandbox, hook):
    sandbox.settings(page_size=1)
    fill(hook, 3)
    route = f"GET {LIST[hook]}"
    pages = hook().request_pages("GET", LIST[hook])
    assert sandbox.count(SERVICE[hook], route) == 0
    next(pages)
    assert sandbox.count(SERVICE[hook], route) == 1
    assert len(list(hook().request_pages("GET", LIST[hook], limit=1))) == 1
    assert sandbox.count(SERVICE[hook], route) == 2


def test_parameters_go_with_each_page(sandbox, visiono):
    fill(VisionoHook, 4)
    sandbox.act(visiono.create_photo_request("b")["id"], "cancel")
    wanted = {"status": "pending", "per_page": 2, "created_after": None}
    found = list(visiono.request_pages("GET", "/photo-requests", params=wanted))
    assert {one["status"] for one in found} == {"pending"}
    asked = [call["path"] for call in sandbox.calls() if call["method"] == "GET"]
    assert len(asked) == 2
    assert all("status=pending" in path and "created_after" not in path for path in asked)


def ways(hook):
    """The ways of asking for a list; each is called without an argument."""
    return [
        lambda: hook.request("GET", "/some/list"),
        lambda: list(hook.request_pages("GET", "/some/list")),
    ]


@BOTH
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(401, {"message": "no"}), AuthenticationError),
        (Answer(404, {"message": "no"}), NotFoundError),
        (Answer(422, {"message": "no"}), InvalidRequestError),
        (Answer(429, {"message": "no"}, {"Retry-After": "9999"}), RateLimitedError),
        (Answer(500, {"message": "no"}), ServiceError),
        (Answer(200, b"<html>"), UnexpectedReplyError),
    ],
)
def test_errors_are_typed_and_name_the_call(serve, connection, hook, answer, error):
    for n in range(2):
        server = serve(*[answer] * 5)
        conn_id = connection(f"my_{SERVICE[hook]}", server.url, "key12345")
        with pytest.raises(
            error, match=rf"GET /some/list, .*connection {conn_id}|GET /some/list, connection"
        ):
            ways(hook(conn_id))[n]()


@BOTH
def test_a_passing_fault_is_borne(serve, connection, hook):
    for n in range(2):
        server = serve(
            Answer(503, {"message": "later"}), Answer(200, {"data": [{"id": 1}], "meta": {"total": 1}})
        )
        found = ways(hook(connection(f"my_{SERVICE[hook]}", server.url, "key12345")))[n]()
        assert found == [{"id": 1}]
        assert len(server.received) == 2


@BOTH
def test_a_page_in_the_middle_is_asked_for_again(sandbox, hook):
    sandbox.settings(page_size=1)
    fill(hook, 2)
    pages = hook().request_pages("GET", LIST[hook])
    first = next(pages)["id"]
    sandbox.fault(SERVICE[hook], "status", status=502, times=1)
    rest = [one["id"] for one in pages]
    assert rest
    assert first not in rest


@BOTH
def test_a_post_whose_reply_is_lost_is_not_repeated(sandbox, hook):
    sandbox.fault(SERVICE[hook], "drop_after", method="POST", times=1)
    with pytest.raises(ConnectionFailedError) as caught:
        hook().request("POST", "/some/thing", body={"a": 1})
    assert caught.value.ambiguous
    assert len(sandbox.calls()) == 1


@BOTH
@pytest.mark.parametrize("data", [{"a": 1}, "x", 5, ["photo_request.created"], [{"id": 1}, None]])
def test_what_is_no_list_has_no_pages(serve, connection, hook, data):
    server = serve(Answer(200, {"data": data}))
    with pytest.raises(UnexpectedReplyError, match="than a list"):
        list(hook(connection(f"my_{SERVICE[hook]}", server.url, "key12345")).request_pages("GET", "/x"))


@BOTH
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_change_may_be_answered_without_a_word(serve, connection, hook, method):
    server = serve(Answer(200))
    assert (
        hook(connection(f"my_{SERVICE[hook]}", server.url, "key12345")).request(method, "/things/1") is None
    )
    assert len(server.received) == 1


@BOTH
def test_a_question_may_not(serve, connection, hook):
    server = serve(Answer(200))
    with pytest.raises(UnexpectedReplyError):
        hook(connection(f"my_{SERVICE[hook]}", server.url, "key12345", max_attempts=1)).request(
            "GET", "/things/1"
        )
    with pytest.raises(UnexpectedReplyError):
        list(hook(connection(f"my_{SERVICE[hook]}", server.url, "key12345")).request_pages("POST", "/things"))


def test_a_query_in_the_path_goes_with_each_page(sandbox, visiono):
    sandbox.settings(page_size=1)
    fill(VisionoHook, 2)
    sandbox.act(visiono.create_photo_request("b")["id"], "cancel")
    found = list(visiono.request_pages("GET", "/photo-requests?status=pending"))
    assert [one["status"] for one in found] == ["pending", "pending"]
    asked = [urlsplit(call["path"]) for call in sandbox.calls() if call["method"] == "GET"]
    assert [parse_qs(one.query) for one in asked] == [
        {"status": ["pending"]},
        {"status": ["pending"], "page": ["2"]},
    ]


@BOTH
@pytest.mark.parametrize(
    ("path", "params", "query"),
    [
        ("/x?a=1&b=x%20y", None, "a=1&b=x+y"),
        ("/x?a=1&b=2", {"b": 3, "c": True}, "a=1&b=3&c=true"),
        ("/x?a=1", {"a": None}, "a=1"),
        ("/x?tags[]=a&tags[]=b", None, "tags%5B%5D=a&tags%5B%5D=b"),
        ("/x", {"tags": ["a", "b"]}, "tags=a&tags=b"),
        ("/x?a=%7Bb%7D&c=", {}, "a=%7Bb%7D&c="),
        ("/x%3Fa?b=c?d", None, "b=c%3Fd"),
    ],
)
def test_a_query_in_the_path_is_sent_as_parameters(serve, connection, hook, path, params, query):
    server = serve(*[Answer(200, {"data": []})] * 2)
    ours = hook(connection(f"my_{SERVICE[hook]}", server.url, "key12345"))
    ours.request("GET", path, params=params)
    assert list(ours.request_pages("GET", path, params=params)) == []
    assert [one.path for one in server.received] == [f"/v1{path.partition('?')[0]}?{query}"] * 2


@BOTH
@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/x?a=1#top", "#"),
        ("https://api.visio.now/v1/photo-requests?page=2", "whole URL"),
        ("//api.visio.now/v1/photo-requests", "whole URL"),
        ("/../../x", r"\.\."),
        ("..", r"\.\."),
        ("/a/%2e%2E/x", r"\.\."),
        ("/a%2f..%2fx?b=c", r"\.\."),
        ("/a/./x", r"'\.'"),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(serve, connection, hook, path, why):
    server = serve(Answer(200, {"data": []}))
    ours = hook(connection(f"my_{SERVICE[hook]}", server.url, "key12345"))
    for way in (ours.request, ours.request_pages):
        with pytest.raises(InvalidRequestError, match=f"path: .*{why}"):
            way("GET", path)
    assert server.received == []


@BOTH
@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("GET", None, "path"),
        ("POST", b"/x", "path"),
        ("PO\nST", "/x", "method"),
        ("POST\r\nX-More: 1", "/x", "method"),
        ("PO ST", "/x", "method"),
        ("PÖST", "/x", "method"),
        ("", "/x", "method"),
        (None, "/x", "method"),
    ],
)
def test_what_is_no_method_or_no_path_is_refused_and_not_sent(sandbox, hook, method, path, field):
    for asks in (hook().request, hook().request_pages):
        with pytest.raises(InvalidRequestError, match=f"^{field}: give ") as caught:
            asks(method, path)
        assert list(caught.value.fields) == [field]
        assert not caught.value.ambiguous
    assert sandbox.calls() == []


@BOTH
def test_blanks_around_a_method_do_not_count(sandbox, hook):
    assert isinstance(hook().request(" get\n", LIST[hook]), list)
    assert sandbox.count(SERVICE[hook], f"GET {LIST[hook]}") == 1


@BOTH
@pytest.mark.parametrize("path", ["/x?next=https://a.example/../b", "/a..b/.c/d.", "/v1.2/x%3A%2F%2Fy"])
def test_dots_and_addresses_that_lead_nowhere_are_sent(serve, connection, hook, path):
    server = serve(Answer(200, {"data": []}))
    hook(connection(f"my_{SERVICE[hook]}", server.url, "key12345")).request("GET", path)
    assert urlsplit(server.received[0].path).path == f"/v1{urlsplit(path).path}"


def test_a_parameter_with_a_list_goes_with_each_page(serve, connection):
    """Also where the service says itself how the next page is asked for."""
    following = "https://api.visio.now/v1/x?tag=a&tag=b&page=2"
    server = serve(
        Answer(200, {"data": [{"id": 1}], "links": {"next": following}}),
        Answer(200, {"data": [{"id": 2}], "links": {"next": None}}),
    )
    hook = VisionoHook(connection("my_visiono", server.url, "key12345"))
    assert len(list(hook.request_pages("GET", "/x", params={"tag": ["a", "b"]}))) == 2
    assert [one.path for one in server.received] == ["/v1/x?tag=a&tag=b", "/v1/x?tag=a&tag=b&page=2"]
