"""Run a real Airflow in its own folder. Each component is a process that can be stopped and started by name."""

from __future__ import annotations

import json
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import requests

from dev import database, settings
from dev.airflow_api import AirflowApi, Json
from dev.polling import wait_for
from dev.ports import free_port
from dev.processes import Child, DevError, stop_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

AIRFLOW = (sys.executable, "-m", "airflow")


@dataclass(frozen=True)
class Component:
    """A process of Airflow.

    :param command: program and arguments
    :param is_healthy: returns whether the process is healthy, by the REST API or by its log
    :param environment: further environment variables of this component
    """

    command: tuple[str, ...]
    is_healthy: Callable[[AirflowApi, Child], bool]
    environment: Mapping[str, str] = field(default_factory=dict)


def answers(api: AirflowApi, _child: Child) -> bool:
    """Return whether the API server is ready for tasks."""
    return api.is_ready_for_tasks()


def beats(key: str) -> Callable[[AirflowApi, Child], bool]:
    """Return a check of a component that Airflow has once: whether it had a heartbeat after its start.

    :param key: its key in the health reply
    """

    def look(api: AirflowApi, child: Child) -> bool:
        status = api.health()[key]
        beat = status.get(f"latest_{key}_heartbeat")
        return status["status"] == "healthy" and _is_since(child, beat)

    return look


def beats_on(host: str, job_type: str) -> Callable[[AirflowApi, Child], bool]:
    """Return a check of a component that Airflow has on several hosts.

    :param host: its host, as `[core] hostname_callable` names it
    :param job_type: such as `TriggererJob`
    """

    def look(api: AirflowApi, child: Child) -> bool:
        jobs = api.get("/jobs", hostname=host, job_type=job_type, job_state="running")["jobs"]
        return any(_is_since(child, job["start_date"]) for job in jobs)

    return look


def logs_line(text: str) -> Callable[[AirflowApi, Child], bool]:
    """Return a check of a component that writes a text to its log when it is ready."""
    return lambda _api, child: text in child.output()


def _is_since(child: Child, moment: str | None) -> bool:
    return bool(moment) and datetime.fromisoformat(str(moment)).timestamp() >= child.started


# No log servers: they listen on every interface, and the API server reads the logs folder itself.
COMPONENTS: Mapping[str, Component] = {
    "api-server": Component(
        (sys.executable, "-P", str(Path(__file__).with_name("airflow_fast_start.py")), "api-server"), answers
    ),
    "scheduler": Component((*AIRFLOW, "scheduler", "--skip-serve-logs"), beats("scheduler")),
    "dag-processor": Component((*AIRFLOW, "dag-processor"), beats("dag_processor")),
    "triggerer": Component((*AIRFLOW, "triggerer", "--skip-serve-logs"), beats("triggerer")),
}
# Characters; enough for the exception that ends a crash's log.
MAX_LAST_LINE = 160
# Airflow's API server writes to SQLite on its event loop. If another of its calls holds the lock, both wait until
# SQLite's timeout of five seconds. The other components must wait longer than that, or they fail.
LOCK_TIMEOUT = 60
FINAL_RUN_STATES = frozenset({"success", "failed"})


