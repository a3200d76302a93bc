"""Tells a task that defers whether a triggerer is alive: without one it does not go on."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)

# Seconds to wait for Airflow's answer.
PATIENCE = 2.0


def warn_without_triggerer() -> None:
    """
    Warn in the task's log if no triggerer is alive.

    A task cannot ask Airflow's database, and the Task SDK has no call for it. The API server's health page is public.
    Where the page cannot be had, nothing is said.
    """
    from airflow.providers.common.compat.sdk import conf

    from airflow_provider_visio.api.http_session import HeaderAuth, Session

    # As Airflow's executors find the API server.
    server = conf.get("core", "execution_api_server_url", fallback=None)
    server = server or conf.get("api", "base_url", fallback=None) or "http://localhost:8080"
    url = f"{server.rstrip('/').removesuffix('/execution')}/api/v2/monitor/health"
    try:
        with Session() as session:
            reply = session.get(url, auth=HeaderAuth({}), timeout=PATIENCE, allow_redirects=False)
            status = reply.json()["triggerer"]["status"]
    except Exception:  # noqa: BLE001  another server may answer with anything
        return
    if status != "healthy":
        log.warning(
            "Airflow's health page shows no triggerer that is alive, and without one this task does not go on. Start "
            "`airflow triggerer`, or set deferrable=False."
        )
