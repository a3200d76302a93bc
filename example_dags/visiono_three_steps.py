"""
One photo request in three tasks: create, wait, download.

Use this when another task must run in between, for example to send the link through a channel of your own.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG, Param, task

from airflow_provider_visio.operators.visiono import (
    VisionoCreatePhotoRequestOperator,
    VisionoDownloadPhotosOperator,
)
from airflow_provider_visio.sensors.visiono import VisionoPhotoRequestSensor

with DAG(
    dag_id="visiono_three_steps",
    description="Create a photo request, share its link, wait for the photos, download them.",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1000,  # a run stays open until its person answers; the default allows 16
    default_args={"retries": 3},  # a try can die with its worker; no retry asks a person twice
    tags=["visiono", "example"],
    doc_md=__doc__,
    params={"destination": Param("file:///tmp/visio", type="string", title="Where the photos go")},
) as dag:
    ask = VisionoCreatePhotoRequestOperator(
        task_id="ask",
        instructions="Please photograph the parcel where you left it.",
        items=["The parcel at the door", {"instructions": "The doorbell panel", "is_required": False}],
        expires_in_hours=timedelta(days=1),
    )

    @task
    def share_link(request_url: str) -> None:
        """Send the link to the recipient: put your SMS or chat call here."""
        print(f"Please take the photos here: {request_url}")  # noqa: T201

    wait = VisionoPhotoRequestSensor(
        task_id="wait",
        request_id=ask.output["id"],
        timeout=timedelta(days=1),
        poke_interval=timedelta(seconds=5),  # short for a demonstration; the default is a minute
    )

    download = VisionoDownloadPhotosOperator(
        task_id="download", request_id=wait.output, destination="{{ params.destination }}"
    )

    share_link(ask.output["request_url"]) >> wait
