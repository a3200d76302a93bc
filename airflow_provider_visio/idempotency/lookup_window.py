"""When to look for an object that a call may still be creating."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from airflow_provider_visio import clock
from airflow_provider_visio.api.retry import longest_backoff

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_visio.api.config import ServiceConfig

# Least seconds that a service has to create and list an object: after a call, and after a lost reply.
SERVICE_TIME = 60.0
LOST_REPLY = 120.0

# Seconds between the first two looks; each next pause is twice as long.
FIRST_PAUSE = 5.0


@dataclass(frozen=True)
class LookupWindow:
    """
    How long an object may take to appear in the service's list.

    :param meant: seconds from the entry in the record, which comes before the call.
    :param lost: seconds from the loss of the reply.
    """

    meant: float
    lost: float

    @classmethod
    def of(cls, config: ServiceConfig) -> Self:
        """Return the window of a connection, whose calls wait for their turn, for a connection and for the reply."""
        connecting = config.max_attempts * config.connect_timeout + longest_backoff(config.max_attempts)
        replying = max(SERVICE_TIME, config.read_timeout)
        return cls(config.rate_limit_wait + connecting + replying, max(LOST_REPLY, config.read_timeout))


def lookups_until(until: float) -> Iterator[float]:
    """Yield the seconds that are left before each look, and sleep between looks; the last look begins at ``until``."""
    # A clock that nobody can put back meanwhile.
    pause, end = FIRST_PAUSE, clock.ticks() + (until - clock.now())
    while (left := end - clock.ticks()) > 0:
        yield left
        # The look itself took time.
        clock.sleep(max(0.0, min(pause, end - clock.ticks())))
        pause *= 2
    yield 0.0
