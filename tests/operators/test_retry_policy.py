"""The retry policy fails what a retry cannot mend, and waits as long as the service says."""

from __future__ import annotations

import importlib
import sys
from datetime import timedelta
from types import ModuleType
from typing import Any

import airflow.sdk
import pytest

from airflow_provider_visio.exceptions import (
    AuthenticationError,
    ConnectionFailedError,
    ExportFailedError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    PhotoRequestFailedError,
    RateLimitedError,
    ServiceError,
    TransferError,
    VisioProviderError,
    WaitTimeoutError,
)
from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator
from airflow_provider_visio.operators.vizdom import VizdomExportDashboardOperator
from airflow_provider_visio.sensors.vizdom import VizdomExportSensor

MODULE = "airflow_provider_visio.operators.retry_policy"
needs_policy = pytest.mark.skipif(
    not hasattr(airflow.sdk, "ExceptionRetryPolicy"), reason="Airflow before 3.3 has no retry policies"
)


def policy(**more: Any) -> Any:
    return importlib.import_module(MODULE).visio_retry_policy(**more)


def decision(error: BaseException, **more: Any) -> Any:
    return policy(**more).evaluate(error, 1, 3, {})


def of_service(seconds: float) -> ServiceError:
    error = ServiceError("Down.")
    error.retry_after = seconds
    return error


@needs_policy
@pytest.mark.parametrize(
    ("error", "action"),
    [
        (AuthenticationError("No."), "fail"),
        (PermissionDeniedError("No."), "fail"),
        (InvalidRequestError("No."), "fail"),
        (PhotoRequestFailedError("Expired.", ended={"req_1": "expired"}), "fail"),
        (WaitTimeoutError("Late."), "fail"),
        (VisioProviderError("A person must decide."), "fail"),
        (InvalidRequestError("Perhaps.", ambiguous=True), "default"),
        (PhotoRequestFailedError("Not yet."), "default"),
        (NotFoundError("No."), "default"),
        (ConnectionFailedError("No."), "default"),
        (ExportFailedError("No."), "default"),
        (TransferError("No."), "default"),
        (ServiceError("No."), "default"),
        (RateLimitedError("No."), "default"),
        (RateLimitedError("No.", retry_after=90), "retry"),
        (of_service(90), "retry"),
        (ValueError("Of other code"), "default"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_what_it_decides(error, action):
    assert decision(error).action.value == action


@needs_policy
@pytest.mark.parametrize(
    "error", [RateLimitedError("No.", retry_after=90), of_service(90)], ids=["429", "503"]
)
def test_it_waits_as_long_as_the_service_says(error):
    found = decision(error)
    assert timedelta(seconds=90) <= found.retry_delay <= timedelta(seconds=99)
    assert found.reason == "the service asks to wait 90 s"


@needs_policy
def test_rules_go_first():
    from airflow.sdk import RetryAction, RetryRule

    rules = [
        RetryRule(AuthenticationError, RetryAction.RETRY, timedelta(hours=1)),
        RetryRule(KeyError, RetryAction.FAIL),
    ]
    assert decision(AuthenticationError("No."), rules=rules).retry_delay == timedelta(hours=1)
    assert decision(KeyError("x"), rules=rules).action is RetryAction.FAIL
    assert decision(PermissionDeniedError("No."), rules=rules).action is RetryAction.FAIL


def failure(run_task: Any, task: Any, kind: type[VisioProviderError]) -> VisioProviderError:
    with pytest.raises(kind) as caught:
        run_task(task).run()
    return caught.value


@needs_policy
def test_a_task_s_own_knowledge_counts(sandbox, run_task):
    """Of some errors only the operator knows whether a retry mends them."""
    sandbox.settings(export_outcome="stuck")
    task = VizdomExportDashboardOperator(
        task_id="e", dashboard_id="dash_abc123", timeout=60, retry_policy=policy()
    )
    assert decision(failure(run_task, task, WaitTimeoutError)).action.value == "default"
    sandbox.settings(export_outcome="file")
    made = run_task(
        VizdomExportDashboardOperator(task_id="s", dashboard_id="dash_broken", wait_for_completion=False)
    ).run()
    task = VizdomExportSensor(task_id="w", export_id=made, timeout=60, retry_policy=policy())
    assert decision(failure(run_task, task, ExportFailedError)).action.value == "fail"


@needs_policy
def test_an_operator_s_refusal(sandbox, run_task):
    sandbox.fault("visiono", "status", status=401)
    task = VisionoCreatePhotoRequestOperator(task_id="a", instructions="x", retry_policy=policy())
    assert decision(failure(run_task, task, AuthenticationError)).action.value == "fail"


@needs_policy
def test_it_can_be_written_down():
    from airflow.sdk import RetryRule

    written = policy(rules=[RetryRule(KeyError)]).serialize()
    assert written["__type"].startswith(f"{MODULE}.")
    assert written["rules"][0]["exception"] == "builtins.KeyError"


def test_an_airflow_without_policies_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "airflow.sdk", ModuleType("airflow.sdk"))
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    with pytest.raises(ImportError, match=r"needs Airflow 3\.3.*Leave it out"):
        importlib.import_module(MODULE)
