"""Trigger that watches a workspace's photo requests, for an asset; all watches on a connection share one poll."""

from __future__ import annotations

import logging
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_visio import clock
from airflow_provider_visio.api.submitted_requests import SubmittedRequestPoller
from airflow_provider_visio.arguments import moment_of, seconds
from airflow_provider_visio.idempotency.tag import fingerprint
from airflow_provider_visio.submissions import RequestCursor
from airflow_provider_visio.triggers.base import poll_interval
from airflow_provider_visio.triggers.cursor_store import CursorStore
from airflow_provider_visio.triggers.poll_loop import leave_log_context, poll_forever, run_beside
from airflow_provider_visio.triggers.subscriptions import SubscriptionHub, hub_of
from airflow_provider_visio.triggers.watch import watch
from airflow_provider_visio.webhooks.delivery import PHOTO_REQUEST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable
    from datetime import datetime

    from airflow_provider_visio.hooks.base import VisioBaseHook
    from airflow_provider_visio.triggers.poll_client import PollClient

log = logging.getLogger(__name__)

_NAMESPACE = "airflow_provider_visio.triggers.visiono_submitted.requests"
_SUBJECT = "submitted_requests"
# The one id that a watch subscribes to.
_ALL = "all"
# The time of creation from which requests are listed moves once a day, because the list is then read whole.
_DAY = 86400.0


class VisionoPhotoRequestSubmittedTrigger(BaseEventTrigger):
    """
    Watch a workspace for submitted photo requests, also for those that were created outside Airflow.

    For an ``AssetWatcher``, as :func:`~airflow_provider_visio.assets.visiono.photo_requests_submitted` makes it. It
    never ends. Each look that finds newly submitted requests fires with ``{"request_ids": [ids]}``. The first look of a
    watch only learns which ones were submitted earlier.

    The ids that it knows are kept in the asset's state store (Airflow 3.3), shortly after the event is sent. A
    triggerer that dies in between reports the same requests once more. Before Airflow 3.3 nothing is kept: a restart
    begins with a first look, and with ``since`` it reports all requests since then again.

    All watches on a connection share one poll on a triggerer (Airflow 3.3). A poll takes one call while nothing
    changes. While webhooks arrive, it polls within seconds after a submission, and otherwise less often. If the service
    does not filter its list by status (the filter is the plugin's), a poll reads the whole list, and polls of several
    pages are further apart.

    :param visiono_conn_id: id of the Airflow connection.
    :param since: report also the requests that were submitted before the watch, if they were created since then by the
        service's clock, and none that were created earlier: a Unix timestamp, ISO 8601 text or a datetime with a zone.
        Give a moment that stays the same each time the DAG file is parsed: another moment restarts the watch there.
    :param poke_interval: seconds or timedelta between two polls; the shortest of those that share a poll applies.
    :param max_age: seconds or timedelta. A request that was created longer ago than that is not reported when it is
        submitted. The watch keeps the id of each submitted request for so long.
    :raises InvalidRequestError: an argument is not what it should be.
    """

    def __init__(
        self,
        visiono_conn_id: str = "visiono_default",
        since: float | str | datetime | None = None,
        poke_interval: float | timedelta = 60.0,
        max_age: float | timedelta = timedelta(days=30),
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.visiono_conn_id = visiono_conn_id
        self.since = moment_of(since, "since")
        self.poke_interval = seconds(poke_interval, "poke_interval") or 60.0
        self.max_age = seconds(max_age, "max_age") or 0.0

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments: plain JSON, nothing secret."""
        return (
            "airflow_provider_visio.triggers.visiono.VisionoPhotoRequestSubmittedTrigger",
            {
                "visiono_conn_id": self.visiono_conn_id,
                "since": self.since,
                "poke_interval": self.poke_interval,
                "max_age": self.max_age,
            },
        )

    def shared_stream_key(self) -> Hashable | None:
        """Return the key that all watches of a connection share (Airflow 3.3 and later)."""
        return (_NAMESPACE, self.visiono_conn_id, self.max_age)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[None]:
        """Poll for all watches of a connection. Nothing is broadcast: the hub wakes them."""
        leave_log_context()
        max_age = kwargs["max_age"]
        await _poll(hub_of(kwargs["visiono_conn_id"], _SUBJECT, str(max_age)), max_age)
        yield  # never reached; it makes this the generator that Airflow wants

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:  # noqa: ARG002
        """Wait for what the shared poll publishes."""
        async for event in self._events(hub_of(self.visiono_conn_id, _SUBJECT, str(self.max_age))):
            yield event

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll for this watch alone: Airflow before 3.3."""
        hub = SubscriptionHub(self.visiono_conn_id, _SUBJECT)
        async with run_beside(_poll(hub, self.max_age)):
            async for event in self._events(hub):
                yield event

    async def _events(self, hub: SubscriptionHub) -> AsyncIterator[TriggerEvent]:
        name = f"photo requests on connection {self.visiono_conn_id}"
        log.info("Watching %s.", name)
        who = fingerprint([self.visiono_conn_id, self.max_age], 8)
        store = CursorStore(getattr(self, "asset_state_store", None), f"visio_submitted_{who}", RequestCursor)
        start = RequestCursor(given=self.since)
        watched = watch(hub, _ALL, self.poke_interval, store, start, self._take, name)
        async with aclosing(watched):
            async for fresh in watched:
                yield TriggerEvent({"request_ids": fresh})  # type: ignore[no-untyped-call]

    def _take(self, cursor: RequestCursor, state: dict[str, Any]) -> list[str] | None:
        if "submitted" not in state:
            return None
        return cursor.take(state["submitted"], _earliest(self.max_age))


def _earliest(max_age: float) -> float:
    """Return the Unix timestamp before which a request was created too long ago: the start of a day."""
    return max(0.0, (clock.now() - max_age) // _DAY * _DAY)


async def _poll(hub: SubscriptionHub, max_age: float) -> None:
    nudges = hub.listen_for(PHOTO_REQUEST, any_id=True)
    poller = SubmittedRequestPoller(
        lambda submitted: hub.publish(_ALL, {"submitted": submitted}), found=nudges.found
    )
    cost = 1

    def hook() -> VisioBaseHook:
        from airflow_provider_visio.hooks.visiono import VisionoHook

        return VisionoHook(hub.conn_id)

    async def look(client: PollClient) -> None:
        nonlocal cost
        before = client.calls
        await client.query(poller.look(_earliest(max_age), clock.now()))
        cost = 1 if poller.lists.may_filter else max(1, client.calls - before)

    def interval(_: int, client: PollClient | None) -> float:
        return poll_interval(hub, client) * cost

    await poll_forever(hook, hub, look, interval)
