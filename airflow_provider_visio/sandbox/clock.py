"""The virtual clock, and the agenda of what is due on it."""

import heapq
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """Time as the sandbox sees it: starts at the real time, can be moved forward and made faster.

    A speed of 0 stops the clock, so that a test moves it by hand only.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self._virtual = time.time()
        self._real = time.monotonic()
        self._speed = speed

    @property
    def speed(self) -> float:
        """How many virtual seconds pass in a real one."""
        return self._speed

    def now(self) -> float:
        """Return the virtual time in Unix seconds."""
        return self._virtual + (time.monotonic() - self._real) * self._speed

    def advance(self, seconds: float) -> None:
        """Jump forward."""
        self._virtual += seconds

    def set_speed(self, speed: float) -> None:
        """Change the pace from now on."""
        self._virtual, self._real = self.now(), time.monotonic()
        self._speed = speed

    def in_caller_time(self, moment: float) -> float:
        """When a virtual moment comes on the caller's own clock.

        Rate-limit headers use it: a client that waits "until the reset" waits in real seconds, whatever
        the virtual clock was set to.
        """
        return time.time() + (moment - self.now()) / (self._speed or 1.0)


class Scheduler:
    """Things that will happen by themselves, run in order of their virtual time."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()

    def at(self, moment: float, action: Callable[[float], None]) -> None:
        """Have `action(moment)` called once the clock has reached `moment`."""
        heapq.heappush(self._due, (moment, next(self._order), action))

    def catch_up(self, now: float) -> None:
        """Run everything due, including what those actions add."""
        while self._due and self._due[0][0] <= now:
            moment, _, action = heapq.heappop(self._due)
            action(moment)


def iso(moment: float, *, offset: bool = False) -> str:
    """ISO 8601 in UTC to the second; with `+00:00` instead of `Z` when `offset` is set."""
    text = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return text + ("+00:00" if offset else "Z")
