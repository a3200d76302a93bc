"""
Fetch files by signed links, check them and store them in a folder of an object store.

A file appears under its final name only when all of its bytes were checked. The manifest is written last, and removed
before anything is fetched again, so it always describes a finished job. A re-run keeps the files that are whole.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_visio import clock
from airflow_provider_visio.exceptions import (
    ConnectionFailedError,
    TransferError,
    VisioProviderError,
    join_errors,
)
from airflow_provider_visio.storage.atomic_write import (
    DISK_FULL,
    LOCAL,
    SPOOL,
    WHOLE_OBJECT_STORES,
    check_stored,
    flush,
    move_into_place,
    spooled_file,
    temporary_name,
    write_whole,
)
from airflow_provider_visio.storage.destination import safe_name
from airflow_provider_visio.storage.earlier_files import EarlierFiles
from airflow_provider_visio.storage.manifest import MANIFEST, manifest_entry, name_in
from airflow_provider_visio.storage.media_types import Inspection, media_type
from airflow_provider_visio.storage.remote_file import final_name
from airflow_provider_visio.storage.temp_files import remove_dead

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visio.api.download import Download
    from airflow_provider_visio.storage.manifest import Manifest, StoredFile
    from airflow_provider_visio.storage.remote_file import RemoteFile

log = logging.getLogger(__name__)

MAX_TRIES = 4

_EXPIRED = {401, 403, 404, 410}
# Some stores answer this to an expired link, and to other errors.
_MAY_BE_EXPIRED = 400


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
    Store files in a folder and write its manifest.

    :param files: the files.
    :param folder: the folder.
    :param service: the service's name, for the manifest.
    :param conn_id: id of the Airflow connection, for errors.
    :param job_id: id of the request or export.
    :param about: the manifest's ``about``.
    :param links: gets a link for each file, by key; called again when one has expired.
    :param fetch: opens a link.
    :return: the manifest.
    :raises TransferError: files could not be fetched or verified; raised after all others were tried, and names them.
        Raised at once if the store itself fails, for example because the disk is full. Stored files stay, and a re-run
        fetches the rest.
    :raises VisioProviderError: at once, if no link can be got, for example because the rate limit is used up.
    """
    import pendulum

    links_now = _Links(links)
    earlier: EarlierFiles | None = None
    stored: list[StoredFile] = []
    failed: dict[str, VisioProviderError] = {}
    try:
        _prepare(folder)
        earlier = EarlierFiles(folder, files)
        if earlier.lists_missing_files:
            earlier.remove_manifest()
        for file in files:
            kept = earlier.find(file)
            if kept is None and not earlier.outdated:
                earlier.remove_manifest()
            try:
                stored.append(kept or _fetch_into(file, folder, links_now, fetch))
            except TransferError as error:
                failed[file.key] = _naming(file, error)
                log.warning("%s", failed[file.key])
                continue
            if kept is None:
                earlier.outdated.pop(stored[-1]["path"], None)
                earlier.remove_manifest()
            log.info(
                "%s %s (%d bytes)",
                "Already there:" if kept else "Stored",
                stored[-1]["path"],
                stored[-1]["bytes"],
            )
        if failed:
            raise join_errors(failed, len(files), "files") if len(failed) > 1 else failed.popitem()[1]
        if gone := len(stored) - _still_there(sizes_in(folder), stored):
            raise TransferError.at_store(
                f"{gone} files were removed from {folder} while others were being stored."
            )
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
        write_whole(path, json.dumps(manifest, indent=2, ensure_ascii=False).encode())
    except TransferError as error:
        raise _with_count(error, folder, stored, files, earlier, conn_id) from error
    except VisioProviderError:
        raise
    except Exception as error:
        raise _with_count(_storing_failed(folder, error), folder, stored, files, earlier, conn_id) from error
    return manifest


def _prepare(folder: ObjectStoragePath) -> None:
    """Create the folder if the store has folders, and remove the part files of killed tasks."""
    if folder.protocol not in WHOLE_OBJECT_STORES:
        # In an object store, creating a folder could create a bucket.
        folder.mkdir(parents=True, exist_ok=True)
    if folder.protocol in LOCAL:
        remove_dead(Path(folder.path))
    elif folder.protocol in WHOLE_OBJECT_STORES:
        remove_dead(Path(tempfile.gettempdir()), SPOOL)


