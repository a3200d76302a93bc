"""Airflow's store for a task instance's state (3.3 and later), which retries and clears leave alone; or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context


class StateStore:
    """
    The state store of a running task.

    False where Airflow has none: then nothing is kept.
    """

    def __init__(self, context: Context) -> None:
        self._store: Any = context.get("task_state_store")

    def __bool__(self) -> bool:
        return self._store is not None

    def get(self, key: str) -> Any:
        """Return what is kept, or None."""
        return self._store.get(key) if self else None

    def set(self, key: str, value: Any) -> None:
        """Keep a JSON value for as long as the task instance: a request may be open for a year."""
        if self:
            from airflow.sdk.execution_time.context import NEVER_EXPIRE

            self._store.set(key, value, retention=NEVER_EXPIRE)
