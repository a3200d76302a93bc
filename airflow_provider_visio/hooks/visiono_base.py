"""The base of the Visiono hook's parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow_provider_visio.api import visiono as api
from airflow_provider_visio.connection_form import VISIONO_FORM
from airflow_provider_visio.hooks.base import VisioBaseHook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visio.api.call import Dialect
    from airflow_provider_visio.api.config import Service
    from airflow_provider_visio.api.visiono import Photo
    from airflow_provider_visio.storage.manifest import Manifest
    from airflow_provider_visio.storage.remote_file import RemoteFile


class VisionoBaseHook(VisioBaseHook):
    """
    A Visiono connection.

    :param visiono_conn_id: id of the Airflow connection: ``host`` is the base URL (optional), ``password`` the API key.
    """

    conn_name_attr = "visiono_conn_id"
    default_conn_name = "visiono_default"
    conn_type = VISIONO_FORM.conn_type
    hook_name = VISIONO_FORM.hook_name
    service = api.VISIONO
    form = VISIONO_FORM

    def __init__(self, visiono_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(visiono_conn_id, **kwargs)
        self.visiono_conn_id = visiono_conn_id

    @property
    def dialect(self) -> Dialect:
        """Which of the vendor's two descriptions this connection writes."""
        return cast("Dialect", self.get_conn().config.extra["dialect"])

    def _service(self, extras: Mapping[str, Any]) -> Service:
        return api.VISIONO_OF_PLUGIN if extras["dialect"] == "plugin" else self.service

    def _store(
        self,
        photos: Sequence[Photo],
        place: ObjectStoragePath,
        job_id: str,
        *,
        links_again: Callable[[], Sequence[Photo]],
        **settings: Any,
    ) -> Manifest:
        """
        Store photos.

        :param photos: the photos, with links.
        :param links_again: gets them once more, with new links.
        :param settings: as of :meth:`VisioBaseHook._store_files`.
        """
        return self._store_files(
            [_remote_file(photo) for photo in photos],
            place,
            job_id,
            links=_links_of(photos),
            links_again=lambda: _links_of(links_again()),
            **settings,
        )


# Fields of a photo that the manifest has, too.
_ABOUT = ("submission_id", "item", "item_id", "gps", "taken_at", "submitted_at")


def _links_of(photos: Sequence[Photo]) -> dict[str, str]:
    return {photo["id"]: photo["url"] or "" for photo in photos}


def _remote_file(photo: Photo) -> RemoteFile:
    from airflow_provider_visio.storage.remote_file import RemoteFile

    known: Mapping[str, Any] = photo
    return RemoteFile(
        key=photo["id"],
        title=photo["item"] or "photo",
        mime_type=photo["mime_type"],
        about={name: known[name] for name in _ABOUT if name in known},
    )
