"""
From signed links to verified files in an object store.

A file appears under its final name only when all of its bytes were checked. Where the store can rename, they are
written beside it and renamed; where it cannot (object stores, which show an object only once it is complete), they are
checked in a local temporary file and uploaded from there. The manifest is written last, and taken away before anything
is fetched again, so that it tells of a finished job; a re-run takes what is already whole from there. Where it alone
tells that files are outdated, it stays until the first new one is stored, and the rest of them go before it; where
it lists what is not there, all of these go at once.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import logging
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from airflow_provider_visio import clock
from airflow_provider_visio.exceptions import (
    ConnectionFailedError,
    TransferError,
    VisioProviderError,
    join_errors,
)
from airflow_provider_visio.storage.destination import mark_of, safe_name
from airflow_provider_visio.storage.media_types import EXTENSIONS, Inspection, media_type
from airflow_provider_visio.storage.temp_files import local_part, part_name, remove_dead

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visio.api.download import Download

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
MAX_TRIES = 4
READ_BYTES = 2**20

# Stores that show an object only once it is complete, and for which a rename would be a copy.
_WHOLE_OBJECT_STORES = {
    "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "wasb", "wasbs", "oss", "oci", "memory",
}  # fmt: skip
_LAPSED = {401, 403, 404, 410}
# Some stores answer this to a link that has lapsed, and to what will never do.
_MAY_BE_LAPSED = 400
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LOCAL = {"file", "local", ""}
# Files on their way to an object store, in the temporary folder of the machine.
_SPOOL = "visio"


StoredFile = dict[str, Any]


class Manifest(TypedDict):
    """
    What is stored in a folder, and what it is.

    ``path`` is the manifest's own. Each file has ``key``, ``path``, ``bytes``, ``sha256`` and ``mime_type``, and what
    is known of it: for a photo ``item``, ``item_id``, ``gps``, ``taken_at`` and ``submitted_at``.
    """

    version: int
    service: str
    id: str
    path: str
    written_at: str
    about: dict[str, Any]
    files: list[StoredFile]


@dataclass(frozen=True)
class RemoteFile:
    """
    A file to fetch.

    :param key: what it is called at the service; the same on every run.
    :param title: words for its name.
    :param mime_type: the media type that the service declares, or None.
    :param about: what the manifest shall say of it.
    """

    key: str
    title: str
    mime_type: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


def store(
    files: Sequence[RemoteFile],
    folder: ObjectStoragePath,
    *,
    service: str,
    conn_id: str,
    job_id: str,
    about: Mapping[str, Any],
    links: Callable[[], Mapping[str, str]],
    fetch: Callable[[str], AbstractContextManager[Download]],
) -> Manifest:
    """
    Bring files into a folder and write its manifest.

    :param files: what to fetch.
    :param folder: where to.
    :param service: the service's name, for the manifest.
    :param conn_id: id of the Airflow connection, for errors.
    :param job_id: id of the request or export.
    :param about: what the manifest shall say of the whole.
    :param links: mints a link for each file, by key; called again when one has lapsed.
    :param fetch: opens a link.
    :return: the manifest.
    :raises TransferError: files could not be fetched or verified; raised when all others were tried, and names them.
        At once where the store itself fails, for example because the disk is full. What was stored stays, and a re-run
        fetches the rest.
    :raises VisioProviderError: at once, where no link can be minted, for example with the rate limit used up.
    """
    import pendulum

    links_now = _Links(links)
    earlier: _Earlier | None = None
    stored: list[StoredFile] = []
    failed: dict[str, VisioProviderError] = {}
    try:
        _prepare(folder)
        earlier = _Earlier(folder, files)
        if earlier.untrue:
            earlier.give_way()
        for file in files:
            kept = earlier.find(file)
            if kept is None and not earlier.outdated:
                earlier.give_way()
            try:
                stored.append(kept or _fetch_into(file, folder, links_now, fetch))
            except TransferError as error:
                failed[file.key] = _naming(file, error)
                log.warning("%s", failed[file.key])
                continue
            if kept is None:
                earlier.outdated.pop(stored[-1]["path"], None)
                earlier.give_way()
            log.info(
                "%s %s (%d bytes)",
                "Already there:" if kept else "Stored",
                stored[-1]["path"],
                stored[-1]["bytes"],
            )
        if failed:
            raise join_errors(failed, len(files), "files") if len(failed) > 1 else failed.popitem()[1]
        if gone := len(stored) - _still_there(_sizes(folder), stored):
            raise TransferError(f"{gone} files have vanished from {folder} while others were being stored.")
        path = folder / MANIFEST
        manifest: Manifest = {
            "version": 1,
            "service": service,
            "id": job_id,
            "path": str(path),
            "written_at": pendulum.from_timestamp(clock.now()).to_iso8601_string(),
            "about": dict(about),
            "files": stored,
        }
        _put(path, json.dumps(manifest, indent=2, ensure_ascii=False).encode())
    except TransferError as error:
        raise _with_count(error, folder, stored, files, earlier, conn_id) from error
    except VisioProviderError:
        raise
    except Exception as error:
        raise _with_count(_storing_failed(folder, error), folder, stored, files, earlier, conn_id) from error
    return manifest


def _prepare(folder: ObjectStoragePath) -> None:
    """Make the folder where the store has folders, and remove what dead tasks have left half written."""
    if folder.protocol not in _WHOLE_OBJECT_STORES:
        # An object store has no folders; making one there could make a bucket that nobody asked for.
        folder.mkdir(parents=True, exist_ok=True)
    if folder.protocol in _LOCAL:
        remove_dead(Path(folder.path))
    elif folder.protocol in _WHOLE_OBJECT_STORES:
        remove_dead(Path(tempfile.gettempdir()), _SPOOL)


def manifest_in(folder: ObjectStoragePath) -> Manifest | None:
    """Return the manifest of what was stored whole in a folder, or None where there is none that can be read."""
    try:
        manifest: Manifest = json.loads((folder / MANIFEST).read_bytes())
    except Exception:  # noqa: BLE001 - each store has errors of its own for what is not there
        return None
    return manifest if isinstance(manifest, dict) and "files" in manifest else None


def summary(manifest: Manifest) -> dict[str, Any]:
    """Return a manifest's short form for XCom: no place, no time, no person."""
    return {
        "id": manifest["id"],
        "manifest": manifest["path"],
        "files": [
            {name: file[name] for name in ("path", "bytes", "sha256", "mime_type", "item") if name in file}
            for file in manifest["files"]
        ],
    }


