"""Whatever bytes come over a real connection, both drivers read data or an error of ours, and soon."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from threading import Thread

import pytest
from api.drivers import Driver
from api.local_server import Answer, LocalServer
from hypothesis import strategies as st

from airflow_provider_visio import clock
from airflow_provider_visio.api import visiono as api
from airflow_provider_visio.api.client import Client
from airflow_provider_visio.api.config import ServiceConfig
from airflow_provider_visio.exceptions import ConnectionFailedError, VisioProviderError
from properties.cases import cases
from properties.checks import check_error, check_text
from properties.test_replies import check_envelope
from properties.values import HEADERS, KEY, body, envelope, header_value, status

CALLS = [api.get_status(), api.create_photo_request("x"), api.delete_photo_request("req_1")]
both = st.sampled_from([Driver("sync"), Driver("async")])
request = st.sampled_from(CALLS)


def sendable(value: str) -> str:
    """What a header can hold without ending it."""
    return value.encode("latin-1", "replace").decode("latin-1").translate({0: " ", 10: " ", 13: " "})[:4000]


encoding = st.sampled_from(["gzip", "deflate", "br", "zstd", "gzip, gzip", "identity", "x", ""])
link = st.sampled_from(
    ["http://[", "http://h:x/", "ftp://h/", "//", "", "http://a..b/x", "/next", "https://h:0/", "é"]
)
wire_headers = st.dictionaries(
    st.sampled_from([*HEADERS, "content-encoding", "transfer-encoding", "link", "trailer"]),
    header_value.map(sendable) | encoding,
    max_size=2,
) | st.fixed_dictionaries({"location": link})


def config_at(url: str) -> ServiceConfig:
    return ServiceConfig(
        api.VISIONO, "my_visiono", url, KEY, read_timeout=0.5, connect_timeout=5, max_attempts=2
    )


def check(driver: Driver, url: str, call) -> None:
    try:
        check_envelope(driver.send(config_at(url), call))
    except VisioProviderError as error:
        check_error(error, call)
        check_ambiguous(error, call)


def check_ambiguous(error: VisioProviderError, call) -> None:
    # The call has arrived, so only a reply that was read can say that nothing was done.
    assert error.ambiguous == call.changes or error.status is not None


def fetch(config: ServiceConfig) -> bytes:
    client = Client(config, lambda: config)
    with contextlib.closing(client), client.open(f"{config.base_url}/file?sig={KEY}") as download:
        return b"".join(download.chunks)


def check_file(url: str) -> None:
    try:
        assert isinstance(fetch(config_at(url)), bytes)
    except VisioProviderError as error:
        check_text(str(error))


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    running = LocalServer()
    yield running
    running.close()


@cases(
    300,
    driver=both,
    call=request,
    status=status.filter(lambda code: code >= 200),
    headers=wire_headers,
    body=body,
)
def test_both_drivers_read_any_reply(server, driver, call, status, headers, body):
    server._script[:] = [Answer(status, body, headers)]
    check(driver, server.url, call)


@cases(150, driver=both, found=st.lists(envelope, min_size=1, max_size=3))
def test_both_drivers_walk_any_list(server, driver, found):
    server._script[:] = [Answer(200, json.dumps(each).encode()) for each in found]
    server._script.append(Answer(200, {"data": []}))
    with contextlib.suppress(VisioProviderError):
        items = driver.items(config_at(server.url), api.list_photo_requests(), limit=20)
        assert all(isinstance(item, dict) for item in items)


DRIPS = {
    "before the status": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a header": (b"HTTP/1.1 200 OK\r\nX-Header: ", b"x"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}


@pytest.mark.parametrize("kind", ["sync", "async", "file"])
@pytest.mark.parametrize("what", DRIPS)
def test_a_reply_that_drips_is_not_waited_for(dripping, kind, what, monkeypatch):
    monkeypatch.setattr(clock, "ticks", time.monotonic)  # the drip takes real time
    dripping.reply, dripping.drip = DRIPS[what]
    config = replace(config_at(dripping.url), read_timeout=0.1, connect_timeout=0.1, max_attempts=1)
    started = time.monotonic()
    with pytest.raises(ConnectionFailedError):
        fetch(config) if kind == "file" else Driver(kind).send(config, CALLS[0])
    # SLOWEST_REPLY read timeouts are 1 s; the drip goes on for more than twice as long.
    assert time.monotonic() - started < 1.8


def test_a_proxy_that_drips_its_reply_is_not_waited_for(dripping, monkeypatch):
    dripping.reply, dripping.drip = b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"
    monkeypatch.setenv("HTTPS_PROXY", dripping.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    config = replace(config_at("https://api.example"), read_timeout=0.1, connect_timeout=0.1, max_attempts=1)
    started = time.monotonic()
    with pytest.raises(ConnectionFailedError):
        Driver("sync").send(config, CALLS[0])
    assert time.monotonic() - started < 1.8


class Wire:
    """Answers each connection with the same bytes, and closes it."""

    def __init__(self) -> None:
        self.reply = b""
        self.drip = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                connection.recv(65536)
                connection.sendall(self.reply)
                for _ in range(125 if self.drip else 0):
                    connection.sendall(self.drip)
                    time.sleep(0.02)
                connection.shutdown(socket.SHUT_WR)


@pytest.fixture
def dripping() -> Iterator[Wire]:
    running = Wire()
    yield running
    running.close()


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    running = Wire()
    yield running
    running.close()


LINES = [
    b"HTTP/1.1 200 OK", b"HTTP/1.1 100 Continue", b"HTTP/1.1 101 Switching Protocols", b"HTTP/1.1 204 No Content",
    b"HTTP/1.1 301 Moved", b"HTTP/1.1 429 Wait", b"HTTP/1.1 503", b"HTTP/1.1 1000 x", b"HTTP/1.1 20",
    b"HTTP/9.9 200 OK", b"HTTP/1.0 200 OK", b"ICY 200 OK", b"", b" ", b":", b"a: b", b"a : b", b" folded",
    b"\x00: \xff", b"X" * 70000, b"a: b\r\n" * 300 + b"a: b", b"{}" + b"\r\n" * 5000, b"1\r\n{\r\n1\r\n}\r\n0\r\n",
    b"Content-Length: 2", b"Content-Length: 9999999999999999999999",
    b"Content-Length: -1", b"Content-Length: 1, 2", b"Content-Length: x", b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: x", b"Content-Encoding: gzip", b"2", b"ffffffff", b"{}", b"0", b"Location: http://[",
    b"Location: /x", b"Retry-After: 1", b"Connection: close", b"Connection: upgrade", b"Set-Cookie: a=b; expires=x",
    b"Content-Type: application/json; charset=nope",
]  # fmt: skip
lines = st.lists(st.sampled_from(LINES), max_size=7)
raw = st.builds(
    lambda first, rest, end: b"\r\n".join([first, *rest]) + end,
    st.sampled_from(LINES[:12]),
    lines,
    st.sampled_from([b"\r\n\r\n{}", b"\r\n\r\n", b"\r\n", b"", b"\n\n{}"]),
) | st.binary(max_size=60)


@cases(300, driver=both, call=request, reply=raw)
def test_both_drivers_read_any_bytes(wire, driver, call, reply):
    wire.reply = reply
    check(driver, wire.url, call)


@cases(200, status=status.filter(lambda code: code >= 200), headers=wire_headers, body=body, location=link)
def test_any_answer_to_a_file_is_bytes_or_an_error_of_ours(server, status, headers, body, location):
    server._script[:] = [Answer(status, body, {**headers, "location": sendable(location)}), Answer(200, b"x")]
    check_file(server.url)


@cases(300, reply=raw)
def test_any_bytes_to_a_file_are_bytes_or_an_error_of_ours(wire, reply):
    wire.reply = reply
    check_file(wire.url)
