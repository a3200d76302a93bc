"""The one clock that this provider reads and waits by, so that a test can put another in its place."""

from __future__ import annotations

import asyncio
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
