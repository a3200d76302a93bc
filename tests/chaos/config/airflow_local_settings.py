"""Settings of every Airflow process in `make chaos`: a shorter look-up window, and a faster start of tasks."""

from __future__ import annotations

import os

from airflow_provider_visio.idempotency import lookup_window

# The default window of three minutes would make a run long.
lookup_window.LookupWindow.of = lambda config: lookup_window.LookupWindow(
    max(0.0, config.rate_limit_wait - 60.0) + 45.0, 45.0
)


def import_what_tasks_need() -> None:
    """Import the modules before the scheduler forks, and not in each of a thousand tasks."""
    import requests  # noqa: F401

    from airflow_provider_visio import task_wait  # noqa: F401
    from airflow_provider_visio.hooks import visiono, vizdom  # noqa: F401
    from airflow_provider_visio.idempotency import create_once  # noqa: F401
    from airflow_provider_visio.storage import transfer  # noqa: F401
    from airflow_provider_visio.triggers import visiono as trigger  # noqa: F401


os.register_at_fork(before=import_what_tasks_need)
