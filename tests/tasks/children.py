"""Real processes beside the test's own, which can be killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

# Forked, for a new Python would take seconds to import Airflow.
FORK = multiprocessing.get_context("fork")


class Child:
    """
    A process that runs a function with its end of a pipe.

    :param work: what to do; what it returns, or the error it raises, is the child's result.
    """

    def __init__(self, work: Callable[[Connection], Any]) -> None:
        self.pipe, end = FORK.Pipe()

        def run() -> None:
            self.pipe.close()
            try:
                end.send(("result", work(end)))
            except BaseException as error:  # noqa: BLE001
                end.send(("error", f"{type(error).__name__}: {error}"))
            os._exit(0)  # the test's own cleaning up is not the child's

        self._process = FORK.Process(target=run, daemon=True)
        self._process.start()
        end.close()

    def hear(self) -> Any:
        """Return what the child says next."""
        assert self.pipe.poll(30), "the child says nothing"
        return self.pipe.recv()

    def result(self) -> Any:
        what, value = self.hear()
        assert what == "result", value
        return value

    def error(self) -> str:
        what, value = self.hear()
        assert what == "error", value
        return value

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        os.kill(self._process.pid or 0, signal.SIGKILL)
        self._process.join(10)
        assert self._process.exitcode == -signal.SIGKILL

    def close(self) -> None:
        if self._process.is_alive():
            self._process.kill()
        self._process.join(10)
        self.pipe.close()


@contextmanager
def child(work: Callable[[Connection], Any]) -> Iterator[Child]:
    """Run a function in a process of its own, and leave none behind."""
    running = Child(work)
    try:
        yield running
    finally:
        running.close()
