"""The retry policy in Airflow's own ``dag.test()``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import airflow.sdk
import pytest
from airflow.sdk import DAG
from conftest import connect

from airflow_provider_visio import clock
from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator

pytestmark = pytest.mark.skipif(
    not hasattr(airflow.sdk, "ExceptionRetryPolicy"), reason="Airflow before 3.3 has no retry policies"
)


def dag(**more: Any) -> DAG:
    from airflow_provider_visio.operators.retry_policy import visio_retry_policy

    with DAG("retry_policy", schedule=None, default_args={"retry_policy": visio_retry_policy()}) as made:
        VisionoCreatePhotoRequestOperator(
            task_id="ask", instructions="The dent", retries=3, retry_delay=timedelta(days=1), **more
        )
    return made


def tries(run: Any) -> int:
    (task,) = run.get_task_instances()
    return int(task.try_number)


def test_a_refused_key_uses_up_no_retries(sandbox, run_dag):
    sandbox.fault("visiono", "status", status=401)
    run = run_dag(dag())
    assert run.state == "failed"
    assert tries(run) == 1


def test_a_limit_is_waited_for_as_long_as_the_service_says(sandbox, run_dag, monkeypatch):
    connect(monkeypatch, "visiono_default", sandbox.visiono_url, sandbox.visiono_key, rate_limit_wait=0)
    sandbox.fault("visiono", "rate_limit", retry_after=1, times=1)
    # The clock of the tests stands still; Airflow's own goes on.
    run = run_dag(dag(deferrable=False, on_retry_callback=lambda context: clock.sleep(5)))
    assert run.state == "success"
    assert tries(run) == 2
