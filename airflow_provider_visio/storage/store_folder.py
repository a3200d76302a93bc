"""A folder of a store, and how files get into it so that each has its final name only when it is whole."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_visio.storage.part_files import local_part, part_name, remove_dead

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

# Stores that show only complete objects.
_WHOLE_OBJECTS = {
    "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "wasb", "wasbs", "oss", "oci", "memory",
}  # fmt: skip
_LOCAL = {"file", "local", ""}
# Without these, s3fs and gcsfs read files of up to 100 MiB into memory.
_S3_UPLOAD = {"chunksize": 8 * 2**20, "max_concurrency": 1}
_UPLOAD: dict[str, dict[str, Any]] = {
    "s3": _S3_UPLOAD,
    "s3a": _S3_UPLOAD,
    "gs": {"chunksize": 8 * 2**20},
    "gcs": {"chunksize": 8 * 2**20},
}
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# A mount of an object store may know no rename.
_NO_RENAME = {errno.ENOSYS, errno.ENOTSUP, errno.EPERM, errno.EXDEV}
# Bytes that a store's client reads ahead; some would take 50 MiB.
_READ_BLOCK = 4 * 2**20
# Part files in the temporary folder of the machine, on their way to a store.
_SPOOL = "visio"


class StoreFolder:
    """
    A folder of a store. Its files are known by their names.

    :param folder: the folder, in any store that Airflow has a filesystem for.
    """

    def __init__(self, folder: ObjectStoragePath) -> None:
        self.folder = folder
        self._fs = folder.fs
        # Plain text: to join path objects takes a millisecond each.
        self._path = str(folder.path).rstrip("/")
        self._url = str(folder).rstrip("/")
        self._uri = str(self._fs.unstrip_protocol(self._path)).rstrip("/")
        self._is_local = folder.protocol in _LOCAL
        self._renames = True

    def location(self, name: str) -> dict[str, str]:
        """Return the ``path`` of a file as Airflow reads it, and its ``uri``, without a connection id."""
        return {"path": f"{self._url}/{name}", "uri": f"{self._uri}/{name}"}

    def prepare(self) -> None:
        """Create the folder if the store has folders, and remove the part files of killed tasks."""
        if self.folder.protocol not in _WHOLE_OBJECTS:
            # In an object store, creating a folder could create a bucket.
            self.folder.mkdir(parents=True, exist_ok=True)
        if self._is_local:
            remove_dead(Path(self._path))
        remove_dead(Path(tempfile.gettempdir()), _SPOOL)

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[Path]:
        """
        Yield the path of a file of this machine to write to, for :meth:`put`, and remove it in the end.

        :param name: a part of its name.
        """
        if self._is_local and self._renames:
            with local_part(Path(self._path), name) as part:
                yield part
            return
        spool = Path(tempfile.gettempdir())
        try:
            with local_part(spool, _SPOOL, mode=0o600) as part:
                yield part
        except OSError as error:
            if error.errno in _DISK_FULL and error.filename is None:
                error.filename = str(spool)  # a failed write has no path
            raise

    def put(self, part: Path, name: str) -> None:
        """Store a part file that is written under its final name, over an older file."""
        final = f"{self._path}/{name}"
        if self._is_local:
            self._put_local(part, Path(final))
        elif self.folder.protocol in _WHOLE_OBJECTS:
            self._fs.put_file(str(part), final, **_UPLOAD.get(self.folder.protocol, {}))
        else:
            self._put_by_rename(part, name)

    def write(self, name: str, content: bytes) -> None:
        """Write a small file, over an older one."""
        with self.part(name) as part:
            part.write_bytes(content)
            self.put(part, name)

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file, or None if it does not exist or this task may not read it."""
        try:
            return bytes(self._fs.cat_file(f"{self._path}/{name}"))
        except (FileNotFoundError, PermissionError):  # S3 answers 403 for a missing key if one may not list
            return None

    def open_to_read(self, name: str) -> IO[bytes]:
        """
        Open a file to read it in parts. On a disk it must be a plain file: a link could lead to any other.

        :raises OSError: it does not exist, or cannot be opened.
        """
        path = f"{self._path}/{name}"
        if self._is_local:
            return open(path, "rb", opener=_open_plain)
        file: IO[bytes] = self._fs.open(path, "rb", block_size=_READ_BLOCK)
        return file

    def remove(self, name: str) -> None:
        """Remove a file that is no longer of use; one that cannot be removed stays."""
        try:
            self._fs.rm_file(f"{self._path}/{name}")
        except FileNotFoundError:
            pass
        except Exception as error:  # noqa: BLE001 - each store has its own error
            log.warning("%s/%s, an earlier file, could not be removed: %s", self.folder, name, error)

    def present(self, lengths: Mapping[str, int]) -> set[str]:
        """
        Return the names of those files that the folder has with the given length.

        :param lengths: the length in bytes by name. A file whose length the store does not say counts as having it.
        """
        if not lengths:
            return set()
        self._fs.invalidate_cache(self._path)
        try:
            listed = self._fs.ls(self._path, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return set()
        except Exception as error:  # noqa: BLE001 - each store has its own error for a missing right
            log.debug("%s cannot be listed: %s", self.folder, error)
            found = {name: self._info(name) for name in lengths}
        else:
            found = {str(entry["name"]).rsplit("/", 1)[-1]: entry for entry in listed}
        return {
            name
            for name, length in lengths.items()
            if (entry := found.get(name)) is not None and entry.get("size") in {length, None}
        }

    def _info(self, name: str) -> dict[str, Any] | None:
        try:
            return dict(self._fs.info(f"{self._path}/{name}"))
        except (FileNotFoundError, PermissionError):
            return None

    def _put_local(self, part: Path, final: Path) -> None:
        if self._renames:
            try:
                part.replace(final)  # the one rename that is atomic over an older file
                return
            except OSError as error:
                if error.errno not in _NO_RENAME:
                    raise
                self._renames = False
        try:
            shutil.copyfile(part, final)
        except PermissionError:
            final.unlink(missing_ok=True)  # a mount that does not overwrite
            shutil.copyfile(part, final)

    def _put_by_rename(self, part: Path, name: str) -> None:
        hidden, final = f"{self._path}/{part_name(name)}", f"{self._path}/{name}"
        self._fs.put_file(str(part), hidden)
        try:
            self._fs.mv(hidden, final)
        except FileExistsError:  # this store's rename does not replace
            self._fs.rm_file(final)
            self._fs.mv(hidden, final)


def _open_plain(path: str, flags: int) -> int:
    """Open a file that is neither a link nor a pipe."""
    number = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.ELOOP, "it is not a plain file", path)
    return number


def storing_failed(folder: ObjectStoragePath, error: Exception) -> str:
    """Return what went wrong with a store, and what to do."""
    number, file = getattr(error, "errno", None), getattr(error, "filename", None)
    if number in _DISK_FULL:
        what = "the disk is full; make room"
    elif isinstance(error, PermissionError) or number == errno.EROFS:
        what = "this worker may not write there; change the permissions or the destination"
    elif isinstance(error, FileExistsError | NotADirectoryError):
        what = "a part of that path is a file, not a folder; change the destination"
    elif (
        isinstance(error, FileNotFoundError)
        and folder.protocol in _WHOLE_OBJECTS
        and not str(file).startswith("/")  # a file of this machine
    ):
        # Each store has words of its own for it, and Google's are a URL alone.
        file, what = folder, "the bucket does not exist; create it, or change the destination"
    else:
        what = f"{type(error).__name__}: {error}"
    return f"Cannot store at {file or folder}: {what}."
