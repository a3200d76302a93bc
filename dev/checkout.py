"""Where things are in this checkout, and the lock that keeps two runs of one command apart."""

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
def only_one(name: str, work: Path = WORK) -> Iterator[Path]:
    """Make a fresh folder for one run of a command, and refuse a second run at the same time."""
    work.mkdir(parents=True, exist_ok=True)
    with (work / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DevError(f"`make {name}` runs already in this checkout") from None
        home = work / name
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        yield home
