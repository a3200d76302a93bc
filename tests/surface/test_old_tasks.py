"""Tasks that have deferred, or failed, before an update: they go on from what Airflow has stored of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tasks.conftest import Task, needs_store

from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook
from airflow_provider_visio.operators.visiono import (
    VisionoCreatePhotoRequestBatchOperator,
    VisionoCreatePhotoRequestOperator,
)
from airflow_provider_visio.operators.vizdom import VizdomExportDashboardOperator
from airflow_provider_visio.sensors.visiono import VisionoPermanentLinkSensor, VisionoPhotoRequestSensor
from airflow_provider_visio.sensors.vizdom import VizdomExportSensor

# As 65a347b makes them of the task below, and of its requests: they are tags of requests that exist.
TASK = "78e106449b0895f61824c35cee0a659a"
INPUT, ASK = "430b17609f37ec5f", "719df2c76a2a4fb0"
BATCH = {"a": "cfb9e1651cbdcef5", "b": "7b1688dbe9786567"}
BATCH_ASK = "1d6e9bf0d92b4239"


def tags(ask: str = ASK, of: str = INPUT) -> dict[str, str]:
    return {"airflow_task": TASK, "airflow_input": of, "airflow_ask": ask}


def record(at: float, **more: Any) -> dict[str, Any]:
    """Return a task's record of its request, as 65a347b writes it before the call."""
    return {
        "intent": {"task": TASK, "input": INPUT},
        "asked_at": at,
        "wait_from": at,
        "run": 0,
        "ask": ASK,
        "sent": True,
        "id": None,
        "over": False,
        "ended": False,
        "taken_back": False,
        **more,
    }


def batch_record(at: float, made: dict[str, Any], *pending: str) -> dict[str, Any]:
    return {
        "visio_batch_0": {BATCH[name]: one for name, one in made.items()},
        "visio_batch": {
            "began": at,
            "asked_at": at,
            "run": 0,
            "ask": BATCH_ASK,
            "pending": [BATCH[name] for name in pending],
            "broken": [],
            "over": False,
            "pages": 1,
        },
    }


def waited(**more: Any) -> dict[str, Any]:
    """Return what a trigger of 65a347b fires."""
    return {
        "outcome": "done",
        "arrived": [],
        "ended": {},
        "waiting": [],
        "unknown": {},
        "trouble": None,
        "fatal": False,
        "deadline": None,
        **more,
    }


def task_with(operator: Any, stored: dict[str, Any] | None) -> Task:
    """Return a task with what its state store has; None for an Airflow before 3.3, which has no store."""
    task = Task(operator, store=None if stored is None else True)
    for key, value in (stored or {}).items():
        task.store.set(key, value)
    return task


def go_on(operator: Any, method: str, event: dict[str, Any], stored: dict[str, Any] | None = None) -> Any:
    again = {"event": json.loads(json.dumps(event))}
    return operator.resume_execution(method, again, task_with(operator, stored).context)


def create(**more: Any) -> VisionoCreatePhotoRequestOperator:
    return VisionoCreatePhotoRequestOperator(task_id="ask", instructions="Photograph the dent", **more)


def batch() -> VisionoCreatePhotoRequestBatchOperator:
    return VisionoCreatePhotoRequestBatchOperator(
        task_id="ask", requests=[{"instructions": name} for name in BATCH]
    )


def again(clock: Any, step: str = "execute", event: Any = None, **done: Any) -> dict[str, Any]:
    """Return what the trigger fires that has waited for the rate limit."""
    return {"step": step, "event": event, "since": clock.now() - 1831, "done": done}


def all_requests() -> list[Any]:
    return list(VisionoHook().list_photo_requests())


@pytest.fixture
def submitted(sandbox: Any) -> str:
    request_id = VisionoHook().create_photo_request("Photograph the dent")["id"]
    sandbox.act(request_id, "submit")
    return request_id


@pytest.fixture(params=["its id is known", "its reply was lost"])
def made(request: pytest.FixtureRequest, sandbox: Any) -> tuple[str, str | None]:
    """A request, and its id as the record has it; where that has none, only the tags lead to the request."""
    known = request.param == "its id is known"
    found = VisionoHook().create_photo_request("Photograph the dent", metadata={} if known else tags())["id"]
    return found, found if known else None


