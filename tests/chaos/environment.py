"""The environment of the scenes: a real Airflow on PostgreSQL, the sandbox, and functions that break them."""

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
POLL_SECONDS = 1.0
# A scheduler can end by itself when two write to one task (Airflow #63926). A service manager restarts it.
RESTARTS = 5
# Seconds. Each look at all requests takes the sandbox time that the tasks need.
ANSWER_POLL_SECONDS = 3.0
# Airflow's own timeouts are minutes.
SHORT_TIMEOUTS: dict[str, dict[str, object]] = {
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
    # A task survives this number of failed heartbeats, two seconds apart, while the API server is down.
    "workers": {
        "min_heartbeat_interval": 2,
        "max_failed_heartbeats": 12,
        "execution_api_retries": 8,
        "execution_api_retry_wait_max": 5,
    },
    # While webhooks arrive, polls are this rare. It bounds how long a lost one delays its task.
    "visio": {"webhooks": True, "webhook_poll_interval": 20},
}
# Virtual seconds until the sandbox sends a webhook again that was not accepted.
WEBHOOK_RETRIES = [5, 5, 10, 20, 40]
SUBMITTED = "photo_request.submitted"


@dataclass(frozen=True)
class Task:
    """A task instance in Airflow's database."""

    run_id: str
    number: int
    state: str | None
    tries: int
    pid: int | None
    waits: bool


