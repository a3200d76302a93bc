"""Fetch one file by its signed link, in all tries that make sense, and store it. Called in threads."""

from __future__ import annotations

import hashlib
import logging
import threading
from typing import TYPE_CHECKING

from airflow_provider_visio import clock
from airflow_provider_visio.exceptions import ConnectionFailedError, TransferError
from airflow_provider_visio.storage.inspection import LONGEST_DOCUMENT, error_document, first_words, inspect
from airflow_provider_visio.storage.media_types import extension_of, is_text, media_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from airflow_provider_visio.api.download import Download
    from airflow_provider_visio.storage.manifest import FailedFile, StoredFile
    from airflow_provider_visio.storage.remote_file import RemoteFile
    from airflow_provider_visio.storage.store_folder import StoreFolder

    OpenLink = Callable[[str], AbstractContextManager[Download]]

log = logging.getLogger(__name__)

MAX_TRIES = 4

_EXPIRED = {401, 403, 404, 410}
# Some stores answer this to an expired link, and to other errors.
_MAY_BE_EXPIRED = 400
_PASSING = {408, 429}


class FetchFailedError(Exception):
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


class FetchStoppedError(Exception):
    """The task ends for another reason, so this file is not wanted any more."""


class Links:
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
                raise FetchFailedError("the service gives no link for it; it may have been deleted there")
            return link, self._minted


class FileFetcher:
    """Fetches one file and stores it; called in threads."""

    def __init__(self, place: StoreFolder, links: Links, open_link: OpenLink) -> None:
        #: Set when no more files are wanted.
        self.stopped = threading.Event()
        self._place = place
        self._links = links
        self._open_link = open_link

    def __call__(self, file: RemoteFile) -> StoredFile:
        """
        Return the entry of a file that is stored now.

        :raises FetchFailedError: it could not be fetched, in all tries that make sense.
        """
        try:
            return self._fetch(file)
        except (FetchFailedError, FetchStoppedError):
            raise
        except BaseException:
            self.stopped.set()  # the store has failed: this thread takes no other file
            raise

    def _fetch(self, file: RemoteFile) -> StoredFile:
        if self.stopped.is_set():
            raise FetchStoppedError
        tries, minted, used = 0, 0, 0
        expired = {*_EXPIRED, _MAY_BE_EXPIRED}
        most = 1 if self._links.failing else MAX_TRIES
        before: tuple[str, str] | None = None
        while True:
            tries += 1
            link, used = self._links.get(file.key, minted)
            try:
                entry = self._try(file, link)
            except FetchFailedError as error:
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
                raise FetchFailedError(
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
            raise FetchFailedError(str(error), status=error.status) from error

    def _receive(self, file: RemoteFile, download: Download, part: Path) -> StoredFile:
        declared = media_type(file.mime_type)
        if download.status != 200:
            head = next(iter(download.chunks), b"")
            words = first_words(head) if is_text(head) else ""
            raise FetchFailedError(
                f"the file's host answered {download.status}",
                words=download.quiet(words),
                status=download.status,
            )
        size, sha256, head = self._copy(download, part)
        expected = download.headers.get("content-length", "")
        if expected.isdigit() and "content-encoding" not in download.headers and size != int(expected):
            raise FetchFailedError(f"{size} of {expected} bytes arrived")
        if document := error_document(head, size, declared):
            words = download.quiet(first_words(head)) if size else ""
            raise FetchFailedError(
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
                    raise FetchStoppedError
        return size, digest.hexdigest(), head
