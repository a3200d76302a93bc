"""Secrets that are handed on: a data source's password, a link signed for somebody, addresses in a list."""

from __future__ import annotations

import pendulum
from airflow.providers.smtp.operators.smtp import EmailOperator
from airflow.sdk import DAG

from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestBatchOperator
from airflow_provider_visio.operators.vizdom import VizdomCreateDataSourceOperator, VizdomInviteMemberOperator
from airflow_provider_visio.workflow import workflow_url

FROM = pendulum.datetime(2026, 1, 1, tz="UTC")
ADDRESS = "{{ var.value.recipient }}"

with DAG(
    "secrets_workspace",
    schedule=None,
    start_date=FROM,
    catchup=False,
    user_defined_macros={"workflow_url": workflow_url},
) as dag:
    VizdomCreateDataSourceOperator(
        task_id="data_source", name="Warehouse", source_type="postgresql", source_conn_id="warehouse"
    )
    VizdomInviteMemberOperator(task_id="invite", email=ADDRESS)
    VisionoCreatePhotoRequestBatchOperator(
        task_id="batch",
        requests=[{"instructions": "Please photograph your meter.", "recipient_email": ADDRESS}],
    )
    EmailOperator(
        task_id="link",
        from_email="ramp@example.com",
        to="driver@example.com",
        subject="The ramp",
        html_content="{{ workflow_url('https://visio.now/ramp', 'TN-123', 'ramp', '7') }}",
    )
