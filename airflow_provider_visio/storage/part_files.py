"""Part files: hidden, used by one task only, and removed also after the task was killed."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import stat
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_visio import clock

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

# Hosts may not see each other's locks, so a file that changed in the last seconds counts as being written.
GRACE = 60.0


def part_name(name: str) -> str:
    """Return a hidden name that no other task uses."""
    return f".{name}.{uuid.uuid4().hex[:8]}.part"


@contextlib.contextmanager
def local_part(folder: Path, name: str, *, mode: int = 0o666) -> Iterator[Path]:
    """
    Yield an empty file to write to, and remove it in the end.

    :param folder: a local folder.
    :param name: a part of the file's name.
    :param mode: its permissions, before the umask.
    """
    path, lock = _locked(folder, name, mode)
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        os.close(lock)


def remove_dead(folder: Path, name: str = "") -> None:
    """
    Remove the part files of killed tasks; a running task holds a lock on its own.

    :param folder: a local folder.
    :param name: the name given to :func:`local_part`; all names by default.
    """
    pattern = re.compile(rf"\.{re.escape(name) or '.+'}\.[0-9a-f]{{8}}\.part")
    # Cleaning up never fails a task.
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if pattern.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    _remove_if_dead(Path(entry.path))


def _locked(folder: Path, name: str, mode: int) -> tuple[Path, int]:
    while True:
        path = folder / part_name(name)
        lock = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            return path, lock
        os.close(lock)  # another task removed it before it had its lock


def _remove_if_dead(path: Path) -> None:
    lock = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(lock)
        if stat.S_ISREG(found.st_mode) and clock.now() - found.st_mtime > GRACE:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            log.info("Removed %s, the part file of a killed task.", path)
    finally:
        os.close(lock)
