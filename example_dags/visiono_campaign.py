"""
A campaign: ask fifty people for photos, and go on when four in five have answered.

One sensor waits for all of them. It ends when 80 % have submitted, or after three days with the photos that arrived.
Its output says who answered, whose link has expired and who has not answered yet. A recipient that the service refuses
fails one mapped task. The sensor still waits for the others.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import DAG, Param, task

from airflow_provider_visio.operators.visiono import (
    VisionoCreatePhotoRequestOperator,
    VisionoDownloadPhotosOperator,
)
from airflow_provider_visio.sensors.visiono import VisionoPhotoRequestSensor

with DAG(
    dag_id="visiono_campaign",
    description="Ask many people for photos; go on when 80 % have answered, or at the deadline.",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 3},  # a try can die with its worker; no retry asks a person twice
    tags=["visiono", "example"],
    doc_md=__doc__,
    params={
        "recipients": Param(50, type="integer", minimum=1, maximum=1000, title="How many people to ask"),
        "destination": Param("file:///tmp/visio", type="string", title="Where the photos go"),
    },
) as dag:

    @task
    def recipients(params: dict[str, Any]) -> list[dict[str, Any]]:
        """Return invented recipients, one dict of operator arguments each. Read yours from a database."""
        return [
            {
                "instructions": f"Hello customer K-{number:04}, please photograph your new router.",
                "metadata": {"customer": f"K-{number:04}"},
            }
            for number in range(1, params["recipients"] + 1)
        ]

    people = recipients()

    # All tasks together stay inside the service's limit of calls a minute.
    ask = VisionoCreatePhotoRequestOperator.partial(
        task_id="ask", items=["The router with its lights"], expires_in_hours=96
    ).expand_kwargs(people)

    wait = VisionoPhotoRequestSensor(
        task_id="wait",
        request_id=ask.output,
        min_submitted=0.8,
        on_deadline="proceed",
        timeout=timedelta(days=3),
        poke_interval=timedelta(seconds=5),  # short for a demonstration; the default is a minute
        trigger_rule="all_done_min_one_success",  # wait also when one person could not be asked
    )

    @task.short_circuit
    def answers(people: list[dict[str, Any]], found: dict[str, Any], ti: Any) -> bool:
        """Print who has not answered. Skip the download if nobody has."""
        # One id for each person; None if the person could not be asked.
        asked = ti.xcom_pull(task_ids="ask", key="id", map_indexes=range(len(people)))
        names = [person["metadata"]["customer"] for person in people]
        customers = dict(zip(asked, names, strict=True))
        lines = [f"{len(found['arrived'])} of {len(people)} have answered."]
        lines += [f"{name} could not be asked." for i, name in zip(asked, names, strict=True) if i is None]
        lines += [f"{customers[i]} has not answered yet." for i in found["waiting"]]
        lines += [
            f"{customers[i]} will not answer: the request is {how}." for i, how in found["ended"].items()
        ]
        print("\n".join(lines))  # noqa: T201
        return bool(found["arrived"])

    download = VisionoDownloadPhotosOperator(
        task_id="download", request_id=wait.output, destination="{{ params.destination }}"
    )

    answers(people, wait.output) >> download
