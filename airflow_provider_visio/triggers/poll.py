"""
The poll behind the triggers: one sweep after another becomes a stream of news. Never ends, never raises.

Where the news come from (here: polls) is kept apart from how a wait takes them (:mod:`.base`).
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import replace
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
from airflow_provider_visio.triggers.base import News
from airflow_provider_visio.waiting import jittered

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from airflow_provider_visio.api.client import AsyncClient
    from airflow_provider_visio.api.sweep import State

log = logging.getLogger(__name__)

# A limit that asks for longer than its own longest window is a header misread.
LONGEST_HOLD = 3600.0
FIRST_BACKOFF = 5.0
LONGEST_BACKOFF = 60.0


async def poll(
    connect: Callable[[], Awaitable[AsyncClient]],
    look: Callable[[AsyncClient, dict[str, State]], Awaitable[Any]],
    pause: Callable[[float], Awaitable[None]],
    interval: Callable[[int], float],
) -> AsyncGenerator[News, None]:
    """
    Yield news for ever.

    :param connect: makes the client; called again after it failed.
    :param look: makes one sweep; puts what it learns into the dict at once, and returns the context to judge it by.
    :param pause: waits some seconds, or less when there is a reason to look sooner.
    :param interval: seconds to the next sweep, after so many that went well.
    """
    client: AsyncClient | None = None
    states: dict[str, State] = {}
    news, rounds = News(), 0
    try:
        while True:
            held = 0.0
            try:
                client = client or await connect()
                context = await look(client, states)
                news = News(dict(states), context=context)
            except RateLimitedError as error:
                # Not a failure of the service: the poll steps back until it is welcome again.
                held = min(LONGEST_HOLD, max(interval(rounds), error.retry_after))
                news = replace(news, states=dict(states))
                log.warning("%s The poll pauses for %.0f s.", error, held)
            except Exception as error:  # noqa: BLE001 - an error that escapes would end every wait on this stream
                news = _after_failure(replace(news, states=dict(states)), error)
                # So far apart that five failures in a row are minutes, not a blip.
                held = max(interval(rounds), min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0**news.failures))
                log.warning("Poll failed (%d in a row): %s", news.failures, error)
            yield news
            if held:
                await clock.asleep(held * (1 + random.random() / 10))
            else:
                await pause(jittered(interval(rounds), random.random()))
                rounds += 1
    finally:
        if client is not None:
            await asyncio.shield(client.close())


def _after_failure(news: News, error: Exception) -> News:
    # A missing connection is Airflow's error, not ours; like a key that is refused, it does not pass by itself.
    fatal = isinstance(
        error, AuthenticationError | InvalidRequestError | PermissionDeniedError | AirflowNotFoundException
    )
    status = getattr(error, "status", None) if isinstance(error, VisioProviderError) else None
    trouble = f"{type(error).__name__}{f' ({status})' if status else ''}"
    return News(news.states, news.failures + 1, trouble, fatal, news.context)
