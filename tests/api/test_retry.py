"""What both clients send again, counted where it arrives."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from airflow_provider_visio.api import visiono as api
from airflow_provider_visio.api import visiono_permanent_links as links
from airflow_provider_visio.api.call import call
from airflow_provider_visio.api.client import Client
from airflow_provider_visio.exceptions import (
    AuthenticationError,
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    ServiceError,
    UnexpectedReplyError,
)
from api.local_server import DROP, Answer, LocalServer

GET = api.get_status()
POST = api.create_photo_request("A photo of the car")
GOOD = Answer(200, {"data": {"id": "req_1"}})

PASSING = {
    "500": {"kind": "status", "status": 500},
    "503": {"kind": "status", "status": 503, "body": {"message": "Down for maintenance"}},
    "dropped before": {"kind": "drop_before"},
    "dropped after": {"kind": "drop_after"},
    "truncated": {"kind": "truncate"},
    "short": {"kind": "short"},
    "html": {"kind": "html", "status": 200},
    "empty": {"kind": "empty", "status": 200},
    "not json": {"kind": "body", "status": 200, "body": "OK"},
}
BROKEN = {"500": ServiceError, "503": ServiceError} | dict.fromkeys(
    ("dropped before", "dropped after", "truncated"), ConnectionFailedError
)


@pytest.mark.parametrize("fault", PASSING)
def test_a_get_is_sent_again(driver, sandbox, visiono, clock, fault):
    sandbox.fault("visiono", path="/status", times=1, **PASSING[fault])
    assert driver.send(visiono, GET)["data"] == {"status": "ok"}
    assert sandbox.count("visiono", "GET /status") == 2
    assert len(clock.pauses) == 1


@pytest.mark.parametrize("fault", PASSING)
def test_a_get_that_fails_again_and_again_is_given_up(driver, sandbox, visiono, clock, fault):
    sandbox.fault("visiono", path="/status", times=None, **PASSING[fault])
    with pytest.raises(BROKEN.get(fault, UnexpectedReplyError)) as caught:
        driver.send(visiono, GET)
    assert not caught.value.ambiguous
    assert caught.value.conn_id == "visiono_default"
    assert "[GET /status, connection visiono_default]" in str(caught.value)
    assert sandbox.count("visiono", "GET /status") == 5
    assert len(clock.pauses) == 4
    assert clock.pauses == sorted(clock.pauses)


@pytest.mark.parametrize("fault", PASSING)
def test_a_post_that_may_have_been_done_is_not_repeated(driver, sandbox, visiono, clock, fault):
    sandbox.fault("visiono", method="POST", times=1, **PASSING[fault])
    with pytest.raises(BROKEN.get(fault, UnexpectedReplyError)) as caught:
        driver.send(visiono, POST)
    assert caught.value.ambiguous
    assert "may or may not have done it" in str(caught.value)
    assert sandbox.count("visiono", "POST /photo-requests") == 1
    assert clock.pauses == []


@pytest.mark.parametrize("fault", PASSING)
def test_a_patch_that_may_have_been_done_is_not_repeated(driver, sandbox, visiono, fault):
    link = driver.send(visiono, links.create_permanent_link("Each damage"))["data"]
    sandbox.fault("visiono", method="PATCH", times=1, **PASSING[fault])
    with pytest.raises(BROKEN.get(fault, UnexpectedReplyError)) as caught:
        driver.send(visiono, links.update_permanent_link(link["id"], {"is_active": False}))
    assert caught.value.ambiguous
    assert sandbox.count("visiono", "PATCH /permanent-links/{id}") == 1


@pytest.mark.parametrize("fault", PASSING)
def test_a_deletion_whose_reply_was_lost_counts_as_done(driver, sandbox, visiono, fault):
    made = driver.send(visiono, POST)["data"]
    wanted = PASSING[fault] if fault == "dropped after" else {"kind": "drop_after"}
    sandbox.fault("visiono", method="DELETE", times=1, **wanted)
    if wanted is not PASSING[fault]:
        sandbox.fault("visiono", method="DELETE", times=1, **PASSING[fault])
    assert driver.send(visiono, api.delete_photo_request(made["id"]))["data"] is None
    assert sandbox.count("visiono", "DELETE /photo-requests/{id}") >= 2
    assert sandbox.control("GET", "/photo-requests")[0]["status"] == "deleted"


def test_a_deletion_of_what_never_was_is_not_found(driver, sandbox, visiono):
    with pytest.raises(NotFoundError):
        driver.send(visiono, api.delete_photo_request("req_never"))
    assert sandbox.count("visiono", "DELETE /photo-requests/{id}") == 1


@pytest.mark.parametrize("request_", [GET, POST, api.delete_photo_request("req_1")], ids=lambda c: c.method)
def test_what_never_reached_the_service_is_sent_again(
    driver, serve, config_at, clock, monkeypatch, closed_port, request_
):
    running: list[LocalServer] = []

    def start_it_meanwhile(seconds):
        if not running:
            running.append(serve(GOOD, port=closed_port))

    async def and_in_a_loop(seconds):
        start_it_meanwhile(seconds)

    monkeypatch.setattr("airflow_provider_visio.clock.sleep", start_it_meanwhile)
    monkeypatch.setattr("airflow_provider_visio.clock.asleep", and_in_a_loop)
    assert driver.send(config_at(f"http://127.0.0.1:{closed_port}"), request_)["data"] == {"id": "req_1"}
    assert len(running[0].received) == 1


def test_a_deletion_that_never_arrived_does_not_count_as_done(
    driver, serve, config_at, monkeypatch, closed_port
):
    running: list[LocalServer] = []

    def start_it_meanwhile(seconds):
        if not running:
            running.append(serve(Answer(404, {"message": "Not found."}), port=closed_port))

    async def and_in_a_loop(seconds):
        start_it_meanwhile(seconds)

    monkeypatch.setattr("airflow_provider_visio.clock.sleep", start_it_meanwhile)
    monkeypatch.setattr("airflow_provider_visio.clock.asleep", and_in_a_loop)
    with pytest.raises(NotFoundError):
        driver.send(config_at(f"http://127.0.0.1:{closed_port}"), api.delete_photo_request("req_wrong"))


@pytest.mark.parametrize("request_", [GET, POST], ids=lambda c: c.method)
def test_a_service_that_is_never_reached_says_what_to_check(driver, config_at, clock, closed_port, request_):
    with pytest.raises(ConnectionFailedError) as caught:
        driver.send(config_at(f"http://127.0.0.1:{closed_port}"), request_)
    assert not caught.value.ambiguous
    for part in ("never reached", "the connection's Host", "connection my_visiono", request_.method):
        assert part in str(caught.value)
    assert len(clock.pauses) == 4


def test_a_host_that_does_not_exist_was_never_reached(driver, config_at):
    with pytest.raises(ConnectionFailedError) as caught:
        driver.send(config_at("http://no-such-host.invalid/v1"), POST)
    assert not caught.value.ambiguous
    assert "never reached" in str(caught.value)


def test_the_connection_says_how_often(driver, serve, config_at, clock):
    server = serve(Answer(500))
    with pytest.raises(ServiceError):
        driver.send(config_at(server.url, max_attempts=2), GET)
    assert len(server.received) == 2
    assert len(clock.pauses) == 1


def test_one_attempt_means_one(driver, serve, config_at, clock):
    server = serve(Answer(500))
    with pytest.raises(ServiceError):
        driver.send(config_at(server.url, max_attempts=1), GET)
    assert len(server.received) == 1
    assert clock.pauses == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (402, PermissionDeniedError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (405, InvalidRequestError),
        (409, InvalidRequestError),
        (422, InvalidRequestError),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_what_the_service_refuses_fails_at_once(driver, sandbox, visiono, clock, status, kind, method):
    sandbox.fault("visiono", "status", status=status, body={"message": "Oops"}, times=None)
    with pytest.raises(kind, match="Oops"):
        driver.send(visiono, call(method, "/photo-requests", body={} if method == "POST" else None))
    assert len(sandbox.calls()) == 1
    assert clock.pauses == []


def test_a_key_that_was_rotated_is_read_again(driver, sandbox, visiono, clock):
    reloads = []

    def reload():
        reloads.append(1)
        return visiono

    old = replace(visiono, key="vsk_live_old")
    assert driver.send(old, POST, reload)["data"]["status"] == "pending"
    assert len(reloads) == 1
    assert sandbox.count("visiono", "POST /photo-requests") == 2
    assert len(sandbox.control("GET", "/photo-requests")) == 1
    assert sum(clock.pauses) == 0


def test_a_key_that_is_still_wrong_fails_after_one_reload(driver, sandbox, visiono):
    reloads = []

    def reload():
        reloads.append(1)
        return replace(visiono, key="vsk_live_also_old")

    with pytest.raises(AuthenticationError, match="Unauthenticated") as caught:
        driver.send(replace(visiono, key="vsk_live_old"), GET, reload)
    assert len(reloads) == 1
    assert sandbox.count("visiono", "GET /status") == 2
    assert "vsk_live" not in str(caught.value)


def test_a_post_is_not_sent_over_a_kept_connection(serve, config_at):
    # One that the server is just closing would lose the reply to what must not be repeated.
    server = serve(lambda request: Answer(200, {"data": {"id": request.peer}}))
    config = config_at(server.url)
    client = Client(config, lambda: config)
    kept, own, same = (client.send(request)["data"]["id"] for request in (GET, POST, GET))
    client.close()
    assert kept == same
    assert own != kept


def test_a_dropped_reply_on_a_kept_connection_does_not_repeat_a_post(driver, serve, config_at):
    server = serve(DROP)
    with pytest.raises(ConnectionFailedError) as caught:
        driver.send(config_at(server.url), POST)
    assert caught.value.ambiguous
    assert len(server.received) == 1


def test_the_log_says_why_and_when_it_is_sent_again(driver, serve, config_at, caplog):
    server = serve(Answer(503, {"message": "Down for maintenance"}), GOOD)
    driver.send(config_at(server.url), GET)
    assert "Down for maintenance" in caplog.text
    assert "Trying again in 0." in caplog.text


@pytest.mark.parametrize("host", ["a..b", "a" * 64, "*"], ids=["empty label", "long label", "star"])
def test_a_host_that_no_name_server_can_be_asked_for_was_not_reached(driver, config_at, monkeypatch, host):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectionFailedError) as caught:
        driver.send(config_at(f"https://{host}/v1", max_attempts=1), POST)
    assert not caught.value.ambiguous
