"""A clear that discards the task's state (airflow#72100): the README's table of retries and clears, by the tag."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from tasks.conftest import needs_store

from airflow_provider_visio.exceptions import (
    PhotoRequestFailedError,
    ServiceError,
    VisioProviderError,
)
from airflow_provider_visio.operators.visiono import (
    VisionoCreatePermanentLinkOperator,
    VisionoCreatePhotoRequestBatchOperator,
    VisionoCreatePhotoRequestOperator,
)
from airflow_provider_visio.operators.vizdom import (
    VizdomCreateDashboardOperator,
    VizdomCreateDataSourceOperator,
    VizdomExportDashboardOperator,
)
from airflow_provider_visio.sensors.base import wait_started_at

pytestmark = needs_store

DELETE = "DELETE /photo-requests/{id}"


@pytest.fixture
def cleared(run_task) -> Any:
    """Return a function that makes the try of a task after a clear, with nothing in its store."""

    def clear(operator: Any, earlier: Any) -> Any:
        earlier.store.clear()
        task = run_task(operator, earlier, cleared=True)
        task.map_index = earlier.map_index
        return task

    return clear


def ask(**more: Any) -> VisionoCreatePhotoRequestOperator:
    given = {"task_id": "photos", "instructions": "Photograph the dent", "wait_for_photos": True, **more}
    return VisionoCreatePhotoRequestOperator(**given)


def waits_for(task: Any) -> str:
    """Run a task until it waits, and return the id that it waits for."""
    with pytest.raises(TaskDeferred) as caught:
        task.operator.execute(task.context)
    (request_id,) = caught.value.trigger.ids
    return request_id


def made(sandbox: Any) -> list[str]:
    return [request["id"] for request in sandbox.control("GET", "/photo-requests")]


def test_an_open_request_is_waited_for_again(sandbox, run_task, cleared):
    task = run_task(ask())
    request_id = waits_for(task)
    assert waits_for(cleared(ask(), task)) == request_id
    assert made(sandbox) == [request_id]


def test_an_open_request_is_replaced_or_fails_as_on_existing_says(sandbox, run_task, cleared):
    task = run_task(ask())
    request_id = waits_for(task)
    task = cleared(ask(on_existing="fail"), task)
    with pytest.raises(VisioProviderError, match=rf"{request_id}.*still open"):
        task.run()
    replaced = waits_for(cleared(ask(on_existing="replace"), task))
    assert made(sandbox) == [request_id, replaced]
    assert sandbox.count("visiono", DELETE) == 1


def test_photos_that_are_not_stored_yet_are_stored(sandbox, run_task, cleared, destination):
    task = run_task(ask(destination=destination))
    request_id = waits_for(task)
    sandbox.act(request_id, "submit")
    done = cleared(ask(destination=destination), task).run()
    assert (done["id"], len(made(sandbox))) == (request_id, 1)
    assert done["photos"]["files"]


@pytest.mark.parametrize("folder", [None, "week-3"])
def test_after_photos_that_are_stored_the_person_is_asked_again(
    sandbox, run_task, cleared, destination, folder
):
    sandbox.person("submit", open_after=1, photo_every=1)
    task = run_task(ask(destination=destination, folder=folder))
    first = task.run()["id"]
    second = cleared(ask(destination=destination, folder=folder), task).run()["id"]
    assert made(sandbox) == [first, second]


def test_a_task_that_only_asks_asks_again_after_photos(sandbox, run_task, cleared):
    task = run_task(ask(wait_for_photos=False))
    first = task.run()["id"]
    task = cleared(ask(wait_for_photos=False), task)
    assert task.run()["id"] == first
    sandbox.act(first, "submit")
    assert cleared(ask(wait_for_photos=False), task).run()["id"] != first


@pytest.mark.parametrize("end", ["expire", "cancel", "delete"])
def test_after_a_request_that_has_ended_the_person_is_asked_again(sandbox, run_task, cleared, end):
    task = run_task(ask())
    request_id = waits_for(task)
    sandbox.act(request_id, end)
    assert waits_for(cleared(ask(), task)) != request_id


@pytest.mark.parametrize(("on_existing", "fails"), [("reuse", True), ("replace", False)])
def test_a_mapped_task_with_another_input_fails_unless_it_replaces(
    sandbox, run_task, cleared, on_existing, fails
):
    task = run_task(ask(instructions="Ann's car"))
    task.map_index = 3
    waits_for(task)
    again = cleared(ask(instructions="Bob's car", on_existing=on_existing), task)
    if fails:
        with pytest.raises(VisioProviderError, match="of somebody else"):
            again.run()
    else:
        waits_for(again)
    assert len(made(sandbox)) == (1 if fails else 2)


def test_what_cannot_be_looked_up_is_not_created(sandbox, run_task, cleared):
    task = run_task(ask())
    request_id = waits_for(task)
    sandbox.fault("visiono", "status", status=500, method="GET", path="^/photo-requests")
    with pytest.raises(ServiceError, match="nothing was created"):
        cleared(ask(), task).run()
    assert made(sandbox) == [request_id]


def test_a_clear_of_a_task_that_runs_may_not_show_in_its_own_numbers(sandbox, run_task):
    task = run_task(ask(retries=2))
    request_id = waits_for(task)
    task.store.clear()
    again = run_task(ask(retries=2), task)
    again.context["dag_run"].clear_number = 1
    assert waits_for(again) == request_id


def test_a_retry_that_has_nothing_written_down_asks_at_once(sandbox, run_task, clock):
    task = run_task(ask(retries=2))
    waits_for(run_task(ask(retries=2), task))
    assert sandbox.count("visiono", "GET /photo-requests") == 0
    assert clock.pauses == []


def test_a_clear_before_anything_was_asked_looks_for_half_a_minute(sandbox, run_task, cleared, clock):
    task = run_task(ask())
    began = clock.now()
    waits_for(cleared(ask(), task))
    assert clock.now() - began == pytest.approx(30, abs=1)


SETTINGS = {"host": "db", "database": "d", "username": "u", "password": "secret"}
PEOPLE = [{"instructions": f"Meter {n}"} for n in range(4)]


def batch(**more: Any) -> VisionoCreatePhotoRequestBatchOperator:
    return VisionoCreatePhotoRequestBatchOperator(**{"task_id": "ask", "requests": PEOPLE, **more})


def test_a_batch_keeps_what_is_open_and_asks_again_after_photos_and_ends(sandbox, run_task, cleared):
    task = run_task(batch())
    ids = task.run()["ids"]
    sandbox.act(ids[0], "submit")
    sandbox.act(ids[1], "expire")
    again = cleared(batch(), task).run()["ids"]
    assert again[2:] == ids[2:]
    assert not {*again[:2]} & {*ids}
    assert len(made(sandbox)) == 6


def test_a_batch_that_was_not_complete_keeps_what_has_photos(sandbox, run_task, cleared):
    task = run_task(batch())
    ids = task.run()["ids"]
    sandbox.act(ids[0], "submit")
    more = [*PEOPLE, {"instructions": "Meter 9"}]
    assert cleared(batch(requests=more), task).run()["ids"][:4] == ids


def test_a_batch_is_replaced_or_fails_as_on_existing_says(sandbox, run_task, cleared):
    task = run_task(batch())
    ids = task.run()["ids"]
    task = cleared(batch(on_existing="fail"), task)
    with pytest.raises(VisioProviderError, match=r"4 photo request.*still open"):
        task.run()
    assert not {*cleared(batch(on_existing="replace"), task).run()["ids"]} & {*ids}
    assert sandbox.count("visiono", DELETE) == 4


def link(**more: Any) -> VisionoCreatePermanentLinkOperator:
    return VisionoCreatePermanentLinkOperator(**{"task_id": "make", "instructions": "The van", **more})


def dashboard(**more: Any) -> VizdomCreateDashboardOperator:
    return VizdomCreateDashboardOperator(**{"task_id": "make", "name": "Claims", **more})


def source(**more: Any) -> VizdomCreateDataSourceOperator:
    given = {
        "task_id": "make",
        "name": "Claims",
        "source_type": "mysql",
        "settings": SETTINGS,
        **more,
    }
    return VizdomCreateDataSourceOperator(**given)


@pytest.mark.parametrize("make", [link, dashboard, source])
def test_another_object_is_kept_replaced_or_fails_as_on_existing_says(sandbox, run_task, cleared, make):
    task = run_task(make())
    first = task.run()["id"]
    task = cleared(make(), task)
    assert task.run()["id"] == first
    task = cleared(make(on_existing="fail"), task)
    with pytest.raises(VisioProviderError, match=rf"{first}.*still open"):
        task.run()
    assert cleared(make(on_existing="replace"), task).run()["id"] != first


def test_an_export_is_started_again_because_no_list_has_it(sandbox, run_task, cleared, caplog):
    sandbox.settings(export_seconds=600)
    task = run_task(VizdomExportDashboardOperator(task_id="e", dashboard_id="dash_abc123"))
    first = waits_for(task)
    again = VizdomExportDashboardOperator(task_id="e", dashboard_id="dash_abc123", on_existing="fail")
    assert waits_for(cleared(again, task)) != first
    assert "An earlier try may have started this" in caplog.text


def replacement(run_task: Any, operator: Any, earlier: Any) -> Any:
    """Return a try that Airflow grants after a lost worker: it raises ``max_tries`` without a clear."""
    task = run_task(operator, earlier)
    task.max_tries += 1
    return task


@pytest.mark.parametrize("end", ["expire", "cancel", "delete"])
def test_a_try_that_airflow_grants_is_no_clear(sandbox, run_task, end):
    task = run_task(ask())
    request_id = waits_for(task)
    task = replacement(run_task, ask(on_existing="replace"), task)
    assert waits_for(task) == request_id
    sandbox.act(request_id, end)
    with pytest.raises(PhotoRequestFailedError):
        replacement(run_task, ask(), task).run()
    assert made(sandbox) == [request_id]


def test_a_batch_that_airflow_grants_a_try_replaces_nobody(sandbox, run_task):
    task = run_task(batch())
    ids = task.run()["ids"]
    assert replacement(run_task, batch(on_existing="replace"), task).run()["ids"] == ids


def test_a_sensor_that_airflow_grants_a_try_waits_no_longer(run_task, clock):
    task = run_task(ask())
    began = wait_started_at(task.context)
    clock.sleep(100)
    task = replacement(run_task, ask(), task)
    assert wait_started_at(task.context) == began
    assert wait_started_at(run_task(ask(), task, cleared=True).context) == clock.now()
