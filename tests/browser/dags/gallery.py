"""Tasks whose files the gallery shows: of the operators, and of a task that gives any output."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator
from airflow_provider_visio.operators.vizdom import VizdomExportDashboardOperator

NEVER = {"schedule": None, "start_date": pendulum.datetime(2026, 1, 1, tz="UTC"), "catchup": False}

with DAG("claims", params={"destination": ""}, render_template_as_native_obj=True, **NEVER):
    VisionoCreatePhotoRequestOperator(
        task_id="ask",
        instructions="Please photograph the damage to your car.",
        items=["The whole car", "The dent", "The licence plate"],
        destination="{{ params.destination }}/photos",
        deferrable=False,
        poke_interval=0.5,
    )
    VisionoCreatePhotoRequestOperator.partial(
        task_id="ask_each",
        destination="{{ params.destination }}/each",
        deferrable=False,
        poke_interval=0.5,
    ).expand(instructions=["Please photograph your meter."])
    VizdomExportDashboardOperator(
        task_id="export",
        dashboard_id="dash_abc123",
        destination="{{ params.destination }}/export",
        deferrable=False,
        poke_interval=0.5,
    )
    VisionoCreatePhotoRequestOperator(task_id="only_ask", instructions="Please photograph the wall.")

with DAG("any_output", params={"output": {}}, **NEVER):

    @task(task_id="store", multiple_outputs=False)
    def store(params: dict[str, Any]) -> Any:
        """Return an output as an operator does."""
        return params["output"]

    store()

with DAG("failing", params={"output": {}}, **NEVER):

    @task(task_id="store", multiple_outputs=False)
    def fail(params: dict[str, Any], ti: Any = None) -> None:
        """Fail as an operator does that has stored some files."""
        ti.xcom_push(key="visio_stored", value=[params["output"]])
        raise RuntimeError("1 of 2 files could not be fetched")

    fail()

with DAG("hidden", params={"output": {}}, **NEVER):

    @task(task_id="store", multiple_outputs=False)
    def store_hidden(params: dict[str, Any]) -> Any:
        """Return an output as an operator does."""
        return params["output"]

    store_hidden()