class _Links:
    """Links, got when the first is needed and again when one has expired."""

    def __init__(self, mint: Callable[[], Mapping[str, str]]) -> None:
        #: Whether the last file failed in several tries. Then each next file is tried once until one arrives, so that a
        #: host that is down costs neither hours nor the rate limit.
        self.failing = False
        self._mint = mint
        self._links: Mapping[str, str] | None = None

    def get(self, key: str, *, fresh: bool = False) -> str:
        if self._links is None or fresh:
            self._links = self._mint()
        link = self._links.get(key)
        if not link:
            raise TransferError(
                f"The service gives no link for {key}; it may have been deleted at the service."
            )
        return link


def _fetch_into(
    file: RemoteFile,
    folder: ObjectStoragePath,
    links: _Links,
    fetch: Callable[[str], AbstractContextManager[Download]],
) -> StoredFile:
    fresh, tries = False, 0
    expired = {*_EXPIRED, _MAY_BE_EXPIRED}
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
        if tries >= most or (status is not None and status < 500 and status not in expired | {408, 429}):
            links.failing = links.failing or tries > 1
            raise TransferError(
                f"{file.key} could not be fetched in {tries} tries: {problem.rstrip('.')}.", status=status
            )
        fresh = status in expired
        if fresh:
            expired.discard(_MAY_BE_EXPIRED)
        log.warning(
            "%s: %s. Trying again%s.", file.key, problem.rstrip("."), " with a new link" if fresh else ""
        )
        clock.sleep(0.5 * 2**tries)


def _receive(file: RemoteFile, folder: ObjectStoragePath, download: Download) -> StoredFile:
    if folder.protocol in WHOLE_OBJECT_STORES:
        with spooled_file() as part:
            found = _copy(file, download, part)
            path = folder / final_name(file, found.mime_type)
            path.fs.put_file(str(part), path.path)
            check_stored(path, found.size)
            return manifest_entry(file, path, found)
    with temporary_name(folder, safe_name(file.key)) as temporary:
        found = _copy(file, download, temporary)
        path = folder / final_name(file, found.mime_type)
        move_into_place(temporary, path)
    return manifest_entry(file, path, found)


class _BadBytesError(Exception):
    """The received bytes are not the file; another try may receive it."""


def _copy(file: RemoteFile, download: Download, part: Path | ObjectStoragePath) -> Inspection:
    found = Inspection(media_type(file.mime_type) or download.headers.get("content-type"))
    with part.open("wb") as target:
        for chunk in download.chunks:
            target.write(chunk)
            found.add(chunk)
        flush(target)
    expected = download.headers.get("content-length", "")
    if expected.isdigit() and "content-encoding" not in download.headers and found.size != int(expected):
        raise _BadBytesError(f"{found.size} of {expected} bytes arrived")
    if problem := found.problem():
        raise _BadBytesError(problem)
    return found


def _storing_failed(folder: ObjectStoragePath, error: Exception) -> TransferError:
    if getattr(error, "errno", None) in DISK_FULL:
        what = "the disk is full; make room"
    elif isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EROFS:
        what = "this worker may not write there; change the permissions or the destination"
    elif isinstance(error, FileExistsError | NotADirectoryError):
        what = "a part of that path is a file, not a folder; change the destination"
    else:
        what = f"{type(error).__name__}: {error}"
    place = getattr(error, "filename", None) or folder
    return TransferError.at_store(f"Cannot store at {place}: {what}.")


def _naming(file: RemoteFile, error: TransferError) -> TransferError:
    """Return the error with the file's key in its text."""
    return error if file.key in str(error) else TransferError(f"{file.key}: {error}", status=error.status)


def sizes_in(folder: ObjectStoragePath) -> dict[str, int | None]:
    """Return the size of each file in a folder, by its name; None for all where the store lists no sizes."""
    folder.fs.invalidate_cache(folder.path)
    try:
        listed = folder.fs.ls(folder.path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {str(entry["name"]).rsplit("/", 1)[-1]: entry.get("size") for entry in listed}


def _still_there(sizes: Mapping[str, int | None], stored: Sequence[StoredFile]) -> int:
    """Return how many of some stored files are in the store at their full size."""
    names = [(name_in(file), file["bytes"]) for file in stored]
    return sum(name in sizes and sizes[name] in {size, None} for name, size in names)


def _with_count(
    error: TransferError,
    folder: ObjectStoragePath,
    stored: Sequence[StoredFile],
    files: Sequence[RemoteFile],
    earlier: EarlierFiles | None,
    conn_id: str,
) -> TransferError:
    # No count where the folder cannot be read.
    count = None if earlier is None else len(stored)
    with contextlib.suppress(Exception):  # the count stays as it is where the store cannot be listed
        if earlier is not None:
            sizes = sizes_in(folder)
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
    counted = error.saying(f"{remedy} [connection {conn_id}]")
    counted.conn_id = conn_id
    return counted
