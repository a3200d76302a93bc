"""Open the manifest of a job, and its files. No path comes from the request: files are found by their place in it."""

from __future__ import annotations

import json
import logging
import re
from typing import IO, TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field, NonNegativeInt, ValidationError

from airflow_provider_visio.exceptions import VisioProviderError
from airflow_provider_visio.gallery.problem import GalleryError
from airflow_provider_visio.storage.destination import folder_at
from airflow_provider_visio.storage.store_folder import StoreFolder

if TYPE_CHECKING:
    from airflow_provider_visio.gallery.task_output import OutputFile, StoredJob

log = logging.getLogger(__name__)

# Bytes; enough for ten thousand files.
LARGEST_MANIFEST = 8 * 2**20
_MANIFEST_NAME = re.compile(r"manifest(-[A-Za-z0-9._-]+)?\.json")


class ManifestEntry(BaseModel):
    """A file as its manifest has it."""

    path: str
    bytes: NonNegativeInt
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    mime_type: str | None = None
    check: str = "unknown"
    check_note: str = ""
    item: str | None = None
    submitted_at: str | None = None
    gps: Any = None
    taken_at: str | None = None

    @property
    def name(self) -> str:
        """Its name in the folder."""
        return self.path.rsplit("/", 1)[-1]


class _Manifest(BaseModel):
    service: Literal["Visiono", "Vizdom"]
    id: str
    path: str
    files: list[ManifestEntry]


class OpenJob:
    """
    A job whose manifest has been read.

    :param job: the job as the task's output has it.
    :raises GalleryError: the manifest is not there, cannot be read, or is not one that the operators write.
    """

    def __init__(self, job: StoredJob) -> None:
        if job.manifest is None:
            raise GalleryError("Nothing is stored, so there is no manifest.")
        folder, _, self.manifest_name = job.manifest.rpartition("/")
        if not _MANIFEST_NAME.fullmatch(self.manifest_name):
            raise GalleryError(f"{job.manifest} is not the name of a manifest.", 403)
        self._url = folder
        try:
            self._place = StoreFolder(folder_at(folder, "", ""))
        except VisioProviderError as error:
            raise GalleryError(
                f"The API server cannot open the folder of the manifest. {error}", 502
            ) from None
        except Exception as error:
            raise self._unreachable(self.manifest_name, error) from error
        with self.open(self.manifest_name) as file:
            self.manifest_text = self._read(file, self.manifest_name, LARGEST_MANIFEST)
        found = self._parsed(job)
        self.service = found.service
        self._entries = {entry.name: entry for entry in found.files}

    def entry(self, file: OutputFile) -> ManifestEntry:
        """
        Return the manifest's entry of a file, with the details that the task's output has.

        :raises GalleryError: the manifest does not have it.
        """
        entry = self._entries.get(file.name)
        if entry is None:
            raise GalleryError(
                f"{file.name} is no longer in the manifest; a later task may have replaced it."
            )
        return entry.model_copy(update={"gps": file.gps, "taken_at": file.taken_at})

    def read(self, entry: ManifestEntry, limit: int) -> bytes:
        """
        Return the bytes of a file.

        :param limit: the number of bytes that it may have.
        :raises GalleryError: it has more, is not there, or cannot be read.
        """
        if entry.bytes > limit:
            raise GalleryError(_too_large(limit), 413)
        with self.open(entry.name) as file:
            return self._read(file, entry.name, limit)

    def open(self, name: str) -> IO[bytes]:
        """
        Open a file of the folder.

        :param name: its name, as the manifest has it.
        :raises GalleryError: it is not there, or cannot be read.
        """
        try:
            return self._place.open_to_read(name)
        except Exception as error:
            raise self._unreachable(name, error) from error

    def _read(self, file: IO[bytes], name: str, limit: int) -> bytes:
        try:
            data = file.read(limit + 1)
        except Exception as error:
            raise self._unreachable(name, error) from error
        if len(data) > limit:
            raise GalleryError(_too_large(limit), 413)
        return data

    def _parsed(self, job: StoredJob) -> _Manifest:
        try:
            found = _Manifest.model_validate(json.loads(self.manifest_text))
        except (ValidationError, ValueError, RecursionError):
            raise GalleryError(
                f"{job.manifest} does not have the shape of this provider's manifests.", 422
            ) from None
        home = found.path.rpartition("/")[0]
        strange = [entry.path for entry in found.files if not _lies_in(home, entry.path)]
        if strange:
            raise GalleryError(
                f"{job.manifest} lists a file that is not in its own folder: {strange[0]!r}. The gallery does not open "
                "such a manifest.",
                403,
            )
        if found.id != job.id or found.path.rpartition("/")[2] != self.manifest_name:
            raise GalleryError(f"{job.manifest} is the manifest of {found.id!r}, not of {job.id!r}.", 403)
        return found

    def _unreachable(self, name: str, error: Exception) -> GalleryError:
        place = f"{self._url}/{name}"
        if isinstance(error, FileNotFoundError):
            return GalleryError(f"{place} is not there (any more), or the API server sees another disk.")
        log.warning("The gallery cannot read %s: %s", place, error, exc_info=error)
        return GalleryError(
            f"The API server cannot read {place} ({type(error).__name__}). Its log says more.", 502
        )


def _lies_in(folder: str, path: str) -> bool:
    """Return whether a path is that of a file in a folder."""
    home, _, name = path.rpartition("/")
    return home == folder and name not in {"", ".", ".."} and "\\" not in name and "\0" not in name


def _too_large(limit: int) -> str:
    return f"The file is larger than the {limit // 2**20} MiB that the gallery reads. Download it instead."
