"""Read by every process of the Airflow that is broken: shorter patience, and tasks that are quick to start."""

from __future__ import annotations

import os

from airflow_provider_visio.idempotency import lookup_window as look_again

# What takes three minutes otherwise takes less here.
look_again.LookupWindow.of = lambda config: look_again.LookupWindow(
    max(0.0, config.rate_limit_wait - 60.0) + 45.0, 45.0
)


def import_what_tasks_need() -> None:
    """Import it before the scheduler forks, not in each of a thousand tasks."""
    import requests  # noqa: F401

    from airflow_provider_visio import task_wait  # noqa: F401
    from airflow_provider_visio.hooks import visiono, vizdom  # noqa: F401
    from airflow_provider_visio.idempotency import create_once  # noqa: F401
    from airflow_provider_visio.storage import transfer  # noqa: F401
    from airflow_provider_visio.triggers import visiono as trigger  # noqa: F401


os.register_at_fork(before=import_what_tasks_need)
