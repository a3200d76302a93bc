"""A recipient's address in the DAG's own text, in every way that its author can write it."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import DAG

from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator

FROM = pendulum.datetime(2026, 1, 1, tz="UTC")
ASK: dict[str, Any] = {"instructions": "Please photograph your meter.", "send_email": True}

with DAG("secrets_literal", schedule=None, start_date=FROM, catchup=False) as dag:
    create = VisionoCreatePhotoRequestOperator
    create(task_id="literal", recipient_email="@@literal_address@@", **ASK)
    create.partial(task_id="mapped", **ASK).expand(recipient_email=["@@literal_address@@"])
    create.partial(task_id="rows", **ASK).expand_kwargs([{"recipient_email": "@@literal_address@@"}])
    create.partial(task_id="partial", recipient_email="@@literal_address@@").expand_kwargs([ASK])
