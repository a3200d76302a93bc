"""Every way to fail at a service that says all it was told, each on a connection of its own; all of these must fail."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import DAG, ExceptionRetryPolicy, RetryAction, RetryRule, task

from airflow_provider_visio.exceptions import AuthenticationError
from airflow_provider_visio.operators.visiono import (
    VisionoCreatePhotoRequestBatchOperator,
    VisionoCreatePhotoRequestOperator,
    VisionoDeletePhotoRequestOperator,
    VisionoDownloadPhotosOperator,
)
from airflow_provider_visio.operators.vizdom import (
    VizdomCreateDataSourceOperator,
    VizdomExportDashboardOperator,
    VizdomInviteMemberOperator,
)
from airflow_provider_visio.sensors.visiono import VisionoPhotoRequestSensor
from airflow_provider_visio.sensors.vizdom import VizdomExportSensor

FROM = pendulum.datetime(2026, 1, 1, tz="UTC")
OUTPUT = "{{ params.destination }}"
ODD_LINKS = (
    *("file_redirect", "file_loop", "file_cut"),
    *("file_closed", "file_odd_url", "file_broken_url", "file_no_host"),
)
ADDRESS = "{{ var.value.recipient }}"


def create(task_id: str, scene: str, **options: object) -> VisionoCreatePhotoRequestOperator:
    return VisionoCreatePhotoRequestOperator(
        task_id=task_id,
        instructions="Please photograph your meter.",
        recipient_email=ADDRESS,
        visiono_conn_id=f"visiono_{scene}",
        poke_interval=2,
        **options,
    )


with DAG("secrets_hostile", schedule=None, start_date=FROM, catchup=False, params={"destination": ""}) as dag:
    for scene in ("echo_422", "echo_html", "echo_page", "echo_broken", "echo_odd", "echo_redirect", "drop"):
        create(scene, scene)
    # Without a policy, a refused key uses up no retries.
    policy = ExceptionRetryPolicy(rules=[RetryRule(AuthenticationError, action=RetryAction.RETRY)])
    create("echo_401", "echo_401", retries=1, retry_delay=timedelta(seconds=1), retry_policy=policy)
    create("poll_echo", "poll_echo", wait_for_photos=True)
    create("poll_echo_blocking", "poll_echo", wait_for_photos=True, deferrable=False)
    create("poll_drop_blocking", "poll_drop", wait_for_photos=True, deferrable=False, timeout=4)
    create("broken_extra", "broken_extra")
    create("in_uri", "in_uri")

    VisionoPhotoRequestSensor(
        task_id="drop_rescheduled",
        request_id="req_1",
        mode="reschedule",
        poke_interval=2,
        timeout=5,
        visiono_conn_id="visiono_drop",
    )
    VisionoDeletePhotoRequestOperator(task_id="drop_delete", request_id="r", visiono_conn_id="visiono_drop")
    for scene in ("file_403", "file_drop", "file_page", "file_header"):
        VisionoDownloadPhotosOperator(
            task_id=scene, request_id=f"{scene}_1", destination=OUTPUT, visiono_conn_id=f"visiono_{scene}"
        )

    for scene in ("echo_401", "echo_html", "export_failed", "export_drop"):
        VizdomExportDashboardOperator(
            task_id=f"vizdom_{scene}",
            dashboard_id="dash_abc123",
            destination=OUTPUT,
            deferrable=scene != "export_drop",
            vizdom_conn_id=f"vizdom_{scene}",
        )
    VisionoCreatePhotoRequestBatchOperator(
        task_id="batch",
        requests=[{"instructions": "Please photograph your meter.", "recipient_email": ADDRESS}],
        visiono_conn_id="visiono_echo_422",
    )
    VizdomCreateDataSourceOperator(
        task_id="vizdom_data_source",
        name="Warehouse",
        source_type="postgresql",
        source_conn_id="warehouse",
        vizdom_conn_id="vizdom_make_echo",
    )
    VizdomInviteMemberOperator(task_id="vizdom_invite", email=ADDRESS, vizdom_conn_id="vizdom_make_echo")
    VizdomExportSensor(
        task_id="vizdom_sensor",
        export_id="export_failed_1",
        mode="poke",
        vizdom_conn_id="vizdom_export_failed",
    )

    @task
    def own_code() -> None:
        """Fail in the middle of it, with a client and its settings at hand."""
        from airflow_provider_visio.hooks.visiono import VisionoHook
        from airflow_provider_visio.hooks.vizdom import VizdomHook

        visiono, vizdom = VisionoHook("visiono_default"), VizdomHook("vizdom_default")
        config, other = visiono.get_conn().config, vizdom.get_conn().config
        print(visiono, vizdom, config, other, visiono.get_conn())  # noqa: T201
        raise RuntimeError(f"cannot go on with {config!r} and {other}")

    @task
    def own_code_downloads(params: dict[str, Any]) -> None:
        """Log each failure with its traceback, as people do."""
        from airflow_provider_visio.exceptions import VisioProviderError
        from airflow_provider_visio.hooks.visiono import VisionoHook

        for scene in ODD_LINKS:
            try:
                VisionoHook(f"visiono_{scene}").download_photos(f"{scene}_1", params["destination"])
            except VisioProviderError as error:
                logging.getLogger(__name__).exception("%s: %r", scene, error)
        raise RuntimeError("none came")

    own_code()
    own_code_downloads()


with DAG("secrets_left", schedule=None, start_date=FROM, catchup=False) as left:
    create("poll_drop", "poll_drop", wait_for_photos=True)
    create("echo_429", "echo_429")
    create("stays", "default", wait_for_photos=True, metadata={"scene": "stays"})
