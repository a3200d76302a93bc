"""
Fetch files by signed links and store them in a folder of a store, several at once.

A file that has arrived whole is stored as it was sent, and the manifest says what an inspection found. A file that
cannot be fetched keeps no other from being stored. A re-run fetches what the manifest does not list.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_visio import clock
from airflow_provider_visio.exceptions import ConnectionFailedError, TransferError, VisioProviderError
from airflow_provider_visio.storage.inspection import LONGEST_DOCUMENT, error_document, first_words, inspect
from airflow_provider_visio.storage.manifest import ManifestWriter, manifest_name, name_in
from airflow_provider_visio.storage.media_types import extension_of, is_text, media_type
from airflow_provider_visio.storage.store_folder import StoreFolder, storing_failed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visio.api.download import Download
    from airflow_provider_visio.storage.manifest import FailedFile, Manifest, StoredFile
    from airflow_provider_visio.storage.remote_file import RemoteFile

    OpenLink = Callable[[str], AbstractContextManager[Download]]

OnFileError = Literal["fail", "proceed"]

log = logging.getLogger(__name__)

MAX_TRIES = 4

_EXPIRED = {401, 403, 404, 410}
# Some stores answer this to an expired link, and to other errors.
_MAY_BE_EXPIRED = 400
_PASSING = {408, 429}
# So many files are named in an error; the manifest names all.
_NAMED = 50


@dataclass(frozen=True)
class Job:
    """
    What files belong to.

    :param service: the service's name.
    :param conn_id: id of the Airflow connection, for errors.
    :param id: id of the request, link or export.
    :param about: more fields of the manifest.
    :param shared_folder: whether the folder may have files of other jobs.
    """

    service: str
    conn_id: str
    id: str
    about: Mapping[str, Any]
    shared_folder: bool = False


def store(
    files: Sequence[RemoteFile],
    folder: ObjectStoragePath,
    job: Job,
    *,
    links: Callable[[], Mapping[str, str]],
    open_link: OpenLink,
    parallel: int,
    on_file_error: OnFileError = "fail",
) -> Manifest:
    """
    Store files in a folder, with a manifest.

    :param files: the files.
    :param folder: the folder.
    :param job: what they belong to.
    :param links: gets a link for each file, by key; called again when one has expired.
    :param open_link: opens a link.
    :param parallel: how many files are fetched at once.
    :param on_file_error: ``fail`` or ``proceed``, when files could not be fetched.
    :return: the manifest.
    :raises TransferError: files could not be fetched; raised after all others were tried, and ``.failed`` has them.
        Raised at once if the store itself fails, for example because the disk is full. Stored files stay, and a re-run
        fetches the rest.
    :raises VisioProviderError: at once, if no link can be got, for example because the rate limit is used up.
    """
    place = StoreFolder(folder)
    head = {"service": job.service, "id": job.id, "about": dict(job.about)}
    name = manifest_name(job.id, shared=job.shared_folder)
    manifest = ManifestWriter(place, name, files, head)
    try:
        place.prepare()
        manifest.take_over(files)
        missing = [file for file in files if file.key not in manifest.stored]
        if manifest.stored:
            log.info("%d of %d files are already in %s.", len(manifest.stored), len(files), folder)
        try:
            _fetch_all(missing, manifest, _Fetch(place, _Links(links), open_link), parallel)
        except BaseException:
            if manifest.stored:
                _write_quietly(place, manifest)
            raise
        if lost := _drop_lost(place, manifest):
            _write_quietly(place, manifest)
            raise TransferError(f"{lost} files in {folder} were removed or replaced by another task.")
        written = manifest.write(complete=not manifest.failed)
    except VisioProviderError as error:
        raise _with_count(error, manifest, files, job) from error
    except Exception as error:
        raise _with_count(TransferError(storing_failed(folder, error)), manifest, files, job) from error
    if manifest.failed and on_file_error == "fail":
        raise _files_failed(written, len(files), job)
    return written


def _fetch_all(files: Sequence[RemoteFile], manifest: ManifestWriter, fetch: _Fetch, parallel: int) -> None:
    pool = ThreadPoolExecutor(parallel, thread_name_prefix="visio-download")
    waiting = iter(files)
    running: dict[Future[StoredFile], RemoteFile] = {}
    try:
        while True:
            # A few more than there are threads, so that none waits while the manifest is written.
            for file in islice(waiting, 2 * parallel - len(running)):
                running[pool.submit(fetch, file)] = file
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                _record(running.pop(future), future, manifest)
    finally:
        fetch.stopped.set()
        pool.shutdown(cancel_futures=True)
        # Files may have been stored since the error.
        for future, file in running.items():
            if not future.cancelled() and future.exception() is None:
                manifest.add(file, future.result())


def _record(file: RemoteFile, outcome: Future[StoredFile], manifest: ManifestWriter) -> None:
    try:
        entry = outcome.result()
    except _FetchFailedError as error:
        manifest.failed[file.key] = error.entry(file)
        log.warning("%s could not be fetched: %s.", file.key, error)
    else:
        manifest.add(file, entry)
        mark = f", {entry['check']}: {entry['check_note']}" if "check_note" in entry else ""
        log.info("Stored %s (%d bytes%s).", entry["path"], entry["bytes"], mark)
    manifest.write_sometimes()


class _FetchFailedError(Exception):
    """A file could not be fetched."""

    def __init__(
        self, reason: str, *, words: str = "", status: int | None = None, is_document: bool = False
    ) -> None:
        super().__init__(reason.rstrip("."))
        self.words = words
        self.status = status
        #: Whether an error document came, or nothing: then the same bytes twice are the host's last word.
        self.is_document = is_document

    def entry(self, file: RemoteFile) -> FailedFile:
        """Return its entry in the manifest."""
        words = {"first_words": self.words} if self.words else {}
        status = {"status": self.status} if self.status else {}
        return {"key": file.key, "item": file.about.get("item"), "reason": str(self), **status, **words}


class _Links:
    """Links, got when the first is needed and again when one has expired; shared by threads."""

    def __init__(self, mint: Callable[[], Mapping[str, str]]) -> None:
        #: Whether the last file failed in several tries. Then each next file is tried once until one arrives, so that a
        #: host that is down costs neither hours nor the rate limit.
        self.failing = False
        self._mint = mint
        self._links: Mapping[str, str] = {}
        self._minted = 0
        self._error: Exception | None = None
        self._lock = threading.Lock()

    def get(self, key: str, older: int) -> tuple[str, int]:
        """
        Return a file's link, and the number of its minting.

        :param older: the number of a minting whose link has expired; 0 for none.
        """
        with self._lock:
            if self._error is not None:
                raise self._error  # the other threads do not use up the rate limit for the same
            if self._minted <= older:
                try:
                    self._links = self._mint()
                except Exception as error:
                    self._error = error
                    raise
                self._minted += 1
            link = self._links.get(key)
            if not link:
                raise _FetchFailedError("the service gives no link for it; it may have been deleted there")
            return link, self._minted


class _Fetch:
    """Fetches one file and stores it; called in threads."""

    def __init__(self, place: StoreFolder, links: _Links, open_link: OpenLink) -> None:
        #: Set when no more files are wanted.
        self.stopped = threading.Event()
        self._place = place
        self._links = links
        self._open_link = open_link

    def __call__(self, file: RemoteFile) -> StoredFile:
        """
        Return the entry of a file that is stored now.

        :raises _FetchFailedError: it could not be fetched, in all tries that make sense.
        """
        tries, minted, used = 0, 0, 0
        expired = {*_EXPIRED, _MAY_BE_EXPIRED}
        most = 1 if self._links.failing else MAX_TRIES
        before: tuple[str, str] | None = None
        while True:
            tries += 1
            link, used = self._links.get(file.key, minted)
            try:
                entry = self._try(file, link)
            except _FetchFailedError as error:
                problem = error
            else:
                self._links.failing = False
                return entry
            came = (str(problem), problem.words)
            final = (
                problem.status is not None
                and problem.status < 500
                and problem.status not in expired | _PASSING
            )
            again = problem.is_document and came == before
            if tries >= most or final or again or self.stopped.is_set():
                self._links.failing = self._links.failing or tries > 1
                plural = "tries" if tries > 1 else "try"
                raise _FetchFailedError(
                    f"{problem} ({tries} {plural})", words=problem.words, status=problem.status
                )
            before = came
            if problem.status in expired:
                minted = used
                expired.discard(_MAY_BE_EXPIRED)
            fresh = " with a new link" if minted == used else ""
            log.warning("%s: %s. Trying again%s.", file.key, problem, fresh)
            clock.sleep(0.5 * 2**tries)

    def _try(self, file: RemoteFile, link: str) -> StoredFile:
        try:
            with self._open_link(link) as download, self._place.part(file.stem) as part:
                return self._receive(file, download, part)
        except (ConnectionFailedError, TransferError) as error:
            raise _FetchFailedError(str(error), status=error.status) from error

    def _receive(self, file: RemoteFile, download: Download, part: Path) -> StoredFile:
        declared = media_type(file.mime_type)
        if download.status != 200:
            head = next(iter(download.chunks), b"")
            words = first_words(head) if is_text(head) else ""
            raise _FetchFailedError(
                f"the file's host answered {download.status}",
                words=download.quiet(words),
                status=download.status,
            )
        size, sha256, head = self._copy(download, part)
        expected = download.headers.get("content-length", "")
        if expected.isdigit() and "content-encoding" not in download.headers and size != int(expected):
            raise _FetchFailedError(f"{size} of {expected} bytes arrived")
        if document := error_document(head, size, declared):
            words = download.quiet(first_words(head)) if size else ""
            raise _FetchFailedError(
                f"it is {document}{', not a file' if size else ''}", words=words, is_document=True
            )
        found = inspect(part, declared or media_type(download.headers.get("content-type")))
        name = f"{file.stem}{extension_of(found.mime_type)}"
        self._place.put(part, name)
        entry = {
            "key": file.key,
            **self._place.location(name),
            "bytes": size,
            "sha256": sha256,
            "mime_type": found.mime_type,
            "check": found.check,
            **file.about,
        }
        if found.note:
            entry["check_note"] = found.note
        if declared not in {None, found.mime_type}:
            entry["declared_type"] = declared
        return entry

    def _copy(self, download: Download, part: Path) -> tuple[int, str, bytes]:
        """Write the bytes to a file, and return how many they are, their sha256 and the first of them."""
        size, digest, head = 0, hashlib.sha256(), b""
        with part.open("wb") as target:
            for chunk in download.chunks:
                target.write(chunk)
                digest.update(chunk)
                size += len(chunk)
                if len(head) < LONGEST_DOCUMENT:
                    head += chunk[:LONGEST_DOCUMENT]
                if self.stopped.is_set():
                    raise _FetchFailedError("the task ended")
        return size, digest.hexdigest(), head


def _drop_lost(place: StoreFolder, manifest: ManifestWriter) -> int:
    """Drop files that are no longer there, or have another length, and return how many: others may use the folder."""
    names = {name_in(entry): entry["bytes"] for entry in manifest.stored.values()}
    lengths = place.lengths(names) if names else {}
    lost = {name for name, size in names.items() if name not in lengths or lengths[name] not in {size, None}}
    manifest.stored = {key: entry for key, entry in manifest.stored.items() if name_in(entry) not in lost}
    return len(lost)


def _write_quietly(place: StoreFolder, manifest: ManifestWriter) -> None:
    """Write a true manifest if the store, which may have failed, allows it."""
    try:
        _drop_lost(place, manifest)
        manifest.write(complete=False)
    except Exception as error:  # noqa: BLE001 - the error that is raised says why
        log.debug("The manifest could not be written: %s", error)


def _files_failed(manifest: Manifest, wanted: int, job: Job) -> TransferError:
    failed = manifest["failed"]
    named = [_in_words(entry) for entry in failed[:_NAMED]]
    if len(failed) > _NAMED:
        named.append(f"and {len(failed) - _NAMED} more")
    statuses = {entry.get("status") for entry in failed}
    error = TransferError(
        f"{len(failed)} of {wanted} files of {job.id} could not be fetched: {'; '.join(named)}. "
        f"{_advice(len(manifest['files']), wanted)} [connection {job.conn_id}]",
        status=statuses.pop() if len(statuses) == 1 else None,
        conn_id=job.conn_id,
    )
    error.failed = failed
    return error


def _in_words(entry: FailedFile) -> str:
    item = f" ({entry['item']})" if entry["item"] else ""
    words = f': "{entry["first_words"]}"' if "first_words" in entry else ""
    return f"{entry['key']}{item}: {entry['reason']}{words}"


def _with_count(
    error: VisioProviderError, manifest: ManifestWriter, files: Sequence[RemoteFile], job: Job
) -> VisioProviderError:
    if not isinstance(error, TransferError):
        return error
    return TransferError(
        f"{error} {_advice(len(manifest.stored), len(files))} [connection {job.conn_id}]",
        status=error.status,
        conn_id=job.conn_id,
    )


def _advice(stored: int, wanted: int) -> str:
    if wanted == 1:
        return "Run the task again to try once more."
    return f"{stored} of {wanted} files are stored and stay; run the task again for the rest."
