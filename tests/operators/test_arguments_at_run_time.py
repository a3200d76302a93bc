"""Arguments that the DAG file gives and that are nothing, or something else, once Airflow has resolved them."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.operators.visiono import (
    VisionoCreatePermanentLinkOperator,
    VisionoCreatePhotoRequestOperator,
    VisionoDownloadPermanentLinkPhotosOperator,
)
from airflow_provider_visio.operators.vizdom import VizdomExportDashboardOperator
from airflow_provider_visio.sensors.visiono import VisionoPermanentLinkSensor

ASK = {"instructions": "Photograph the meter"}


def resolved(operator: Any, name: str, value: Any, run_task: Any, **more: Any) -> Any:
    """Run an operator as a task that got one argument from a task, which came to this value."""
    with DAG("d", schedule=None):

        @task
        def earlier() -> None:
            pass

        made = operator(task_id="later", **{name: earlier()}, **more)
    # As Airflow does before it executes the task.
    setattr(made, name, value)
    return run_task(made).run()


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    ("operator", "more"),
    [
        (VisionoCreatePhotoRequestOperator, ASK),
        (VizdomExportDashboardOperator, {"dashboard_id": "dash_abc123"}),
    ],
)
def test_a_destination_that_came_to_nothing_asks_for_nothing(sandbox, run_task, operator, more, deferrable):
    with pytest.raises(InvalidRequestError, match=r"destination: it is None, though the DAG file gives it"):
        resolved(operator, "destination", None, run_task, deferrable=deferrable, **more)
    assert not sandbox.control("GET", "/photo-requests")
    assert not sandbox.control("GET", "/exports")


def test_no_destination_still_stores_nothing(sandbox, run_task):
    asked = VisionoCreatePhotoRequestOperator(task_id="ask", **ASK, destination=None)
    assert run_task(asked).run()["status"] == "pending"


@pytest.fixture
def link_id(sandbox, run_task) -> str:
    made = run_task(VisionoCreatePermanentLinkOperator(task_id="make", **ASK, items=["The meter"])).run()
    sandbox.control("POST", f"/permanent-links/{made['id']}/submit", {})
    return made["id"]


def test_submissions_that_came_to_nothing_are_not_everybody_s(link_id, run_task, tmp_path):
    more = {"link_id": link_id, "destination": f"file://{tmp_path}"}
    with pytest.raises(InvalidRequestError, match=r"submission_ids: it is None"):
        resolved(VisionoDownloadPermanentLinkPhotosOperator, "submission_ids", None, run_task, **more)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [{"mode": "poke"}, {"deferrable": True}], ids=["poke", "deferred"])
@pytest.mark.parametrize("value", [None, "None"])
def test_a_unique_value_that_came_to_nothing_is_not_everybody_s(link_id, run_task, mode, value):
    more = {"link_id": link_id, "since": 0, "timeout": 60, **mode}
    with pytest.raises(InvalidRequestError, match=r"unique_value: it is .*None"):
        resolved(VisionoPermanentLinkSensor, "unique_value", value, run_task, **more)


@pytest.mark.parametrize("metadata", ["{'customer': 7}", ["customer"], 7, ""])
def test_metadata_that_came_to_something_else_is_said_and_asks_nobody(sandbox, run_task, metadata):
    with pytest.raises(InvalidRequestError, match="metadata: give a dict, not "):
        resolved(VisionoCreatePhotoRequestOperator, "metadata", metadata, run_task, **ASK)
    assert not sandbox.control("GET", "/photo-requests")


def test_nobody_is_asked_for_none(sandbox, run_task):
    """Text that an XCom which is not there renders to."""
    with pytest.raises(InvalidRequestError, match="instructions: "):
        resolved(VisionoCreatePhotoRequestOperator, "instructions", "None", run_task)
    assert not sandbox.control("GET", "/photo-requests")
