"""The only clock that this provider reads and waits by, so that a test can replace it. It reads other times, too."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import datetime
from functools import lru_cache
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


def epoch(moment: object) -> float | None:
    """Return an ISO 8601 time, or a datetime with a zone, as a Unix timestamp; None where it is neither."""
    if isinstance(moment, str):
        return _epoch_of(moment)
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return moment.timestamp()
    return None


# With thousands of waits the same times are read again and again.
@lru_cache(maxsize=2**14)
def _epoch_of(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.timestamp() if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


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
