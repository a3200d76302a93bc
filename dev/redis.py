"""Create a temporary Redis server on a free loopback port, which can be stopped and started again."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from dev.polling import wait_for
from dev.ports import free_port
from dev.processes import Child, DevError

if TYPE_CHECKING:
    from types import TracebackType

TIMEOUT = 30


class Redis:
    """`with Redis(folder) as redis:` starts a server with Redis's own settings, and always stops it.

    :param folder: folder for its log. The data are in a system temporary folder
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder / "redis.log"
        self._data = Path()
        self._child: Child | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """Return the broker URL for Celery."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def version(self) -> str:
        """Return the server's version, such as `7.0.15`."""
        output = subprocess.run([_server(), "--version"], capture_output=True, text=True, check=True).stdout
        return next(word for word in output.split() if word.startswith("v=")).removeprefix("v=")

    def __enter__(self) -> Self:
        self._data = Path(tempfile.mkdtemp(prefix="visio-redis-"))
        try:
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def start(self) -> None:
        """Start the server with the data that it wrote when it was stopped, and wait until it answers."""
        command = [_server(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._data)]
        self._child = Child("redis", command, self._log)
        wait_for("Redis", self._answers, timeout=TIMEOUT, every=0.1)

    def stop(self) -> None:
        """Stop the server. It writes its data first, as at an orderly shutdown."""
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        """Kill the server and delete its data, as when it keeps none and its machine is lost."""
        if self._child is not None:
            self._child.kill()
        for file in self._data.iterdir():
            file.unlink()

    def _answers(self) -> bool:
        if self._child is not None and not self._child.alive:
            raise DevError(f"Redis ended. The end of its log:\n{self._child.tail()}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def _end(self) -> None:
        self.stop()
        shutil.rmtree(self._data, ignore_errors=True)


def _server() -> str:
    found = shutil.which("redis-server")
    if found is None:
        raise DevError("redis-server is not installed. Install the package redis-server (Debian).")
    return found
