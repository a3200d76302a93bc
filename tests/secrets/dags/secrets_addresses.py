"""A recipient's address that comes from elsewhere, in every way that a DAG's author can hand it over."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import DAG, Variable, task

from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator

FROM = pendulum.datetime(2026, 1, 1, tz="UTC")
ASK: dict[str, Any] = {"instructions": "Please photograph your meter.", "send_email": True}

with DAG("secrets_addresses", schedule=None, start_date=FROM, catchup=False, params={"email": ""}) as dag:
    create = VisionoCreatePhotoRequestOperator
    create(task_id="from_variable", recipient_email="{{ var.value.recipient }}", **ASK)
    create(task_id="from_conf", recipient_email="{{ params.email }}", **ASK)

    @task(show_return_value_in_logs=False)
    def addresses() -> list[str]:
        return [Variable.get("told_recipient")]

    @task(show_return_value_in_logs=False)
    def rows() -> list[dict[str, str]]:
        return [{"recipient_email": Variable.get("told_recipient")}]

    found = addresses()
    pulled = "{{ ti.xcom_pull(task_ids='addresses')[0] }}"
    found >> create(task_id="from_xcom", recipient_email=pulled, **ASK)
    create.partial(task_id="mapped_from_xcom", **ASK).expand(recipient_email=found)
    create.partial(task_id="rows_from_xcom", **ASK).expand_kwargs(rows())
    create.partial(task_id="mapped_template", **ASK).expand(recipient_email=["{{ var.value.recipient }}"])
    found >> create(task_id="partial_template", **ASK, recipient_email="{{ var.value.recipient }}")
