"""A PostgreSQL of its own in a folder: made, started on a free loopback port, and ended with all it started."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from dev.polling import wait_for
from dev.ports import free_port
from dev.processes import Child, DevError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

DEBIAN = Path("/usr/lib/postgresql")
USER = "airflow"
DATABASE = "airflow"
TIMEOUT = 60
# Nothing of it has to outlive this run, so nothing needs to reach the disk.
HASTY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


class Postgres:
    """`with Postgres(folder) as postgres:` makes and starts a database server, and always ends it.

    :param folder: where its log goes; the data go to a folder of the system's temporary ones, which another user
        can reach, for PostgreSQL refuses to run as root
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder / "postgres.log"
        self._data = Path()
        self._child: Child | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """The database as Airflow wants it named."""
        return f"postgresql+psycopg2://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def version(self) -> str:
        """The server's version, such as `15.13`."""
        told = subprocess.run([_tool("postgres"), "--version"], capture_output=True, text=True, check=True)
        return told.stdout.split()[2]

    def __enter__(self) -> Self:
        try:
            self._make()
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _make(self) -> None:
        self._data = Path(tempfile.mkdtemp(prefix="visio-postgres-"))
        if os.getuid() == 0:
            shutil.chown(self._data, _unprivileged())
        options = ["--username", USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
        self._run(_tool("initdb"), "--pgdata", str(self._data / "cluster"), *options)

    def _start(self) -> None:
        settings = [*HASTY, "listen_addresses=127.0.0.1", "unix_socket_directories="]
        command = [
            *(_tool("postgres"), "-D", str(self._data / "cluster"), "-p", str(self.port)),
            *(word for setting in settings for word in ("-c", setting)),
        ]
        # SIGTERM would wait for its clients to leave; the guard's KILL after the grace does not.
        self._child = Child("postgres", _as_user(command), self._log, grace=1)
        wait_for("PostgreSQL", self._accepts, timeout=TIMEOUT, every=0.1)
        self._run(_tool("createdb"), "--host", "127.0.0.1", "--port", str(self.port), "-U", USER, DATABASE)

    def _accepts(self) -> bool:
        if self._child is not None and not self._child.alive:
            raise DevError(f"PostgreSQL ended:\n{self._child.tail()}")
        asked = [_tool("pg_isready"), "--host", "127.0.0.1", "--port", str(self.port)]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            _as_user(command), capture_output=True, text=True, check=False, cwd=self._data, timeout=TIMEOUT
        )
        if done.returncode:
            raise DevError(f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}")

    def _end(self) -> None:
        if self._child is not None:
            self._child.stop()
        if self._data != Path():
            shutil.rmtree(self._data, ignore_errors=True)


def _tool(name: str) -> str:
    """Find a program of PostgreSQL's: Debian keeps the server's off the PATH; the newest version counts."""
    versions = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]), reverse=True)
    found = versions[0] if versions else shutil.which(name)
    if found is None:
        raise DevError(f"PostgreSQL's {name} is not installed (Debian: postgresql)")
    return str(found)


def _as_user(command: Sequence[str]) -> list[str]:
    if os.getuid() != 0:
        return list(command)
    return ["setpriv", f"--reuid={_unprivileged()}", "--clear-groups", "--", *command]


def _unprivileged() -> str:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise DevError("PostgreSQL refuses to run as root, and there is no user postgres or nobody")
