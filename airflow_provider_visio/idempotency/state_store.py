"""Airflow's store for the state of a task (3.3 and later), which retries and clears leave as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context


class StateStore:
    """
    The state store of a running task.

    It is False where Airflow has none. Then values are in ``done``, which outlives a deferral, but not the try.
    """

    def __init__(self, context: Context, done: dict[str, Any] | None = None) -> None:
        self._store: Any = context.get("task_state_store")
        self._done: dict[str, Any] = {} if done is None else done

    def __bool__(self) -> bool:
        return self._store is not None

    def get(self, key: str) -> Any:
        """Return what is kept, or None."""
        return self._store.get(key) if self else self._done.get(key)

    def set(self, key: str, value: Any) -> None:
        """Keep a JSON value for as long as the task instance: a request may be open for a year."""
        if not self:
            self._done[key] = value
        else:
            from airflow.sdk.execution_time.context import NEVER_EXPIRE

            self._store.set(key, value, retention=NEVER_EXPIRE)
