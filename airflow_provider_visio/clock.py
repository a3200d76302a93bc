"""The one clock that this provider reads and waits by, so that a test can put another in its place."""

from __future__ import annotations

import asyncio
import contextlib
import time


def now() -> float:
    """Return the time, in seconds since 1970."""
    return time.time()


def sleep(seconds: float) -> None:
    """Wait some seconds, on a worker."""
    time.sleep(seconds)


async def asleep(seconds: float) -> None:
    """Wait some seconds, on an event loop."""
    await asyncio.sleep(seconds)


async def wait(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, some seconds at most, and return whether it came."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()