class _Earlier:
    """
    What earlier runs have left in a folder.

    :param folder: the folder.
    :param files: what it shall hold.
    """

    def __init__(self, folder: ObjectStoragePath, files: Sequence[RemoteFile]) -> None:
        self._folder = folder
        self._manifest = _read(folder / MANIFEST)
        self._found: dict[str, StoredFile | None] = {}
        #: By path, the sha256 of files that the manifest alone tells to be outdated.
        self.outdated: dict[str, str] = {}
        #: Whether the manifest lists what is not there.
        self.untrue = False
        entries = _entries(self._manifest)
        for file in files:
            if file.key in entries:
                self._found[file.key] = self._judge(file, entries.pop(file.key))
        unwanted = (folder / _name_in(entry) for entry in entries.values())
        self.untrue = self.untrue or not all(path.exists() for path in unwanted)

    def find(self, file: RemoteFile) -> StoredFile | None:
        """Return the entry of a file that is whole, or None where it must be fetched."""
        if file.key not in self._found:
            self._found[file.key] = self._verified(file)
        return self._found[file.key]

    def names(self, file: RemoteFile) -> Collection[str]:
        """Return the names of which each would be this file, whole; none where it must be fetched."""
        if file.key not in self._found:
            return _names(file)
        found = self._found[file.key]
        return [_name_in(found)] if found else []

    def give_way(self) -> None:
        """Take the manifest away, for from now on it does not tell of what is here; and first what is outdated."""
        if self._manifest is None:
            return
        left = [path for name, sha256 in self.outdated.items() if (path := self._same(name, sha256))]
        for path in left:
            _remove(path)
        manifest = self._folder / MANIFEST
        # A store may keep what it shall remove, and say nothing; another task may have written a newer manifest.
        if not any(path.exists() for path in left) and _read(manifest) == self._manifest:
            _remove(manifest)
        self._manifest = None

    def _same(self, name: str, sha256: str) -> ObjectStoragePath | None:
        path = self._folder / name.rsplit("/", 1)[-1]
        found = _inspect(path, None)  # another task may have replaced it
        return path if found is not None and found.sha256 == sha256 else None

    def _judge(self, file: RemoteFile, entry: StoredFile) -> StoredFile | None:
        path = self._folder / _name_in(entry)
        found = _inspect(path, entry.get("mime_type"))
        if found is None:
            self.untrue = True
            return None
        if found.sha256 == entry.get("sha256") and not _retaken(file, entry):
            return {**entry, "path": str(path), **file.about}
        if path.name in _names(file):
            self.outdated[str(path)] = found.sha256
        return None

    def _verified(self, file: RemoteFile) -> StoredFile | None:
        # No manifest: that run did not finish, but a file under its final name is one that was verified.
        for path in (self._folder / name for name in _names(file)):
            found = _inspect(path, file.mime_type)
            if found is not None:
                return None if found.problem() else _entry(file, path, found)
        return None


