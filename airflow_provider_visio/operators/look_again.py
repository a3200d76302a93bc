"""When to look for something that a call may still be making."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_visio import clock

if TYPE_CHECKING:
    from collections.abc import Iterator

# Seconds between the first two looks; each next pause is twice as long.
FIRST_PAUSE = 5.0


def looks(until: float) -> Iterator[float]:
    """
    Give the moments to look, with growing pauses between them.

    :param until: seconds since 1970 by which it is there if it ever is: the last look begins then, or later.
    :return: with each look the seconds that are left; 0 with the last.
    """
    pause = FIRST_PAUSE
    while (left := until - clock.now()) > 0:
        yield left
        # The look itself took time.
        clock.sleep(max(0.0, min(pause, until - clock.now())))
        pause *= 2
    yield 0.0