@dataclass
class ChaosEnvironment:
    """Airflow, the sandbox, and the actions of a scene."""

    stack: Stack
    sandbox: Sandbox
    proxy: TcpProxy
    gateway: TcpProxy
    folder: Path
    database: Any
    versions: dict[str, str]
    runs: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    answering: dict[str, Callable[[int], float]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    photos: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _apis: threading.local = field(default_factory=threading.local)

    @property
    def api(self) -> AirflowApi:
        """Return Airflow's REST API. Each thread has its own session."""
        if not hasattr(self._apis, "api"):
            self._apis.api = AirflowApi(self.stack.url)
        api: AirflowApi = self._apis.api
        return api

    def start(self, name: str) -> str:
        """Start a run of a scene's DAG."""
        self.stack.wait_for_dag(name)
        # The id is known before the call, so that a repeated call starts no second run.
        run_id = f"manual__{datetime.now(UTC).isoformat()}"
        self.retry_call(lambda: self.api.trigger(name, run_id=run_id), done=requests.codes.conflict)
        self.runs[name].append(run_id)
        return run_id

    def tasks(self, name: str, run_id: str | None = None) -> list[Task]:
        """List the task instances of a scene, from the database because the API server may be down."""
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
        """Return whether all runs of a scene have ended."""
        with self._lock, self.database.cursor() as cursor:
            cursor.execute("select count(*) from dag_run where dag_id = %s and end_date is not null", [name])
            return bool(cursor.fetchone()[0] == len(self.runs[name]))

    def until(self, what: str, look: Callable[[], object], timeout: float = 300) -> None:
        """Wait for a condition.

        :param what: the condition, for the error
        :param look: returns whether it is true
        :param timeout: seconds
        """
        self.stack.wait_until(what, look, timeout=timeout, every=POLL_SECONDS)

    def retry_call(self, call: Callable[[], object], done: int | None = None) -> None:
        """Call Airflow again while it is down or fails, as a user does.

        :param done: status of a call that was already done; None: no such status
        """

        def look() -> bool:
            try:
                call()
            except requests.HTTPError as error:
                if error.response.status_code != done and error.response.status_code < 500:
                    raise
                return error.response.status_code == done
            return True

        self.until("Airflow to accept a call", look, 120)

    def until_deferred(self, name: str, count: int, timeout: float = 300) -> None:
        """Wait until a number of tasks wait in the triggerer."""
        self.until(
            f"{count} deferred tasks of {name}", lambda: self.count(name, "deferred") >= count, timeout
        )

    def requests(self, name: str) -> list[dict[str, Any]]:
        """List all photo requests of a scene."""
        made = self.sandbox.control("GET", "/photo-requests")
        return [one for one in made if (one["metadata"] or {}).get("scene") == name]

    def exports(self, export_format: str) -> list[dict[str, Any]]:
        """List all exports of a format, which only one scene uses."""
        made = self.sandbox.control("GET", "/exports")
        return [one for one in made if one["format"] == export_format]

    def answer(self, name: str, after: Callable[[int], float] = lambda _: 0.0) -> None:
        """From now on, send photos for all requests of a scene.

        :param after: number of the task -> seconds until the answer
        """
        self.answering[name] = after

    def answer_new_requests(self) -> None:
        """Start an answer to each request that is new since the last call."""
        for request in self.sandbox.control("GET", "/photo-requests"):
            metadata = request["metadata"] or {}
            after = self.answering.get(metadata.get("scene", ""))
            if after is None or request["person"]["behaviour"] != "manual" or request["status"] == "deleted":
                continue
            person = {
                "behaviour": "submit",
                "open_after": after(metadata["number"]),
                "photo_every": 0.2,
                "photos": self.photos[metadata["scene"]],
            }
            self.sandbox.control("PUT", f"/photo-requests/{request['id']}/person", person)

    def fault(self, name: str, kind: str, **more: Any) -> int:
        """Add a fault for the calls of a scene.

        :return: id of the fault
        """
        number: int = self.sandbox.control(
            "POST", "/faults", {"service": "visiono", "kind": kind, "key": self.keys[name], **more}
        )["id"]
        return number

    def webhook_fault(self, name: str, kind: str, **more: Any) -> None:
        """Add a fault for the deliveries to a scene's endpoint."""
        fault = {"service": "webhooks", "kind": kind, "path": f"/{name}$", **more}
        self.sandbox.control("POST", "/faults", fault)

    def deliveries(self, name: str) -> list[dict[str, Any]]:
        """List the deliveries to a scene's endpoint for its requests. It also gets those for all others."""
        ids = {request["id"] for request in self.requests(name)}
        return [
            one
            for one in self.sandbox.control("GET", "/deliveries")
            if one["url"].endswith(f"/{name}") and json.loads(one["body"])["data"]["id"] in ids
        ]

    def failed_deliveries(self, name: str) -> list[dict[str, Any]]:
        """List those of them that could not be sent at least once."""
        return [one for one in self.deliveries(name) if any(attempt["error"] for attempt in one["attempts"])]

    def accepted_deliveries(self, name: str) -> list[dict[str, Any]]:
        """List those of them that the receiver has accepted."""
        return [
            one
            for one in self.deliveries(name)
            if any(attempt["status"] == 202 for attempt in one["attempts"])
        ]

    def held(self, *numbers: int) -> set[int]:
        """Return those of some faults that hold all calls that they are for."""
        faults = self.sandbox.control("GET", "/faults")
        return {one["id"] for one in faults if one["id"] in numbers and one["held"] == one["times"]}

    def release(self, number: int, *, drop: bool) -> None:
        """Release held calls.

        :param drop: whether to close their connections without a reply
        """
        self.sandbox.control("POST", f"/faults/{number}/let-go", {"drop": drop})

    def kill_workers(self, tasks: Sequence[Task]) -> set[int]:
        """Kill tasks with their workers, as if their machines were lost.

        :return: numbers of the killed tasks
        """
        return {task.number for task in tasks if self._kill(task, with_worker=True)}

    def kill_processes(self, tasks: Sequence[Task]) -> set[int]:
        """Kill task processes, as the kernel does when memory is short. Their workers report it to Airflow.

        :return: numbers of the killed tasks
        """
        return {task.number for task in tasks if self._kill(task, with_worker=False)}

    def kill_every_worker(self, name: str, count: int) -> None:
        """Kill running tasks of a scene with their workers, each task once.

        :param count: number of tasks; tasks with a second try count as killed
        """
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
                # A worker between two tasks may hold the lock of the queue, which would then stay locked.
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
            self.retry_call(lambda: self.api.call("PATCH", path, body=fields))
            return
        self.keys[name] = key
        self.sandbox.control("PUT", "/keys", {"visiono": list(self.keys.values())})

    def mark(self, name: str, task: Task, state: str) -> None:
        """Mark a task instance, as a user does in the UI."""
        path = f"/dags/{name}/dagRuns/{quote(task.run_id)}/taskInstances/task/{task.number}"
        self.retry_call(lambda: self.api.call("PATCH", path, body={"new_state": state}))

    def is_in_state(self, name: str, task: Task, state: str) -> bool:
        """Return whether a task instance is in a state."""
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
        self.retry_call(lambda: self.api.call("POST", f"/dags/{name}/clearTaskInstances", body=body))


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """Suspend a process while it is examined."""
    process.suspend()
    try:
        yield
    finally:
        if process.is_running():
            process.resume()


@contextmanager
def chaos_environment(folder: Path, scenes: Sequence[Scene]) -> Iterator[ChaosEnvironment]:
    """Start all processes, and always stop them."""
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
            config=SHORT_TIMEOUTS,
            environment={"CHAOS_PLAN": json.dumps(plan(folder, scenes)), "TMPDIR": str(folder)},
            restarts=RESTARTS,
        )
        gateway = running.enter_context(TcpProxy(stack.port))
        stack.connections = connections(sandbox, proxy, scenes)
        keys = {name: made["password"] for name, made in stack.connections.items()}
        sandbox.control("PUT", "/keys", {"visiono": list(keys.values()), "vizdom": list(keys.values())})
        generous = dict.fromkeys(("visiono_per_minute", "visiono_per_hour", "vizdom_per_minute"), 1_000_000)
        webhooks = {
            "webhook_gateway": f"http://127.0.0.1:{gateway.port}",
            "webhook_retry_seconds": WEBHOOK_RETRIES,
        }
        sandbox.control("PATCH", "/settings", {**generous, **webhooks, "export_seconds": EXPORT_SECONDS})
        running.enter_context(stack)
        database = psycopg2.connect(postgres.url.replace("+psycopg2", ""))
        running.callback(database.close)
        database.autocommit = True
        versions = {"Airflow": stack.api.get("/version")["version"], "PostgreSQL": postgres.version}
        photos = {scene.name: scene.photos for scene in scenes}
        env = ChaosEnvironment(
            stack, sandbox, proxy, gateway, folder, database, versions, keys=keys, photos=photos
        )
        running.enter_context(answering_people(env))
        yield env


