"""A file to fetch, and its name in a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.storage.destination import mark_of, safe_name

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

    @property
    def stem(self) -> str:
        """Its name in a folder, without the extension."""
        key = safe_name(self.key)
        # Two ids must get two names: a safe name can drop where they differ, and a title can end like the start of an
        # id.
        mark = "" if key == self.key and "-" not in key else f"-{mark_of(self.key)}"
        return f"{safe_name(self.title, limit=50)}-{key}{mark}"
