"""When to look for something that a call may still be making."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from airflow_provider_visio import clock
from airflow_provider_visio.api.retry import longest_backoff

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_visio.api.config import ServiceConfig

# Seconds that a service is given at least to work and to list what it made: for a call, and where its reply was lost.
SERVICE_TIME = 60.0
LOST_REPLY = 120.0

# Seconds between the first two looks; each next pause is twice as long.
FIRST_PAUSE = 5.0


@dataclass(frozen=True)
class LookupWindow:
    """
    For how long what a call makes may not be there yet.

    :param meant: seconds from when a call was meant to be made.
    :param lost: seconds from when its reply was lost.
    """

    meant: float
    lost: float

    @classmethod
    def of(cls, config: ServiceConfig) -> Self:
        """Return that of calls over a connection: they wait for their turn, for a connection, and for the reply."""
        connecting = config.max_attempts * config.connect_timeout + longest_backoff(config.max_attempts)
        replying = max(SERVICE_TIME, config.read_timeout)
        return cls(config.rate_limit_wait + connecting + replying, max(LOST_REPLY, config.read_timeout))


def lookups_until(until: float) -> Iterator[float]:
    """
    Give the moments to look, with growing pauses between them.

    :param until: seconds since 1970 by which it is there if it ever is: the last look begins then, or later.
    :return: with each look the seconds that are left; 0 with the last.
    """
    # Not the clock that may be put back meanwhile.
    pause, end = FIRST_PAUSE, clock.ticks() + (until - clock.now())
    while (left := end - clock.ticks()) > 0:
        yield left
        # The look itself took time.
        clock.sleep(max(0.0, min(pause, end - clock.ticks())))
        pause *= 2
    yield 0.0
