"""The key goes to the API host only."""

from __future__ import annotations

import pytest

from airflow_provider_visio.api import visiono as api
from airflow_provider_visio.api import vizdom as vizdom_api
from airflow_provider_visio.api.client import Client
from airflow_provider_visio.exceptions import TransferError, UnexpectedReplyError
from api.conftest import KEY
from api.local_server import Answer

GOOD = Answer(200, {"data": {"id": "req_1"}})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "request_", [api.get_status(), api.create_photo_request("x"), api.delete_photo_request("r")],
    ids=lambda request: request.method,
)  # fmt: skip
def test_a_call_with_a_key_follows_no_redirect(driver, sandbox, visiono, serve, clock, status, request_):
    elsewhere = serve(GOOD)
    sandbox.fault("visiono", "redirect", status=status, location=f"{elsewhere.url}/v1?token=abc", times=None)
    with pytest.raises(UnexpectedReplyError) as caught:
        driver.send(visiono, request_)
    assert elsewhere.received == []
    assert len(sandbox.calls()) == 1
    assert clock.pauses == []
    assert f"a redirect to {elsewhere.url}" in str(caught.value)
    assert "token" not in str(caught.value)


def test_vizdom_s_key_follows_no_redirect_either(driver, sandbox, vizdom, serve):
    elsewhere = serve(GOOD)
    sandbox.fault("vizdom", "redirect", location=elsewhere.url, times=None)
    with pytest.raises(UnexpectedReplyError):
        driver.send(vizdom, vizdom_api.list_dashboards())
    assert elsewhere.received == []


def test_a_redirect_on_the_api_s_own_host_is_not_followed_either(driver, serve, config_at):
    server = serve(Answer(302, headers={"Location": "/v1/status"}), GOOD)
    with pytest.raises(UnexpectedReplyError, match="is not followed with an API key"):
        driver.send(config_at(server.url), api.get_status())
    assert len(server.received) == 1


def open_file(config, url):
    client = Client(config, lambda: config)
    try:
        with client.open(url) as download:
            return download.status, b"".join(download.chunks)
    finally:
        client.close()


def test_a_file_s_host_never_sees_the_key(serve, config_at):
    api_host, storage = serve(GOOD), serve(Answer(200, b"bytes"))
    assert open_file(config_at(api_host.url), f"{storage.url}/photos/1.jpg?signature=x") == (200, b"bytes")
    assert KEY not in str(storage.received[0].headers)
    assert storage.received[0].path == "/photos/1.jpg?signature=x"
    assert not {"authorization", "x-api-key", "cookie"} & set(storage.received[0].headers)


def test_a_file_on_the_api_s_own_host_is_fetched_with_the_key(serve, config_at):
    api_host = serve(Answer(200, b"bytes"))
    open_file(config_at(f"{api_host.url}/v1"), f"{api_host.url}/files/1")
    assert api_host.received[0].headers["x-api-key"] == KEY


def test_a_file_s_redirect_is_followed_without_the_key(serve, config_at):
    storage = serve(Answer(200, b"bytes"))
    api_host = serve(Answer(302, headers={"Location": f"{storage.url}/x?signature=y"}))
    assert open_file(config_at(api_host.url), f"{api_host.url}/files/1") == (200, b"bytes")
    assert api_host.received[0].headers["x-api-key"] == KEY
    assert "x-api-key" not in storage.received[0].headers


def test_a_file_s_redirects_end(serve, config_at):
    storage = serve(Answer(302, headers={"Location": "/again"}))
    with pytest.raises(TransferError, match="redirected more than 5 times"):
        open_file(config_at("http://127.0.0.1:1"), f"{storage.url}/x")
    assert len(storage.received) == 5


@pytest.mark.parametrize(
    "link",
    ["file:///etc/passwd", "ftp://storage.test/x", "/photos/1", "", "http://", "http://[::1/x", "http://host:port/x",
     "javascript:alert(1)", "http://a..b/photo", "http://host:0/x", "http://host/\ud800"],
)  # fmt: skip
def test_a_link_that_cannot_be_followed_is_refused(config_at, link):
    with pytest.raises(TransferError, match="not an http"):
        open_file(config_at("http://127.0.0.1:1"), link)


def test_a_redirect_to_something_that_cannot_be_followed_is_refused(serve, config_at):
    storage = serve(Answer(302, headers={"Location": "file:///etc/passwd"}))
    with pytest.raises(TransferError):
        open_file(config_at("http://127.0.0.1:1"), f"{storage.url}/x")


@pytest.mark.parametrize("location", ["http://[", "/caf\xe9", "http://a..b/", "//"])
@pytest.mark.parametrize(
    "request_", [api.get_status(), api.create_photo_request("x")], ids=lambda r: r.method
)
def test_a_redirect_to_nowhere_is_told_as_any_other(driver, serve, config_at, location, request_):
    server = serve(Answer(301, b"", {"Location": location}))
    with pytest.raises(
        UnexpectedReplyError, match="answered 301, a redirect, which is not followed"
    ) as caught:
        driver.send(config_at(server.url), request_)
    assert not caught.value.ambiguous
    assert len(server.received) == 1


@pytest.mark.parametrize("location", ["http://[", "http://h:x/", "http://a..b/x", "https://h:0/"])
def test_a_file_that_is_redirected_to_nowhere_is_refused(serve, config_at, location):
    storage = serve(Answer(302, headers={"Location": location}))
    with pytest.raises(TransferError, match="not a"):
        open_file(config_at("http://127.0.0.1:1"), f"{storage.url}/x")


def test_a_backslash_in_a_file_s_link_leads_the_key_nowhere_else(serve, config_at):
    """`urlsplit` takes the host behind the `@`, requests the one before the backslash."""
    api_host, elsewhere = serve(GOOD), serve(Answer(200, b"bytes"))
    config = config_at(api_host.url)
    client = Client(config, lambda: config)
    link = f"{elsewhere.url}\\@{api_host.url.removeprefix('http://')}/photo"
    with pytest.raises(TransferError), client.open(link):
        pass
    client.close()
    assert not config.owns(link)
    assert elsewhere.received == api_host.received == []
