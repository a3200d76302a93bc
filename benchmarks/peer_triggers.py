"""Triggers to compare with: what a careful author writes today, and one that does nothing but wait."""

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
# Without it a pool that a thousand calls queue for blocks the event loop for seconds.
_AT_ONCE = asyncio.Semaphore(20)


async def _connect(conn_id: str) -> httpx.AsyncClient:
    import httpx

    connection = await BaseHook.aget_connection(conn_id)
    return httpx.AsyncClient(base_url=str(connection.host), headers={"X-API-Key": str(connection.password)})


async def _client(conn_id: str) -> httpx.AsyncClient:
    """Return the one client of this process for a connection."""
    if conn_id not in _CLIENTS:
        _CLIENTS[conn_id] = asyncio.create_task(_connect(conn_id))
    return await asyncio.shield(_CLIENTS[conn_id])


class PlainTrigger(BaseTrigger):
    """One poll per wait, with a shared client and a start that is spread; whatever goes wrong passes by itself."""

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
        """Ask again and again."""
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
    """Waits and asks nobody: what Airflow itself costs."""

    def __init__(self, seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        return f"{__name__}.{type(self).__name__}", {"seconds": self.seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep."""
        await asyncio.sleep(self.seconds)
        yield TriggerEvent({})  # type: ignore[no-untyped-call]
