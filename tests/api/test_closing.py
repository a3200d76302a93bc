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
    dripping, stop = threading.Event(), threading.Event()

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

    asyncio.run(cancelled())  # waits for its threads
    stop.set()
    server.close()
    assert "ConnectionAbortedError" in str(ended[0])
