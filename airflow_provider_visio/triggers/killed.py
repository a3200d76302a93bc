"""Whether a trigger that is told to stop was really killed by somebody."""

from __future__ import annotations

import logging
from typing import Any

from asgiref.sync import sync_to_async

log = logging.getLogger(__name__)


async def still_deferred(task_instance: Any) -> bool:
    """
    Return whether a task still waits in a triggerer, so that nothing it waits for may be cancelled.

    Airflow 3.3 calls ``on_kill`` also when a trigger moves to another triggerer (apache/airflow#73454), and a task that
    was cleared may wait anew already. True where nobody can tell.
    """
    if task_instance is None:
        return True
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    try:
        states = await sync_to_async(RuntimeTaskInstance.get_task_states)(
            dag_id=task_instance.dag_id,
            task_ids=[task_instance.task_id],
            run_ids=[task_instance.run_id],
            map_index=task_instance.map_index,
        )
    except Exception:
        log.exception("Airflow cannot tell what became of the task, so nothing is cancelled.")
        return True
    found = [getattr(state, "value", state) for state in states.get(task_instance.run_id, {}).values()]
    return not found or "deferred" in found