class Stack:
    """`with Stack(...) as stack:` starts an Airflow on the loopback interface, and always stops it.

    :param home: folder for settings, database and logs
    :param dags: the DAGs folder
    :param components: name -> component, in the order of their start; None: one of each kind, with LocalExecutor
    :param database_url: metadata database; None: an SQLite file in `home`
    :param connections: connection id -> fields, as in an `AIRFLOW_CONN_...` variable in JSON
    :param connections_in_environment: pass the connections in environment variables, and not in the database. The UI
        does not show them then. The triggerer starts seconds faster, because it builds no API to the database
    :param port: preferred port of the API server; another free one is used if it is busy
    :param parallelism: number of tasks that run at the same time
    :param config: changes to airflow.cfg: section -> option -> value
    :param environment: further environment variables for all components
    :param cache: folder that keeps the empty migrated database between runs
    :param grace: seconds between SIGTERM and SIGKILL of a component
    :param base_path: path of Airflow's base URL, such as `/airflow`
    :param login: name and password of an administrator, if `config` has users; None: all users are
    :param restarts: total number of restarts of components that end by themselves, as a service manager does
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        *,
        components: Mapping[str, Component] | None = None,
        database_url: str | None = None,
        connections: Mapping[str, Mapping[str, Any]] | None = None,
        connections_in_environment: bool = False,
        port: int | None = None,
        parallelism: int = 4,
        config: Mapping[str, Mapping[str, object]] | None = None,
        environment: Mapping[str, str] | None = None,
        cache: Path | None = None,
        grace: float = 5.0,
        restarts: int = 0,
        login: tuple[str, str] | None = None,
        base_path: str = "",
    ) -> None:
        self.home = home.resolve()
        self.port = free_port(port)
        self.url = f"http://127.0.0.1:{self.port}{base_path}"
        self.api = AirflowApi(self.url, login)
        self.connections = {name: dict(fields) for name, fields in (connections or {}).items()}
        self._connections_in_environment = connections_in_environment
        self._dags = dags.resolve()
        self._components = COMPONENTS if components is None else components
        self._database_url = database_url
        self._parallelism = parallelism
        self._config = config or {}
        self._extra_environment = dict(environment or {})
        self._cache = cache or self.home.parent
        self._grace = grace
        self._restarts = restarts
        self._children: dict[str, Child] = {}
        # Held while a component is stopped, so that `check_alive` does not take this for a crash.
        self._changing = threading.RLock()
        self.restarted: list[str] = []

    def __enter__(self) -> Self:
        try:
            self.prepare()
            self.launch()
            self.wait_ready()
        except BaseException:
            self.stop_all()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all()

    @property
    def logs(self) -> Path:
        """Return the logs folder of components and tasks."""
        return self.home / "logs"

    @property
    def _database_file(self) -> Path:
        return self.home / "airflow.db"

    def environment(self, component: str | None = None) -> dict[str, str]:
        """Return the environment variables of a component, or of an `airflow` command."""
        extra = dict(self._extra_environment)
        if component is not None:
            extra |= self._components[component].environment
        if self._database_url is None and component not in {None, "api-server"}:
            url = database.sqlite_url(self._database_file, lock_timeout=LOCK_TIMEOUT)
            extra["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = url
        if self._connections_in_environment:
            for name, fields in self.connections.items():
                extra[settings.CONNECTION_PREFIX + name.upper()] = json.dumps(fields)
        return settings.environment(self.home, extra)

    def prepare(self) -> None:
        """Write the settings and create the database."""
        self.logs.mkdir(parents=True, exist_ok=True)
        file = self._database_file
        config = settings.defaults(
            self.home,
            self._dags,
            self._database_url or database.sqlite_url(file),
            self.port,
            self._parallelism,
            self.url,
        )
        settings.write(settings.merge(config, self._config), self.home / "airflow.cfg")
        if self._database_url is not None:
            database.migrate(self.environment(), self.logs / "migrate.log")
        elif not file.exists():
            database.create_from_template(file, self._cache)

    def launch(self) -> None:
        """Start all components without waiting. Call `prepare` first."""
        for name in self._components:
            self.start(name, wait=False)

    def wait_ready(self, timeout: float = 180) -> None:
        """Wait until all components are healthy, then store the connections."""
        self.wait_healthy(timeout=timeout)
        if not self._connections_in_environment:
            self.add_connections(self.connections)

    def add_connections(self, connections: Mapping[str, Mapping[str, Any]]) -> None:
        """Store connections in the database, as a user does in the UI."""
        for conn_id, fields in connections.items():
            self.api.add_connection(conn_id, dict(fields))

    def start(self, name: str, *, wait: bool = True, timeout: float = 120) -> None:
        """Start a component that does not run, and wait until it is healthy."""
        with self._changing:
            if name in self._children and self._children[name].alive:
                raise ValueError(f"{name} already runs")
            self._children[name] = Child(
                name,
                self._components[name].command,
                self.logs / f"{name}.log",
                env=self.environment(name),
                cwd=self.home,
                grace=self._grace,
            )
        if wait:
            self.wait_healthy([name], timeout=timeout)

    def stop(self, name: str) -> None:
        """Stop a component (SIGTERM, then SIGKILL after the grace period)."""
        with self._changing:
            self._children.pop(name).stop()

    def kill(self, name: str) -> None:
        """Kill a component and its descendants at once, as if its machine were lost."""
        with self._changing:
            self._children.pop(name).kill()

    @property
    def children(self) -> list[Child]:
        """Return all started components, except those that `stop` or `kill` ended."""
        return list(self._children.values())

    def child(self, name: str) -> Child:
        """Return the process of a component."""
        return self._children[name]

    def stop_all(self) -> None:
        """Stop all components at the same time."""
        stop_all(self.children)

    def wait_until(self, what: str, look: Callable[[], object], *, timeout: float, every: float) -> None:
        """Wait for a condition while all components run. A busy machine may answer late.

        :param what: the condition, for the error
        :param look: returns whether it is true
        :param timeout: seconds
        :param every: seconds between two looks
        """

        def look_or_retry() -> bool:
            self.check_alive()
            with suppress(requests.ConnectionError, requests.Timeout):
                return bool(look())
            return False

        wait_for(what, look_or_retry, timeout=timeout, every=every)

    def check_alive(self) -> None:
        """Check that all components run. Restart those that ended, as `restarts` allows.

        :raises DevError: a component has ended and may not be restarted
        """
        with self._changing:
            for child in self.children:
                if child.alive:
                    continue
                if len(self.restarted) >= self._restarts:
                    raise DevError(
                        f"the {child.name} ended ({child.exit_code}). The end of {child.log}:\n{child.tail()}"
                    )
                last_line = child.tail(1).strip()[:MAX_LAST_LINE]
                self.restarted.append(f"{child.name} ({child.exit_code}): {last_line}")
                self.start(child.name, wait=False)

    def wait_healthy(self, names: Iterable[str] | None = None, *, timeout: float = 180) -> None:
        """Wait until components are healthy, with a heartbeat after their start.

        :param names: names of the components; None: all
        :raises DevError: they are not healthy within `timeout` seconds
        """
        missing = list(self._components if names is None else names)

        def look() -> bool:
            nonlocal missing
            self.check_alive()
            try:
                missing = [name for name in missing if not self._is_healthy(name)]
            except requests.RequestException:
                return False
            return not missing

        try:
            wait_for("Airflow", look, timeout=timeout)
        except DevError as error:
            if not missing:
                raise
            tails = "\n".join(f"--- {name}\n{self._children[name].tail(15)}" for name in missing)
            raise DevError(f"{error}; not healthy: {', '.join(missing)}\n{tails}") from None

    def _is_healthy(self, name: str) -> bool:
        return self._components[name].is_healthy(self.api, self._children[name])

    def wait_for_dag(self, dag_id: str, timeout: float = 120) -> None:
        """Wait until the DAG processor has read the DAG.

        :raises DevError: a DAG file has an import error, or the DAG is not found within `timeout` seconds
        """

        def look() -> bool:
            self.check_alive()
            if self.api.find(f"/dags/{dag_id}"):
                return True
            errors = self.api.import_errors()
            if errors:
                texts = "\n".join(f"{error['filename']}\n{error['stack_trace']}" for error in errors)
                raise DevError(f"a DAG file has an import error:\n{texts}")
            return False

        wait_for(f"DAG {dag_id}", look, timeout=timeout)

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 300) -> Json:
        """Poll a run until it has ended, with success or failure. The API server may be down meanwhile.

        :return: the run, as the REST API describes it
        """

        def look() -> Json | None:
            self.check_alive()
            try:
                run = self.api.run(dag_id, run_id)
            except requests.ConnectionError:
                return None
            return run if run["state"] in FINAL_RUN_STATES else None

        return wait_for(f"end of {dag_id}", look, timeout=timeout, every=0.5)
