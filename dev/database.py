"""A migrated metadata database. An empty SQLite one is made once for each Airflow and copied from then on."""

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


def sqlite_url(path: Path, *, patience: int | None = None) -> str:
    """Name a SQLite file as Airflow wants it.

    :param patience: seconds to wait while somebody else writes; None: SQLite's own five
    """
    return f"sqlite:///{path}" + (f"?timeout={patience}" if patience else "")


def _airflow_fingerprint() -> str:
    """Tell installations of Airflow apart by all its versions: providers, too, may bring tables."""
    found = sorted(
        f"{dist.name}=={dist.version}" for dist in distributions() if dist.name.startswith("apache-airflow")
    )
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]


def migrate(environment: Mapping[str, str], log: Path) -> None:
    """Bring the database that `environment` points to up to date."""
    child = Child("db-migrate", [sys.executable, "-m", "airflow", "db", "migrate"], log, env=environment)
    try:
        wait_for("database migration", lambda: not child.alive, timeout=MIGRATION_TIMEOUT, every=0.1)
    finally:
        child.stop()
    if child.exit_code:
        raise DevError(f"`airflow db migrate` failed; {log} ends:\n{child.tail()}")


def copy_of_template(target: Path, cache: Path) -> None:
    """Put an empty, migrated SQLite database at `target`."""
    template = cache / f"empty-{_airflow_fingerprint()}.db"
    if not template.is_file():
        _make(template)
    _copy(template, target)


def _make(template: Path) -> None:
    template.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="migrate-", dir=template.parent) as folder:
        home = Path(folder)
        fresh = home / "airflow.db"
        config = settings.defaults(home, home / "dags", sqlite_url(fresh), port=0, parallelism=1)
        settings.write(config, home / "airflow.cfg")
        migrate(settings.environment(home, {}), home / "migrate.log")
        whole = home / template.name
        _copy(fresh, whole)
        whole.replace(template)


def _copy(source: Path, target: Path) -> None:
    # SQLite's own copy takes along what is still in the write-ahead log.
    with closing(sqlite3.connect(source)) as before, closing(sqlite3.connect(target)) as after:
        before.backup(after)
    target.chmod(0o600)
