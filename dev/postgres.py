"""Create a temporary PostgreSQL server on a free loopback port, and stop it with all its processes."""

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
# The data are deleted after the run, so they need not reach the disk.
NO_DURABILITY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


class Postgres:
    """`with Postgres(folder) as postgres:` creates and starts a database server, and always stops it.

    :param folder: folder for its log. The data are in a system temporary folder, because PostgreSQL does not run as
        root and another user must reach them
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder / "postgres.log"
        self._data = Path()
        self._child: Child | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """Return the database URL for Airflow."""
        return f"postgresql+psycopg2://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def version(self) -> str:
        """Return the server's version, such as `15.13`."""
        output = subprocess.run([_tool("postgres"), "--version"], capture_output=True, text=True, check=True)
        return output.stdout.split()[2]

    def __enter__(self) -> Self:
        try:
            self._create()
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _create(self) -> None:
        self._data = Path(tempfile.mkdtemp(prefix="visio-postgres-"))
        if os.getuid() == 0:
            shutil.chown(self._data, _unprivileged())
        options = ["--username", USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
        self._run(_tool("initdb"), "--pgdata", str(self._data / "cluster"), *options)

    def _start(self) -> None:
        settings = [*NO_DURABILITY, "listen_addresses=127.0.0.1", "unix_socket_directories="]
        command = [
            *(_tool("postgres"), "-D", str(self._data / "cluster"), "-p", str(self.port)),
            *(word for setting in settings for word in ("-c", setting)),
        ]
        # After SIGTERM, PostgreSQL waits for its clients. The supervisor's SIGKILL after the grace period ends that.
        self._child = Child("postgres", _as_user(command), self._log, grace=1)
        wait_for("PostgreSQL", self._accepts, timeout=TIMEOUT, every=0.1)
        self._run(_tool("createdb"), "--host", "127.0.0.1", "--port", str(self.port), "-U", USER, DATABASE)

    def _accepts(self) -> bool:
        if self._child is not None and not self._child.alive:
            raise DevError(f"PostgreSQL ended. The end of its log:\n{self._child.tail()}")
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
    """Return the path of a PostgreSQL program: of the newest version, which Debian installs outside the PATH."""
    versions = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]), reverse=True)
    found = versions[0] if versions else shutil.which(name)
    if found is None:
        raise DevError(f"PostgreSQL's {name} is not installed. Install the package postgresql (Debian).")
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
    raise DevError("PostgreSQL does not run as root. Create a user named postgres.")
