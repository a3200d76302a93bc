"""The fleet: a real Airflow with CeleryExecutor, whose workers and triggerers each have a host of their own."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import requests
from chaos.environment import SHORT_TIMEOUTS

from benchmarks.fast_clock import FastClock
from dev.checkout import EXAMPLE_DAGS, ROOT
from dev.postgres import Postgres
from dev.redis import Redis
from dev.sandbox import Sandbox
from dev.stack import AIRFLOW, COMPONENTS, Component, Stack, beats_on, logs_line

HERE = Path(__file__).resolve().parent
DAG_ID = "visiono_campaign"
WORKERS = ("worker-1", "worker-2")
TRIGGERERS = ("triggerer-1", "triggerer-2")
SLOTS = 3
# Virtual seconds in a real second. The limits are the service's own, and a campaign keeps inside them.
SPEED = float(os.environ.get("FLEET_SPEED") or "2")
# A scheduler can end by itself when two write to one task (Airflow #63926). A service manager restarts it.
RESTARTS = 3
# Seconds between two looks at the fleet.
LOOK_EVERY = 0.5
# Virtual seconds until all people answer, once all of them are asked and the wait is in a triggerer.
ANSWER_AFTER = 30.0
SETTINGS: dict[str, dict[str, object]] = {
    "core": {
        "executor": "CeleryExecutor",
        "hostname_callable": "host_name.host_name",
        # Five minutes otherwise.
        "default_task_retry_delay": 5,
    },
    "celery": {
        "worker_concurrency": SLOTS,
        # Three processes that send tasks to Redis otherwise; they need the processor that the workers need.
        "sync_parallelism": 1,
        # A busy machine takes longer than a second.
        "operation_timeout": 10.0,
    },
    # Ten minutes otherwise: how long a task may stay in a queue, or be lost with it.
    "scheduler": {
        **SHORT_TIMEOUTS["scheduler"],
        "task_queued_timeout": 60,
        "task_queued_timeout_check_interval": 5,
    },
    "triggerer": SHORT_TIMEOUTS["triggerer"],
    "workers": SHORT_TIMEOUTS["workers"],
    # Ten real seconds, which Airflow needs.
    "visio": {"min_dwell": 10 * SPEED},
}


@dataclass(frozen=True)
class Task:
    """A task instance in Airflow's database."""

    task_id: str
    number: int
    state: str | None
    tries: int
    host: str
    waits_on: str | None


@dataclass
class Fleet:
    """The fleet, and the actions of a scene."""

    stack: Stack
    redis: Redis
    folder: Path
    database: Any
    clock: FastClock
    versions: dict[str, str]
    sandbox: Sandbox = field(init=False)
    run_id: str = field(init=False)

    @property
    def stored(self) -> Path:
        """Return the folder of the running campaign's photos."""
        return self.folder / self.run_id / "stored"

    @contextmanager
    def campaign(self, name: str, people: int) -> Iterator[None]:
        """Start a campaign with a new service, whose limits nobody has used. At the end, start what is down."""
        self.run_id = name
        sandbox = Sandbox(
            self.folder / name, options=("--speed", str(self.clock.speed)), person={"behaviour": "manual"}
        )
        with sandbox:
            self.sandbox = sandbox
            # Every process of the fleet has one clock, so each service must have its time.
            behind = self.clock.now() - FastClock.of(sandbox).now()
            sandbox.control("POST", "/time", {"advance": behind})
            sandbox.control("PATCH", "/settings", {"caller_clock": "virtual"})
            self._set_connection("visiono_default", sandbox.connections()["visiono_default"])
            conf = {"recipients": people, "destination": f"file://{self.stored}"}
            self.stack.api.trigger(DAG_ID, conf, run_id=name)
            yield
        self.restore()

    def _set_connection(self, conn_id: str, fields: dict[str, Any]) -> None:
        with suppress(requests.HTTPError):  # there is none at first
            self.stack.api.call("DELETE", f"/connections/{conn_id}")
        self.stack.api.add_connection(conn_id, fields)

    def restore(self) -> None:
        """Start the components that a scene has killed."""
        running = {child.name for child in self.stack.children}
        missing = [name for name in fleet_components(self.folder) if name not in running]
        for name in missing:
            self.stack.start(name, wait=False)
        self.stack.wait_healthy(missing)

    def until(self, what: str, look: Callable[[], object], timeout: float = 300) -> None:
        """Wait for a condition.

        :param what: the condition, for the error
        :param look: returns whether it is true
        :param timeout: seconds
        """
        self.stack.wait_until(what, look, timeout=timeout, every=LOOK_EVERY)

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Read Airflow's database."""
        with self.database.cursor() as cursor:
            cursor.execute(sql, values)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def tasks(self, task_id: str | None = None) -> list[Task]:
        """List the task instances of the running campaign, with the host of the triggerer that a wait is on."""
        rows = self.query(
            "select i.task_id, i.map_index, i.state, i.try_number, i.hostname, j.hostname from task_instance i "
            "left join trigger t on t.id = i.trigger_id left join job j on j.id = t.triggerer_id "
            "where i.dag_id = %s and i.run_id = %s",
            DAG_ID,
            self.run_id,
        )
        found = [Task(*row) for row in rows]
        return [task for task in found if task_id in {None, task.task_id}]

    def ended(self) -> bool:
        """Return whether the campaign has ended."""
        ((state,),) = self.query(
            "select state from dag_run where dag_id = %s and run_id = %s", DAG_ID, self.run_id
        )
        return state in {"success", "failed"}

    def requests(self) -> list[dict[str, Any]]:
        """List all photo requests of the service."""
        found: list[dict[str, Any]] = self.sandbox.control("GET", "/photo-requests")
        return found

    def calls(self) -> list[dict[str, Any]]:
        """List all calls to the API of the service."""
        return [call for call in self.sandbox.control("GET", "/calls") if call["service"] == "visiono"]

    def asked(self) -> int:
        """Return the number of requests that were created."""
        return int(self.sandbox.control("GET", "/counters")["visiono"].get("POST /photo-requests", 0))

    def waiting_on(self) -> str | None:
        """Return the host of the triggerer that the wait is on, or None while it is on none."""
        return next((task.waits_on for task in self.tasks("wait") if task.state == "deferred"), None)

    def stored_files(self) -> int:
        """Return the number of photos in the store."""
        return sum(1 for _ in self.stored.glob("*/*.jpg"))

    def everybody_answers(self) -> None:
        """Once the wait is in a triggerer, have everybody send their photos at the same moment."""
        self.until("the wait to be in a triggerer", self.waiting_on, 600)
        moment = self.clock.now() + ANSWER_AFTER
        for request in self.requests():
            after = max(0.0, moment - self.clock.now())
            person = {"behaviour": "submit", "open_after": after, "photo_every": 0.0}
            self.sandbox.control("PUT", f"/photo-requests/{request['id']}/person", person)

    def hosts(self) -> Counter[str]:
        """Return how many of the campaign's tasks ended on each host."""
        return Counter(task.host for task in self.tasks() if task.host)

    def spans(self) -> dict[str, tuple[float, float]]:
        """Return task id -> seconds from the start of the run to the task's first start and last end."""
        rows = self.query(
            "select i.task_id, extract(epoch from min(i.start_date - r.start_date)), "
            "extract(epoch from max(i.end_date - r.start_date)) from task_instance i join dag_run r "
            "on r.dag_id = i.dag_id and r.run_id = i.run_id where i.dag_id = %s and i.run_id = %s group by 1",
            DAG_ID,
            self.run_id,
        )
        return {task_id: (float(start or 0), float(end or 0)) for task_id, start, end in rows}


