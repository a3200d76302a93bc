"""An error that a retry cannot mend uses up no retries; one that it can mend does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, TaskDeferred
from tasks.conftest import needs_store

from airflow_provider_visio.exceptions import (
    AuthenticationError,
    ExportFailedError,
    InvalidRequestError,
    PermissionDeniedError,
    PhotoRequestFailedError,
    ServiceError,
    VisioProviderError,
    WaitTimeoutError,
)
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.operators.visiono import (
    VisionoCreatePhotoRequestBatchOperator,
    VisionoCreatePhotoRequestOperator,
    VisionoDownloadPhotosOperator,
)
from airflow_provider_visio.operators.vizdom import VizdomExportDashboardOperator
from airflow_provider_visio.sensors.visiono import VisionoPhotoRequestSensor
from airflow_provider_visio.sensors.vizdom import VizdomExportSensor

FINAL = {
    401: AuthenticationError,
    402: PermissionDeniedError,
    403: PermissionDeniedError,
    422: InvalidRequestError,
}


def ask(**more: Any) -> VisionoCreatePhotoRequestOperator:
    return VisionoCreatePhotoRequestOperator(**{"task_id": "ask", "instructions": "The dent", **more})


def failure(task: Any, kind: type[VisioProviderError]) -> VisioProviderError:
    with pytest.raises(kind) as caught:
        task.run()
    return caught.value


def is_retried(error: Exception) -> bool:
    return not isinstance(error, AirflowFailException | AirflowSensorTimeout)


@pytest.mark.parametrize("status", FINAL)
def test_a_refusal_is_not_retried_and_keeps_its_type_and_facts(sandbox, run_task, status):
    sandbox.fault("visiono", "status", status=status)
    error = failure(run_task(ask()), FINAL[status])
    assert not is_retried(error)
    assert (type(error).__name__, error.status, error.conn_id) == (
        FINAL[status].__name__,
        status,
        "visiono_default",
    )


@pytest.mark.parametrize("status", [404, 500, 503])
def test_what_may_pass_is_retried(sandbox, run_task, status):
    sandbox.fault("visiono", "status", status=status, method="POST")
    assert is_retried(failure(run_task(ask()), VisioProviderError))


def test_input_that_is_known_at_run_time_only_is_not_retried(sandbox, run_task):
    task = run_task(ask(instructions="{{ x }}"))
    task.operator.instructions = ""
    assert not is_retried(failure(task, InvalidRequestError))


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize("end", ["expire", "cancel"])
def test_a_request_that_has_ended_is_not_retried(sandbox, run_task, later, end, deferrable):
    task = run_task(ask(wait_for_photos=True, deferrable=deferrable))
    later(30, lambda: [sandbox.act(one["id"], end) for one in sandbox.control("GET", "/photo-requests")])
    assert not is_retried(failure(task, PhotoRequestFailedError))


def test_photos_that_may_still_come_are_retried(sandbox, run_task, tmp_path):
    made = run_task(ask()).run()
    task = VisionoDownloadPhotosOperator(task_id="d", request_id=made, destination=f"file://{tmp_path}")
    assert is_retried(failure(run_task(task), PhotoRequestFailedError))


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_wait_that_has_no_more_time_is_not_retried(sandbox, run_task, deferrable):
    task = ask(wait_for_photos=True, timeout=timedelta(minutes=5), deferrable=deferrable)
    assert not is_retried(failure(run_task(task), WaitTimeoutError))


@needs_store
def test_a_task_that_has_deleted_its_request_is_retried(sandbox, run_task):
    task = run_task(ask(wait_for_photos=True, cancel_on_kill=True))
    with pytest.raises(TaskDeferred) as deferred:
        task.operator.execute(task.context)
    task.operator.on_kill()
    with pytest.raises(PhotoRequestFailedError, match="retry asks again") as caught:
        task._resume(deferred.value, lambda: None)
    assert is_retried(caught.value)


@pytest.mark.parametrize(
    ("dashboard", "kind"), [("dash_abc123", WaitTimeoutError), ("dash_broken", ExportFailedError)]
)
def test_an_export_is_started_again_by_a_retry_but_not_by_a_sensor_s(sandbox, run_task, dashboard, kind):
    sandbox.settings(export_outcome="stuck" if kind is WaitTimeoutError else "file")
    task = VizdomExportDashboardOperator(task_id="e", dashboard_id=dashboard, timeout=60)
    assert is_retried(failure(run_task(task), kind))
    task = VizdomExportDashboardOperator(task_id="e", dashboard_id=dashboard, wait_for_completion=False)
    made = run_task(task).run()
    task = VizdomExportSensor(task_id="w", export_id=made, timeout=60)
    assert not is_retried(failure(run_task(task), kind))


@pytest.mark.parametrize("mode", [{"mode": "poke"}, {"mode": "reschedule"}, {"deferrable": True}], ids=str)
def test_a_sensor_does_as_an_operator(sandbox, run_task, mode):
    made = run_task(ask()).run()
    sandbox.act(made["id"], "cancel")
    task = VisionoPhotoRequestSensor(task_id="w", request_id=made, **mode)
    assert not is_retried(failure(run_task(task), PhotoRequestFailedError))


@pytest.mark.parametrize(("status", "retried"), [(422, False), (500, True)])
def test_a_batch_is_retried_where_the_service_failed_at_a_request(
    sandbox, run_task, monkeypatch, status, retried
):
    real = VisionoHook.create_photo_request

    def refusing(self: VisionoHook, **body: Any) -> Any:
        if body["instructions"] == "Meter 2":
            kind = InvalidRequestError if status == 422 else ServiceError
            raise kind("No.", status=status, ambiguous=status == 500)
        return real(self, **body)

    monkeypatch.setattr(VisionoHook, "create_photo_request", refusing)
    requests = [{"instructions": f"Meter {n}"} for n in range(4)]
    task = VisionoCreatePhotoRequestBatchOperator(task_id="ask", requests=requests)
    assert is_retried(failure(run_task(task), InvalidRequestError)) is retried


def test_a_person_who_must_decide_is_not_replaced_by_a_retry(sandbox, run_task):
    task = run_task(ask())
    task.map_index = 3
    task.run()
    again = run_task(ask(instructions="The other dent"), task)
    again.map_index = 3
    assert not is_retried(failure(again, VisioProviderError))


def test_a_retry_policy_decides_alone(sandbox, run_task):
    sandbox.fault("visiono", "status", status=401)
    task = ask()
    task.retry_policy = object()
    assert is_retried(failure(run_task(task), AuthenticationError))
    task = VisionoPhotoRequestSensor(task_id="w", request_id="req_1")
    task.retry_policy = object()
    assert is_retried(failure(run_task(task), AuthenticationError))
