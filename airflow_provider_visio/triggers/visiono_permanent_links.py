"""Trigger that waits for submissions on a permanent link, or watches it for an asset; one poll a link."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_visio import clock
from airflow_provider_visio.api.one_time_queries import read_submissions
from airflow_provider_visio.arguments import id_of, moment_of, seconds
from airflow_provider_visio.exceptions import NotFoundError
from airflow_provider_visio.idempotency.tag import fingerprint
from airflow_provider_visio.submissions import Cursor, decide_link, new_submissions
from airflow_provider_visio.triggers.base import WaitTrigger, poll_interval
from airflow_provider_visio.triggers.cursor_store import CursorStore
from airflow_provider_visio.triggers.poll_loop import leave_log_context, poll_forever, run_beside
from airflow_provider_visio.triggers.subscriptions import SubscriptionHub, hub_of
from airflow_provider_visio.triggers.watch import watch
from airflow_provider_visio.webhooks.delivery import PERMANENT_LINK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable
    from datetime import datetime, timedelta

    from airflow_provider_visio.hooks.base import VisioBaseHook
    from airflow_provider_visio.submissions import State, Submission
    from airflow_provider_visio.triggers.poll_client import PollClient
    from airflow_provider_visio.waiting import Verdict

log = logging.getLogger(__name__)

_NAMESPACE = "airflow_provider_visio.triggers.visiono_permanent_links.submissions"
_SUBJECT = "permanent_link"


class VisionoPermanentLinkTrigger(WaitTrigger, BaseEventTrigger):
    """
    Watch a permanent link for new submissions.

    In an ``AssetWatcher`` it never ends: each look that finds new submissions fires with ``{"link_id", "submissions":
    [ids]}``. Its cursor is kept in the asset's state store (Airflow 3.3), shortly after the event is sent. A triggerer
    that dies in between reports the same submissions once more, so the DAG should recognize their ids. Before Airflow
    3.3 nothing is kept: with ``since``, a restart reports everything since then again; without it, submissions that
    arrive while no triggerer runs are not reported.

    The sensor uses ``once``: the trigger ends at the first poll that finds enough submissions, and its event has the
    outcome as well. All triggers for a link on a triggerer share one poll (Airflow 3.3). A poll reads the link's whole
    list of submissions, one call a page, and polls of several pages are further apart.

    :param link_id: id of the link.
    :param visiono_conn_id: id of the Airflow connection.
    :param since: count only submissions from then on, by the service's clock: a Unix timestamp, ISO 8601 text or a
        datetime with a zone; None for the moment the trigger first starts, by the triggerer's clock. Give a moment that
        stays the same each time the DAG file is parsed: another moment restarts the watch there.
    :param unique_value: only submissions with this value in the link's own field (``unique_field_label``).
    :param poke_interval: seconds or timedelta between two polls; the shortest of those that share a poll applies.
    :param once: whether it ends; the following parameters then apply.
    :param min_submissions: number of submissions to wait for.
    :param deadline: Unix timestamp at which the wait gives up, or None for never.
    :param min_dwell: seconds before which it does not fire.
    :raises InvalidRequestError: an argument is not what it should be.
    """

    # A BaseEventTrigger serves asset watchers by default, which no triggerer queue is for; this one defers tasks, too.
    supports_triggerer_queue = True

    def __init__(
        self,
        link_id: str,
        visiono_conn_id: str = "visiono_default",
        since: float | str | datetime | None = None,
        unique_value: str | None = None,
        poke_interval: float | timedelta = 60.0,
        once: bool = False,  # noqa: FBT001, FBT002  by name, as Airflow makes it again
        min_submissions: int = 1,
        deadline: float | None = None,
        min_dwell: float = 10.0,
    ) -> None:
        self.link_id = id_of(link_id, "link_id")
        super().__init__([self.link_id], deadline, seconds(poke_interval, "poke_interval") or 60.0, min_dwell)
        self.visiono_conn_id = visiono_conn_id
        self.since = moment_of(since, "since")
        self.unique_value = None if unique_value is None else str(unique_value)
        self.once = once
        self.min_submissions = min_submissions

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments: plain JSON, nothing secret."""
        return (
            "airflow_provider_visio.triggers.visiono.VisionoPermanentLinkTrigger",
            {
                "link_id": self.link_id,
                "visiono_conn_id": self.visiono_conn_id,
                "since": self.since,
                "unique_value": self.unique_value,
                "poke_interval": self.poke_interval,
                "once": self.once,
                "min_submissions": self.min_submissions,
                "deadline": self.deadline,
                "min_dwell": self.min_dwell,
            },
        )

    def judge(self, hub: SubscriptionHub, now: float) -> Verdict:
        """Return what the hub's states mean for a wait that ends."""
        state = hub.states.get(self.link_id)
        return decide_link(
            self.link_id,
            state,
            self._found(hub),
            needed=self.min_submissions,
            now=now,
            deadline=self.deadline,
        )

    def shared_stream_key(self) -> Hashable | None:
        """Return the key that all triggers for this link share (Airflow 3.3 and later)."""
        return (_NAMESPACE, self.visiono_conn_id, self.link_id)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[None]:
        """Poll for all triggers of a link. Nothing is broadcast: the hub wakes them."""
        leave_log_context()
        conn_id, link_id = kwargs["visiono_conn_id"], kwargs["link_id"]
        await _poll(link_id, hub_of(conn_id, _SUBJECT, link_id))
        yield  # never reached; it makes this the generator that Airflow wants

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:  # noqa: ARG002
        """Wait for what the shared poll publishes."""
        async for event in self._events(hub_of(self.visiono_conn_id, _SUBJECT, self.link_id)):
            yield event

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll for this trigger alone: Airflow before 3.3, and ``dag.test()``."""
        hub = SubscriptionHub(self.visiono_conn_id, _SUBJECT)
        async with run_beside(_poll(self.link_id, hub)):
            async for event in self._events(hub):
                yield event

    async def _events(self, hub: SubscriptionHub) -> AsyncIterator[TriggerEvent]:
        log.info("Watching permanent link %s on connection %s.", self.link_id, self.visiono_conn_id)
        if self.once:
            self.since = clock.now() if self.since is None else self.since
            event = await self.follow(hub)
            # The worker continues the wait from this moment.
            yield TriggerEvent({**event.payload, "since": self.since})  # type: ignore[no-untyped-call]
            return
        watched = watch(
            hub,
            self.link_id,
            self.poke_interval,
            self._cursor_store(),
            Cursor.at_start(self.since, clock.now()),
            self._take,
            f"permanent link {self.link_id}",
        )
        async with aclosing(watched):
            async for fresh in watched:
                yield TriggerEvent({"link_id": self.link_id, "submissions": fresh})  # type: ignore[no-untyped-call]

    def _take(self, cursor: Cursor, state: State) -> list[str] | None:
        if "submissions" not in state:
            return None
        return cursor.take(state["submissions"], self.unique_value, now=clock.now(), whole=state["whole"])

    def _found(self, hub: SubscriptionHub) -> list[Submission]:
        submissions = (hub.states.get(self.link_id) or {}).get("submissions") or []
        return new_submissions(submissions, self.since or 0.0, self.unique_value)

    def _cursor_store(self) -> CursorStore[Cursor]:
        # Watchers with different filters keep a cursor each, also for one link and asset.
        who = fingerprint([self.visiono_conn_id, self.unique_value], 8)
        return CursorStore(getattr(self, "asset_state_store", None), f"visio_{self.link_id}_{who}", Cursor)


async def _poll(link_id: str, hub: SubscriptionHub) -> None:
    nudges = hub.listen_for(PERMANENT_LINK)

    def learn(found: str, state: State) -> None:
        before = (hub.states.get(link_id) or {}).get("submissions")
        known = {one["id"] for one in before or ()}
        if before is not None and any(one["id"] not in known for one in state.get("submissions", ())):
            nudges.found(link_id)
        hub.publish(found, state)

    def hook() -> VisioBaseHook:
        from airflow_provider_visio.hooks.visiono import VisionoHook

        return VisionoHook(hub.conn_id)

    async def look(client: PollClient) -> None:
        try:
            await client.query(read_submissions(link_id, client.config.extra["dialect"], learn))
        except NotFoundError as error:
            # The state is published; each wait decides.
            log.warning("%s", error)

    def interval(_: int, client: PollClient | None) -> float:
        pages = (hub.states.get(link_id) or {}).get("pages") or 1
        return poll_interval(hub, client) * max(1, pages)

    await poll_forever(hook, hub, look, interval)
