"""Poll a condition until it is true or a timeout has passed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from dev.processes import DevError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def wait_for(what: str, look: Callable[[], T | None], *, timeout: float, every: float = 0.2) -> T:
    """Call a function until its result is neither None nor False.

    :param what: the condition, for the error
    :param look: the function
    :param timeout: seconds
    :param every: seconds between two calls
    :return: the result
    :raises DevError: the timeout has passed
    """
    until = time.monotonic() + timeout
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        if time.monotonic() > until:
            raise DevError(f"{what}: not there after {timeout:.0f} s")
        time.sleep(every)