def test_a_request_that_was_not_made_is_made(sandbox, clock):
    made = go_on(create(), "execute_again", again(clock))
    assert [one["id"] for one in all_requests()] == [made["id"]]


def test_a_request_that_was_made_is_found_after_the_wait_for_the_rate_limit(sandbox, clock, made):
    """Before Airflow 3.3, the record is in the event."""
    request_id, known = made
    event = again(clock, visio_intent=record(clock.now() - 1831, id=known))
    assert go_on(create(), "execute_again", event)["id"] == request_id
    assert len(all_requests()) == 1


@needs_store
def test_a_request_that_was_made_is_found_by_a_retry(sandbox, clock, made):
    request_id, known = made
    stored = {"visio_intent": record(clock.now() - 300, id=known)}
    assert Task(create(), task_with(create(), stored)).run()["id"] == request_id
    assert len(all_requests()) == 1


def test_the_tags_of_a_request_are_the_old_ones(sandbox):
    Task(create()).run()
    (made,) = all_requests()
    assert {name: made["metadata"][name] for name in ("airflow_task", "airflow_input")} == {
        "airflow_task": TASK,
        "airflow_input": INPUT,
    }


@pytest.mark.parametrize("kept", ["in the event", pytest.param("in the store", marks=needs_store)])
@pytest.mark.parametrize("lost", [False, True], ids=["one is made", "one is made, one reply was lost"])
def test_a_batch_makes_what_is_missing(sandbox, clock, kept, lost):
    at = clock.now() - 1831
    first = VisionoHook().create_photo_request("a")
    made: dict[str, Any] = {"a": [first["id"], first["request_url"]], "b": None}
    if lost:
        VisionoHook().create_photo_request("b", metadata=tags(BATCH_ASK, BATCH["b"]))
    written = batch_record(at, made, *(["b"] if lost else []))
    done, stored = (written, None) if kept == "in the event" else ({}, written)
    found = go_on(batch(), "execute_again", again(clock, refused={}, prohibited={}, **done), stored)
    assert found["ids"][0] == first["id"]
    assert sorted(found["ids"]) == sorted(one["id"] for one in all_requests())
    assert len(found["ids"]) == 2


@pytest.mark.parametrize("limited", [False, True], ids=["at once", "after the rate limit"])
def test_an_operator_goes_on_after_its_wait(sandbox, clock, submitted, limited):
    event = waited(arrived=[submitted])
    method = "execute_complete"
    if limited:
        method, event = "execute_again", again(clock, method, event)
    found = go_on(create(wait_for_photos=True), method, event)
    assert (found["id"], found["status"]) == (submitted, "submitted")


def test_an_export_goes_on_after_its_wait(sandbox):
    sandbox.settings(export_seconds=0)
    export_id = VizdomHook().create_export("dash_abc123", "pdf")["id"]
    export = VizdomExportDashboardOperator(task_id="export", dashboard_id="dash_abc123")
    found = go_on(export, "execute_complete", waited(arrived=[export_id]))
    assert (found["id"], found["status"]) == (export_id, "completed")
    sensor = VizdomExportSensor(task_id="wait", export_id=export_id)
    assert go_on(sensor, "execute_complete", waited(arrived=[export_id]))["arrived"] == [export_id]


# The first release fired without these two.
@pytest.mark.parametrize("without", [(), ("fatal", "deadline")], ids=["65a347b", "02ba193"])
def test_a_sensor_goes_on(sandbox, submitted, without):
    sensor = VisionoPhotoRequestSensor(task_id="wait", request_id=submitted)
    event = {name: value for name, value in waited(arrived=[submitted]).items() if name not in without}
    assert go_on(sensor, "execute_complete", event) == {
        "id": submitted,
        "arrived": [submitted],
        "ended": {},
        "waiting": [],
    }


def test_a_sensor_of_a_link_goes_on(sandbox, clock):
    link_id = VisionoHook().create_permanent_link("Photograph the van")["id"]
    sandbox.control("POST", f"/permanent-links/{link_id}/submit", {"photos": 0})
    sensor = VisionoPermanentLinkSensor(task_id="wait", link_id=link_id)
    event = waited(arrived=[link_id], since=clock.now() - 3600)
    assert go_on(sensor, "execute_complete", event)["count"] == 1
