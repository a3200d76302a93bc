"""Print log lines to the terminal, each with the seconds since the start."""

from __future__ import annotations

import select
import sys
import textwrap
import time
from contextlib import suppress

WIDTH = 110
INDENT = " " * 19


class Console:
    """Prints lines with seconds, source and text."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._start

    def log(self, source: str, text: str) -> None:
        """Print a line. A long line is wrapped.

        :param source: what the line is about, such as `Airflow`
        """
        lines = textwrap.wrap(text, WIDTH - len(INDENT), break_long_words=False, break_on_hyphens=False) or [
            ""
        ]
        self.print_text(
            "\n".join(
                [f"{self.seconds:6.1f}  {source:9}  {lines[0]}", *(INDENT + line for line in lines[1:])]
            )
        )

    def print_text(self, text: str) -> None:
        """Print a text unchanged."""
        with suppress(OSError):  # without a terminal, the work and its cleanup still continue
            print(text, flush=True)


def is_output_closed() -> bool:
    """Return whether the terminal or the reader of standard output is gone. Not every process gets a signal then."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))
