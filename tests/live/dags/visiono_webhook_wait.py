"""A wait whose poll looks every ten minutes."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from airflow_provider_visio.sensors.visiono import VisionoPhotoRequestSensor

with DAG(
    dag_id="visiono_webhook_wait",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    params={"request_id": ""},
) as dag:
    VisionoPhotoRequestSensor(
        task_id="wait",
        request_id="{{ params.request_id }}",
        deferrable=True,
        poke_interval=timedelta(minutes=10),
        timeout=timedelta(hours=1),
        visiono_conn_id="visiono_hooked",
    )
