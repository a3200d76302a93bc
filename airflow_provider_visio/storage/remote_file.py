"""A file to fetch, and the names that it may have in a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.storage.destination import mark_of, safe_name
from airflow_provider_visio.storage.media_types import EXTENSIONS, media_type

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class RemoteFile:
    """
    A file to fetch.

    :param key: its id at the service, the same on every run.
    :param title: words for its name.
    :param mime_type: the media type that the service declares, or None.
    :param about: more fields of its entry in the manifest.
    """

    key: str
    title: str
    mime_type: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


def _stem(file: RemoteFile) -> str:
    key = safe_name(file.key)
    # Two ids must get two names: a safe name can drop where they differ, and a title can end like the start of an id.
    mark = "" if key == file.key and "-" not in key else f"-{mark_of(file.key)}"
    return f"{safe_name(file.title, limit=50)}-{key}{mark}"


def possible_names(file: RemoteFile) -> dict[str, None]:
    """Return all names that a file can have, first that of its declared type."""
    declared = EXTENSIONS.get(media_type(file.mime_type) or "", ".bin")
    return dict.fromkeys(f"{_stem(file)}{extension}" for extension in (declared, *EXTENSIONS.values()))


def final_name(file: RemoteFile, mime_type: str | None) -> str:
    """Return the name of a file of this media type."""
    return f"{_stem(file)}{EXTENSIONS.get(mime_type or '', '.bin')}"
