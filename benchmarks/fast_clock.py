"""A clock that agrees with a fast sandbox, put in the place of the provider's own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_visio import clock

if TYPE_CHECKING:
    from dev.sandbox import Sandbox

# Names of the functions of `airflow_provider_visio.clock`.
FUNCTIONS = ("now", "ticks", "sleep", "asleep", "wait")


@dataclass(frozen=True)
class FastClock:
    """
    Virtual time, the same in all processes of this machine.

    :param virtual: a moment, in virtual seconds since 1970.
    :param real: the same moment on the machine's monotonic clock.
    :param speed: virtual seconds in a real one.
    """

    virtual: float
    real: float
    speed: float

    @classmethod
    def of(cls, sandbox: Sandbox) -> Self:
        """Set the clock by a sandbox: by the quickest of a few replies, which is the least wrong."""
        best, shortest = None, float("inf")
        for _ in range(10):
            sent = time.monotonic()
            told = sandbox.control("GET", "/time")
            took = time.monotonic() - sent
            if took < shortest:
                best, shortest = cls(told["now"], sent + took / 2, told["speed"]), took
        assert best is not None
        return best

    def as_json(self) -> dict[str, float]:
        """Return it as plain JSON, for another process."""
        return asdict(self)

    def now(self) -> float:
        """Return the virtual time, in seconds since 1970."""
        return self.virtual + (time.monotonic() - self.real) * self.speed

    def ticks(self) -> float:
        """Return virtual seconds on a clock that never jumps."""
        return time.monotonic() * self.speed

    def sleep(self, seconds: float) -> None:
        """Wait some virtual seconds."""
        time.sleep(max(0.0, seconds) / self.speed)

    async def asleep(self, seconds: float) -> None:
        """Wait some virtual seconds, on an event loop."""
        await asyncio.sleep(seconds / self.speed)

    async def wait(self, event: asyncio.Event, seconds: float | None) -> bool:
        """Wait for an event, some virtual seconds at most, and return whether it came."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if seconds is None else seconds / self.speed):
                await event.wait()
        return event.is_set()

    def install(self) -> None:
        """Have the provider live on this clock, in this process and those forked from it."""
        target: Any = clock
        for name in FUNCTIONS:
            if hasattr(target, name):
                setattr(target, name, getattr(self, name))
