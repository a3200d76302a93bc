"""Part files: hidden files that one task writes to, and that a later task removes if the first was killed."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_visio import clock

if TYPE_CHECKING:
    from collections.abc import Iterator

# A download that goes on writes more often than this many seconds, so an older file is that of a killed task.
LONGEST_PAUSE = 3600.0


def part_name(name: str) -> str:
    """Return a hidden name that no other task uses."""
    return f".{name}.{uuid.uuid4().hex[:8]}.part"


@contextlib.contextmanager
def local_part(folder: Path, name: str, *, mode: int | None = None) -> Iterator[Path]:
    """
    Yield the path of a new file to write to, and remove it in the end.

    :param folder: a local folder.
    :param name: a part of the file's name.
    :param mode: its permissions, before the umask; None for those of any new file.
    """
    path = folder / part_name(name)
    if mode is not None:  # a mount of an object store has no file that is created first and written later
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def remove_dead(folder: Path, name: str = "") -> None:
    """
    Remove the part files of killed tasks.

    :param folder: a local folder.
    :param name: the name given to :func:`local_part`; all names by default.
    """
    pattern = re.compile(rf"\.{re.escape(name) or '.+'}\.[0-9a-f]{{8}}\.part")
    # Cleaning up never fails a task.
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if pattern.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    if clock.now() - entry.stat().st_mtime > LONGEST_PAUSE:
                        Path(entry.path).unlink()
