"""
Fetch files by signed links and store them in a folder of a store, several at once.

A file that has arrived whole is stored as it was sent, and the manifest says what an inspection found. A file that
cannot be fetched keeps no other from being stored. A re-run fetches what the manifest does not list.
"""

from __future__ import annotations

import logging
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_visio.exceptions import TransferError, VisioProviderError
from airflow_provider_visio.storage.fetch import FetchFailedError, FetchStoppedError, FileFetcher, Links
from airflow_provider_visio.storage.manifest import ManifestWriter, manifest_name, name_in
from airflow_provider_visio.storage.store_folder import StoreFolder, storing_failed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visio.storage.fetch import OpenLink
    from airflow_provider_visio.storage.manifest import FailedFile, Manifest, StoredFile
    from airflow_provider_visio.storage.remote_file import RemoteFile

OnFileError = Literal["fail", "proceed"]

log = logging.getLogger(__name__)

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
    report: Callable[[Sequence[StoredFile]], None] = lambda _files: None,
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
    :param report: called at the end with the entries of all stored files, also before an error is raised.
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
            _fetch_all(missing, manifest, FileFetcher(place, Links(links), open_link), parallel)
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
    finally:
        report(manifest.files)
    if manifest.failed and on_file_error == "fail":
        raise _files_failed(written, len(files), job)
    return written


def _fetch_all(
    files: Sequence[RemoteFile], manifest: ManifestWriter, fetch: FileFetcher, parallel: int
) -> None:
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
    except FetchStoppedError:
        return
    except FetchFailedError as error:
        manifest.failed[file.key] = error.entry(file)
        log.warning("%s could not be fetched: %s.", file.key, error)
    else:
        manifest.add(file, entry)
        mark = f", {entry['check']}: {entry['check_note']}" if "check_note" in entry else ""
        log.info("Stored %s (%d bytes%s).", entry["path"], entry["bytes"], mark)
    manifest.write_sometimes()


def _drop_lost(place: StoreFolder, manifest: ManifestWriter) -> int:
    """Drop files that are no longer there, or have another length, and return how many: others may use the folder."""
    there = place.present({name_in(entry): entry["bytes"] for entry in manifest.stored.values()})
    before = len(manifest.stored)
    manifest.stored = {key: entry for key, entry in manifest.stored.items() if name_in(entry) in there}
    return before - len(manifest.stored)


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
    error.failed, error.manifest = failed, manifest
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
