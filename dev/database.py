"""Create a migrated metadata database. An empty SQLite database is created once for each Airflow, and then copied."""

from __future__ import annotations

import hashlib
import sqlite3
import sys
import tempfile
from contextlib import closing
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

from dev import settings
from dev.polling import wait_for
from dev.processes import Child, DevError

if TYPE_CHECKING:
    from collections.abc import Mapping

MIGRATION_TIMEOUT = 180


def sqlite_url(path: Path, *, lock_timeout: int | None = None) -> str:
    """Return the database URL of an SQLite file.

    :param lock_timeout: seconds to wait for another writer; None: SQLite's default of five
    """
    return f"sqlite:///{path}" + (f"?timeout={lock_timeout}" if lock_timeout else "")


def _airflow_fingerprint() -> str:
    """Return a hash of the versions of Airflow and its providers, because providers may have tables too."""
    found = sorted(
        f"{dist.name}=={dist.version}" for dist in distributions() if dist.name.startswith("apache-airflow")
    )
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]


def migrate(environment: Mapping[str, str], log: Path) -> None:
    """Migrate a database with `airflow db migrate`.

    :param environment: environment variables that name the database
    :param log: file for the command's output
    :raises DevError: the migration failed
    """
    child = Child("db-migrate", [sys.executable, "-m", "airflow", "db", "migrate"], log, env=environment)
    try:
        wait_for("database migration", lambda: not child.alive, timeout=MIGRATION_TIMEOUT, every=0.1)
    finally:
        child.stop()
    if child.exit_code:
        raise DevError(f"`airflow db migrate` failed. The end of {log}:\n{child.tail()}")


def create_from_template(target: Path, cache: Path) -> None:
    """Create an empty, migrated SQLite database.

    :param target: the new file
    :param cache: folder that keeps the template between runs
    """
    template = cache / f"empty-{_airflow_fingerprint()}.db"
    if not template.is_file():
        _create(template)
    _copy(template, target)


def _create(template: Path) -> None:
    template.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="migrate-", dir=template.parent) as folder:
        home = Path(folder)
        fresh = home / "airflow.db"
        config = settings.defaults(home, home / "dags", sqlite_url(fresh), port=0, parallelism=1, url="")
        settings.write(config, home / "airflow.cfg")
        migrate(settings.environment(home, {}), home / "migrate.log")
        complete = home / template.name
        _copy(fresh, complete)
        complete.replace(template)


def _copy(source: Path, target: Path) -> None:
    # SQLite's own copy includes the write-ahead log.
    with closing(sqlite3.connect(source)) as before, closing(sqlite3.connect(target)) as after:
        before.backup(after)
    target.chmod(0o600)
