"""Everything that Airflow keeps, as (place, bytes)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

import requests

if TYPE_CHECKING:
    from pathlib import Path

    from dev.airflow_api import AirflowApi, Json

Kept = Iterator[tuple[str, bytes]]

BETWEEN = b"\n"
INBOX = "visio_webhooks_visiono_default"


def files(folder: Path, name: str) -> Kept:
    """Every file below a folder, its name included."""
    for path in sorted(folder.rglob("*")):
        place = f"{name}/{path.relative_to(folder)}"
        if path.is_file() and not path.is_symlink():
            yield place, f"{path.name}\n".encode() + path.read_bytes()


def database(file: Path, name: str) -> Kept:
    """Every column of every table of a SQLite database, as it is now."""
    with (
        closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as live,
        closing(sqlite3.connect(":memory:")) as db,
    ):
        live.backup(db)
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = [row[1] for row in db.execute(f'PRAGMA table_info("{table}")')]
            for column in columns:
                rows = db.execute(
                    f'SELECT CAST("{column}" AS BLOB) FROM "{table}" WHERE "{column}" IS NOT NULL'
                )
                yield f"{name}/{table}.{column}", BETWEEN.join(row[0] for row in rows)


def replies(api: AirflowApi) -> Kept:
    """What the API server tells of connections, DAGs, runs and tasks; of mapped tasks, of the first."""
    for path in (
        *("/connections", "/eventLogs", "/importErrors", "/jobs", "/dags", "/plugins", "/dagWarnings"),
        *(f"/connections/{found['connection_id']}" for found in api.every("/connections", "connections")),
    ):
        yield _reply(api, path)
    # Of the Variables, the inbox only: all others have what the DAGs' authors put there.
    yield _reply(api, f"/variables/{INBOX}")
    for event in api.every("/eventLogs", "event_logs"):
        yield f"api/eventLogs/{event['event']}", json.dumps(event).encode()
    for dag in api.dags():
        dag_path = f"/dags/{dag['dag_id']}"
        for path in (f"{dag_path}/details", f"{dag_path}/tasks", f"/dagSources/{dag['dag_id']}"):
            yield _reply(api, path)
        for run in api.every(f"{dag_path}/dagRuns", "dag_runs"):
            path = f"{dag_path}/dagRuns/{quote(run['dag_run_id'])}"
            yield _reply(api, path)
            tasks = api.every(f"{path}/taskInstances", "task_instances")
            yield f"api{dag_path}/taskInstances", json.dumps(tasks).encode()
            for task in tasks:
                if task["map_index"] <= 0:
                    yield from _task(api, f"{path}/taskInstances/{task['task_id']}", task)


def _task(api: AirflowApi, path: str, task: Json) -> Kept:
    where = {"map_index": task["map_index"]}
    yield _reply(api, f"{path}/links", **where)
    yield _reply(api, f"{path}/state-store", **where)
    tries = f"{path}/{task['map_index']}/tries" if task["map_index"] >= 0 else f"{path}/tries"
    yield _reply(api, tries)
    for number in range(1, task["try_number"] + 1):
        yield _reply(api, f"{path}/logs/{number}", **where)
    listed = api.every(f"{path}/xcomEntries", "xcom_entries", **where)
    for key in {entry["key"] for entry in listed}:
        yield _reply(api, f"{path}/xcomEntries/{quote(key)}", **where, deserialize=True)


def _reply(api: AirflowApi, path: str, **params: object) -> tuple[str, bytes]:
    try:
        found = api.get(path, **params)
    except requests.HTTPError as error:
        if error.response is None or error.response.status_code != requests.codes.not_found:
            raise
        return f"api{path}", b""  # such as the log of a try that never ran
    return f"api{path}", json.dumps(found, ensure_ascii=False).encode()
