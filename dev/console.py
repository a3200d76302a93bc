"""Lines on the terminal with the seconds since the start in the margin."""

from __future__ import annotations

import select
import sys
import textwrap
import time
from contextlib import suppress

WIDTH = 110
INDENT = " " * 19


class Story:
    """Tells what happens, as it happens: seconds, who, what."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._start

    def tell(self, who: str, what: str) -> None:
        """Print one line, wrapped when it is long."""
        lines = textwrap.wrap(what, WIDTH - len(INDENT), break_long_words=False, break_on_hyphens=False) or [
            ""
        ]
        self.show(
            "\n".join([f"{self.seconds:6.1f}  {who:9}  {lines[0]}", *(INDENT + line for line in lines[1:])])
        )

    def show(self, text: str) -> None:
        """Print a text as it is."""
        with suppress(OSError):  # the terminal is gone: the work, and the stopping, go on
            print(text, flush=True)


def nobody_listens() -> bool:
    """Whether the terminal is closed, or the reader of our pipe gone. Not everybody gets a signal then."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))
