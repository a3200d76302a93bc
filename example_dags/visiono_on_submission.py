"""
A run for each submission: when somebody has submitted photos, store them, check them and say so.

It also runs for requests that were created outside Airflow, for example in Visiono's dashboard. The first DAG hears of
all submissions and publishes each of them once. The second DAG runs for each one, with the request's id as partition
key. Before Airflow 3.3 the first DAG skips itself, and the second one runs for all submissions since its last run.

Unpause both DAGs. Each later submission starts a run.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import DAG, Param, get_current_context, task

from airflow_provider_visio.assets.visiono import (
    photo_requests_submitted,
    submission_schedule,
    submitted_ids,
)
from airflow_provider_visio.operators.visiono import (
    VisionoDownloadPhotosOperator,
    VisionoPublishSubmissionsOperator,
)

# Short for a demonstration. Leave it out in production: the default of a minute saves calls.
submitted = photo_requests_submitted(poke_interval=timedelta(seconds=5))

with DAG(
    dag_id="visiono_publish_submissions",
    description="Publish each submitted photo request once.",
    schedule=[submitted],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,  # two runs at a time could publish the same request
    default_args={"retries": 3},  # a try can die with its worker; no retry publishes twice
    tags=["visiono", "example"],
    doc_md=__doc__,
):
    VisionoPublishSubmissionsOperator(task_id="publish")

with DAG(
    dag_id="visiono_on_submission",
    description="Store and check the photos of each submission, and say so.",
    schedule=submission_schedule(otherwise=submitted),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 3},
    tags=["visiono", "example"],
    doc_md=__doc__,
    params={"destination": Param("file:///tmp/visio", type="string", title="Where the photos go")},
) as dag:

    @task
    def submission() -> list[str]:
        """Return the id of the submitted request; before Airflow 3.3 there can be several."""
        ids = submitted_ids(get_current_context())
        if not ids:
            raise AirflowSkipException(
                "No submission has started this run. Give a request's id as partition key."
            )
        return ids

    fetch = VisionoDownloadPhotosOperator(
        task_id="fetch", request_id=submission(), destination="{{ params.destination }}"
    )

    @task
    def check(fetched: list[dict[str, Any]]) -> list[str]:
        """Return the files that look damaged, or are not what they were declared to be."""
        return [file["path"] for one in fetched for file in one["files"] if file["check"] != "ok"]

    @task
    def notify(fetched: list[dict[str, Any]], doubtful: list[str]) -> None:
        """Say what has come: put your SMS, mail or chat call here."""
        for one in fetched:
            print(f"{len(one['files'])} photo(s) of {one['id']} are stored: {one['manifest']}")  # noqa: T201
        for path in doubtful:
            print(f"Please look at {path}")  # noqa: T201

    notify(fetch.output, check(fetch.output))
