"""The relay by which the service is cut off."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
import requests
from api.local_server import Answer, LocalServer

from dev.tcp_proxy import Relay

TIMES = 50


@pytest.fixture
def relay(serve: Callable[..., LocalServer]) -> Iterator[Relay]:
    server = serve(Answer(body=b"hello"))
    with Relay(int(server.url.rsplit(":", 1)[1].split("/")[0])) as relay:
        yield relay


def get(relay: Relay) -> bytes:
    return requests.get(f"http://127.0.0.1:{relay.port}/", timeout=0.5).content


def test_passes_on(relay: Relay) -> None:
    assert get(relay) == b"hello"


def test_refuses(relay: Relay) -> None:
    relay.refuse()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", relay.port), timeout=1)
    relay.restore()
    assert get(relay) == b"hello"


def test_takes_calls_and_never_answers(relay: Relay) -> None:
    relay.hang()
    with pytest.raises(requests.ReadTimeout):
        get(relay)
    relay.restore()
    assert get(relay) == b"hello"


def test_hangs_up_on_those_that_are_connected(relay: Relay) -> None:
    for _ in range(TIMES):
        with socket.create_connection(("127.0.0.1", relay.port), timeout=5) as client:
            client.send(b"GET / HTTP/1.1\r\n")
            relay.refuse()  # the relay may not have seen the connection yet
            assert is_over(client)
        relay.restore()


def is_over(client: socket.socket) -> bool:
    """Wait for the end of a connection, or for five seconds."""
    try:
        return client.recv(100) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
