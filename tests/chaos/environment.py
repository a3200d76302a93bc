"""Where the scenes play: a real Airflow on PostgreSQL, the sandbox, and the means to break either."""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import psutil
import psycopg2
import requests

from dev.airflow_api import AirflowApi
from dev.polling import wait_for
from dev.postgres import Postgres
from dev.processes import stop_all
from dev.sandbox import Sandbox
from dev.stack import Stack
from dev.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from chaos.scenes import Scene

HERE = Path(__file__).resolve().parent
PARALLELISM = 16
POKE_INTERVAL = 3
RETRIES = 10
EXPORT_SECONDS = 20.0
DIES_AFTER = 4.0
PHOTOS = 2
LOOK_EVERY = 1.0
# A scheduler may end by itself when two write to one task (Airflow #63926); whoever runs one has it started again.
RESTARTS = 5
# Each look at all requests costs the sandbox time that the tasks need.
PEOPLE_EVERY = 3.0
# Minutes of Airflow's own patience are seconds here.
IMPATIENT: dict[str, dict[str, object]] = {
    "scheduler": {
        "task_instance_heartbeat_timeout": 25,
        "task_instance_heartbeat_timeout_detection_interval": 3,
        "job_heartbeat_sec": 2,
        "scheduler_heartbeat_sec": 2,
        "scheduler_health_check_threshold": 45,
        "orphaned_tasks_check_interval": 5,
        "trigger_timeout_check_interval": 5,
    },
    "triggerer": {"job_heartbeat_sec": 2, "triggerer_health_check_threshold": 20},
    # A task bears it when the API server is away for so many times two seconds.
    "workers": {
        "min_heartbeat_interval": 2,
        "max_failed_heartbeats": 12,
        "execution_api_retries": 8,
        "execution_api_retry_wait_max": 5,
    },
}


@dataclass(frozen=True)
class Task:
    """A task instance as Airflow's database has it."""

    run_id: str
    number: int
    state: str | None
    tries: int
    pid: int | None
    waits: bool


