"""Settings of every Airflow process in `make fleet`: the services' fast clock, and a faster start of tasks."""

from __future__ import annotations

import json
import os

from benchmarks.fast_clock import FastClock

FastClock(**json.loads(os.environ["FLEET_CLOCK"])).install()


def import_what_tasks_need() -> None:
    """Import the modules before a worker forks, and not in each of hundreds of tasks."""
    import requests  # noqa: F401
    from airflow.sdk.execution_time import task_runner  # noqa: F401

    from airflow_provider_visio import task_wait  # noqa: F401
    from airflow_provider_visio.hooks import visiono  # noqa: F401
    from airflow_provider_visio.idempotency import create_once  # noqa: F401
    from airflow_provider_visio.storage import transfer  # noqa: F401
    from airflow_provider_visio.triggers import visiono as trigger  # noqa: F401


os.register_at_fork(before=import_what_tasks_need)
