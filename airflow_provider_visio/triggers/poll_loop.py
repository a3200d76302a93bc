"""
The poll behind the triggers: it looks, puts what it learns on a board, pauses, and looks again. Never ends or raises.

Where the news come from (here: polls) is kept apart from how they are handed out (:mod:`.board`) and from what a wait
makes of them (:mod:`.base`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from functools import partial
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
from airflow_provider_visio.triggers.clients import shared_client
from airflow_provider_visio.triggers.logbook import PollReport
from airflow_provider_visio.waiting import MAX_POLL_FAILURES, jittered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from airflow_provider_visio.api.client import AsyncClient
    from airflow_provider_visio.hooks.base import VisioBaseHook
    from airflow_provider_visio.triggers.subscriptions import SubscriptionHub

log = logging.getLogger(__name__)

# A limit that asks for longer than its own longest window is a header misread.
LONGEST_PAUSE = 3600.0
SHORTEST_PAUSE = 1.0
FIRST_BACKOFF = 5.0
LONGEST_BACKOFF = 60.0


async def poll_forever(
    make_hook: Callable[[], VisioBaseHook],
    board: SubscriptionHub,
    look: Callable[[AsyncClient], Awaitable[None]],
    interval: Callable[[int, AsyncClient | None], float],
) -> None:
    """
    Poll for ever, for all that wait at a board.

    :param make_hook: makes the hook whose client asks; called again after a fault of ours.
    :param board: where to put what is learnt.
    :param look: makes one sweep.
    :param interval: seconds to the next sweep, after so many that went well.
    """
    while True:
        try:
            await _poll(make_hook(), board, look, interval)
        except Exception:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # of the client as it closes
            # A fault of ours; without a word the waits would sleep for ever. Who watches goes on with the next poll.
            log.exception("A poll has broken off; the next one begins in %.0f s.", LONGEST_BACKOFF)
            board.went_wrong("the poll has broken off", fatal=True)
            await clock.asleep(LONGEST_BACKOFF)


@contextlib.asynccontextmanager
async def run_beside(poll: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have a poll run for as long as the block lasts."""
    task = asyncio.create_task(poll)
    try:
        yield
    finally:
        task.cancel()
        # What broke it off, it has said itself.
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


async def _poll(
    hook: VisioBaseHook,
    board: SubscriptionHub,
    look: Callable[[AsyncClient], Awaitable[None]],
    interval: Callable[[int, AsyncClient | None], float],
) -> None:
    rounds = 0
    async with contextlib.AsyncExitStack() as stack:
        client: AsyncClient | None = None
        logbook = PollReport(hook.conn_id, board)
        while True:
            held, started = 0.0, clock.ticks()
            try:
                if client is None:
                    client = await stack.enter_async_context(shared_client(hook))
                await look(client)
                board.went_well()
            except RateLimitedError as error:
                # Not a failure of the service: the poll steps back until it is welcome again.
                held = min(LONGEST_PAUSE, max(interval(rounds, client), error.retry_after))
                log.warning("%s The poll pauses for %.0f s.", error, held)
            except Exception as error:  # noqa: BLE001 - an error that escapes would end every wait on this poll
                _went_wrong(board, error)
                failures = board.trouble.failures if board.trouble else 1
                # So far apart that five failures in a row are minutes, not a blip.
                held = max(interval(rounds, client), min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0**failures))
            # From look to look, however long one takes.
            pause = held * (1 + random.random() / 10) or (
                jittered(interval(rounds, client), random.random()) - (clock.ticks() - started)
            )
            pause = max(SHORTEST_PAUSE, pause)
            logbook.write(client, pause)
            if held:
                await clock.asleep(pause)
            else:
                await board.pause(pause, partial(interval, rounds, client))
                rounds += 1


def _went_wrong(board: SubscriptionHub, error: Exception) -> None:
    # A missing connection is Airflow's error, not ours; like a key that is refused, it does not pass by itself.
    fatal = isinstance(
        error, AuthenticationError | InvalidRequestError | PermissionDeniedError | AirflowNotFoundException
    )
    status = getattr(error, "status", None) if isinstance(error, VisioProviderError) else None
    text = f"{type(error).__name__}{f' ({status})' if status else ''}"
    board.went_wrong(text, fatal=fatal)
    failures = board.trouble.failures if board.trouble else 1
    log.warning("Poll failed (%d of %d in a row): %s: %s", failures, MAX_POLL_FAILURES, text, error)


def leave_log_context() -> None:
    """Leave the log context of the task that happens to open a shared poll, or its log would carry all the others."""
    with contextlib.suppress(ImportError):
        import structlog

        structlog.contextvars.clear_contextvars()
