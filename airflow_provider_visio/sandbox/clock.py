"""The virtual clock, and a scheduler that runs on it."""

import heapq
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """The virtual time: starts at the real time, can jump forward and run faster.

    A speed of 0 stops the clock; it then moves only by `advance`.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self._virtual = time.time()
        self._real = time.monotonic()
        self._speed = speed

    @property
    def speed(self) -> float:
        """Virtual seconds in a real second."""
        return self._speed

    def now(self) -> float:
        """Return the virtual time as a Unix timestamp."""
        return self._virtual + (time.monotonic() - self._real) * self._speed

    def advance(self, seconds: float) -> None:
        """Jump forward."""
        self._virtual += seconds

    def set_speed(self, speed: float) -> None:
        """Change the speed from now on."""
        self._virtual, self._real = self.now(), time.monotonic()
        self._speed = speed


class Scheduler:
    """Actions in the future, run in the order of their virtual time."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()

    def at(self, moment: float, action: Callable[[float], None]) -> None:
        """Schedule `action(moment)` for a virtual time."""
        heapq.heappush(self._due, (moment, next(self._order), action))

    def catch_up(self, now: float) -> None:
        """Run every action that is due, including those that they schedule."""
        while self._due and self._due[0][0] <= now:
            moment, _, action = heapq.heappop(self._due)
            action(moment)


def iso(moment: float, *, offset: bool = False) -> str:
    """Return a Unix timestamp as ISO 8601 in UTC, to the second; `offset` gives `+00:00` instead of `Z`."""
    text = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return text + ("+00:00" if offset else "Z")
