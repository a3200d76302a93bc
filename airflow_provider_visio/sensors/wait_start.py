"""When a task instance began to wait: kept over retries and restarts, where Airflow can (3.3 and later)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_visio import clock
from airflow_provider_visio.idempotency.record import clear_count
from airflow_provider_visio.idempotency.state_store import StateStore

if TYPE_CHECKING:
    from airflow.sdk import Context

STORE_KEY = "visio_wait"


def wait_started_at(context: Context) -> float:
    """
    Return when the wait began, in seconds since 1970: now, or in an earlier try. A cleared task begins anew.

    Before Airflow 3.3 each try begins anew.
    """
    store, now, run = StateStore(context), clock.now(), clear_count(context)
    if not store:
        # Each look in reschedule mode is a process of its own; Airflow's database knows of the try's first.
        first = context["ti"].get_first_reschedule_date(context)
        return min(now, first.timestamp()) if first else now
    kept = store.get(STORE_KEY)
    if isinstance(kept, dict) and kept.get("run") == run:
        at = kept.get("at")
        if isinstance(at, int | float) and not isinstance(at, bool) and 0 < at <= now:
            return float(at)
    store.set(STORE_KEY, {"at": now, "run": run})
    return now