@dataclass
class Field:
    """What a scene may see and do."""

    stack: Stack
    sandbox: Sandbox
    proxy: TcpProxy
    folder: Path
    database: Any
    versions: dict[str, str]
    runs: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    answering: dict[str, Callable[[int], float]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _apis: threading.local = field(default_factory=threading.local)

    @property
    def api(self) -> AirflowApi:
        """Airflow's REST API; each thread has a session of its own."""
        if not hasattr(self._apis, "api"):
            self._apis.api = AirflowApi(self.stack.url)
        api: AirflowApi = self._apis.api
        return api

    def start(self, name: str) -> str:
        """Start a run of a scene's DAG."""
        self.stack.wait_for_dag(name)
        # Known before it is asked for, so that asking again starts no second one.
        run_id = f"manual__{datetime.now(UTC).isoformat()}"
        self.insist(lambda: self.api.trigger(name, run_id=run_id), done=requests.codes.conflict)
        self.runs[name].append(run_id)
        return run_id

    def tasks(self, name: str, run_id: str | None = None) -> list[Task]:
        """List the task instances of a scene. Read from the database, for the API server may be away."""
        columns = "run_id, map_index, state, try_number, pid, trigger_id is not null"
        with self._lock, self.database.cursor() as cursor:
            cursor.execute(
                f"select {columns} from task_instance where dag_id = %s and map_index >= 0", [name]
            )
            found = [Task(*row) for row in cursor.fetchall()]
        return [task for task in found if run_id in {None, task.run_id}]

    def count(self, name: str, *states: str) -> int:
        """Count the task instances in some states."""
        return sum(task.state in states for task in self.tasks(name))

    def ended(self, name: str) -> bool:
        """Whether all runs of a scene have ended."""
        with self._lock, self.database.cursor() as cursor:
            cursor.execute("select count(*) from dag_run where dag_id = %s and end_date is not null", [name])
            return bool(cursor.fetchone()[0] == len(self.runs[name]))

    def until(self, what: str, look: Callable[[], object], timeout: float = 300) -> None:
        """Wait for something that Airflow or the service will do."""

        def bravely() -> bool:
            self.stack.check_alive()
            # A machine that is busy with breaking things may be late.
            with suppress(requests.ConnectionError, requests.Timeout):
                return bool(look())
            return False

        wait_for(what, bravely, timeout=timeout, every=LOOK_EVERY)

    def insist(self, call: Callable[[], object], done: int | None = None) -> None:
        """Ask Airflow again while it is away or fails, as a user does; a status may say that it is done already."""

        def look() -> bool:
            try:
                call()
            except requests.HTTPError as error:
                if error.response.status_code != done and error.response.status_code < 500:
                    raise
                return error.response.status_code == done
            return True

        self.until("Airflow to do as it is told", look, 120)

    def until_deferred(self, name: str, count: int, timeout: float = 300) -> None:
        """Wait until a number of tasks wait in the triggerer."""
        self.until(
            f"{count} deferred tasks of {name}", lambda: self.count(name, "deferred") >= count, timeout
        )

    def requests(self, name: str) -> list[dict[str, Any]]:
        """List the photo requests that were ever made for a scene."""
        made = self.sandbox.control("GET", "/photo-requests")
        return [one for one in made if (one["metadata"] or {}).get("scene") == name]

    def exports(self, export_format: str) -> list[dict[str, Any]]:
        """List the exports that were ever started in a format, which is one scene's alone."""
        made = self.sandbox.control("GET", "/exports")
        return [one for one in made if one["format"] == export_format]

    def answer(self, name: str, after: Callable[[int], float] = lambda _: 0.0) -> None:
        """From now on everybody who is asked in a scene sends photos, after some seconds."""
        self.answering[name] = after

    def let_people_answer(self) -> None:
        """Send everybody who was asked since the last time."""
        for request in self.sandbox.control("GET", "/photo-requests"):
            metadata = request["metadata"] or {}
            after = self.answering.get(metadata.get("scene", ""))
            if after is None or request["person"]["behaviour"] != "manual" or request["status"] == "deleted":
                continue
            person = {
                "behaviour": "submit",
                "open_after": after(metadata["number"]),
                "photo_every": 0.2,
                "photos": PHOTOS,
            }
            self.sandbox.control("PUT", f"/photo-requests/{request['id']}/person", person)

    def fault(self, name: str, kind: str, **more: Any) -> int:
        """Have the calls of one scene go wrong."""
        number: int = self.sandbox.control(
            "POST", "/faults", {"service": "visiono", "kind": kind, "key": self.keys[name], **more}
        )["id"]
        return number

    def held(self, *numbers: int) -> set[int]:
        """Which of some faults hold calls now, each as many as it was made for."""
        faults = self.sandbox.control("GET", "/faults")
        return {one["id"] for one in faults if one["id"] in numbers and one["held"] == one["times"]}

    def let_go(self, number: int, *, drop: bool) -> None:
        """Let held calls go on, or lose them."""
        self.sandbox.control("POST", f"/faults/{number}/let-go", {"drop": drop})

    def kill_workers(self, tasks: Sequence[Task]) -> set[int]:
        """Kill tasks with what runs them, as the loss of their machines would; returns which were killed."""
        return {task.number for task in tasks if self._kill(task, with_worker=True)}

    def kill_processes(self, tasks: Sequence[Task]) -> set[int]:
        """Kill tasks as the kernel does that has run out of memory: what runs them lives on and tells Airflow."""
        return {task.number for task in tasks if self._kill(task, with_worker=False)}

    def kill_every_worker(self, name: str, count: int) -> None:
        """Kill so many running tasks of a scene with what runs them, each once; some may have died by themselves."""
        killed: set[int] = set()

        def look() -> bool:
            tasks = self.tasks(name)
            killed.update(task.number for task in tasks if task.tries > 1)
            running = [task for task in tasks if task.state == "running" and task.number not in killed]
            killed.update(self.kill_workers(running))
            return len(killed) == count

        self.until(f"{count} workers of {name} to be killed", look)

    def _kill(self, task: Task, *, with_worker: bool) -> bool:
        try:
            mine = {one.pid for one in self.stack.child("scheduler").processes()}
            process = psutil.Process(task.pid)
            worker = process.parent()
            if worker is None or not {process.pid, worker.pid} <= mine:
                return False
            with stopped(worker):
                # A worker between two tasks may hold the lock of the queue, which nobody would get any more.
                if "<idle>" in " ".join(worker.cmdline()) or process.status() == psutil.STATUS_ZOMBIE:
                    return False
                for one in (worker, process) if with_worker else (process,):
                    one.send_signal(signal.SIGKILL)
        except (psutil.NoSuchProcess, KeyError):
            return False
        return True

    def set_key(self, name: str, key: str, *, in_airflow: bool) -> None:
        """Change a scene's API key: at the service, or in its Airflow connection."""
        if in_airflow:
            fields = {"connection_id": name, "conn_type": "visiono", "password": key}
            path = f"/connections/{name}?update_mask=password"
            self.insist(lambda: self.api.call("PATCH", path, body=fields))
            return
        self.keys[name] = key
        self.sandbox.control("PUT", "/keys", {"visiono": list(self.keys.values())})

    def mark(self, name: str, task: Task, state: str) -> None:
        """Mark a task instance, as a user does in the UI."""
        path = f"/dags/{name}/dagRuns/{quote(task.run_id)}/taskInstances/task/{task.number}"
        self.insist(lambda: self.api.call("PATCH", path, body={"new_state": state}))

    def is_so(self, name: str, task: Task, state: str) -> bool:
        """Whether a task instance is in a state."""
        return (task.run_id, task.number, state) in {
            (one.run_id, one.number, one.state) for one in self.tasks(name)
        }

    def clear(self, name: str, task: Task) -> None:
        """Clear a task instance, as a user does in the UI."""
        body = {
            "dry_run": False,
            "only_failed": False,
            "dag_run_id": task.run_id,
            "task_ids": [["task", task.number]],
        }
        self.insist(lambda: self.api.call("POST", f"/dags/{name}/clearTaskInstances", body=body))


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """Keep a process from going on while it is looked at."""
    process.suspend()
    try:
        yield
    finally:
        if process.is_running():
            process.resume()


@contextmanager
def the_field(folder: Path, scenes: Sequence[Scene]) -> Iterator[Field]:
    """Start everything, and always end it."""
    with ExitStack() as running:
        postgres = running.enter_context(Postgres(folder))
        sandbox = Sandbox(folder / "sandbox", person={"behaviour": "manual"})
        running.callback(lambda: stop_all(sandbox.children))
        sandbox.start()
        sandbox.wait_ready()
        shutil.copytree(HERE / "config", folder / "airflow" / "config")
        proxy = running.enter_context(TcpProxy(urlsplit(sandbox.info["url"]).port or 0))
        stack = Stack(
            folder / "airflow",
            HERE / "dags",
            database_url=postgres.url,
            parallelism=PARALLELISM,
            config=IMPATIENT,
            environment={"CHAOS_PLAN": json.dumps(plan(folder, scenes)), "TMPDIR": str(folder)},
            restarts=RESTARTS,
        )
        stack.connections = connections(sandbox, proxy, scenes)
        keys = {name: made["password"] for name, made in stack.connections.items()}
        sandbox.control("PUT", "/keys", {"visiono": list(keys.values()), "vizdom": list(keys.values())})
        generous = dict.fromkeys(("visiono_per_minute", "visiono_per_hour", "vizdom_per_minute"), 1_000_000)
        sandbox.control("PATCH", "/settings", {**generous, "export_seconds": EXPORT_SECONDS})
        running.enter_context(stack)
        database = psycopg2.connect(postgres.url.replace("+psycopg2", ""))
        running.callback(database.close)
        database.autocommit = True
        versions = {"Airflow": stack.api.get("/version")["version"], "PostgreSQL": postgres.version}
        the = Field(stack, sandbox, proxy, folder, database, versions, keys=keys)
        running.enter_context(people(the))
        yield the


def plan(folder: Path, scenes: Sequence[Scene]) -> dict[str, Any]:
    """What the DAG file has to know."""
    return {
        "scenes": {scene.name: {"tasks": scene.tasks, "operator": scene.operator} for scene in scenes},
        "destination": f"file://{folder / 'stored'}",
        "parallelism": PARALLELISM,
        "poke_interval": POKE_INTERVAL,
        "retries": RETRIES,
        "dies_after": DIES_AFTER,
    }


def connections(sandbox: Sandbox, proxy: TcpProxy, scenes: Sequence[Scene]) -> dict[str, dict[str, Any]]:
    """Each scene has a connection and a key of its own, so that a fault meets its calls alone."""
    base = sandbox.connections()
    generous = {"calls_per_minute": 10_000, "calls_per_hour": 20_000}
    made = {}
    for scene in scenes:
        service = "vizdom" if "export_format" in scene.operator else "visiono"
        extra = {"timeout": scene.timeout} | (generous if service == "visiono" else {})
        fields = {**base[f"{service}_default"], "password": f"key-of-{scene.name}", "extra": extra}
        if scene.through_proxy:
            fields["host"] = f"http://127.0.0.1:{proxy.port}{urlsplit(fields['host']).path}"
        made[scene.name] = fields
    return made


@contextmanager
def people(the: Field) -> Iterator[None]:
    """Have those who were asked answer, all the while."""
    over = threading.Event()

    def live() -> None:
        while not over.wait(PEOPLE_EVERY):
            with suppress(requests.ConnectionError, requests.Timeout):
                the.let_people_answer()

    thread = threading.Thread(target=live, name="people", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def pause(seconds: float) -> None:
    """Let time pass, for the break that a scene is about lasts for so long."""
    time.sleep(seconds)
