"""Folders of this checkout, and a lock that allows one run of a command at a time."""

from __future__ import annotations

import fcntl
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dev.processes import DevError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".airflow"
EXAMPLE_DAGS = ROOT / "example_dags"
OUTPUT = ROOT / "demo-output"


@contextmanager
def single_run(name: str, work: Path = WORK) -> Iterator[Path]:
    """Create an empty folder for one run of a command, and hold the command's lock.

    :param name: name of the `make` target
    :raises DevError: another run of the command holds the lock
    """
    work.mkdir(parents=True, exist_ok=True)
    with (work / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DevError(
                f"`make {name}` already runs in this checkout. Wait for its end or stop it."
            ) from None
        home = work / name
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        yield home
