"""Trigger that waits for photo requests; all waits on one connection share one poll."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_visio.api.sweep import sweep
from airflow_provider_visio.triggers.base import News, Wait
from airflow_provider_visio.triggers.poll import poll
from airflow_provider_visio.triggers.watched import Watched, watched
from airflow_provider_visio.waiting import Verdict, decide_photo_requests

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Hashable

    from airflow_provider_visio.api.client import AsyncClient
    from airflow_provider_visio.api.sweep import State

log = logging.getLogger(__name__)

# Seconds between looks at whether anybody waits, which is not for long: the stream ends with its last wait.
IDLE_INTERVAL = 60.0

_NAMESPACE = "airflow_provider_visio.triggers.visiono.photo_requests"


class VisionoPhotoRequestTrigger(Wait, BaseEventTrigger):
    """
    Wait until photo requests are submitted, or end otherwise.

    Fires once, with ``{"outcome": "done" | "failed" | "timeout" | "trouble", "arrived": [ids], "ended": {id: how},
    "waiting": [ids], "unknown": {id: word}, "trouble": ..., "deadline": ...}``; never with a link or an address.

    :param visiono_conn_id: id of the Airflow connection.
    :param request_ids: ids of the requests.
    :param deadline: when to give up, in seconds since 1970, or None for never.
    :param poke_interval: seconds between two polls; the shortest of those who share a poll applies.
    :param min_dwell: seconds before which it does not fire.
    """

    # A BaseEventTrigger serves asset watchers by default, which no triggerer queue is for; this one defers tasks.
    supports_triggerer_queue = True

    def __init__(
        self,
        visiono_conn_id: str,
        request_ids: list[str],
        deadline: float | None = None,
        poke_interval: float = 60.0,
        min_dwell: float = 10.0,
    ) -> None:
        super().__init__(request_ids, deadline, poke_interval, min_dwell)
        self.visiono_conn_id = visiono_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments: plain JSON, nothing secret, for Airflow stores it in the clear."""
        return (
            f"{__name__}.{type(self).__name__}",
            {
                "visiono_conn_id": self.visiono_conn_id,
                "request_ids": self.ids,
                "deadline": self.deadline,
                "poke_interval": self.poke_interval,
                "min_dwell": self.min_dwell,
            },
        )

    def judge(self, news: News, now: float) -> Verdict:
        """Return what the news mean for this wait."""
        return decide_photo_requests(self.ids, news.states, now=now, deadline=self.deadline)

    def shared_stream_key(self) -> Hashable | None:
        """Return what all waits on this connection have in common (Airflow 3.3 and later)."""
        return (_NAMESPACE, self.visiono_conn_id)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncGenerator[News, None]:
        """Poll for all waits on a connection."""
        _leave_log_context()
        conn_id = kwargs["visiono_conn_id"]
        async with contextlib.aclosing(_photo_news(conn_id, watched(conn_id))) as stream:
            async for news in stream:
                yield news

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Take from the shared poll what this wait is about."""
        self._announce("shared")
        with watched(self.visiono_conn_id).watching(self.ids, self.poke_interval):
            async for event in self.follow(shared_stream):
                yield event

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll for this wait alone: Airflow before 3.3, and ``dag.test()``."""
        self._announce("its own")
        waits = Watched()
        with waits.watching(self.ids, self.poke_interval):
            async with contextlib.aclosing(_photo_news(self.visiono_conn_id, waits)) as stream:
                async for event in self.follow(stream):
                    yield event

    def _announce(self, poll: str) -> None:
        log.info(
            "Waiting for %d photo request(s) on connection %s with %s poll: %s.",
            len(self.ids),
            self.visiono_conn_id,
            poll,
            ", ".join(self.ids[:5]),
        )


def _photo_news(conn_id: str, waits: Watched) -> AsyncGenerator[News, None]:
    """Return the news of what is waited for."""
    from airflow_provider_visio.hooks.visiono import VisionoHook

    async def look(client: AsyncClient, states: dict[str, State]) -> None:
        ids = waits.ids
        for gone in states.keys() - set(ids):
            del states[gone]
        await client.sweep(sweep(ids, states))

    return poll(
        VisionoHook(conn_id).get_polling_conn, look, waits.pause, lambda _: waits.interval or IDLE_INTERVAL
    )


def _leave_log_context() -> None:
    """Leave the log context of the task that happens to open the shared poll, or its log would carry all the others."""
    with contextlib.suppress(ImportError):
        import structlog

        structlog.contextvars.clear_contextvars()
