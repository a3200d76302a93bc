"""
One request for each row of a CSV: a mapped fan-out.

Each recipient gets a request of their own. One sensor waits for all of them. The photos of each request are stored in a
folder of its own.
"""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import DAG, Param, task

from airflow_provider_visio.operators.visiono import (
    VisionoCreatePhotoRequestOperator,
    VisionoDownloadPhotosOperator,
)
from airflow_provider_visio.sensors.visiono import VisionoPhotoRequestSensor

try:
    from airflow_provider_visio.operators.retry_policy import visio_retry_policy

    RETRY_POLICY = {"retry_policy": visio_retry_policy()}  # a limit is waited for as long as the service says
except ImportError:  # Airflow 3.1 and 3.2
    RETRY_POLICY = {}

RECIPIENTS = Path(__file__).parent / "data" / "recipients.csv"

with DAG(
    dag_id="visiono_fan_out",
    description="Ask everybody in a CSV for photos and collect them.",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # A try can die with its worker; no retry asks a person twice.
    default_args={"retries": 3, **RETRY_POLICY},
    tags=["visiono", "example"],
    doc_md=__doc__,
    params={"destination": Param("file:///tmp/visio", type="string", title="Where the photos go")},
) as dag:

    @task
    def recipients() -> list[dict[str, Any]]:
        """Read the CSV: one dict of operator arguments for each row."""
        with RECIPIENTS.open(newline="", encoding="utf-8") as table:
            return [
                {
                    "instructions": f"Hello {row['name']}, please photograph your meter.",
                    "metadata": {"customer": row["customer"]},
                }
                for row in csv.DictReader(table)
            ]

    ask = VisionoCreatePhotoRequestOperator.partial(
        task_id="ask", items=["The meter with its number", "The display"], expires_in_hours=72
    ).expand_kwargs(recipients())

    wait = VisionoPhotoRequestSensor(
        task_id="wait",
        request_id=ask.output,
        timeout=timedelta(days=3),
        poke_interval=timedelta(seconds=5),  # short for a demonstration; the default is a minute
    )

    VisionoDownloadPhotosOperator(
        task_id="download", request_id=wait.output, destination="{{ params.destination }}"
    )
