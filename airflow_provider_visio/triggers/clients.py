"""One client a connection for all polls of a triggerer: one pool of connections, one TLS context, one bound."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_visio.api.client import AsyncClient
    from airflow_provider_visio.hooks.base import VisioBaseHook


@dataclass(eq=False)
class _Shared:
    users: int = 0
    client: AsyncClient | None = None
    making: asyncio.Lock = field(default_factory=asyncio.Lock)


_SHARED: dict[tuple[int, str, str], _Shared] = {}


@contextlib.asynccontextmanager
async def shared_client(hook: VisioBaseHook) -> AsyncIterator[AsyncClient]:
    """
    Have the polling client of a hook's connection, on the running event loop; the last user closes it.

    :raises VisioProviderError: the connection cannot be used.
    """
    key = (id(asyncio.get_running_loop()), hook.service.name, hook.conn_id)
    shared = _SHARED.setdefault(key, _Shared())
    shared.users += 1
    try:
        async with shared.making:
            shared.client = shared.client or await hook.get_polling_conn()
        yield shared.client
    finally:
        shared.users -= 1
        if not shared.users:
            _SHARED.pop(key, None)
            if shared.client is not None:
                await asyncio.shield(shared.client.close())
