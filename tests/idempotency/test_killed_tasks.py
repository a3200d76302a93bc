"""What becomes of a request when somebody kills the task that waits for it."""

from __future__ import annotations

import asyncio
import json
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout, TaskDeferred
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.triggers.base import BaseTrigger
from tasks.conftest import Store
from tasks.streams import ask

from airflow_provider_visio.exceptions import PhotoRequestFailedError, VisioProviderError
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.operators import base as operators_base
from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator
from airflow_provider_visio.task_wait import TaskWait
from airflow_provider_visio.triggers.visiono import VisionoPhotoRequestTrigger

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


def test_one_that_cannot_be_deleted_keeps_no_other_open(sandbox, airflow_says):
    ids = ask(2)
    airflow_says({"r": {"t": "failed"}})
    sandbox.fault("visiono", "status", status=403, method="DELETE", path=ids[0], times=None)
    kill(ids)
    assert [one["status"] for one in sandbox.control("GET", "/photo-requests") if one["id"] == ids[0]] == [
        "pending"
    ]
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


NO_WORD_OF_IT = [
    {"data": {"id": "{id}", "status": "in_review"}},
    {"data": {"id": "{id}", "status": None}},
    {"data": {"id": "{id}"}},
    {"data": {"id": "req_other", "status": "pending"}},
    {"data": {}},
    {"data": None},
    {"ok": True},
]


def answers(sandbox: Any, request_id: str, body: dict[str, Any]) -> None:
    """Have the service answer so when it is asked for a request."""
    told = json.loads(json.dumps(body).replace("{id}", request_id))
    sandbox.fault(
        "visiono", "body", method="GET", path=f"/photo-requests/{request_id}$", status=200, body=told
    )


@pytest.mark.parametrize("body", NO_WORD_OF_IT, ids=str)
def test_a_request_of_which_the_service_does_not_say_that_it_is_open_stays(sandbox, airflow_says, body):
    (request_id,) = ask(1)
    sandbox.act(request_id, "submit")
    answers(sandbox, request_id, body)
    airflow_says({"r": {"t": "failed"}})
    kill([request_id])
    assert sandbox.count("visiono", DELETE) == 0


def create(**more: Any) -> VisionoCreatePhotoRequestOperator:
    return VisionoCreatePhotoRequestOperator(
        **{
            "task_id": "t",
            "instructions": "Photograph the dent",
            "deferrable": False,
            "wait_for_photos": True,
            **more,
        }
    )


def made(sandbox: Any) -> list[str]:
    return [request["id"] for request in sandbox.control("GET", "/photo-requests")]


def defer(task: Any) -> str:
    with pytest.raises(TaskDeferred) as caught:
        task.operator.execute(task.context)
    (request_id,) = caught.value.trigger.ids
    return request_id


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


def test_a_task_that_only_asked_and_is_done_takes_nothing_back(sandbox, run_task):
    task = run_task(create(cancel_on_kill=True, wait_for_photos=False))
    task.run()
    task.operator.on_kill()  # Airflow ends what takes too long after its success, such as a listener
    assert sandbox.count("visiono", DELETE) == 0


@pytest.mark.parametrize("body", NO_WORD_OF_IT, ids=str)
def test_a_killed_task_leaves_a_request_that_the_service_does_not_call_open(sandbox, run_task, body):
    task = run_task(create(cancel_on_kill=True, deferrable=True))
    request_id = defer(task)
    sandbox.act(request_id, "submit")
    answers(sandbox, request_id, body)
    task.operator.on_kill()
    assert sandbox.count("visiono", DELETE) == 0


@pytest.mark.parametrize("deferrable", [False, True], ids=["waiting", "about to defer"])
def test_a_killed_task_that_goes_on_for_a_while_is_asked_for_anew_by_its_retry(
    sandbox, run_task, clock, monkeypatch, deferrable
):
    """Airflow's signal handler returns to what it interrupted."""
    operator = create(cancel_on_kill=True, deferrable=deferrable)
    sleep, deferring = clock.sleep, TaskWait.defer

    def killed_asleep(seconds: float) -> None:
        operator.on_kill()
        sleep(seconds)

    def killed_deferring(*args: Any) -> None:
        operator.on_kill()
        deferring(*args)

    task = run_task(operator)
    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider_visio.clock.sleep", killed_asleep)
        patch.setattr(TaskWait, "defer", killed_deferring)
        with pytest.raises(PhotoRequestFailedError, match=r"its task was killed.*a retry asks again"):
            task.run()
    (first,) = made(sandbox)
    assert sandbox.count("visiono", DELETE) == 1
    again = run_task(create(cancel_on_kill=True, deferrable=True), task)
    second = defer(again)
    assert second != first
    # What counts from now on is the second: its end is no work of ours.
    sandbox.act(second, "expire")
    for _ in range(2):
        again = run_task(create(cancel_on_kill=True), again)
        with pytest.raises(PhotoRequestFailedError, match="retry does not ask again"):
            again.run()
    assert made(sandbox) == [first, second]


