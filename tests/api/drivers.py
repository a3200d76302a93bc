"""Both clients through one door, so that each test runs over either."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from airflow_provider_visio.api.call import Call
from airflow_provider_visio.api.client import Client, TriggerClient
from airflow_provider_visio.api.config import ServiceConfig

Reload = Callable[[], ServiceConfig]


class Driver:
    """Sends calls by one of the two clients."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def send(self, config: ServiceConfig, call: Call, reload: Reload | None = None) -> dict[str, Any]:
        reload = reload or (lambda: config)
        if self.kind == "sync":
            client = Client(config, reload)
            try:
                return client.send(call)
            finally:
                client.close()
        return asyncio.run(self._send(config, call, reload))

    def items(self, config: ServiceConfig, call: Call, limit: int | None = None) -> list[dict[str, Any]]:
        client = Client(config, lambda: config)
        try:
            return list(client.pages(call, limit=limit))
        finally:
            client.close()

    async def _send(self, config: ServiceConfig, call: Call, reload: Reload) -> dict[str, Any]:
        async def again() -> ServiceConfig:
            return reload()

        client = TriggerClient(config, again)
        try:
            return await client.send(call)
        finally:
            await client.close()
