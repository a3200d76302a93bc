"""Run a task as Airflow does: execute it, run the trigger it defers to, resume it."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk import BaseOperator
from airflow.sdk.execution_time import context as execution_context
from contract.callers import Pairs, named, record
from pydantic import JsonValue, TypeAdapter

from airflow_provider_visio import clock

try:
    from airflow.sdk.exceptions import AirflowRescheduleException
except ImportError:  # Airflow 3.1
    from airflow.exceptions import AirflowRescheduleException

HAS_STORE = hasattr(execution_context, "NEVER_EXPIRE")
needs_store = pytest.mark.skipif(not HAS_STORE, reason="Airflow before 3.3 keeps nothing between tries")

# What Airflow's own store makes sure of: a tuple is no JSON.
STORED: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)


class Store(dict[str, Any]):
    """A task's state store: what it is given is JSON as it stands, and goes through it."""

    def set(self, key: str, value: Any, **more: Any) -> None:
        self[key] = json.loads(STORED.dump_json(STORED.validate_python(value)))

    def delete(self, key: str) -> None:
        self.pop(key, None)


class Task:
    """
    One run of one operator or sensor.

    :param earlier: the try of the same task instance before this one.
    :param cleared: whether somebody has cleared the task since; otherwise this is a retry.
    :param store: the task's state store; None for an Airflow before 3.3.
    """

    dag_id, run_id, map_index = "claims", "manual__1", -1

    def __init__(
        self,
        operator: BaseOperator,
        earlier: Task | None = None,
        *,
        cleared: bool = False,
        store: Store | bool | None = True,
    ) -> None:
        self.operator = operator
        self.task_id = operator.task_id
        self.try_number = earlier.try_number + 1 if earlier else 1
        # As Airflow counts: retries leave it alone, and clearing allows for as many retries again.
        tried = earlier.try_number if earlier and cleared else 0
        self.max_tries = earlier.max_tries if earlier and not cleared else tried + operator.retries
        self.store = earlier.store if earlier else Store() if store is True and HAS_STORE else None
        self.xcom: dict[str, Any] = {}
        self.pushed: list[str] = []
        #: What each button led to when the last process of the task ended.
        self.buttons: dict[str, str] = {}
        self.deferrals: list[TaskDeferred] = []
        self.events: list[dict[str, Any]] = []
        self.reschedules = 0
        # Airflow deletes a try's reschedules before the next one.
        self.first_reschedule: datetime | None = None
        # Airflow counts the clears of the whole run.
        self.clears = (earlier.clears if earlier else 0) + cleared
        due = getattr(earlier.context["dag_run"], "run_after", None) if earlier else None
        dag_run = SimpleNamespace(run_after=due, clear_number=self.clears)
        self.context: Any = {"ti": self, "task": operator, "dag_run": dag_run}
        if self.store is not None:
            self.context["task_state_store"] = self.store

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcom[key] = value
        self.pushed.append(key)

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        return self.first_reschedule

    def run(self, meanwhile: Callable[[], None] = lambda: None) -> Any:
        """Run to the end; ``meanwhile`` is called each time the task has deferred or is put off."""
        while True:
            try:
                return self._ended(self.operator.execute(self.context))
            except TaskDeferred as deferral:
                return self._resume(deferral, meanwhile)
            except AirflowRescheduleException as pause:
                self._ended()
                self.reschedules += 1
                self.first_reschedule = self.first_reschedule or utcnow()
                clock.sleep((pause.reschedule_date - utcnow()).total_seconds())
                meanwhile()

    def _resume(self, deferral: TaskDeferred, meanwhile: Callable[[], None]) -> Any:
        self._ended()
        # The process that resumes knows what Airflow keeps only.
        vars(self.operator).pop("_visio_link", None)
        self.deferrals.append(deferral)
        meanwhile()
        event = fire(deferral.trigger)
        self.events.append(event)
        try:
            return self._ended(
                self.operator.resume_execution(
                    deferral.method_name, {**(deferral.kwargs or {}), "event": event}, self.context
                )
            )
        except TaskDeferred as again:
            return self._resume(again, meanwhile)

    def _ended(self, result: Any = None) -> Any:
        """Ask for the links, as Airflow does when a process of the task ends."""

        def stored(*, ti_key: Task, key: str) -> Any:
            assert key in ti_key.xcom, f"Airflow logs an error: XCom not found, {key}"
            return ti_key.xcom[key]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("airflow.sdk.execution_time.xcom.XCom.get_value", stored)
            for link in self.operator.operator_extra_links:
                self.buttons[link.name] = link.get_link(self.operator, ti_key=self)
        return result


def utcnow() -> datetime:
    """Return the time of the clock that the provider has."""
    return datetime.fromtimestamp(clock.now(), UTC)


def fire(trigger: Any) -> dict[str, Any]:
    """Return the event of a trigger that went through JSON, as it does on its way to a triggerer."""
    path, kwargs = trigger.serialize()
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(kwargs)))

    async def first() -> Any:
        (event,) = [event.payload async for event in again.run()]
        return event

    return json.loads(json.dumps(asyncio.run(asyncio.wait_for(first(), 30))))


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pairs]:
    """Who makes which call; the documents must name them all, for so they say what a key is needed for."""
    made = record(monkeypatch)
    yield made
    assert made - named() == set(), "x-operator in docs/openapi does not name all that make the call"


@pytest.fixture
def run_task(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Task]:
    """Return a function that makes a :class:`Task`; the time between two looks in reschedule mode is the clock's."""
    monkeypatch.setattr("airflow.sdk.bases.sensor.timezone", SimpleNamespace(utcnow=utcnow))
    return Task
