"""Both clients through one door, so that each test runs over either."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from airflow_provider_visio.api.call import Call
from airflow_provider_visio.api.client import AsyncClient, Client
from airflow_provider_visio.api.config import Site

Reload = Callable[[], Site]


class Driver:
    """Sends calls by one of the two clients."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def send(self, site: Site, call: Call, reload: Reload | None = None) -> dict[str, Any]:
        reload = reload or (lambda: site)
        if self.kind == "sync":
            client = Client(site, reload)
            try:
                return client.send(call)
            finally:
                client.close()
        return asyncio.run(self._send(site, call, reload))

    def items(self, site: Site, call: Call, limit: int | None = None) -> list[dict[str, Any]]:
        if self.kind == "sync":
            client = Client(site, lambda: site)
            try:
                return list(client.pages(call, limit=limit))
            finally:
                client.close()
        return asyncio.run(self._items(site, call, limit))

    async def _send(self, site: Site, call: Call, reload: Reload) -> dict[str, Any]:
        async def again() -> Site:
            return reload()

        client = AsyncClient(site, again)
        try:
            return await client.send(call)
        finally:
            await client.close()

    async def _items(self, site: Site, call: Call, limit: int | None) -> list[dict[str, Any]]:
        async def again() -> Site:
            return site

        client = AsyncClient(site, again)
        try:
            return [item async for item in client.pages(call, limit=limit)]
        finally:
            await client.close()
