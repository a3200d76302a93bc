"""
The poll loop behind the triggers: query the service, publish the result to the subscription hub, pause, and repeat.

It never ends and never raises. :mod:`.subscriptions` has how results reach the waits, :mod:`.base` how a wait ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_visio import clock
from airflow_provider_visio.exceptions import (
    AuthenticationError,
    InvalidRequestError,
    PermissionDeniedError,
    RateLimitedError,
    VisioProviderError,
)
from airflow_provider_visio.triggers.poll_client import PollClient, shared_client
from airflow_provider_visio.triggers.poll_report import PollReport
from airflow_provider_visio.triggers.webhook_inbox import listening
from airflow_provider_visio.waiting import MAX_POLL_FAILURES, jittered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from airflow_provider_visio.hooks.base import VisioBaseHook
    from airflow_provider_visio.triggers.subscriptions import SubscriptionHub

log = logging.getLogger(__name__)

# A limit that asks for longer than its own longest window is a misread header.
LONGEST_PAUSE = 3600.0
SHORTEST_PAUSE = 1.0
FIRST_BACKOFF = 5.0
LONGEST_BACKOFF = 60.0


async def poll_forever(
    make_hook: Callable[[], VisioBaseHook],
    hub: SubscriptionHub,
    look: Callable[[PollClient], Awaitable[None]],
    interval: Callable[[int, PollClient | None], float],
    look_at: Callable[[PollClient, list[str]], Awaitable[None]] | None = None,
) -> None:
    """
    Poll for all waits that subscribe to a hub.

    A hub that listens for webhooks looks when they nudge it, and less often by itself while they can be relied on.

    :param make_hook: makes the hook whose connection is used; called again after a fault of this provider.
    :param hub: where to publish the results.
    :param look: queries the service once.
    :param interval: seconds to the next query, after this many that went well.
    :param look_at: queries the service for the few ids that a webhook has named; None to look at everything then, too.
    """
    while True:
        try:
            await _poll(make_hook(), hub, look, interval, look_at)
        except Exception:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # raised by the client as it closes
            # A fault of this provider. The waits must hear of it, and watchers continue with the next poll.
            log.exception("A poll has failed; the next one starts in %.0f s.", LONGEST_BACKOFF)
            hub.poll_failed("the poll has broken off", fatal=True)
            await clock.asleep(LONGEST_BACKOFF)


@contextlib.asynccontextmanager
async def run_beside(poll: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run a poll for as long as the block lasts."""
    task = asyncio.create_task(poll)
    try:
        yield
    finally:
        task.cancel()
        # The poll has logged its own error.
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


async def _poll(
    hook: VisioBaseHook,
    hub: SubscriptionHub,
    look: Callable[[PollClient], Awaitable[None]],
    interval: Callable[[int, PollClient | None], float],
    look_at: Callable[[PollClient, list[str]], Awaitable[None]] | None,
) -> None:
    rounds, due, nudges = 0, clock.ticks(), hub.nudges

    def pace() -> float:
        return nudges.interval(interval(rounds, client))

    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(listening(hub))
        client: PollClient | None = None
        report = PollReport(hub)
        while True:
            held, started = 0.0, clock.ticks()
            nudged, calls = started < due, client.calls if client else 0
            few = nudges.begin_look(whole=look_at is None or not nudged)
            try:
                if client is None:
                    client = PollClient(await stack.enter_async_context(shared_client(hook)))
                await client.refresh()
                if few is None or look_at is None:
                    await look(client)
                else:
                    await look_at(client, few)
                hub.poll_worked()
            except RateLimitedError as error:
                # Not a failure of the service: the poll pauses until calls are accepted again.
                held = min(LONGEST_PAUSE, max(interval(rounds, client), error.retry_after))
                log.warning("%s The poll pauses for %.0f s.", error, held)
            except Exception as error:  # noqa: BLE001  an error that escapes would end every wait on this poll
                failures = _note_failure(hub, error)
                # Far enough apart that five failures in a row are minutes.
                backoff = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0**failures)
                asked = min(LONGEST_PAUSE, getattr(error, "retry_after", 0.0))
                held = max(interval(rounds, client), backoff, asked)
            if nudged and client:
                nudges.budget.spend(client.calls - calls)
            if held:
                pause = held * (1 + random.random() / 10)
                report.write(client, pause)
                await clock.asleep(pause)
                due = clock.ticks()
                continue
            if few is None:
                # From query to query, however long one takes.
                due = max(started + jittered(pace(), random.random()), clock.ticks() + SHORTEST_PAUSE)
            report.write(client, due - clock.ticks())
            due = await hub.pause(due, pace)
            rounds += few is None


def _note_failure(hub: SubscriptionHub, error: Exception) -> int:
    """Publish a poll's failure, and return how many failures there were in a row."""
    # A missing connection is Airflow's error. Like a refused key, it does not pass by itself.
    fatal = isinstance(
        error, AuthenticationError | InvalidRequestError | PermissionDeniedError | AirflowNotFoundException
    )
    status = getattr(error, "status", None) if isinstance(error, VisioProviderError) else None
    text = f"{type(error).__name__}{f' ({status})' if status else ''}"
    failures = hub.poll_failed(text, fatal=fatal)
    log.warning("Poll failed (%d of %d in a row): %s: %s", failures, MAX_POLL_FAILURES, text, error)
    return failures


def leave_log_context() -> None:
    """Leave the log context of the task that opened a shared poll: its log would get the lines of all waits."""
    with contextlib.suppress(ImportError):
        import structlog

        structlog.contextvars.clear_contextvars()
