"""Write files so that each appears under its final name only when it is whole."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.exceptions import TransferError
from airflow_provider_visio.storage.temp_files import local_part, part_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

# Stores that show only complete objects, and in which a rename is a copy.
WHOLE_OBJECT_STORES = {
    "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "wasb", "wasbs", "oss", "oci", "memory",
}  # fmt: skip

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
LOCAL = {"file", "local", ""}
# Files on their way to an object store, in the temporary folder of the machine.
SPOOL = "visio"


def write_whole(path: ObjectStoragePath, content: bytes) -> None:
    """Write a small file, which appears only when it is whole."""
    if path.protocol in WHOLE_OBJECT_STORES:
        path.fs.pipe_file(path.path, content)
        check_stored(path, len(content))
        return
    with temporary_name(path.parent, path.name) as temporary:
        with temporary.open("wb") as target:
            target.write(content)
            flush(target)
        move_into_place(temporary, path)


@contextlib.contextmanager
def temporary_name(folder: ObjectStoragePath, name: str) -> Iterator[Path | ObjectStoragePath]:
    """Yield a hidden name that only this task uses, and remove the file in the end."""
    if folder.protocol in LOCAL:
        with local_part(Path(folder.path), name) as part:
            yield part
        return
    path = folder / part_name(name)
    try:
        yield path
    finally:
        with contextlib.suppress(Exception):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def spooled_file() -> Iterator[Path]:
    """Yield a file in the temporary folder of this machine, and remove it in the end."""
    folder = Path(tempfile.gettempdir())
    try:
        with local_part(folder, SPOOL, mode=0o600) as part:
            yield part
    except OSError as error:
        if error.errno in DISK_FULL and error.filename is None:
            error.filename = str(folder)  # a failed write has no path
        raise


def flush(target: Any) -> None:
    """Write a local file's bytes to the disk before it gets its name, in case the machine fails."""
    target.flush()
    with contextlib.suppress(AttributeError, io.UnsupportedOperation):  # not a local file
        os.fsync(target.fileno())


def move_into_place(temporary: Path | ObjectStoragePath, path: ObjectStoragePath) -> None:
    """Rename a written file to its final name, over an older one."""
    written = str(getattr(temporary, "path", temporary))
    # With Airflow 3.1 a path in any store may be a pathlib.Path, so its type does not show the store.
    if path.protocol in LOCAL:
        Path(written).replace(path.path)  # the one rename that is atomic over an older file
    else:
        try:
            path.fs.mv(written, path.path)
        except FileExistsError:  # this store's rename does not replace
            with _aside(path):
                path.fs.mv(written, path.path)


@contextlib.contextmanager
def _aside(path: ObjectStoragePath) -> Iterator[None]:
    """Move a file out of the way, and back if its replacement fails."""
    aside = path.parent / part_name(path.name)
    path.fs.mv(path.path, aside.path)
    try:
        yield
    except BaseException:
        path.fs.mv(aside.path, path.path)
        raise
    try:
        aside.unlink()
    except Exception as error:  # noqa: BLE001 - the new file is in place
        log.warning("%s, an earlier %s, could not be removed: %s", aside, path.name, error)


def check_stored(path: ObjectStoragePath, size: int) -> None:
    """
    Compare the length that a store reports with the length that was sent.

    :raises TransferError: they differ; the object has been removed.
    """
    stored = path.stat().st_size
    if stored != size:
        path.unlink(missing_ok=True)
        raise TransferError.at_store(f"{path} was stored with {stored} of {size} bytes and has been removed.")
