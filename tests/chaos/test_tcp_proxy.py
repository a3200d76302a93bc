"""The TCP proxy that simulates an outage of the service."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
import requests
from api.local_server import Answer, LocalServer

from dev.tcp_proxy import TcpProxy

TIMES = 50


@pytest.fixture
def proxy(serve: Callable[..., LocalServer]) -> Iterator[TcpProxy]:
    server = serve(Answer(body=b"hello"))
    with TcpProxy(int(server.url.rsplit(":", 1)[1].split("/")[0])) as proxy:
        yield proxy


def get(proxy: TcpProxy) -> bytes:
    return requests.get(f"http://127.0.0.1:{proxy.port}/", timeout=0.5).content


def test_forwards_calls(proxy: TcpProxy) -> None:
    assert get(proxy) == b"hello"


def test_refuses_connections(proxy: TcpProxy) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), timeout=1)
    proxy.restore()
    assert get(proxy) == b"hello"


def test_accepts_connections_and_never_answers(proxy: TcpProxy) -> None:
    proxy.hang()
    with pytest.raises(requests.ReadTimeout):
        get(proxy)
    proxy.restore()
    assert get(proxy) == b"hello"


def test_refuse_closes_open_connections(proxy: TcpProxy) -> None:
    for _ in range(TIMES):
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
            client.send(b"GET / HTTP/1.1\r\n")
            proxy.refuse()  # the proxy may not have seen the connection yet
            assert is_over(client)
        proxy.restore()


def is_over(client: socket.socket) -> bool:
    """Return whether the connection is closed within five seconds."""
    try:
        return client.recv(100) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