@pytest.mark.parametrize("on_existing", ["reuse", "replace", "fail"])
def test_a_task_that_was_cleared_while_it_ran_asks_anew(sandbox, run_task, on_existing):
    """Airflow kills it first, so its request is deleted; nothing is left for on_existing to be about."""
    task = run_task(create(cancel_on_kill=True, deferrable=True))
    request_id = defer(task)
    task.operator.on_kill()
    how = {"cancel_on_kill": True, "deferrable": True, "on_existing": on_existing}
    assert defer(run_task(create(**how), task, cleared=True)) != request_id
    assert sandbox.count("visiono", DELETE) == 1


def test_a_killed_task_is_asked_for_anew_where_deleting_means_cancelling(sandbox, run_task):
    """The plugin's word for the call."""
    sandbox.settings(deleted_requests="cancelled")
    task = run_task(create(cancel_on_kill=True, deferrable=True))
    request_id = defer(task)
    task.operator.on_kill()
    assert sandbox.control("GET", f"/photo-requests/{request_id}")["status"] == "cancelled"
    assert defer(run_task(create(cancel_on_kill=True, deferrable=True), task)) != request_id


def test_what_somebody_cancelled_while_no_worker_lived_is_not_asked_for_again(sandbox, run_task):
    task = run_task(create(cancel_on_kill=True, deferrable=True))
    request_id = defer(task)
    sandbox.act(request_id, "cancel")
    with pytest.raises(PhotoRequestFailedError, match="retry does not ask again"):
        run_task(create(cancel_on_kill=True), task).run()
    assert made(sandbox) == [request_id]


def test_a_mapped_task_that_was_killed_asks_nobody_else(sandbox, run_task):
    task = run_task(create(cancel_on_kill=True, deferrable=True))
    task.map_index = 0
    request_id = defer(task)
    task.operator.on_kill()
    again = run_task(create(cancel_on_kill=True, instructions="Photograph the roof"), task)
    again.map_index = 0
    with pytest.raises(VisioProviderError, match="of somebody else"):
        again.run()
    assert made(sandbox) == [request_id]


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 403}, {"kind": "drop_before"}])
def test_what_a_killed_task_could_not_take_back_is_not_asked_for_again(sandbox, run_task, capfd, fault):
    sandbox.fault("visiono", **fault, method="DELETE")
    task = run_task(create(cancel_on_kill=True, deferrable=True))
    request_id = defer(task)
    task.operator.on_kill()
    assert f"{request_id} may still be there" in capfd.readouterr().out
    assert defer(run_task(create(cancel_on_kill=True, deferrable=True), task)) == request_id
    sandbox.act(request_id, "expire")
    with pytest.raises(PhotoRequestFailedError, match="retry does not ask again"):
        run_task(create(cancel_on_kill=True), task).run()
    assert made(sandbox) == [request_id]


def test_a_signal_while_airflow_holds_its_lock_takes_the_request_back(sandbox, run_task, monkeypatch):
    """Airflow's messages have a lock that is not re-entrant: what its signal handler waits for never comes."""
    operator, lock, written = (
        create(cancel_on_kill=True, deferrable=True),
        threading.Lock(),
        threading.Event(),
    )

    def locked() -> None:
        assert lock.acquire(timeout=10), "for ever"

    class Guarded(Store):
        def set(self, key: str, value: Any, **more: Any) -> None:
            locked()
            try:
                super().set(key, value, **more)
                if value["id"] and not value["taken_back"]:
                    operator.on_kill()
            finally:
                lock.release()
            if value["taken_back"]:
                written.set()

    read = VisionoHook.get_connection

    def get_connection(conn_id: str) -> Any:
        locked()
        try:
            return read(conn_id)
        finally:
            lock.release()

    task = run_task(operator)
    task.store = task.context["task_state_store"] = Guarded()
    with monkeypatch.context() as patch:
        patch.setattr(VisionoHook, "get_connection", staticmethod(get_connection))
        patch.setattr(operators_base, "SIGNAL_WAIT", 0.5)
        first = defer(task)
        assert written.wait(10)
    assert sandbox.count("visiono", DELETE) == 1
    task.store = Store(task.store)
    assert defer(run_task(create(cancel_on_kill=True, deferrable=True), task)) != first
