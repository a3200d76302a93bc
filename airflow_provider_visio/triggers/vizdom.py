"""Trigger that waits for dashboard exports."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_visio.api.one_time_queries import query_exports
from airflow_provider_visio.api.vizdom_contract import VizdomContract
from airflow_provider_visio.arguments import checked_ids, seconds
from airflow_provider_visio.triggers.base import WaitTrigger
from airflow_provider_visio.triggers.poll_loop import poll_forever, run_beside
from airflow_provider_visio.triggers.subscriptions import SubscriptionHub
from airflow_provider_visio.waiting import Verdict, decide_exports, export_phase, growing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

    from airflow_provider_visio.hooks.base import VisioBaseHook
    from airflow_provider_visio.triggers.poll_client import PollClient

log = logging.getLogger(__name__)


class VizdomExportTrigger(WaitTrigger, BaseTrigger):
    """
    Wait until dashboard exports are ready, or have failed.

    Fires once, with the same event as
    :class:`~airflow_provider_visio.triggers.visiono.VisionoPhotoRequestTrigger`. An export takes minutes and no list of
    exports is known, so each wait polls for itself. All waits on a connection share one client.

    :param export_ids: ids of the exports, or one id.
    :param vizdom_conn_id: id of the Airflow connection.
    :param deadline: Unix timestamp at which the wait gives up, or None for never.
    :param poke_interval: seconds or timedelta between the first two polls; later ones come up to 30 s apart.
    :param min_dwell: seconds before which it does not fire.
    :raises InvalidRequestError: an argument is not what it should be.
    """

    def __init__(
        self,
        export_ids: list[str] | str,
        vizdom_conn_id: str = "vizdom_default",
        deadline: float | None = None,
        poke_interval: float | timedelta = 2.0,
        min_dwell: float = 10.0,
    ) -> None:
        super().__init__(
            checked_ids(export_ids, "export_ids"),
            deadline,
            seconds(poke_interval, "poke_interval") or 2.0,
            min_dwell,
        )
        self.vizdom_conn_id = vizdom_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments: plain JSON, nothing secret, for Airflow stores it in the clear."""
        return (
            f"{__name__}.{type(self).__name__}",
            {
                "vizdom_conn_id": self.vizdom_conn_id,
                "export_ids": self.ids,
                "deadline": self.deadline,
                "poke_interval": self.poke_interval,
                "min_dwell": self.min_dwell,
            },
        )

    def judge(self, hub: SubscriptionHub, now: float) -> Verdict:
        """Return what the hub's states mean for this wait."""
        return decide_exports(
            self.ids, hub.states, hub.context or VizdomContract(), now=now, deadline=self.deadline
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll, and fire when the wait is over."""
        log.info(
            "Waiting for %d export(s) on connection %s: %s.",
            len(self.ids),
            self.vizdom_conn_id,
            ", ".join(self.ids[:5]),
        )
        hub = SubscriptionHub(self.vizdom_conn_id, "exports")
        async with run_beside(self._poll(hub)):
            yield await self.follow(hub)

    async def _poll(self, hub: SubscriptionHub) -> None:
        def hook() -> VisioBaseHook:
            from airflow_provider_visio.hooks.vizdom import VizdomHook

            return VizdomHook(self.vizdom_conn_id)

        async def look(client: PollClient) -> None:
            from airflow_provider_visio.hooks.vizdom import contract_of

            contract = contract_of(client.config)
            hub.context = contract
            # Unknown ones first, in case a call fails.
            ids = sorted(hub.ids, key=lambda i: i in hub.states)
            still_open = [i for i in ids if export_phase(hub.states.get(i, {}), contract) in {None, "open"}]
            await client.query(query_exports(still_open, contract, hub.publish))

        def interval(rounds: int, _: PollClient | None) -> float:
            return growing(self.poke_interval, rounds)

        await poll_forever(hook, hub, look, interval)
