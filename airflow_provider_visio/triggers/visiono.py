"""Triggers for Visiono. The one that waits for photo requests is here: all waits on a connection share one poll."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_visio import clock
from airflow_provider_visio.api.request_poller import RequestPoller
from airflow_provider_visio.arguments import checked_ids, seconds
from airflow_provider_visio.exceptions import NotFoundError
from airflow_provider_visio.triggers.base import IDLE_INTERVAL, WaitTrigger
from airflow_provider_visio.triggers.killed import run_to_end, task_continues
from airflow_provider_visio.triggers.poll_loop import leave_log_context, poll_forever, run_beside
from airflow_provider_visio.triggers.subscriptions import SubscriptionHub, hub_of
from airflow_provider_visio.triggers.visiono_permanent_links import VisionoPermanentLinkTrigger
from airflow_provider_visio.waiting import (
    Goal,
    Verdict,
    decide_photo_requests,
    ends_by_itself,
    is_surely_open,
    photo_request_phase,
    stretched,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable, Mapping
    from datetime import timedelta

    from airflow_provider_visio.api.client import AsyncClient
    from airflow_provider_visio.hooks.base import VisioBaseHook

__all__ = ["VisionoPermanentLinkTrigger", "VisionoPhotoRequestTrigger"]

log = logging.getLogger(__name__)

_NAMESPACE = "airflow_provider_visio.triggers.visiono.photo_requests"


class VisionoPhotoRequestTrigger(WaitTrigger, BaseEventTrigger):
    """
    Wait until photo requests are submitted, or end otherwise.

    Fires once, with ``{"outcome": "done" | "failed" | "timeout" | "trouble", "arrived": [ids], "ended": {id: how},
    "waiting": [ids], "unknown": {id: word}, "trouble": ..., "deadline": ...}``; never with a link or an address.

    :param request_ids: ids of the requests, or one id.
    :param visiono_conn_id: id of the Airflow connection.
    :param deadline: when to give up, in seconds since 1970, or None for never.
    :param poke_interval: seconds or timedelta between two polls; the shortest of those who share a poll applies.
    :param min_dwell: seconds before which it does not fire.
    :param needed: how many must arrive; None for all.
    :param proceed: whether the deadline ends the wait well, with what has arrived.
    :param cancel_on_kill: whether the requests that are open are deleted when somebody kills the task.
    :param states: what was known when the wait began, by id: ``status``, ``created_at`` and ``expires_at``.
    :raises InvalidRequestError: an argument is not what it should be.
    """

    # A BaseEventTrigger serves asset watchers by default, which no triggerer queue is for; this one defers tasks.
    supports_triggerer_queue = True

    def __init__(
        self,
        request_ids: list[str] | str,
        visiono_conn_id: str = "visiono_default",
        deadline: float | None = None,
        poke_interval: float | timedelta = 60.0,
        min_dwell: float = 10.0,
        needed: int | None = None,
        proceed: bool = False,  # noqa: FBT001, FBT002  by name, as Airflow makes it again
        states: Mapping[str, dict[str, Any]] | None = None,
        cancel_on_kill: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        super().__init__(
            checked_ids(request_ids, "request_ids"),
            deadline,
            seconds(poke_interval, "poke_interval") or 60.0,
            min_dwell,
        )
        self.visiono_conn_id = visiono_conn_id
        self.goal = Goal(needed, proceed)
        self.cancel_on_kill = cancel_on_kill
        self.states = dict(states or {})

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
                "needed": self.goal.needed,
                "proceed": self.goal.proceed,
                "states": self.states,
                "cancel_on_kill": self.cancel_on_kill,
            },
        )

    def judge(self, board: SubscriptionHub, now: float) -> Verdict:
        """Return what is on the board means for this wait."""
        return decide_photo_requests(self.ids, board.states, now=now, deadline=self.deadline, goal=self.goal)

    def ends_by_itself(self, board: SubscriptionHub, found: str) -> float | None:
        """Return when a request counts as expired though nobody says so."""
        return ends_by_itself(board.states.get(found, {}))

    def shared_stream_key(self) -> Hashable | None:
        """Return what all waits on this connection have in common (Airflow 3.3 and later)."""
        return (_NAMESPACE, self.visiono_conn_id)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[None]:
        """Poll for all waits on a connection. Nothing is broadcast: the board wakes those whom news concern."""
        leave_log_context()
        conn_id = kwargs["visiono_conn_id"]
        await _poll(conn_id, hub_of(conn_id))
        yield  # never reached; it makes this the generator that Airflow wants

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:  # noqa: ARG002
        """Wait for what the shared poll puts on the board."""
        board = hub_of(self.visiono_conn_id)
        self._announce(f"the poll that it shares with {len(board)} other wait(s)")
        yield await self.follow(board, self.states)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll for this wait alone: Airflow before 3.3, and ``dag.test()``."""
        self._announce("a poll of its own")
        board = SubscriptionHub()
        async with run_beside(_poll(self.visiono_conn_id, board)):
            yield await self.follow(board, self.states)

    async def on_kill(self) -> None:
        """Delete the open requests with ``cancel_on_kill`` (Airflow 3.3 and later)."""
        if self.cancel_on_kill:
            await run_to_end(self._take_back())

    async def _take_back(self) -> None:
        if await task_continues(self.task_instance):
            return
        from airflow_provider_visio.api import visiono as api
        from airflow_provider_visio.hooks.visiono import VisionoHook

        client = await VisionoHook(self.visiono_conn_id).get_async_conn()
        try:
            for request_id in self.ids:
                with contextlib.suppress(NotFoundError):
                    state = (await client.send(api.get_photo_request(request_id)))["data"]
                    # Not one of which we are not told how it is doing: photos may be there.
                    if is_surely_open(state, request_id, now=clock.now()):
                        await client.send(api.delete_photo_request(request_id))
                        log.info("Photo request %s is deleted, for its task was killed.", request_id)
        finally:
            await client.close()

    def _announce(self, how: str) -> None:
        log.info(
            "Waiting for %d photo request(s) on connection %s by %s: %s%s.",
            len(self.ids),
            self.visiono_conn_id,
            how,
            ", ".join(self.ids[:5]),
            " and more" if len(self.ids) > 5 else "",
        )


async def _poll(conn_id: str, board: SubscriptionHub) -> None:
    lookout = RequestPoller(board.states, board.learn)

    def hook() -> VisioBaseHook:
        from airflow_provider_visio.hooks.visiono import VisionoHook

        return VisionoHook(conn_id)

    async def look(client: AsyncClient) -> None:
        now = clock.now()
        still_open = [
            i for i in board.ids if photo_request_phase(board.states.get(i, {}), now=now) in {None, "open"}
        ]
        if still_open:
            await client.sweep(lookout.sweep(still_open, now))

    def interval(_: int, client: AsyncClient | None) -> float:
        share_left = client.budget_left()[1] if client else 1.0
        return stretched(board.interval or IDLE_INTERVAL, board.youngest, share_left)

    await poll_forever(hook, board, look, interval)
