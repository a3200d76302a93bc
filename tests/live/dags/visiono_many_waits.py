"""A hundred people are asked, and each of a hundred tasks waits for its own."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator

with DAG(
    dag_id="visiono_many_waits",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
) as dag:
    VisionoCreatePhotoRequestOperator.partial(
        task_id="ask",
        instructions="Please photograph your meter.",
        wait_for_photos=True,
        poke_interval=timedelta(seconds=5),
        visiono_conn_id="visiono_many",
    ).expand(metadata=[{"number": number} for number in range(100)])
