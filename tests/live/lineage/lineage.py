"""Tasks that store files, and one that fails in the middle; the test reads their events of OpenLineage."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG, Asset, Param

from airflow_provider_visio.operators.visiono import (
    VisionoCreatePhotoRequestOperator,
    VisionoDownloadPermanentLinkPhotosOperator,
    VisionoDownloadPhotosOperator,
)
from airflow_provider_visio.operators.vizdom import VizdomExportDashboardOperator

with DAG(
    "lineage",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    params={name: Param("", type="string") for name in ("destination", "link", "request", "broken")},
):
    destination = "{{ params.destination }}"
    create = VisionoCreatePhotoRequestOperator(
        task_id="create",
        instructions="Please photograph the dent.",
        items=["The car", "The dent"],
        destination=f"{destination}/create",
        poke_interval=timedelta(seconds=2),
    )
    # The same files: all are taken over from the manifest.
    again = VisionoDownloadPhotosOperator(
        task_id="again", request_id=create.output["id"], destination=f"{destination}/create"
    )
    VisionoDownloadPhotosOperator(
        task_id="download",
        request_id="{{ params.request }}",
        destination=f"{destination}/download",
        asset=Asset("lineage_photos", "file:///photos-of-lineage"),
    )
    VizdomExportDashboardOperator(
        task_id="export",
        dashboard_id="dash_abc123",
        destination=f"{destination}/export",
        poke_interval=timedelta(seconds=2),
    )
    VisionoDownloadPermanentLinkPhotosOperator(
        task_id="link", link_id="{{ params.link }}", destination=f"{destination}/link"
    )
    VisionoDownloadPhotosOperator(
        task_id="broken", request_id="{{ params.broken }}", destination=f"{destination}/broken"
    )
