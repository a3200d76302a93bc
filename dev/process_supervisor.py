"""Run a command, and end all its descendants when it ends.

    python process_supervisor.py GRACE command [argument ...]

The supervisor ends the command and its descendants when the command ends, when the parent orders it, or
when the parent is gone. It notices a lost parent because the parent holds the other end of its standard
input. Descendants with a process group or session of their own are ended too. Other processes are not.
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

# Orders of the parent: SIGTERM, then SIGKILL after the grace period; or SIGKILL at once, as in a crash.
STOP, KILL = b"t", b"k"


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


class ProcessTree:
    """A command and its descendants.

    :param command: program and arguments
    :param grace: seconds between SIGTERM and SIGKILL
    """

    def __init__(self, command: list[str], grace: float) -> None:
        self.grace = grace
        self.code: int | None = None
        # Orphans of the command become children of this process, so that it finds them.
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.pid = os.fork()
        if not self.pid:
            self._exec(command)

    @staticmethod
    def _exec(command: list[str]) -> None:
        try:
            os.setsid()
            # If the supervisor is killed, the kernel kills the command.
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
        """Collect the ended children, and keep the command's exit code."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self.pid:
                self.code = os.waitstatus_to_exitcode(status)

    def processes(self) -> list[psutil.Process]:
        """List the running descendants."""
        self.reap()
        return descendants(os.getpid())

    def stop(self) -> None:
        """Send SIGTERM to the command. After the grace period, kill the rest."""
        if self.code is None:
            send(psutil.Process(self.pid), signal.SIGTERM)
            until = time.monotonic() + self.grace
            while time.monotonic() < until and self.processes():
                time.sleep(TICK)
        self.kill()

    def kill(self) -> None:
        """Kill all descendants, and repeat it until none is left."""
        while alive := self.processes():
            for process in alive:
                send(process, signal.SIGKILL)
            time.sleep(KILL_TICK)


def descendants(pid: int) -> list[psutil.Process]:
    """List all descendants of a process."""
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def send(process: psutil.Process, number: int) -> None:
    """Send a signal to this process, and never to a later process with the same id."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _read_order() -> bytes | None:
    """Read an order of the parent, or None. A closed pipe is an order to stop."""
    readable, _, _ = select.select([0], [], [], TICK)
    return (os.read(0, 1) or STOP) if readable else None


def main(arguments: list[str]) -> int:
    """Run the command.

    :param arguments: the grace period in seconds, then the command
    :return: exit code of the command; 128 plus the signal if a signal ended it
    """
    signals: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: signals.append(received))
    tree = ProcessTree(arguments[1:], float(arguments[0]))
    order: bytes | None = None
    while tree.code is None and not order and not signals:
        order = _read_order()
        tree.reap()
    if order == KILL:
        tree.kill()
    else:
        tree.stop()
    code = tree.code or 0
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
