"""Start commands as child processes, and end them with all their descendants (see process_supervisor.py)."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dev.process_supervisor import KILL, STOP, descendants, send

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import FrameType

    import psutil  # type: ignore[import-untyped]

SUPERVISOR = Path(__file__).with_name("process_supervisor.py")


class DevError(Exception):
    """An expected failure of a developer tool. Its text is printed without a traceback."""


class Stopped(BaseException):
    """SIGINT, SIGTERM or SIGHUP was received.

    :param number: the signal
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


@contextmanager
def raise_on_signal() -> Iterator[None]:
    """Raise `Stopped` on SIGINT, SIGTERM and SIGHUP, so that `finally` and `with` clean up."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise Stopped(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ignore_signals() -> Iterator[None]:
    """Ignore SIGINT, SIGTERM and SIGHUP, so that a second Ctrl-C does not interrupt the cleanup."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    try:
        before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    except ValueError:  # only the main thread handles signals
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Child:
    """A running command, with its output in a log file.

    :param name: name for messages
    :param command: program and arguments
    :param log: file that the output is appended to
    :param env: environment variables; None: those of this process
    :param cwd: working folder; None: that of this process
    :param grace: seconds between SIGTERM and SIGKILL
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        grace: float = 5.0,
    ) -> None:
        self.name = name
        self.log = log
        self._grace = grace
        self.started = time.time()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._log_before = output.tell()
            self._supervisor = subprocess.Popen(
                [sys.executable, "-P", str(SUPERVISOR), str(grace), *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                start_new_session=True,
                bufsize=0,
            )

    @property
    def alive(self) -> bool:
        """Return whether the command or a descendant of it runs."""
        return self._supervisor.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Return the command's exit code, or None while it runs."""
        return self._supervisor.poll()

    def processes(self) -> list[psutil.Process]:
        """List the command and all its descendants, without the supervisor."""
        return descendants(self._supervisor.pid)

    def _send_order(self, order: bytes) -> None:
        with suppress(OSError, ValueError):
            assert self._supervisor.stdin is not None
            self._supervisor.stdin.write(order)
            self._supervisor.stdin.close()

    def request_stop(self) -> None:
        """Order the end (SIGTERM, then SIGKILL after the grace period), and return at once."""
        self._send_order(STOP)

    def stop(self) -> None:
        """Order the end, and wait for it."""
        self.request_stop()
        self.wait()

    def kill(self) -> None:
        """Kill the command and its descendants at once, as in a crash."""
        self._send_order(KILL)
        self.wait()

    def wait(self) -> int:
        """Wait for an ordered end, at most for the grace period and ten seconds.

        :return: exit code
        """
        try:
            return self._supervisor.wait(self._grace + 10)
        except subprocess.TimeoutExpired:  # the supervisor hangs: do its work
            for process in self.processes():
                send(process, signal.SIGKILL)
            self._supervisor.kill()
            return self._supervisor.wait()

    def output(self) -> str:
        """Return its output: the log since its start."""
        with self.log.open("rb") as log:
            log.seek(self._log_before)
            return log.read().decode(errors="replace")

    def tail(self, lines: int = 40) -> str:
        """Return the last lines of the log."""
        return tail(self.log, lines)


def stop_all(children: Iterable[Child]) -> None:
    """Stop several children at the same time."""
    children = list(children)
    with ignore_signals():
        for child in children:
            child.request_stop()
        for child in children:
            child.wait()


def tail(path: Path, lines: int) -> str:
    """Return the last lines of a text file, or an empty text if the file does not exist."""
    if not path.is_file():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
