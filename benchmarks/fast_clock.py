"""A clock with the time of a fast sandbox, which replaces the provider's clock."""

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
    Virtual time, equal in all processes of this machine.

    :param virtual: a virtual Unix timestamp.
    :param real: the monotonic time of the same moment, in seconds.
    :param speed: virtual seconds in a real second.
    """

    virtual: float
    real: float
    speed: float

    @classmethod
    def of(cls, sandbox: Sandbox) -> Self:
        """Read the time of a sandbox, from the fastest of ten replies because its error is the smallest."""
        best, shortest = None, float("inf")
        for _ in range(10):
            sent = time.monotonic()
            reply = sandbox.control("GET", "/time")
            took = time.monotonic() - sent
            if took < shortest:
                best, shortest = cls(reply["now"], sent + took / 2, reply["speed"]), took
        assert best is not None
        return best

    def as_json(self) -> dict[str, float]:
        """Return the clock as JSON, for another process."""
        return asdict(self)

    def now(self) -> float:
        """Return the virtual Unix timestamp."""
        return self.virtual + (time.monotonic() - self.real) * self.speed

    def ticks(self) -> float:
        """Return the virtual monotonic time in seconds."""
        return time.monotonic() * self.speed

    def sleep(self, seconds: float) -> None:
        """Sleep for some virtual seconds."""
        time.sleep(max(0.0, seconds) / self.speed)

    async def asleep(self, seconds: float) -> None:
        """Sleep for some virtual seconds on the event loop."""
        await asyncio.sleep(seconds / self.speed)

    async def wait(self, event: asyncio.Event, seconds: float | None) -> bool:
        """Wait for an event.

        :param seconds: the longest wait in virtual seconds; None: no limit
        :return: whether the event is set
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if seconds is None else seconds / self.speed):
                await event.wait()
        return event.is_set()

    def install(self) -> None:
        """Replace the provider's clock in this process and in processes that it forks."""
        target: Any = clock
        for name in FUNCTIONS:
            if hasattr(target, name):
                setattr(target, name, getattr(self, name))
