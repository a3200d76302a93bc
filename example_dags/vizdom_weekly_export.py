"""
Every Monday: export a dashboard to object storage and mail its path.

The mail goes through the SMTP provider (``pip install airflow-provider-visio[smtp]``) and its connection
``smtp_default``.
"""

from __future__ import annotations

import pendulum
from airflow.providers.smtp.operators.smtp import EmailOperator
from airflow.sdk import DAG, Param

from airflow_provider_visio.operators.vizdom import VizdomExportDashboardOperator

with DAG(
    dag_id="vizdom_weekly_export",
    description="Export a dashboard to object storage and mail it.",
    schedule="0 7 * * 1",
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Berlin"),
    catchup=False,
    default_args={"retries": 3},  # a try can die with its worker, or an export can fail
    tags=["vizdom", "example"],
    doc_md=__doc__,
    params={
        "dashboard_id": Param("dash_abc123", type="string", title="Dashboard to export"),
        "destination": Param("file:///tmp/visio", type="string", title="Where the file goes"),
        "to": Param("team@example.com", type="string", title="Who gets the mail"),
    },
) as dag:
    export = VizdomExportDashboardOperator(
        task_id="export",
        dashboard_id="{{ params.dashboard_id }}",
        export_format="pdf",
        destination="{{ params.destination }}",
    )

    mail = EmailOperator(
        task_id="mail",
        to="{{ params.to }}",
        from_email="reports@example.com",
        subject="Dashboard {{ params.dashboard_id }}, week of {{ dag_run.run_after | ds }}",
        html_content=(
            "<p>This week's dashboard is at <code>{{ ti.xcom_pull(task_ids='export')['file']['path'] }}</code>.</p>"
        ),
    )

    export >> mail
