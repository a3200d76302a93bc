"""The one clock that this provider reads and waits by, so that a test can put another in its place."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Protocol


def now() -> float:
    """Return the time, in seconds since 1970."""
    return time.time()


def ticks() -> float:
    """Return seconds on a clock that never jumps, for pauses."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Wait some seconds, on a worker."""
    time.sleep(seconds)


async def asleep(seconds: float) -> None:
    """Wait some seconds, on an event loop."""
    await asyncio.sleep(seconds)


class Event(Protocol):
    """Something to wait for."""

    def is_set(self) -> bool:
        """Return whether it has happened."""

    async def wait(self) -> object:
        """Wait until it happens."""


async def wait(event: Event, seconds: float | None) -> bool:
    """Wait for an event, some seconds at most (None: for ever), and return whether it came."""
    # Not wait_for, which makes a task for each of thousands of waits.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
