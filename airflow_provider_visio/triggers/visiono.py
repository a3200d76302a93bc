"""Triggers for Visiono; the one for photo requests is here. All waits on a connection share one poll."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_visio import clock
from airflow_provider_visio.api.photo_request_poller import RequestPoller
from airflow_provider_visio.arguments import checked_ids, seconds
from airflow_provider_visio.exceptions import NotFoundError, VisioProviderError
from airflow_provider_visio.triggers.base import WaitTrigger, poll_interval, run_to_end, task_continues
from airflow_provider_visio.triggers.poll_loop import leave_log_context, poll_forever, run_beside
from airflow_provider_visio.triggers.subscriptions import SubscriptionHub, hub_of
from airflow_provider_visio.triggers.visiono_permanent_links import VisionoPermanentLinkTrigger
from airflow_provider_visio.triggers.visiono_submitted import VisionoPhotoRequestSubmittedTrigger
from airflow_provider_visio.waiting import (
    Goal,
    Verdict,
    decide_photo_requests,
    ends_by_itself,
    is_surely_open,
    photo_request_phase,
)
from airflow_provider_visio.webhooks.delivery import PHOTO_REQUEST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable, Iterable, Mapping
    from datetime import timedelta

    from airflow_provider_visio.api.one_time_queries import State
    from airflow_provider_visio.hooks.base import VisioBaseHook
    from airflow_provider_visio.triggers.poll_client import PollClient

__all__ = ["VisionoPermanentLinkTrigger", "VisionoPhotoRequestSubmittedTrigger", "VisionoPhotoRequestTrigger"]

log = logging.getLogger(__name__)

_NAMESPACE = "airflow_provider_visio.triggers.visiono.photo_requests"
_SUBJECT = "photo_requests"


class VisionoPhotoRequestTrigger(WaitTrigger, BaseEventTrigger):
    """
    Wait until photo requests are submitted, or end otherwise.

    Fires once, with ``{"outcome": "done" | "failed" | "timeout" | "trouble", "arrived": [ids], "ended": {id: how},
    "waiting": [ids], "unknown": {id: word}, "trouble": ..., "deadline": ...}``; never with a link or an address.
    An event of trouble also has ``polled``: whether a poll had worked since the wait began.

    :param request_ids: ids of the requests, or one id.
    :param visiono_conn_id: id of the Airflow connection.
    :param deadline: Unix timestamp at which the wait gives up, or None for never.
    :param poke_interval: seconds or timedelta between two polls; the shortest of those that share a poll applies.
    :param min_dwell: seconds before which it does not fire.
    :param needed: how many must arrive; None for all.
    :param proceed: whether the deadline ends the wait well, with the requests that have arrived.
    :param cancel_on_kill: whether open requests are deleted when somebody kills the task.
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

    def judge(self, hub: SubscriptionHub, now: float) -> Verdict:
        """Return what the hub's states mean for this wait."""
        return decide_photo_requests(self.ids, hub.states, now=now, deadline=self.deadline, goal=self.goal)

    def expires_at(self, hub: SubscriptionHub, found: str) -> float | None:
        """Return the Unix timestamp at which a request counts as expired without an update."""
        return ends_by_itself(hub.states.get(found, {}))

    def shared_stream_key(self) -> Hashable | None:
        """Return the key that all waits on this connection share (Airflow 3.3 and later)."""
        return (_NAMESPACE, self.visiono_conn_id)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[None]:
        """Poll for all waits on a connection. Nothing is broadcast: the hub wakes the waits that an update affects."""
        leave_log_context()
        conn_id = kwargs["visiono_conn_id"]
        await _poll(hub_of(conn_id, _SUBJECT))
        yield  # never reached; it makes this the generator that Airflow wants

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:  # noqa: ARG002
        """Wait for what the shared poll publishes."""
        hub = hub_of(self.visiono_conn_id, _SUBJECT)
        self._announce(f"the poll that it shares with {len(hub)} other wait(s)")
        yield await self.follow(hub, self.states)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll for this wait alone: Airflow before 3.3, and ``dag.test()``."""
        self._announce("a poll of its own")
        hub = SubscriptionHub(self.visiono_conn_id, _SUBJECT)
        async with run_beside(_poll(hub)):
            yield await self.follow(hub, self.states)

    async def on_kill(self) -> None:
        """Delete the open requests with ``cancel_on_kill`` (Airflow 3.3 and later)."""
        if self.cancel_on_kill:
            await run_to_end(self._delete_open_requests())

    async def _delete_open_requests(self) -> None:
        if await task_continues(self.task_instance):
            return
        from airflow_provider_visio.api import visiono as api
        from airflow_provider_visio.hooks.visiono import VisionoHook

        client = await VisionoHook(self.visiono_conn_id).get_async_conn()
        try:
            for request_id in self.ids:
                try:
                    state = (await client.send(api.get_photo_request(request_id)))["data"]
                    # Only one that is open in a word we know: others may have photos.
                    if is_surely_open(state, request_id, now=clock.now()):
                        await client.send(api.delete_photo_request(request_id))
                        log.info("Deleted photo request %s because its task was killed.", request_id)
                except NotFoundError:
                    pass  # it is gone already
                except VisioProviderError as error:
                    log.warning(
                        "Photo request %s may still be open, though its task was killed: %s",
                        request_id,
                        error,
                    )
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


async def _poll(hub: SubscriptionHub) -> None:
    nudges = hub.listen_for(PHOTO_REQUEST)
    looks = 0

    def learn(request_id: str, state: State) -> None:
        before, now = hub.states.get(request_id), clock.now()
        if looks and before and _is_open(before, now) and photo_request_phase(state, now=now) == "arrived":
            nudges.found(request_id)
        hub.publish(request_id, state)

    poller = RequestPoller(hub.states, learn)

    def hook() -> VisioBaseHook:
        from airflow_provider_visio.hooks.visiono import VisionoHook

        return VisionoHook(hub.conn_id)

    def still_open(ids: Iterable[str], now: float) -> list[str]:
        return [i for i in ids if _is_open(hub.states.get(i, {}), now)]

    async def look(client: PollClient) -> None:
        nonlocal looks
        now = clock.now()
        if waiting := still_open(hub.ids, now):
            await client.query(poller.sweep(waiting, now))
        looks += 1

    async def look_at(client: PollClient, ids: list[str]) -> None:
        now = clock.now()
        await client.query(poller.singly(still_open(ids, now), now))

    def interval(_: int, client: PollClient | None) -> float:
        return poll_interval(hub, client, hub.youngest)

    await poll_forever(hook, hub, look, interval, look_at)


def _is_open(state: State, now: float) -> bool:
    return photo_request_phase(state, now=now) in {None, "open"}
