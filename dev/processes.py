"""Children that are started in a box of their own (see process_supervisor.py) and ended with all they started."""

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

GUARD = Path(__file__).with_name("process_supervisor.py")


class DevError(Exception):
    """Something foreseeable went wrong; the text is for the person at the terminal."""


class Stopped(BaseException):
    """The terminal or another program asked us to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


@contextmanager
def signals_stop_us() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into an exception, so that `finally` and `with` do their work."""

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
def undisturbed() -> Iterator[None]:
    """Let no second Ctrl-C interrupt the cleaning up after the first."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    try:
        before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    except ValueError:  # not the main thread: signals do not come here
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Child:
    """One command: started with its output in a log file, ended with everything it started."""

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
            self._guard = subprocess.Popen(
                [sys.executable, "-P", str(GUARD), str(grace), *command],
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
        """Whether the command, or anything it started, still runs."""
        return self._guard.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The command's exit code once it has ended."""
        return self._guard.poll()

    def processes(self) -> list[psutil.Process]:
        """List the command and all its descendants, the guard not among them."""
        return descendants(self._guard.pid)

    def _say(self, order: bytes) -> None:
        with suppress(OSError, ValueError):
            assert self._guard.stdin is not None
            self._guard.stdin.write(order)
            self._guard.stdin.close()

    def ask_to_stop(self) -> None:
        """Begin a polite end (TERM, then KILL after the grace) and return at once."""
        self._say(STOP)

    def stop(self) -> None:
        """End it politely and wait."""
        self.ask_to_stop()
        self.wait()

    def kill(self) -> None:
        """End the command and its descendants at once, with no chance to tidy up, as a crash would."""
        self._say(KILL)
        self.wait()

    def wait(self) -> int:
        """Wait for the end that was asked for; it is bounded by the grace."""
        try:
            return self._guard.wait(self._grace + 10)
        except subprocess.TimeoutExpired:  # the guard hangs: do its work
            for process in self.processes():
                send(process, signal.SIGKILL)
            self._guard.kill()
            return self._guard.wait()

    def tail(self, lines: int = 40) -> str:
        """Return the last lines of its log."""
        return tail(self.log, lines)


def stop_all(children: Iterable[Child]) -> None:
    """End children side by side."""
    children = list(children)
    with undisturbed():
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.wait()


def tail(path: Path, lines: int) -> str:
    """Return the last lines of a text file, or nothing when there is no such file."""
    if not path.is_file():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