class _Links:
    """Links that are minted when first needed, and again when one has lapsed."""

    def __init__(self, mint: Callable[[], Mapping[str, str]]) -> None:
        #: Whether a file could not be fetched in several tries, and no other has come since. Until one comes, each is
        #: tried once: a host that is down or refuses all then costs neither hours nor the rate limit.
        self.failing = False
        self._mint = mint
        self._links: Mapping[str, str] | None = None

    def get(self, key: str, *, fresh: bool = False) -> str:
        if self._links is None or fresh:
            self._links = self._mint()
        link = self._links.get(key)
        if not link:
            raise TransferError(f"The service gives no link for {key}; it may have been deleted there.")
        return link


def _fetch_into(
    file: RemoteFile,
    folder: ObjectStoragePath,
    links: _Links,
    fetch: Callable[[str], AbstractContextManager[Download]],
) -> StoredFile:
    fresh, tries = False, 0
    lapsed = {*_LAPSED, _MAY_BE_LAPSED}
    most = 1 if links.failing else MAX_TRIES
    while True:
        tries += 1
        try:
            with fetch(links.get(file.key, fresh=fresh)) as download:
                if download.status == 200:
                    found = _receive(file, folder, download)
                    links.failing = False
                    return found
                status = download.status
        except ConnectionFailedError as error:
            status, problem = None, str(error)
        except _BadBytesError as error:
            status, problem = None, str(error)
        else:
            problem = f"the file's host answered {status}"
        if tries >= most or (status is not None and status < 500 and status not in lapsed | {408, 429}):
            links.failing = links.failing or tries > 1
            raise TransferError(
                f"{file.key} could not be fetched in {tries} tries: {problem.rstrip('.')}.", status=status
            )
        fresh = status in lapsed
        if fresh:
            lapsed.discard(_MAY_BE_LAPSED)
        log.warning(
            "%s: %s. Trying again%s.", file.key, problem.rstrip("."), " with a new link" if fresh else ""
        )
        clock.sleep(0.5 * 2**tries)


def _receive(file: RemoteFile, folder: ObjectStoragePath, download: Download) -> StoredFile:
    if folder.protocol in _WHOLE_OBJECT_STORES:
        with _spooled() as part:
            found = _copy(file, download, part)
            path = folder / _name(file, found.mime_type)
            path.fs.put_file(str(part), path.path)
            _check_stored(path, found.size)
            return _entry(file, path, found)
    with _temporary(folder, safe_name(file.key)) as temporary:
        found = _copy(file, download, temporary)
        path = folder / _name(file, found.mime_type)
        _rename(temporary, path)
    return _entry(file, path, found)


class _BadBytesError(Exception):
    """The bytes that came are not the file; they may come right on another try."""


def _copy(file: RemoteFile, download: Download, part: Path | ObjectStoragePath) -> Inspection:
    found = Inspection(media_type(file.mime_type) or download.headers.get("content-type"))
    with part.open("wb") as target:
        for chunk in download.chunks:
            target.write(chunk)
            found.add(chunk)
        _flush(target)
    expected = download.headers.get("content-length", "")
    if expected.isdigit() and "content-encoding" not in download.headers and found.size != int(expected):
        raise _BadBytesError(f"{found.size} of {expected} bytes came")
    if problem := found.problem():
        raise _BadBytesError(problem)
    return found


