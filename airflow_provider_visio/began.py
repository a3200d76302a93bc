"""When a task instance began to wait: kept over retries and restarts, where Airflow can (3.3 and later)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_visio import clock

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

STORE_KEY = "visio_wait"


def began(context: Context) -> float:
    """Return when the wait began, in seconds since 1970: now, or in an earlier try."""
    store: Any = context.get("task_state_store")
    kept = store.get(STORE_KEY) if store is not None else None
    if isinstance(kept, int | float) and not isinstance(kept, bool) and 0 < kept <= clock.now():
        return float(kept)
    now = clock.now()
    if store is not None:
        store.set(STORE_KEY, now)
    return now


def ended(context: Context) -> None:
    """Forget it: when the task is run again, another wait begins."""
    store: Any = context.get("task_state_store")
    if store is None:
        return
    try:
        store.delete(STORE_KEY)
    except Exception:
        log.warning("Airflow could not note that the wait has ended.", exc_info=True)
