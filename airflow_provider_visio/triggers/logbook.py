"""What a poll tells of itself, in the triggerer's log and as Airflow's own metrics: once a minute at most."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_visio import clock

# A triggerer starts the metrics of Airflow's core; those of the SDK are another module, which it starts by chance.
try:
    from airflow.observability.stats import Stats
except ImportError:  # Airflow 3.1
    from airflow.stats import Stats  # type: ignore[assignment, unused-ignore]

if TYPE_CHECKING:
    from airflow_provider_visio.api.client import AsyncClient
    from airflow_provider_visio.triggers.subscriptions import SubscriptionHub

log = logging.getLogger(__name__)

EVERY = 60.0


class PollReport:
    """
    The logbook of one poll.

    :param conn_id: id of the Airflow connection.
    :param board: who waits.
    """

    def __init__(self, conn_id: str, board: SubscriptionHub) -> None:
        self._conn_id = conn_id
        self._board = board
        self._written = -EVERY
        self._calls: int | None = None

    def write(self, client: AsyncClient | None, pause: float) -> None:
        """
        Write an entry, unless the last one is less than a minute old.

        :param client: what makes the poll's calls.
        :param pause: seconds to the next look.
        """
        now = clock.ticks()
        # A poll of its own would write to its task's log, and count the calls of all others with the same client.
        if client is None or not self._board.shared or now - self._written < EVERY - 1:
            return
        calls = client.calls - (self._calls or 0)
        self._written, self._calls = now, client.calls
        left, _ = client.budget_left()
        log.info(
            "The poll on connection %s serves %d wait(s): %d call(s) since the last entry, %s left for polls, "
            "next look in %.0f s.",
            self._conn_id,
            len(self._board),
            calls,
            " and ".join(
                f"{calls} of {limit:,} in {seconds:g} s"
                for calls, (seconds, limit) in zip(left, client.config.limits, strict=False)
            )
            or "no limit",
            pause,
        )
        tags = {"conn_id": self._conn_id}
        Stats.gauge("visio.poll.waits", len(self._board), tags=tags)
        Stats.incr("visio.poll.calls", calls, tags=tags)
        Stats.gauge("visio.poll.interval", pause, tags=tags)
        for calls, (seconds, _) in zip(left, client.config.limits, strict=False):
            Stats.gauge(f"visio.poll.budget_left.{seconds:g}s", calls, tags=tags)