def _retaken(file: RemoteFile, entry: StoredFile) -> bool:
    before, now = entry.get("submitted_at"), file.about.get("submitted_at")
    return before is not None and now is not None and before != now


def _inspect(path: ObjectStoragePath, declared: str | None) -> Inspection | None:
    """Read a file that may be there."""
    if not path.exists():
        return None
    found = Inspection(declared)
    with path.open("rb") as source:  # type: ignore[no-untyped-call]
        while chunk := source.read(READ_BYTES):
            found.add(chunk)
    return found


def _read(path: ObjectStoragePath) -> bytes | None:
    """Read a manifest, or return None where there is none; one that cannot be read is not missing."""
    tries = 0
    while True:
        tries += 1
        try:
            return bytes(path.read_bytes())
        except FileNotFoundError:
            return None
        except Exception as error:
            if tries >= MAX_TRIES or isinstance(error, PermissionError):
                if not path.exists():  # each store has errors of its own for what is not there
                    return None
                raise TransferError(
                    f"{path} is there, but cannot be read: {type(error).__name__}: {error}."
                ) from error
        clock.sleep(0.5 * 2**tries)


def _entries(manifest: bytes | None) -> dict[str, StoredFile]:
    try:
        return {
            str(entry["key"]): entry
            for entry in json.loads(manifest or b"")["files"]
            if isinstance(entry["path"], str) and isinstance(entry["bytes"], int)
        }
    except Exception:  # noqa: BLE001 - none there, or none that we understand: then everything is looked at anew
        return {}


def _remove(path: ObjectStoragePath) -> None:
    with contextlib.suppress(FileNotFoundError):  # another task was faster
        path.unlink()


def _put(path: ObjectStoragePath, content: bytes) -> None:
    """Write a small file so that it appears whole."""
    if path.protocol in _WHOLE_OBJECT_STORES:
        path.fs.pipe_file(path.path, content)
        _check_stored(path, len(content))
        return
    with _temporary(path.parent, path.name) as temporary:
        with temporary.open("wb") as target:
            target.write(content)
            _flush(target)
        _rename(temporary, path)


@contextlib.contextmanager
def _temporary(folder: ObjectStoragePath, name: str) -> Iterator[Path | ObjectStoragePath]:
    """Give a hidden name of this task's own, and leave nothing under it."""
    if folder.protocol in _LOCAL:
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
def _spooled() -> Iterator[Path]:
    """Give a name in the temporary folder of this machine, and leave nothing under it."""
    folder = Path(tempfile.gettempdir())
    try:
        with local_part(folder, _SPOOL, mode=0o600) as part:
            yield part
    except OSError as error:
        if error.errno in _FULL and error.filename is None:
            error.filename = str(folder)  # a write does not say where it failed
        raise


def _flush(target: Any) -> None:
    """Have a local file's bytes on the disk before its name is there, for the machine itself may fail."""
    target.flush()
    with contextlib.suppress(AttributeError, io.UnsupportedOperation):  # a file of another kind of store
        os.fsync(target.fileno())


def _rename(temporary: Path | ObjectStoragePath, path: ObjectStoragePath) -> None:
    written = str(getattr(temporary, "path", temporary))
    # With Airflow 3.1 a path in any store may be a pathlib.Path, so the type does not tell.
    if path.protocol in _LOCAL:
        Path(written).replace(path.path)  # the one rename that is atomic over an older file
    else:
        try:
            path.fs.mv(written, path.path)
        except FileExistsError:  # a store whose rename does not replace
            with _aside(path):
                path.fs.mv(written, path.path)


@contextlib.contextmanager
def _aside(path: ObjectStoragePath) -> Iterator[None]:
    """Have a file out of the way, and back where what takes its place does not come."""
    aside = path.parent / part_name(path.name)
    path.fs.mv(path.path, aside.path)
    try:
        yield
    except BaseException:
        path.fs.mv(aside.path, path.path)
        raise
    try:
        aside.unlink()
    except Exception as error:  # noqa: BLE001 - what was to be stored is in its place
        log.warning("%s, an earlier %s, could not be removed: %s", aside, path.name, error)


