"""The loop of a watch, which an ``AssetWatcher`` runs: it never ends, and keeps how far it has come."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from airflow_provider_visio import clock
from airflow_provider_visio.triggers.base import LONGEST_SLEEP
from airflow_provider_visio.waiting import trouble_of_triggerer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from airflow_provider_visio.triggers.cursor_store import C, CursorStore
    from airflow_provider_visio.triggers.subscriptions import SubscriptionHub

log = logging.getLogger(__name__)

# Seconds until an event is certain to be stored; only then the cursor moves past it.
PERSIST_AFTER = 10.0

# Seconds between two errors in the triggerer's log about a watch that cannot poll.
COMPLAIN_EVERY = 600.0


async def watch(
    hub: SubscriptionHub,
    subject: str,
    interval: float,
    store: CursorStore[C],
    start: C,
    take: Callable[[C, dict[str, Any]], list[str] | None],
    name: str,
) -> AsyncGenerator[list[str], None]:
    """
    Yield the ids that are news, each time there are some.

    :param hub: where the poll publishes its results.
    :param subject: the id whose state has them.
    :param interval: seconds between two polls.
    :param store: keeps the cursor.
    :param start: the cursor of a watch that starts, with the user's ``since`` as ``given``.
    :param take: returns the ids in a state that are news to a cursor, which it moves; None where the state has none.
    :param name: what is watched, for logs.
    """
    subscription = hub.subscribe([subject], interval)
    try:
        cursor = await _cursor(store, start, name)
        complained = -math.inf
        while True:
            subscription.updated.clear()
            failure = hub.failure_for(subscription)
            if failure and clock.ticks() - complained >= COMPLAIN_EVERY:
                complained = clock.ticks()
                log.error(
                    "The watch of %s learns nothing. %s",
                    name,
                    trouble_of_triggerer(failure.text, hub.conn_id),
                )
            first, fresh = cursor.is_new, take(cursor, hub.states.get(subject) or {})
            if fresh:
                log.info("The watch of %s has found %d submission(s).", name, len(fresh))
                yield fresh
                await clock.asleep(PERSIST_AFTER)
            if fresh or (first and fresh is not None):
                await store.write(cursor)
            await clock.wait(subscription.updated, LONGEST_SLEEP)
    finally:
        hub.unsubscribe(subscription)


async def _cursor(store: CursorStore[C], start: C, name: str) -> C:
    """Return the cursor of an earlier run, or a new one."""
    kept = await store.read()
    if kept is not None and start.given in {None, kept.given}:
        return kept
    if kept is not None:
        log.info("The watch of %s has another `since` than before and restarts there.", name)
    await store.write(start)
    return start
