"""
From a dent to a dashboard: ask a driver for photos, wait for them, store them, and export the dashboard of the day.

The wait is deferred: it holds no worker, also when the driver takes hours.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG, Param

from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator
from airflow_provider_visio.operators.vizdom import VizdomExportDashboardOperator

with DAG(
    dag_id="visio_photos_to_dashboard",
    description="Ask a person for photos, store them, export a dashboard.",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1000,  # a run stays open until its person answers; the default allows 16
    default_args={"retries": 3},  # a try can die with its worker; no retry asks a person twice
    tags=["visiono", "vizdom", "example"],
    doc_md=__doc__,
    params={
        "claim": Param("C-2026-0042", type="string", title="Claim number"),
        "destination": Param(
            "file:///tmp/visio", type="string", title="Where the files go (object store URL)"
        ),
        "dashboard_id": Param("dash_abc123", type="string", title="Dashboard to export"),
    },
) as dag:
    photos = VisionoCreatePhotoRequestOperator(
        task_id="photos",
        instructions="Please photograph the damage to your car (claim {{ params.claim }}).",
        items=["The whole car from the front", "The dent from one step away", "The licence plate"],
        require_gps=True,
        expires_in_hours=48,
        metadata={"claim": "{{ params.claim }}"},
        destination="{{ params.destination }}",
        # Short for a demonstration. Leave it out in production: the default of a minute saves calls.
        poke_interval=timedelta(seconds=5),
    )

    dashboard = VizdomExportDashboardOperator(
        task_id="dashboard",
        dashboard_id="{{ params.dashboard_id }}",
        export_format="pdf",
        destination="{{ params.destination }}",
    )

    photos >> dashboard
