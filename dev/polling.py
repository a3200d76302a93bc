"""Waiting for something to become true: often asked, never for ever."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from dev.processes import DevError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def wait_for(what: str, look: Callable[[], T | None], *, timeout: float, every: float = 0.2) -> T:
    """Return the first answer of `look` that is neither None nor False; say what was waited for otherwise."""
    until = time.monotonic() + timeout
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        if time.monotonic() > until:
            raise DevError(f"{what}: not there after {timeout:.0f} s")
        time.sleep(every)
