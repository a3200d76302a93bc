"""A developer command as a child of the test, read line by line and watched for what it leaves behind."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    import signal
    from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]


class Terminal:
    """Runs `python -m <module> ...` in a process group of its own, as a shell with job control does."""

    def __init__(self, module: str, *arguments: str) -> None:
        self.output = ""
        self.seen: set[psutil.Process] = set()
        self._lines: queue.Queue[str] = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def look(self) -> None:
        """Take in what was printed, and note every process that descends from the command."""
        while not self._lines.empty():
            self.output += self._lines.get()
        if self.process.poll() is None:
            self.seen |= set(psutil.Process(self.process.pid).children(recursive=True))

    def wait_for_text(self, text: str, timeout: float) -> None:
        until = time.monotonic() + timeout
        while text not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < until, f"{text!r} not seen in:\n{self.output}"
            self.look()
            time.sleep(0.1)

    def wait_for_processes(self, count: int, timeout: float) -> None:
        until = time.monotonic() + timeout
        while len(self.seen) < count:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < until, self.seen
            self.look()
            time.sleep(0.05)

    def wait_for_end(self, timeout: float) -> int:
        until = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < until, f"still running:\n{self.output}"
            self.look()
            time.sleep(0.1)
        time.sleep(0.1)
        self.look()
        return self.process.returncode

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal as a terminal's key does: to everything in the foreground group."""
        self.look()
        os.killpg(self.process.pid, number)

    def survivors(self) -> list[str]:
        """Name what descends from the command and is still there."""
        return [
            str(process) for process in self.seen if process.is_running() and process.status() != "zombie"
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
