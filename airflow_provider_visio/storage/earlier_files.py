"""The files that earlier runs have stored in a folder; those that are whole are not fetched again."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from airflow_provider_visio.storage.manifest import (
    MANIFEST,
    manifest_entries,
    manifest_entry,
    name_in,
    read_manifest,
)
from airflow_provider_visio.storage.media_types import Inspection
from airflow_provider_visio.storage.remote_file import possible_names

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visio.storage.manifest import StoredFile
    from airflow_provider_visio.storage.remote_file import RemoteFile

READ_BYTES = 2**20


class EarlierFiles:
    """
    The files that earlier runs have stored in a folder.

    :param folder: the folder.
    :param files: the files that it is to hold.
    """

    def __init__(self, folder: ObjectStoragePath, files: Sequence[RemoteFile]) -> None:
        self._folder = folder
        self._manifest = read_manifest(folder / MANIFEST)
        self._found: dict[str, StoredFile | None] = {}
        #: The sha256, by path, of files that only the manifest shows to be outdated.
        self.outdated: dict[str, str] = {}
        #: Whether the manifest lists files that do not exist.
        self.lists_missing_files = False
        entries = manifest_entries(self._manifest)
        for file in files:
            if file.key in entries:
                self._found[file.key] = self._check_listed(file, entries.pop(file.key))
        unwanted = (folder / name_in(entry) for entry in entries.values())
        self.lists_missing_files = self.lists_missing_files or not all(path.exists() for path in unwanted)

    def find(self, file: RemoteFile) -> StoredFile | None:
        """Return the entry of a file that is whole, or None if it must be fetched."""
        if file.key not in self._found:
            self._found[file.key] = self._check_unlisted(file)
        return self._found[file.key]

    def names(self, file: RemoteFile) -> Collection[str]:
        """Return the names under which this file can be whole; none if it must be fetched."""
        if file.key not in self._found:
            return possible_names(file)
        found = self._found[file.key]
        return [name_in(found)] if found else []

    def remove_manifest(self) -> None:
        """Remove the outdated files and then the manifest, which no longer describes the folder."""
        if self._manifest is None:
            return
        left = [path for name, sha256 in self.outdated.items() if (path := self._unchanged(name, sha256))]
        for path in left:
            _remove(path)
        manifest = self._folder / MANIFEST
        # A store may silently keep a file; another task may have written a newer manifest.
        if not any(path.exists() for path in left) and read_manifest(manifest) == self._manifest:
            _remove(manifest)
        self._manifest = None

    def _unchanged(self, name: str, sha256: str) -> ObjectStoragePath | None:
        path = self._folder / name.rsplit("/", 1)[-1]
        found = _inspect(path, None)  # another task may have replaced it
        return path if found is not None and found.sha256 == sha256 else None

    def _check_listed(self, file: RemoteFile, entry: StoredFile) -> StoredFile | None:
        path = self._folder / name_in(entry)
        found = _inspect(path, entry.get("mime_type"))
        if found is None:
            self.lists_missing_files = True
            return None
        if found.sha256 == entry.get("sha256") and not _retaken(file, entry):
            return {**entry, "path": str(path), **file.about}
        if path.name in possible_names(file):
            self.outdated[str(path)] = found.sha256
        return None

    def _check_unlisted(self, file: RemoteFile) -> StoredFile | None:
        # The run did not finish, but a file under its final name was verified.
        for path in (self._folder / name for name in possible_names(file)):
            found = _inspect(path, file.mime_type)
            if found is not None:
                return None if found.problem() else manifest_entry(file, path, found)
        return None


def _retaken(file: RemoteFile, entry: StoredFile) -> bool:
    before, now = entry.get("submitted_at"), file.about.get("submitted_at")
    return before is not None and now is not None and before != now


def _inspect(path: ObjectStoragePath, declared: str | None) -> Inspection | None:
    """Read a file, or return None if it does not exist."""
    if not path.exists():
        return None
    found = Inspection(declared)
    with path.open("rb") as source:  # type: ignore[no-untyped-call]
        while chunk := source.read(READ_BYTES):
            found.add(chunk)
    return found


def _remove(path: ObjectStoragePath) -> None:
    with contextlib.suppress(FileNotFoundError):  # another task was faster
        path.unlink()