def plan(folder: Path, scenes: Sequence[Scene]) -> dict[str, Any]:
    """Return the settings for the DAG file."""
    return {
        "scenes": {scene.name: {"tasks": scene.tasks, "operator": scene.operator} for scene in scenes},
        "destination": f"file://{folder / 'stored'}",
        "parallelism": PARALLELISM,
        "poke_interval": POKE_INTERVAL,
        "retries": RETRIES,
        "dies_after": DIES_AFTER,
    }


def connections(sandbox: Sandbox, proxy: TcpProxy, scenes: Sequence[Scene]) -> dict[str, dict[str, Any]]:
    """Return a connection with its own API key for each scene, so that a fault affects only the scene's calls."""
    base = sandbox.connections()
    generous = {"calls_per_minute": 10_000, "calls_per_hour": 20_000}
    made = {}
    for scene in scenes:
        service = "vizdom" if "export_format" in scene.operator else "visiono"
        extra: dict[str, Any] = {"timeout": scene.timeout} | (generous if service == "visiono" else {})
        if scene.webhooks:
            url = f"https://hooks.example.com/visio/webhooks/{scene.name}"
            extra["webhook_secret"] = sandbox.create_webhook(url, (SUBMITTED,))
        fields = {**base[f"{service}_default"], "password": f"key-of-{scene.name}", "extra": extra}
        if scene.through_proxy:
            fields["host"] = f"http://127.0.0.1:{proxy.port}{urlsplit(fields['host']).path}"
        made[scene.name] = fields
    return made


@contextmanager
def answering_people(env: ChaosEnvironment) -> Iterator[None]:
    """Answer new requests in a thread."""
    over = threading.Event()

    def live() -> None:
        while not over.wait(ANSWER_POLL_SECONDS):
            with suppress(requests.ConnectionError, requests.Timeout):
                env.answer_new_requests()

    thread = threading.Thread(target=live, name="people", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def pause(seconds: float) -> None:
    """Wait while a failure lasts."""
    time.sleep(seconds)
