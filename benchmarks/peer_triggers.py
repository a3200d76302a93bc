"""Triggers of the peers: one that a careful author writes today, and one that only sleeps."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.hook import BaseHook
from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

_CLIENTS: dict[str, asyncio.Task[httpx.AsyncClient]] = {}
# Without this limit, a thousand calls wait for the connection pool, which blocks the event loop for seconds.
_AT_ONCE = asyncio.Semaphore(20)


async def _connect(conn_id: str) -> httpx.AsyncClient:
    import httpx

    connection = await BaseHook.aget_connection(conn_id)
    return httpx.AsyncClient(base_url=str(connection.host), headers={"X-API-Key": str(connection.password)})


async def _client(conn_id: str) -> httpx.AsyncClient:
    """Return this process's client for a connection."""
    if conn_id not in _CLIENTS:
        _CLIENTS[conn_id] = asyncio.create_task(_connect(conn_id))
    return await asyncio.shield(_CLIENTS[conn_id])


class PlainTrigger(BaseTrigger):
    """Polls for one request, with a shared client and a random start. It ignores HTTP errors and polls again."""

    def __init__(self, visiono_conn_id: str, request_id: str, poke_interval: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.visiono_conn_id = visiono_conn_id
        self.request_id = request_id
        self.poke_interval = poke_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        names = ("visiono_conn_id", "request_id", "poke_interval")
        return f"{__name__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until the request is submitted."""
        import httpx

        client = await _client(self.visiono_conn_id)
        await asyncio.sleep(random.random() * self.poke_interval)
        while True:
            try:
                async with _AT_ONCE:
                    reply = await client.get(f"photo-requests/{self.request_id}")
                if reply.is_success and reply.json()["data"]["status"] == "submitted":
                    yield TriggerEvent({"id": self.request_id})  # type: ignore[no-untyped-call]
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(self.poke_interval)


class SleepTrigger(BaseTrigger):
    """Sleeps without a call, to measure the cost of Airflow itself."""

    def __init__(self, seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        return f"{__name__}.{type(self).__name__}", {"seconds": self.seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep, then fire."""
        await asyncio.sleep(self.seconds)
        yield TriggerEvent({})  # type: ignore[no-untyped-call]
