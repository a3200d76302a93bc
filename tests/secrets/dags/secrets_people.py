"""What becomes of waits while people, and Airflow's users, do this and that."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator
from airflow_provider_visio.operators.vizdom import VizdomExportDashboardOperator
from airflow_provider_visio.sensors.visiono import VisionoPhotoRequestSensor

FROM = pendulum.datetime(2026, 1, 1, tz="UTC")
OUTPUT = "{{ params.destination }}"


def create(scene: str, **options: object) -> VisionoCreatePhotoRequestOperator:
    return VisionoCreatePhotoRequestOperator(
        task_id=scene,
        instructions="Please photograph your meter.",
        recipient_email="{{ var.value.recipient }}",
        send_email=True,
        metadata={"scene": scene},
        poke_interval=3,
        **options,
    )


with DAG("secrets_people", schedule=None, start_date=FROM, catchup=False, params={"destination": ""}) as dag:
    create("submitted", destination=OUTPUT)
    create("submitted_blocking", destination=OUTPUT, deferrable=False)
    for scene in ("expired", "cancelled", "deleted"):
        create(scene, wait_for_photos=True)
    create("killed", wait_for_photos=True, cancel_on_kill=True)
    create("cleared", destination=OUTPUT)
    create("timeout", wait_for_photos=True, timeout=10)
    create("execution_timeout", wait_for_photos=True, execution_timeout=timedelta(seconds=10))
    create(
        "blocking_execution_timeout",
        wait_for_photos=True,
        deferrable=False,
        execution_timeout=timedelta(seconds=4),
    )
    asked = create("asked")
    VisionoPhotoRequestSensor(
        task_id="sensor_timeout",
        request_id=asked.output,
        mode="reschedule",
        poke_interval=12,
        timeout=10,
        soft_fail=True,
    )
    for scene, dashboard in (("exported", "dash_ops456"), ("failed_export", "dash_broken")):
        VizdomExportDashboardOperator(
            task_id=scene, dashboard_id=dashboard, export_format="csv", destination=OUTPUT
        )
