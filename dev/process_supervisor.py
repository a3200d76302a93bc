"""Run one command in a box, and leave nothing of it behind.

    python process_supervisor.py GRACE command [argument ...]

The box ends when the command ends, when the starter says so, or when the starter is gone, however
it went: the starter holds the other end of our standard input. Everything the command ever started
is ended with it, also what put itself into a group or session of its own. Nothing else is touched.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from contextlib import suppress

import psutil  # type: ignore[import-untyped]

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
TICK = 0.1
KILL_TICK = 0.02

# What the starter writes: end it politely; end it at once, as a crash would.
STOP, KILL = b"t", b"k"


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


class Box:
    """The command, and everything that descends from it."""

    def __init__(self, command: list[str], grace: float) -> None:
        self.grace = grace
        self.code: int | None = None
        # Orphans of the command become children of ours, so that they can be found.
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.pid = os.fork()
        if not self.pid:
            self._become(command)

    @staticmethod
    def _become(command: list[str]) -> None:
        try:
            os.setsid()
            # Should the guard itself be killed, the command goes too.
            _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            os.execvp(command[0], command)
        except OSError as error:
            print(f"cannot run {command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        finally:
            os._exit(127)

    def reap(self) -> None:
        """Collect what has ended, the command's exit code included."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self.pid:
                self.code = os.waitstatus_to_exitcode(status)

    def inmates(self) -> list[psutil.Process]:
        """List what is alive in the box."""
        self.reap()
        return descendants(os.getpid())

    def stop(self) -> None:
        """Ask the command to end, give it the grace, then end all that is left."""
        if self.code is None:
            send(psutil.Process(self.pid), signal.SIGTERM)
            until = time.monotonic() + self.grace
            while time.monotonic() < until and self.inmates():
                time.sleep(TICK)
        self.kill()

    def kill(self) -> None:
        """End everything in the box now; look again until nothing is found."""
        while inmates := self.inmates():
            for process in inmates:
                send(process, signal.SIGKILL)
            time.sleep(KILL_TICK)


def descendants(pid: int) -> list[psutil.Process]:
    """List all children of a process, and theirs."""
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def send(process: psutil.Process, number: int) -> None:
    """Signal exactly this process: one that got its number later is left alone."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _order() -> bytes | None:
    """Read what the starter says, if anything. The pipe closed at its end is an order to stop."""
    readable, _, _ = select.select([0], [], [], TICK)
    return (os.read(0, 1) or STOP) if readable else None


def main(arguments: list[str]) -> int:
    """Run the command in a box; return its exit code."""
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: asked.append(received))
    box = Box(arguments[1:], float(arguments[0]))
    order: bytes | None = None
    while box.code is None and not order and not asked:
        order = _order()
        box.reap()
    if order == KILL:
        box.kill()
    else:
        box.stop()
    code = box.code or 0
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