def _check_stored(path: ObjectStoragePath, size: int) -> None:
    stored = path.stat().st_size
    if stored != size:
        path.unlink(missing_ok=True)
        raise TransferError(f"{path} was stored with {stored} of {size} bytes and has been removed.")


def _stem(file: RemoteFile) -> str:
    key = safe_name(file.key)
    # Two ids must stay two files: those that differ in what a name cannot hold, and one that a title seems to go on in.
    mark = "" if key == file.key and "-" not in key else f"-{mark_of(file.key)}"
    return f"{safe_name(file.title, limit=50)}-{key}{mark}"


def _names(file: RemoteFile) -> dict[str, None]:
    """Return all names that a file may have, that of its declared type first."""
    declared = EXTENSIONS.get(media_type(file.mime_type) or "", ".bin")
    return dict.fromkeys(f"{_stem(file)}{extension}" for extension in (declared, *EXTENSIONS.values()))


def _name_in(entry: StoredFile) -> str:
    return str(entry["path"]).rsplit("/", 1)[-1]


def _name(file: RemoteFile, mime_type: str | None) -> str:
    return f"{_stem(file)}{EXTENSIONS.get(mime_type or '', '.bin')}"


def _entry(file: RemoteFile, path: ObjectStoragePath, found: Inspection) -> StoredFile:
    return {
        "key": file.key,
        "path": str(path),
        "bytes": found.size,
        "sha256": found.sha256,
        "mime_type": found.mime_type,
        **file.about,
    }


def _storing_failed(folder: ObjectStoragePath, error: Exception) -> TransferError:
    if getattr(error, "errno", None) in _FULL:
        what = "the disk is full; make room"
    elif isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EROFS:
        what = "this worker may not write there; change the permissions or the destination"
    elif isinstance(error, FileExistsError | NotADirectoryError):
        what = "a part of that path is a file, not a folder; change the destination"
    else:
        what = f"{type(error).__name__}: {error}"
    place = getattr(error, "filename", None) or folder
    return TransferError(f"Cannot store at {place}: {what}.")


def _naming(file: RemoteFile, error: TransferError) -> TransferError:
    """Return the error with the file's key in its text."""
    return error if file.key in str(error) else TransferError(f"{file.key}: {error}", status=error.status)


def _sizes(folder: ObjectStoragePath) -> dict[str, int | None]:
    """Return the size of each file in a folder, by its name; None for all where the store lists no sizes."""
    folder.fs.invalidate_cache(folder.path)
    try:
        listed = folder.fs.ls(folder.path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {str(entry["name"]).rsplit("/", 1)[-1]: entry.get("size") for entry in listed}


def _still_there(sizes: Mapping[str, int | None], stored: Sequence[StoredFile]) -> int:
    """Return how many of some stored files are in the store with all their bytes."""
    names = [(_name_in(file), file["bytes"]) for file in stored]
    return sum(name in sizes and sizes[name] in {size, None} for name, size in names)


def _with_count(
    error: TransferError,
    folder: ObjectStoragePath,
    stored: Sequence[StoredFile],
    files: Sequence[RemoteFile],
    earlier: _Earlier | None,
    conn_id: str,
) -> TransferError:
    # Where it is not known what earlier runs have left, such as in a folder that cannot be read, nothing is said of it.
    count = None if earlier is None else len(stored)
    with contextlib.suppress(Exception):  # a store that lists nothing now has no better word than ours
        if earlier is not None:
            sizes = _sizes(folder)
            count = _still_there(sizes, stored)
            keys = {file["key"] for file in stored}
            rest = (file for file in files if file.key not in keys)
            count += sum(any(name in sizes for name in earlier.names(file)) for file in rest)
        elif not folder.is_dir():
            count = 0
    remedy = (
        f"{count} of {len(files)} files are stored and stay; run the task again for the rest."
        if len(files) > 1 and count is not None
        else "Run the task again to try once more."
    )
    return TransferError(f"{error} {remedy} [connection {conn_id}]", status=error.status, conn_id=conn_id)
