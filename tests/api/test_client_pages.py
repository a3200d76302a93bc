"""Lists of the sandbox, and of stranger services, through both clients."""

from __future__ import annotations

import pytest

from airflow_provider_visio.api import visiono as api
from airflow_provider_visio.api import vizdom as vizdom_api
from airflow_provider_visio.api.client import Client
from airflow_provider_visio.exceptions import (
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    ServiceError,
    UnexpectedReplyError,
)
from api.local_server import Answer

ROUTE = "GET /photo-requests"


@pytest.fixture
def seven(sandbox, visiono):
    """The ids of seven requests, newest first."""
    client = Client(visiono, lambda: visiono)
    made = [client.send(api.create_photo_request(f"Photo {n}"))["data"]["id"] for n in range(7)]
    client.close()
    return made[::-1]


def ids(items):
    return [item["id"] for item in items]


@pytest.mark.parametrize(
    ("settings", "calls"),
    [
        ({"pagination": "page", "page_size": 3}, 3),
        ({"pagination": "page", "page_size": 3, "list_total": False}, 3),
        ({"pagination": "page", "page_size": 3, "meta": False}, 3),
        ({"pagination": "page", "page_size": 7}, 1),
        ({"pagination": "page"}, 1),
        ({"pagination": "cursor", "page_size": 3}, 3),
        ({"pagination": "cursor", "page_size": 2}, 4),
        ({"pagination": "none"}, 2),
        ({"pagination": "none", "meta": False}, 2),
    ],
    ids=str,
)
def test_a_list_gives_everything_once(driver, sandbox, visiono, seven, settings, calls):
    sandbox.settings(**settings)
    assert ids(driver.items(visiono, api.list_photo_requests())) == seven
    assert sandbox.count("visiono", ROUTE) == calls


def test_the_page_size_asked_for_is_used(driver, sandbox, visiono, seven):
    assert ids(driver.items(visiono, api.list_photo_requests(page_size=4))) == seven
    assert sandbox.count("visiono", ROUTE) == 2


def test_filters_stay_on_every_page(driver, sandbox, visiono, seven):
    sandbox.settings(page_size=2)
    sandbox.act(seven[3], "cancel")
    found = driver.items(visiono, api.list_photo_requests(status="pending"))
    assert ids(found) == [i for i in seven if i != seven[3]]
    assert all(
        "status=pending" in call["path"]
        for call in sandbox.calls()
        if call["route"] == "/photo-requests" and call["method"] == "GET"
    )


@pytest.mark.parametrize(("limit", "calls"), [(1, 1), (3, 1), (4, 2), (7, 3), (100, 3)])
def test_a_limit_stops_without_another_call(driver, sandbox, visiono, seven, limit, calls):
    sandbox.settings(page_size=3)
    assert ids(driver.items(visiono, api.list_photo_requests(), limit=limit)) == seven[:limit]
    assert sandbox.count("visiono", ROUTE) == calls


def test_a_limit_of_nothing_gives_nothing(driver, visiono, seven):
    assert driver.items(visiono, api.list_photo_requests(), limit=0) == []


def test_pages_are_asked_for_as_they_are_needed(sandbox, visiono, seven):
    sandbox.settings(page_size=3)
    client = Client(visiono, lambda: visiono)
    items = client.pages(api.list_photo_requests())
    assert sandbox.count("visiono", ROUTE) == 0
    for _ in range(3):
        next(items)
    assert sandbox.count("visiono", ROUTE) == 1
    next(items)
    assert sandbox.count("visiono", ROUTE) == 2
    client.close()


def test_the_documented_list_of_dashboards_takes_one_call(driver, sandbox, vizdom):
    assert ids(driver.items(vizdom, vizdom_api.list_dashboards())) == [
        "dash_abc123",
        "dash_ops456",
        "dash_broken",
    ]
    assert sandbox.count("vizdom", "GET /dashboards") == 1


@pytest.mark.parametrize("refusal", [400, 404, 422])
def test_a_service_without_page_numbers_has_given_all(driver, serve, config_at, refusal):
    server = serve(
        Answer(200, {"data": [{"id": "a"}]}), Answer(refusal, {"message": "The page is prohibited."})
    )
    assert driver.items(config_at(server.url), api.list_photo_requests()) == [{"id": "a"}]
    assert [one.path for one in server.received] == ["/photo-requests", "/photo-requests?page=2"]


@pytest.mark.parametrize(("status", "kind"), [(403, PermissionDeniedError), (500, ServiceError)])
def test_other_errors_on_a_guessed_page_are_errors(driver, serve, config_at, status, kind):
    server = serve(Answer(200, {"data": [{"id": "a"}]}), Answer(status))
    with pytest.raises(kind):
        driver.items(config_at(server.url), api.list_photo_requests())


def test_a_page_that_the_service_itself_named_must_be_there(driver, serve, config_at):
    server = serve(Answer(200, {"data": [{"id": "a"}], "links": {"next": "?page=2"}}), Answer(404))
    with pytest.raises(NotFoundError):
        driver.items(config_at(server.url), api.list_photo_requests())


def test_a_first_page_that_is_refused_is_an_error(driver, serve, config_at):
    server = serve(Answer(422, {"message": "The selected status is invalid."}))
    with pytest.raises(InvalidRequestError, match="The selected status is invalid"):
        driver.items(config_at(server.url), api.list_photo_requests(status="nonsense"))


def test_the_key_never_follows_a_next_link(driver, serve, config_at):
    elsewhere = serve(Answer(200, {"data": [{"id": "b"}]}))
    server = serve(
        Answer(200, {"data": [{"id": "a"}], "links": {"next": f"{elsewhere.url}/photo-requests?page=2"}}),
        Answer(200, {"data": [{"id": "b"}], "links": {"next": None}}),
    )
    assert ids(driver.items(config_at(server.url), api.list_photo_requests())) == ["a", "b"]
    assert elsewhere.received == []


@pytest.mark.parametrize("data", [{"items": [{"id": "a"}]}, "text", 5])
def test_a_list_that_is_none_is_not_an_empty_one(driver, serve, config_at, data):
    server = serve(Answer(200, {"data": data}))
    with pytest.raises(UnexpectedReplyError):
        driver.items(config_at(server.url, max_attempts=1), api.list_photo_requests())


@pytest.mark.parametrize(
    "more", [{"links": {"next": "http://["}}, {"meta": {"next_cursor": ["x"]}}], ids=["link", "cursor"]
)
def test_a_list_that_cannot_be_gone_on_with_is_an_error_and_not_an_end(driver, serve, config_at, more):
    server = serve(Answer(200, {"data": [{"id": "req_1"}], **more}))
    with pytest.raises(UnexpectedReplyError, match="cannot be followed") as caught:
        driver.items(config_at(server.url), api.list_photo_requests())
    assert caught.value.conn_id == "my_visiono"
    assert len(server.received) == 1


def test_a_status_that_no_url_can_hold_is_refused_as_input(driver, serve, config_at):
    server = serve(Answer(200, {"data": []}))
    with pytest.raises(InvalidRequestError):
        driver.items(config_at(server.url), api.list_photo_requests(status="\ud800"))
    assert server.received == []
