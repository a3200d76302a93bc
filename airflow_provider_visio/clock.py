"""The only clock that this provider reads and waits by, so that a test can replace it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Protocol


def now() -> float:
    """Return the time as a Unix timestamp."""
    return time.time()


def ticks() -> float:
    """Return seconds on a monotonic clock, for pauses."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Sleep for some seconds, on a worker."""
    time.sleep(seconds)


async def asleep(seconds: float) -> None:
    """Sleep for some seconds, on an event loop."""
    await asyncio.sleep(seconds)


class Event(Protocol):
    """An event to wait for."""

    def is_set(self) -> bool:
        """Return whether it has happened."""

    async def wait(self) -> object:
        """Wait until it happens."""


async def wait(event: Event, seconds: float | None) -> bool:
    """Wait for an event, at most some seconds (None: no limit), and return whether it happened."""
    # Not wait_for, which creates a task for each of thousands of waits.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
