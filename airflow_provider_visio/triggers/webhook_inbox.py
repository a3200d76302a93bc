"""Reads the inbox of webhooks in the triggerer, and wakes the polls of the connection. One reader a connection."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from typing import TYPE_CHECKING

from airflow_provider_visio import clock
from airflow_provider_visio.triggers.nudges import CallBudget
from airflow_provider_visio.webhooks.inbox import read_inbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_visio.triggers.subscriptions import SubscriptionHub
    from airflow_provider_visio.webhooks.inbox import Inbox

log = logging.getLogger(__name__)

READ_EVERY = 2.0
SLOW_INTERVAL = 300.0
# Seconds to the next read of an inbox that is not there, and after a read that failed.
ABSENT = 30.0
AFTER_FAULT = 60.0


@contextlib.asynccontextmanager
async def listening(hub: SubscriptionHub) -> AsyncIterator[None]:
    """Let webhooks wake a hub's poll for as long as the block lasts, if ``[visio] webhooks`` is set."""
    from airflow.providers.common.compat.sdk import conf

    if not hub.nudges.kind or not conf.getboolean("visio", "webhooks", fallback=False):
        yield
        return
    hub.nudges.slow_interval = conf.getfloat("visio", "webhook_poll_interval", fallback=SLOW_INTERVAL)
    every = max(1.0, conf.getfloat("visio", "webhook_read_interval", fallback=READ_EVERY))
    place = (id(asyncio.get_running_loop()), hub.conn_id)
    reader = _READERS.setdefault(place, _Reader(hub.conn_id))
    reader.add(hub, every)
    try:
        yield
    finally:
        reader.remove(hub)


class _Reader:
    def __init__(self, conn_id: str) -> None:
        self._conn_id = conn_id
        self._budget = CallBudget()
        self._hubs: dict[SubscriptionHub, None] = {}
        self._nobody = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._latest: Inbox | None = None
        self._failing = False
        self._every = READ_EVERY

    def add(self, hub: SubscriptionHub, every: float) -> None:
        self._hubs[hub] = None
        self._every = every
        hub.nudges.budget = self._budget
        self._nobody.clear()
        if self._task is None or self._task.done():
            # A context of its own, so that the log of the task that waits first does not get its lines.
            self._task = asyncio.get_running_loop().create_task(
                self._read_on(), context=contextvars.Context()
            )
        elif self._latest is not None:
            hub.nudged(self._latest)

    def remove(self, hub: SubscriptionHub) -> None:
        del self._hubs[hub]
        if not self._hubs:
            # Not cancelled: in Airflow 3.1, an answer that nobody takes would be read as the next one's.
            self._nobody.set()

    async def _read_on(self) -> None:
        while self._hubs:
            await clock.wait(self._nobody, await self._read())

    async def _read(self) -> float | None:
        """Read once, and return the seconds to the next read; None for never."""
        try:
            self._latest = await read_inbox(self._conn_id)
        except LookupError:
            return None
        except Exception as error:  # noqa: BLE001  the poll goes on without
            if not self._failing:
                log.warning(
                    "The webhook inbox of connection %s cannot be read (%s: %s). The poll goes on without webhooks.",
                    self._conn_id,
                    type(error).__name__,
                    error,
                )
            self._failing = True
            return AFTER_FAULT
        self._failing = False
        if self._latest is None:
            return ABSENT
        for hub in list(self._hubs):
            hub.nudged(self._latest)
        return self._every


_READERS: dict[tuple[int, str], _Reader] = {}
