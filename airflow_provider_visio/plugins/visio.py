"""
The Airflow plugin that mounts the receiver in the API server.

Scheduler, dag processor, triggerer and workers import this module, too. Only the API server asks for ``fastapi_apps``,
and only then anything is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowPlugin

from airflow_provider_visio.webhooks import PREFIX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping


class _Apps:
    """The plugin's apps, made when Airflow asks for them: of the class, or of an instance of it."""

    def __get__(self, instance: object, owner: type) -> list[dict[str, Any]]:
        return [{"app": _receiver() or _off, "url_prefix": PREFIX, "name": "Visio webhooks"}]


def _receiver() -> Any:
    """Return the receiver, or None if it is off."""
    from airflow.providers.common.compat.sdk import conf

    if not conf.getboolean("visio", "webhooks", fallback=False):
        return None
    from airflow_provider_visio.webhooks.app import app

    return app


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
    """Mounts the receiver of webhooks, off until ``[visio] webhooks`` is set."""

    name = "visio"
    fastapi_apps = _Apps()
