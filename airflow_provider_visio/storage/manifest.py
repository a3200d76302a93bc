"""The manifest: a JSON file that lists the files of a folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypedDict

from airflow_provider_visio import clock
from airflow_provider_visio.exceptions import TransferError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visio.storage.media_types import Inspection
    from airflow_provider_visio.storage.remote_file import RemoteFile

MANIFEST = "manifest.json"
READ_TRIES = 4

StoredFile = dict[str, Any]


class Manifest(TypedDict):
    """
    The files of a folder.

    ``path`` is the path of the manifest itself. Each file has ``key``, ``path``, ``bytes``, ``sha256`` and
    ``mime_type``; a photo also has ``item``, ``item_id``, ``gps``, ``taken_at`` and ``submitted_at``.
    """

    version: int
    service: str
    id: str
    path: str
    written_at: str
    about: dict[str, Any]
    files: list[StoredFile]


def manifest_in(folder: ObjectStoragePath) -> Manifest | None:
    """Return the manifest of a folder, or None if it has none that can be read."""
    try:
        manifest: Manifest = json.loads((folder / MANIFEST).read_bytes())
    except Exception:  # noqa: BLE001 - each store has its own error for a missing file
        return None
    return manifest if isinstance(manifest, dict) and "files" in manifest else None


def summary(manifest: Manifest) -> dict[str, Any]:
    """Return a manifest's short form for XCom, without places, times and persons."""
    return {
        "id": manifest["id"],
        "manifest": manifest["path"],
        "files": [
            {name: file[name] for name in ("path", "bytes", "sha256", "mime_type", "item") if name in file}
            for file in manifest["files"]
        ],
    }


def read_manifest(path: ObjectStoragePath) -> bytes | None:
    """Return the bytes of a manifest, or None if it does not exist; raise an error if it cannot be read."""
    tries = 0
    while True:
        tries += 1
        try:
            return bytes(path.read_bytes())
        except FileNotFoundError:
            return None
        except Exception as error:
            if tries >= READ_TRIES or isinstance(error, PermissionError):
                if not path.exists():  # each store has its own error for a missing file
                    return None
                raise TransferError.at_store(
                    f"{path} exists, but cannot be read: {type(error).__name__}: {error}."
                ) from error
        clock.sleep(0.5 * 2**tries)


def manifest_entries(manifest: bytes | None) -> dict[str, StoredFile]:
    """Return the files of a manifest by their keys; none where there is no manifest, or none that we can read."""
    try:
        return {
            str(entry["key"]): entry
            for entry in json.loads(manifest or b"")["files"]
            if isinstance(entry["path"], str) and isinstance(entry["bytes"], int)
        }
    except Exception:  # noqa: BLE001 - no manifest, or an unknown shape: then every file is checked
        return {}


def name_in(entry: StoredFile) -> str:
    """Return the file name of an entry."""
    return str(entry["path"]).rsplit("/", 1)[-1]


def manifest_entry(file: RemoteFile, path: ObjectStoragePath, found: Inspection) -> StoredFile:
    """Return the entry of a file that is stored."""
    return {
        "key": file.key,
        "path": str(path),
        "bytes": found.size,
        "sha256": found.sha256,
        "mime_type": found.mime_type,
        **file.about,
    }
