"""The manifest of a folder: what is stored there, and what it is."""

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


def read_manifest(path: ObjectStoragePath) -> bytes | None:
    """Read a manifest, or return None where there is none; one that cannot be read is not missing."""
    tries = 0
    while True:
        tries += 1
        try:
            return bytes(path.read_bytes())
        except FileNotFoundError:
            return None
        except Exception as error:
            if tries >= READ_TRIES or isinstance(error, PermissionError):
                if not path.exists():  # each store has errors of its own for what is not there
                    return None
                raise TransferError(
                    f"{path} is there, but cannot be read: {type(error).__name__}: {error}."
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
    except Exception:  # noqa: BLE001 - none there, or none that we understand: then everything is looked at anew
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
