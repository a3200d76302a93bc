"""
The Airflow plugin that mounts the receiver of webhooks and the gallery in the API server.

Scheduler, dag processor, triggerer and workers import this module, too. Only the API server asks for ``fastapi_apps``
and ``external_views``, and only then anything is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowPlugin

from airflow_provider_visio import gallery, webhooks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

# Relative, so that it works where Airflow's base URL has a path.
_GALLERY_PAGE = (
    f"{gallery.PREFIX.removeprefix('/')}/photos?dag_id={{DAG_ID}}&run_id={{RUN_ID}}&task_id={{TASK_ID}}"
    "&map_index={MAP_INDEX}"
)


class _Apps:
    """The plugin's apps, made when Airflow asks for them: of the class, or of an instance of it."""

    def __get__(self, instance: object, owner: type) -> list[dict[str, Any]]:
        return [
            {"app": _receiver() or _off, "url_prefix": webhooks.PREFIX, "name": "Visio webhooks"},
            {"app": _gallery() or _off, "url_prefix": gallery.PREFIX, "name": "Visio gallery"},
        ]


class _Views:
    """The pages in Airflow's UI, likewise."""

    def __get__(self, instance: object, owner: type) -> list[dict[str, Any]]:
        if not _has_gallery():
            return []
        from airflow_provider_visio.extra_links import GALLERY_ROUTE

        return [
            {
                "name": "Photos",
                "href": _GALLERY_PAGE,
                "url_route": GALLERY_ROUTE,
                "destination": _destination(),
            }
        ]


def _has_gallery() -> bool:
    from airflow.providers.common.compat.sdk import conf

    return bool(conf.getboolean("visio", "gallery", fallback=False))


def _receiver() -> Any:
    """Return the receiver, or None if it is off."""
    from airflow.providers.common.compat.sdk import conf

    if not conf.getboolean("visio", "webhooks", fallback=False):
        return None
    from airflow_provider_visio.webhooks.app import app

    return app


def _gallery() -> Any:
    """Return the gallery, or None if it is off."""
    if not _has_gallery():
        return None
    from airflow_provider_visio.gallery.app import app

    return app


def _destination() -> str:
    """Return where the page belongs: "base" shows no tab. Airflow 3.1 knows it not, and shows a tab on each task."""
    from airflow.api_fastapi.core_api.datamodels.plugins import ExternalViewResponse

    known = str(ExternalViewResponse.model_fields["destination"].annotation)
    return "base" if "'base'" in known else "task_instance"


async def _off(
    scope: Mapping[str, Any],
    receive: Callable[[], Awaitable[Any]],  # noqa: ARG001  as ASGI calls it
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Answer 404: without an app, Airflow's own page for all other paths would answer."""
    if scope["type"] == "http":
        await send(
            {
                "type": "http.response.start",
                "status": 404,
                "headers": [(b"content-type", b"text/plain; charset=utf-8")],
            }
        )
        await send({"type": "http.response.body", "body": b"Not found.\n"})


class VisioPlugin(AirflowPlugin):
    """Mounts the receiver of webhooks and the gallery, each off until its option of ``[visio]`` is set."""

    name = "visio"
    fastapi_apps = _Apps()
    external_views = _Views()
