"""A shared poll's report, once a minute: a line in the triggerer's log, and metrics through Airflow's Stats."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_visio import clock
from airflow_provider_visio.triggers.subscriptions import count_waits

# A triggerer initializes the metrics of Airflow's core. Those of the SDK are another module.
try:
    from airflow.observability.stats import Stats
except ImportError:  # Airflow 3.1
    from airflow.stats import Stats  # type: ignore[assignment, unused-ignore]

if TYPE_CHECKING:
    from airflow_provider_visio.triggers.poll_client import PollClient
    from airflow_provider_visio.triggers.subscriptions import SubscriptionHub

log = logging.getLogger(__name__)

EVERY = 60.0


class PollReport:
    """The report of one poll."""

    def __init__(self, hub: SubscriptionHub) -> None:
        self._hub = hub
        self._written = -EVERY
        self._calls = 0

    def write(self, client: PollClient | None, pause: float) -> None:
        """Write the report, unless the last one is less than a minute old; the next query is ``pause`` seconds away."""
        now = clock.ticks()
        # A poll for one wait alone would write to its task's log.
        if client is None or not self._hub.shared or now - self._written < EVERY - 1:
            return
        calls = client.calls - self._calls
        self._written, self._calls = now, client.calls
        left, _ = client.budget_left()
        log.info(
            "The poll for %s on connection %s serves %d wait(s): %d call(s) since the last report, %s left for "
            "polls, next query in %.0f s.",
            self._hub.subject.replace("_", " "),
            self._hub.conn_id,
            len(self._hub),
            calls,
            " and ".join(
                f"{calls} of {limit:,} in {seconds:g} s"
                for calls, (seconds, limit) in zip(left, client.config.limits, strict=False)
            )
            or "no limit",
            pause,
        )
        connection = {"conn_id": self._hub.conn_id}
        tags = {**connection, "subject": self._hub.subject}
        Stats.gauge("visio.poll.waits", count_waits(self._hub.conn_id, self._hub.subject), tags=tags)
        Stats.incr("visio.poll.calls", calls, tags=tags)
        Stats.gauge("visio.poll.interval", pause, tags=tags)
        for calls, (seconds, _) in zip(left, client.config.limits, strict=False):
            Stats.gauge(f"visio.poll.budget_left.{seconds:g}s", calls, tags=connection)
