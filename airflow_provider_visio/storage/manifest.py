"""The manifest: a JSON file that lists the files of one job in a folder. It is written as they are stored."""

from __future__ import annotations

import contextlib
import json
import math
from typing import TYPE_CHECKING, Any, TypedDict, cast

from airflow_provider_visio import clock
from airflow_provider_visio.storage.destination import distinct_name
from airflow_provider_visio.storage.store_folder import StoreFolder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visio.storage.remote_file import RemoteFile

MANIFEST = "manifest.json"
# Key of the XCom in which a task that fails lists the short forms of its manifests.
STORED_KEY = "visio_stored"
# Seconds between two writes of a manifest while files arrive.
WRITE_EVERY = 1.0

StoredFile = dict[str, Any]
FailedFile = dict[str, Any]

_OUTPUT = ("path", "uri", "bytes", "sha256", "mime_type", "check", "check_note", "item", "gps", "taken_at")
_DETAILS = {"gps", "taken_at"}


class Manifest(TypedDict):
    """
    The files of one job, such as a photo request, in a folder.

    ``path`` and ``uri`` are those of the manifest itself. ``complete`` is True when all files are stored. Each file has
    ``key``, ``path``, ``uri``, ``bytes``, ``sha256``, ``mime_type`` and ``check``: ``ok``, ``damaged`` or ``unknown``,
    with a ``check_note`` unless it is ``ok``; and ``declared_type`` where the bytes show another type. A photo also has
    ``item``, ``item_id``, ``gps``, ``taken_at`` and ``submitted_at``. Each of ``failed`` has ``key``, ``item``,
    ``reason``, and ``first_words`` where something came that is not a file.
    """

    version: int
    service: str
    id: str
    path: str
    uri: str
    written_at: str
    complete: bool
    about: dict[str, Any]
    files: list[StoredFile]
    failed: list[FailedFile]


def manifest_name(job_id: str, *, shared: bool) -> str:
    """
    Return the name of a job's manifest.

    :param job_id: id of the request, link or export.
    :param shared: whether the author chose the folder, which may have files of other jobs.
    """
    return f"manifest-{distinct_name(job_id, limit=120)}.json" if shared else MANIFEST


def summary(manifest: Manifest, *, photo_details: bool = True) -> dict[str, Any]:
    """
    Return a manifest's short form, which is the output of a task.

    :param photo_details: whether files have ``gps`` and ``taken_at``.
    """
    left_out = set() if photo_details else _DETAILS
    return {
        "id": manifest["id"],
        "manifest": manifest["path"],
        "files": [
            {name: file[name] for name in _OUTPUT if name in file and name not in left_out}
            for file in manifest["files"]
        ],
        "failed": manifest["failed"],
    }


def read_manifest(place: StoreFolder, name: str) -> Manifest | None:
    """Return a manifest, or None if the folder has none, or one of an unknown shape."""
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(place.read(name) or b"")
        if isinstance(found, dict) and isinstance(found.get("files"), list):
            return cast("Manifest", {"failed": [], "complete": True, **found})
    return None


def stored_manifest(folder: ObjectStoragePath, job_id: str, *, shared: bool) -> Manifest | None:
    """Return the manifest of a job whose files are all stored, or None."""
    manifest = read_manifest(StoreFolder(folder), manifest_name(job_id, shared=shared))
    return manifest if manifest is not None and manifest["complete"] else None


class ManifestWriter:
    """
    Writes the manifest of a job while its files arrive.

    :param place: the folder.
    :param name: the manifest's name.
    :param files: the files that the folder is to hold, in the order of the manifest.
    :param head: the fields of the manifest that do not change: ``service``, ``id`` and ``about``.
    """

    def __init__(
        self, place: StoreFolder, name: str, files: Sequence[RemoteFile], head: Mapping[str, Any]
    ) -> None:
        self.stored: dict[str, StoredFile] = {}
        self.failed: dict[str, FailedFile] = {}
        self._place = place
        self._name = name
        self._keys = [file.key for file in files]
        self._head = head
        self._written = -math.inf
        #: The names of earlier files that another name may replace, by key.
        self._earlier: dict[str, str] = {}

    def take_over(self, files: Sequence[RemoteFile]) -> None:
        """Take over the files that an earlier manifest lists, if they are in the store with the listed length."""
        earlier = read_manifest(self._place, self._name)
        entries = {entry["key"]: entry for entry in (earlier or {"files": []})["files"] if _is_entry(entry)}
        self._earlier = {key: name_in(entry) for key, entry in entries.items()}
        there = self._place.present({name_in(entry): entry["bytes"] for entry in entries.values()})
        for file in files:
            entry, name = entries.get(file.key), self._earlier.get(file.key, "")
            if entry is not None and name in there and not _is_retaken(file, entry):
                self.add(file, {**entry, **self._place.location(name), **file.about})
        if entries and len(self.stored) < len(entries):
            self.write(complete=False)  # it must not list a file that is being replaced

    def add(self, file: RemoteFile, entry: StoredFile) -> None:
        """Add a stored file."""
        self.stored[file.key] = entry
        before = self._earlier.get(file.key, "")
        if before != name_in(entry) and before.startswith(f"{file.stem}."):  # it was of another type
            self._place.remove(before)

    @property
    def files(self) -> list[StoredFile]:
        """The stored files, in the order of the manifest."""
        return [self.stored[key] for key in self._keys if key in self.stored]

    def write_sometimes(self) -> None:
        """Write the manifest, at most once a second."""
        if clock.ticks() - self._written >= WRITE_EVERY:
            self.write(complete=False)

    def write(self, *, complete: bool) -> Manifest:
        """Write the manifest, and return it."""
        import pendulum

        manifest: Manifest = {
            "version": 1,
            **self._head,  # type: ignore[typeddict-item]
            **self._place.location(self._name),
            "written_at": pendulum.from_timestamp(clock.now()).to_iso8601_string(),
            "complete": complete,
            "files": self.files,
            "failed": [self.failed[key] for key in self._keys if key in self.failed],
        }
        self._place.write(self._name, json.dumps(manifest, indent=2, ensure_ascii=False).encode())
        self._written = clock.ticks()
        return manifest


def name_in(entry: StoredFile) -> str:
    """Return the file name of an entry."""
    return str(entry["path"]).rsplit("/", 1)[-1]


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("key"), str)
        and isinstance(entry.get("path"), str)
        and isinstance(entry.get("bytes"), int)
    )


def _is_retaken(file: RemoteFile, entry: StoredFile) -> bool:
    before, now = entry.get("submitted_at"), file.about.get("submitted_at")
    return before is not None and now is not None and before != now
