"""A DAG that tells all, in every kind of place, so that the search can be seen to find it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import DAG, BaseOperator, task

from airflow_provider_visio.triggers.moment import MomentTrigger

FROM = pendulum.datetime(2026, 1, 1, tz="UTC")


class Waits(BaseOperator):
    """Defers for a year."""

    def execute(self, context: Any) -> None:
        event = {"step": "execute", "note": "@@planted_trigger@@"}
        self.defer(trigger=MomentTrigger(time.time() + 3e7, event), method_name="execute")


with DAG(
    "secrets_planted",
    schedule=None,
    start_date=FROM,
    catchup=False,
    doc_md="@@planted_packed@@",
    params={"destination": "", "note": ""},
) as dag:

    @task
    def tell(params: dict[str, Any], note: str, task_state_store: Any = None) -> dict[str, str]:
        print("a line with @@planted_log@@ in it")  # noqa: T201
        task_state_store.set("note", {"note": "@@planted_state@@"})
        folder = Path(params["destination"].removeprefix("file://"))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "note.txt").write_text("@@planted_file@@")
        (Path(tempfile.gettempdir()) / "note.txt").write_text("@@planted_temporary@@")
        return {"note": "@@planted_xcom@@"}

    tell(note="@@planted_rendered@@")
    Waits(task_id="waits")
