"""A trigger's client that closes does not wait for a reply that drips on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

import pytest
from tasks.raw_server import RawServer

from airflow_provider_visio.api import visiono as api
from airflow_provider_visio.api.client import TriggerClient
from airflow_provider_visio.exceptions import ConnectionFailedError


def test_a_call_under_way_ends_with_its_next_read(config_at: Any, monkeypatch: pytest.MonkeyPatch):
    dripping, stop, over = threading.Event(), threading.Event(), threading.Event()

    def drip(caller: socket.socket) -> None:
        caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not stop.wait(0.01):
            caller.sendall(b" ")
            dripping.set()

    ended: list[BaseException] = []
    exchange = TriggerClient._exchange

    def noted(self: TriggerClient, call: Any) -> Any:
        try:
            return exchange(self, call)
        except ConnectionFailedError as error:
            ended.append(error)
            over.set()
            raise

    monkeypatch.setattr(TriggerClient, "_exchange", noted)
    server = RawServer(drip)
    config = config_at(server.url, read_timeout=30)

    async def cancelled() -> None:
        async def reload() -> Any:
            return config

        client = TriggerClient(config, reload)
        call = asyncio.create_task(client.send(api.get_status()))
        await asyncio.to_thread(dripping.wait, 10)
        call.cancel()
        await client.close()
        with contextlib.suppress(asyncio.CancelledError):
            await call

    asyncio.run(cancelled())
    assert over.wait(10), "the thread goes on reading"
    stop.set()
    server.close()
    assert "ConnectionAbortedError" in str(ended[0])


class SecondIsLost:
    """A keep-alive server behind a firewall that drops each connection after its first reply, in silence."""

    def __init__(self) -> None:
        self.connections = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"data":{}}')
        await writer.drain()
        await reader.read()


async def test_a_connection_that_was_idle_for_long_is_not_used_again(config_at: Any, clock: Any):
    service = SecondIsLost()
    async with await asyncio.start_server(service.handle, "127.0.0.1", 0) as server:
        config = config_at(
            f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", max_attempts=1, read_timeout=5
        )

        async def reload() -> Any:
            return config

        client = TriggerClient(config, reload, polling=True)
        for _ in range(3):
            await client.send(api.get_status())
            clock.time += 60
        await client.close()
    assert service.connections == 3
