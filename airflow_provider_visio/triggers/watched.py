"""
Which ids are waited for, by connection, in this triggerer process.

A shared stream is opened by class and knows none of the waits behind it, so each wait writes itself in here. All of it
runs on the triggerer's one event loop, so there are no locks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING

from airflow_provider_visio import clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Watched:
    """The ids waited for on one connection."""

    def __init__(self) -> None:
        self._ids: Counter[str] = Counter()
        self._intervals: Counter[float] = Counter()
        self._joined = asyncio.Event()

    @property
    def ids(self) -> list[str]:
        """The ids, each once."""
        return list(self._ids)

    @property
    def interval(self) -> float | None:
        """The shortest interval in seconds that any wait asked for, or None where nobody waits."""
        return min(self._intervals, default=None)

    @contextlib.contextmanager
    def watching(self, ids: Sequence[str], interval: float) -> Iterator[None]:
        """Have some ids looked at for as long as the block lasts."""
        self._ids.update(ids)
        self._intervals[interval] += 1
        self._joined.set()
        try:
            yield
        finally:
            self._ids.subtract(ids)
            self._ids += Counter()
            self._intervals[interval] -= 1
            self._intervals += Counter()

    async def pause(self, seconds: float) -> None:
        """Wait some seconds, or until the interval has become shorter than what is left of them."""
        until = clock.now() + seconds
        while (left := until - clock.now()) > 0:
            self._joined.clear()
            if await clock.wait(self._joined, left):
                until = min(until, clock.now() + (self.interval or seconds))


_WATCHED: dict[tuple[int, str], Watched] = {}


def watched(conn_id: str) -> Watched:
    """Return the watched ids of a connection, on the running event loop."""
    key = (id(asyncio.get_running_loop()), conn_id)
    return _WATCHED.setdefault(key, Watched())
