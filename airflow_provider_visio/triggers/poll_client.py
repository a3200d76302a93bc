"""The HTTP client of a poll: all polls of a connection on a triggerer share one, and each counts its own calls."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_visio.api.one_time_queries import carry_out

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_visio.api.call import Call
    from airflow_provider_visio.api.client import TriggerClient
    from airflow_provider_visio.api.config import ServiceConfig
    from airflow_provider_visio.api.one_time_queries import Envelope, StatusQuery
    from airflow_provider_visio.hooks.base import VisioBaseHook


class PollClient:
    """One poll's use of the client that all polls of a connection share."""

    def __init__(self, client: TriggerClient) -> None:
        self._client = client
        self.calls = 0

    @property
    def config(self) -> ServiceConfig:
        """The connection's settings."""
        return self._client.config

    async def refresh(self) -> None:
        """Read the connection again if the last time is minutes ago."""
        await self._client.refresh()

    async def query(self, query: StatusQuery) -> None:
        """Carry out a status query."""
        await carry_out(query, self._send)

    def budget_left(self) -> tuple[list[int], float]:
        """Return the calls that polls may still make in each window, and the part left of the longest."""
        return self._client.budget_left()

    async def _send(self, call: Call) -> Envelope:
        self.calls += 1
        return await self._client.send(call)


@dataclass(eq=False)
class _SharedClient:
    users: int = 0
    client: TriggerClient | None = None
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)


_SHARED: dict[tuple[int, str, str], _SharedClient] = {}


@contextlib.asynccontextmanager
async def shared_client(hook: VisioBaseHook) -> AsyncIterator[TriggerClient]:
    """
    Use the polling client of a hook's connection on the running event loop; the last user closes it.

    :raises VisioProviderError: the connection cannot be used.
    """
    key = (id(asyncio.get_running_loop()), hook.service.name, hook.conn_id)
    shared = _SHARED.setdefault(key, _SharedClient())
    shared.users += 1
    try:
        async with shared.opening:
            shared.client = shared.client or await hook.get_polling_conn()
        yield shared.client
    finally:
        shared.users -= 1
        if not shared.users:
            _SHARED.pop(key, None)
            if shared.client is not None:
                await asyncio.shield(shared.client.close())