def fleet_components(folder: Path) -> dict[str, Component]:
    """Return the components of a fleet: name -> component."""
    components = {name: COMPONENTS[name] for name in ("api-server", "scheduler", "dag-processor")}
    for host in WORKERS:
        options = ("--celery-hostname", host, "--skip-serve-logs", "--without-mingle", "--without-gossip")
        components[host] = Component(
            (*AIRFLOW, "celery", "worker", *options),
            logs_line(f"{host} ready."),
            host_environment(folder, host),
        )
    for host in TRIGGERERS:
        components[host] = Component(
            COMPONENTS["triggerer"].command, beats_on(host, "TriggererJob"), host_environment(folder, host)
        )
    return components


def host_environment(folder: Path, host: str) -> dict[str, str]:
    """Return what makes a process one of this host's: its name, and a folder for temporary files."""
    temporary = folder / "hosts" / host
    temporary.mkdir(parents=True, exist_ok=True)
    return {"FLEET_HOST": host, "TMPDIR": str(temporary)}


@contextmanager
def running_fleet(folder: Path) -> Iterator[Fleet]:
    """Start all processes, and always stop them."""
    with ExitStack() as running:
        postgres = running.enter_context(Postgres(folder))
        redis = running.enter_context(Redis(folder))
        clock = FastClock(time.time(), time.monotonic(), SPEED)
        shutil.copytree(HERE / "config", folder / "airflow" / "config")
        dags = folder / "dags"
        dags.mkdir()
        shutil.copy(EXAMPLE_DAGS / f"{DAG_ID}.py", dags)
        stack = Stack(
            folder / "airflow",
            dags,
            components=fleet_components(folder),
            database_url=postgres.url,
            parallelism=2 * SLOTS * len(WORKERS),
            config=SETTINGS,
            environment={
                "AIRFLOW__CELERY__BROKER_URL": redis.url,
                "FLEET_CLOCK": json.dumps(clock.as_json()),
                "PYTHONPATH": str(ROOT),
                **host_environment(folder, "control"),
            },
            restarts=RESTARTS,
        )
        running.enter_context(stack)
        stack.wait_for_dag(DAG_ID)
        database = psycopg2.connect(postgres.url.replace("+psycopg2", ""))
        running.callback(database.close)
        database.autocommit = True
        versions = {
            "Airflow": stack.api.get("/version")["version"],
            "PostgreSQL": postgres.version,
            "Redis": redis.version,
        }
        yield Fleet(stack, redis, folder, database, clock, versions)
