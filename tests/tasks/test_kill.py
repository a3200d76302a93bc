"""What becomes of a request when somebody kills the task that waits for it."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.triggers.base import BaseTrigger

from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator
from airflow_provider_visio.triggers.visiono import VisionoPhotoRequestTrigger
from tasks.streams import ask

DELETE = "DELETE /photo-requests/{id}"
TASK_INSTANCE = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1)

pytestmark = pytest.mark.skipif(
    not hasattr(BaseTrigger, "on_kill"), reason="Airflow before 3.3 tells no trigger that it was killed"
)


@pytest.fixture
def airflow_says(monkeypatch):
    """Have Airflow say in which state the task is; a real one is asked in tests/chaos."""

    def says(states: Any) -> None:
        def get_task_states(**_: Any) -> Any:
            if isinstance(states, Exception):
                raise states
            return states

        monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", get_task_states)

    return says


def kill(ids: list[str], *, cancel_on_kill: bool = True, task_instance: Any = TASK_INSTANCE) -> None:
    trigger = VisionoPhotoRequestTrigger(ids, "visiono_default", cancel_on_kill=cancel_on_kill)
    trigger._task_instance = task_instance
    asyncio.run(trigger.on_kill())


@pytest.mark.parametrize("state", ["failed", "success", "skipped", "removed"])
def test_a_killed_wait_takes_its_open_requests_back(sandbox, airflow_says, state):
    ids = ask(2)
    airflow_says({"r": {"t": state}})
    kill(ids)
    assert sandbox.count("visiono", DELETE) == 2


@pytest.mark.parametrize(
    "states",
    [
        {"r": {"t": "deferred"}},  # the trigger only moves to another triggerer
        *(
            {"r": {"t": state}} for state in (None, "scheduled", "queued", "running", "up_for_retry")
        ),  # cleared
        {"r": {"t": SimpleNamespace(value="deferred")}},
        {"r": {}},
        {},
        RuntimeError("the supervisor is gone"),
    ],
)
def test_nothing_is_taken_back_unless_airflow_says_that_the_wait_is_over(sandbox, airflow_says, states):
    airflow_says(states)
    kill(ask(1))
    assert sandbox.count("visiono", DELETE) == 0


def test_nothing_is_taken_back_by_default(sandbox, airflow_says):
    airflow_says({"r": {"t": "failed"}})
    kill(ask(1), cancel_on_kill=False)
    assert sandbox.count("visiono", DELETE) == 0


def test_a_trigger_without_a_task_takes_nothing_back(sandbox):
    kill(ask(1), task_instance=None)
    assert sandbox.count("visiono", DELETE) == 0


def test_photos_that_have_arrived_stay(sandbox, airflow_says):
    arrived, open_, gone = ask(3)
    sandbox.act(arrived, "submit")
    sandbox.act(gone, "delete")
    airflow_says({"r": {"t": "failed"}})
    kill([gone, arrived, open_])
    assert sandbox.count("visiono", DELETE) == 1
    assert sandbox.control("GET", f"/photo-requests/{arrived}")["status"] == "submitted"


def test_a_trigger_that_is_cancelled_while_it_takes_back_does_so_all_the_same(sandbox, monkeypatch):
    """Airflow 3.3 cancels again, a second later, what has not ended by then."""
    ids = ask(1)
    asked, go_on = threading.Event(), threading.Event()

    def get_task_states(**_: Any) -> Any:
        asked.set()
        assert go_on.wait(10)
        return {"r": {"t": "failed"}}

    async def killed_twice() -> None:
        trigger = VisionoPhotoRequestTrigger(ids, "visiono_default", cancel_on_kill=True)
        trigger._task_instance = TASK_INSTANCE
        kill = asyncio.create_task(trigger.on_kill())
        await asyncio.to_thread(asked.wait, 10)
        kill.cancel()
        with pytest.raises(asyncio.CancelledError):
            await kill
        go_on.set()
        for left in asyncio.all_tasks() - {asyncio.current_task()}:
            await left

    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", get_task_states)
    asyncio.run(killed_twice())
    assert sandbox.count("visiono", DELETE) == 1


def create(**more: Any) -> VisionoCreatePhotoRequestOperator:
    return VisionoCreatePhotoRequestOperator(
        task_id="t", instructions="Photograph the dent", deferrable=False, wait_for_photos=True, **more
    )


@pytest.mark.parametrize("cancel_on_kill", [True, False])
def test_a_task_that_is_killed_on_its_worker(sandbox, run_task, clock, monkeypatch, cancel_on_kill):
    operator = create(cancel_on_kill=cancel_on_kill)

    def killed(_: float) -> None:
        operator.on_kill()  # Airflow calls it from its signal handler
        raise SystemExit

    monkeypatch.setattr("airflow_provider_visio.clock.sleep", killed)
    with pytest.raises(SystemExit):
        run_task(operator).run()
    assert sandbox.count("visiono", DELETE) == int(cancel_on_kill)


def test_photos_that_have_arrived_between_two_looks_stay(sandbox, run_task, clock, monkeypatch):
    operator = create(cancel_on_kill=True)

    def killed(_: float) -> None:
        (request,) = sandbox.control("GET", "/photo-requests")
        sandbox.act(request["id"], "submit")
        operator.on_kill()
        raise SystemExit

    monkeypatch.setattr("airflow_provider_visio.clock.sleep", killed)
    with pytest.raises(SystemExit):
        run_task(operator).run()
    assert sandbox.count("visiono", DELETE) == 0


def test_a_timeout_on_the_worker_takes_nothing_back(sandbox, run_task, monkeypatch):
    operator = create(cancel_on_kill=True)

    def timed_out(_: float) -> None:
        raise AirflowTaskTimeout

    monkeypatch.setattr("airflow_provider_visio.clock.sleep", timed_out)
    try:
        run_task(operator).run()
    except AirflowTaskTimeout:
        operator.on_kill()  # as Airflow's task runner does
    assert sandbox.count("visiono", "POST /photo-requests") == 1
    assert sandbox.count("visiono", DELETE) == 0


def test_a_task_that_has_its_photos_takes_nothing_back(sandbox, run_task):
    sandbox.person("submit", open_after=1, photo_every=1)
    task = run_task(create(cancel_on_kill=True))
    task.run()
    task.operator.on_kill()
    assert sandbox.count("visiono", DELETE) == 0


def test_a_task_killed_before_it_has_asked_takes_nothing_back(sandbox):
    create(cancel_on_kill=True).on_kill()
    assert sandbox.count("visiono", DELETE) == 0
