"""What a trigger does that is told to stop: find out whether somebody killed it, and tidy up to the end."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

if TYPE_CHECKING:
    from collections.abc import Coroutine

log = logging.getLogger(__name__)

# States that somebody has put a task into for good.
_ENDED = {"failed", "success", "skipped", "upstream_failed", "removed"}

# The event loop alone would forget work that nobody waits for.
_under_way: set[asyncio.Task[None]] = set()


async def run_to_end(work: Coroutine[Any, Any, None]) -> None:
    """
    Do some work, and go on with it when whoever waits for it is cancelled.

    Airflow 3.3 cancels a trigger again, each second, until it has ended, and so breaks off its ``on_kill``.
    """
    task = asyncio.create_task(work)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    await asyncio.shield(task)


async def task_continues(task_instance: Any) -> bool:
    """
    Return whether a task goes on, so that nothing it waits for may be cancelled.

    Airflow 3.3 calls ``on_kill`` also when a trigger moves to another triggerer (apache/airflow#73454), and for a task
    that was cleared, whose next try takes up what this one has made. True where nobody can tell.
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
    return not found or not _ENDED.issuperset(found)
