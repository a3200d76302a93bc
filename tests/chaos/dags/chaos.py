"""One DAG for each scene. Its tasks create photo requests or export dashboards, and may kill themselves."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import DAG, ExceptionRetryPolicy, RetryAction, RetryRule, get_parsing_context

from airflow_provider_visio.exceptions import AuthenticationError
from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator
from airflow_provider_visio.operators.vizdom import VizdomExportDashboardOperator
from airflow_provider_visio.storage.store_folder import StoreFolder

POLICY = ExceptionRetryPolicy(
    rules=[RetryRule(AuthenticationError, action=RetryAction.RETRY, retry_delay=timedelta(seconds=1))]
)
PLAN: dict[str, Any] = json.loads(os.environ["CHAOS_PLAN"])


# The number of the photo at which a first try ends.
WHILE_STORING = {"when the store breaks": 4, "while it stores": 2}


class KillingStore:
    """A task state store that kills its worker, or its task process, at some point of the first try."""

    def __init__(self, store: Any, dies: str) -> None:
        self._store = store
        self._dies = dies

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def set(self, key: str, value: Any, **more: Any) -> None:
        knows_id = bool(value.get("id"))
        if knows_id and self._dies == "before the id is written":
            _die()
        self._store.set(key, value, **more)
        if self._dies == ("after the id is written" if knows_id else "after the intent is written"):
            _die()
        if self._dies == "during its POST":
            # Only the task process, as the kernel does when memory is short. Its worker reports it to Airflow.
            threading.Timer(PLAN["dies_after"], os.kill, [os.getpid(), signal.SIGKILL]).start()


def break_store(dies: str) -> None:
    """In this process, have the store break, or the worker die, while a photo is stored."""
    store, photos = StoreFolder.put, iter(range(1, 1000))

    def put(self: StoreFolder, part: Path, name: str) -> None:
        number = next(photos) if name.endswith(".jpg") else 0
        if number == WHILE_STORING[dies]:
            if dies == "while it stores":
                _die()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        store(self, part, name)

    StoreFolder.put = put  # type: ignore[method-assign]


def _die() -> None:
    for pid in (os.getppid(), os.getpid()):
        os.kill(pid, signal.SIGKILL)


class KilledCreate(VisionoCreatePhotoRequestOperator):
    """Creates a photo request, and may kill its worker in its first try."""

    def __init__(self, *, dies: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dies = dies

    def execute(self, context: Any) -> Any:
        if self.dies and self.dies not in WHILE_STORING and context["ti"].try_number == 1:
            context["task_state_store"] = KillingStore(context["task_state_store"], self.dies)
        return super().execute(context)

    def execute_complete(self, context: Any, *given: Any, **more: Any) -> Any:
        if self.dies in WHILE_STORING and context["ti"].try_number == 1:
            break_store(self.dies)
        return super().execute_complete(context, *given, **more)


# A task process needs only its own DAG.
mine = get_parsing_context().dag_id

for name, scene in PLAN["scenes"].items():
    if mine not in {None, name}:
        continue
    with DAG(
        dag_id=name,
        schedule=None,
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        max_active_runs=2,
        max_active_tasks=PLAN["parallelism"],
        default_args={
            "retries": PLAN["retries"],
            "retry_delay": timedelta(seconds=1),
            # Without a policy a refused key uses up no retries; here its connection gets the new one in time.
            "retry_policy": POLICY,
        },
    ) as dag:
        if "export_format" in scene["operator"]:
            VizdomExportDashboardOperator.partial(
                task_id="task",
                vizdom_conn_id=name,
                destination=f"{PLAN['destination']}/{name}",
                **scene["operator"],
            ).expand(dashboard_id=["dash_abc123"] * scene["tasks"])
        else:
            KilledCreate.partial(
                task_id="task",
                instructions="Please photograph the dent.",
                visiono_conn_id=name,
                destination=f"{PLAN['destination']}/{name}",
                poke_interval=PLAN["poke_interval"],
                **scene["operator"],
            ).expand(
                metadata=[
                    {"scene": name, "run": "{{ run_id }}", "number": number}
                    for number in range(scene["tasks"])
                ]
            )
    globals()[name] = dag
