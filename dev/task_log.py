"""Read a task's log from the logs folder as plain text. This works without a running Airflow."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.airflow_api import Json


def read_task_log(logs: Path, task: Json, lines: int = 60) -> str:
    """Return the end of a task instance's log, of its newest try.

    :param logs: the logs folder
    :param task: the task instance, as the REST API describes it
    :param lines: number of lines
    """
    folder = logs / f"dag_id={task['dag_id']}" / f"run_id={task['dag_run_id']}" / f"task_id={task['task_id']}"
    if task["map_index"] >= 0:
        folder /= f"map_index={task['map_index']}"
    # The triggerer writes its own file beside the worker's.
    name = re.compile(rf"attempt={task['try_number']}\.log(\.trigger\.\d+\.log)?")
    entries = [
        entry
        for path in sorted(folder.glob("attempt=*"))
        if name.fullmatch(path.name)
        for entry in _entries(path)
    ]
    entries.sort(key=lambda entry: str(entry.get("timestamp", "")))
    text = [line for entry in entries for line in _render(entry)]
    return "\n".join(text[-lines:]) or f"(no log in {folder})"


def _entries(path: Path) -> Iterator[Json]:
    time = ""
    for line in path.read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not isinstance(entry, dict):
            entry = {"timestamp": time, "event": line}
        time = str(entry.get("timestamp", time))
        yield entry


def _render(entry: Json) -> Iterator[str]:
    event = str(entry.get("event", ""))
    if event.startswith(("::group::", "::endgroup::")):
        return
    time = str(entry.get("timestamp", ""))[11:19]
    level = str(entry.get("level", "")).upper()
    yield f"{time} {level:7} {event}".strip()
    for error in reversed(entry.get("error_detail") or []):
        for frame in error.get("frames", []):
            yield f"    {frame['filename']}:{frame['lineno']} in {frame['name']}"
        yield f"  {error['exc_type']}: {error['exc_value']}"
