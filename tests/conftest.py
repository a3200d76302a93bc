"""A sandbox in its own process for all tests, and an Airflow of their own for those that run tasks."""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import heapq
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from api.local_server import LocalServer

# Before anything imports Airflow: it reads its settings once.
_HOME = Path(tempfile.mkdtemp(prefix="visio-tests-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ.update(
    {
        "AIRFLOW_HOME": str(_HOME),
        # Another process of tests, with its own idea of the time, would take the part files for those of killed tasks.
        "TMPDIR": str(_HOME),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(_HOME / "dags"),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_HOME / 'airflow.db'}",
        # Only a scheduler can lose the race that this dwell is for, and no test that needs it at zero has one.
        "AIRFLOW__VISIO__MIN_DWELL": "0",
    }
)
tempfile.tempdir = str(_HOME)
_HOME.chmod(0o711)  # PostgreSQL, which runs as another user, has its files below


class Sandbox:
    """The control interface of a running sandbox."""

    def __init__(self, info: dict[str, Any]) -> None:
        self.info = info
        self.visiono_url: str = info["visiono_url"]
        self.vizdom_url: str = info["vizdom_url"]
        self.visiono_key: str = info["visiono_key"]
        self.vizdom_key: str = info["vizdom_key"]
        self.storage_url: str = info["storage_url"]
        self._http = requests.Session()

    def control(self, method: str, path: str, body: Any = None) -> Any:
        reply = self._http.request(method, f"{self.info['control_url']}{path}", json=body, timeout=30)
        assert reply.ok, f"{method} {path}: {reply.status_code} {reply.text}"
        return reply.json() if reply.content else None

    def reset(self) -> None:
        self.control("POST", "/reset")

    def settings(self, **values: Any) -> None:
        self.control("PATCH", "/settings", values)

    def fault(self, service: str, kind: str, *, times: int | None = None, **more: Any) -> None:
        """Have calls go wrong, for good unless ``times`` is given."""
        self.control("POST", "/faults", {"service": service, "kind": kind, "times": times, **more})

    def clear_faults(self) -> None:
        self.control("DELETE", "/faults")

    def person(self, behaviour: str, **more: Any) -> None:
        self.control("PUT", "/person", {"behaviour": behaviour, **more})

    def act(self, request_id: str, action: str, **body: Any) -> None:
        self.control("POST", f"/photo-requests/{request_id}/{action}", body)

    def advance(self, seconds: float) -> None:
        self.control("POST", "/time", {"advance": seconds})

    def keys(self, **keys: list[str]) -> None:
        self.control("PUT", "/keys", keys)

    def counters(self) -> dict[str, dict[str, int]]:
        return self.control("GET", "/counters")

    def count(self, service: str, route: str) -> int:
        return self.counters()[service].get(route, 0)

    def calls(self) -> list[dict[str, Any]]:
        return self.control("GET", "/calls?after=0")


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    info = _HOME / "sandbox.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_visio.sandbox", "--port", "0", "--info-file", str(info)],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while not info.exists():
            assert process.poll() is None, "the sandbox has ended"
            assert time.monotonic() < deadline, "the sandbox did not get ready"
            time.sleep(0.02)
        yield Sandbox(json.loads(info.read_text()))
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def visiono_dialect() -> str:
    """Which of Visiono's dialects the sandbox speaks; tests for one or the other parametrize it."""
    return "both"


@pytest.fixture
def sandbox(
    running_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, clock: FakeClock, visiono_dialect: str
) -> Sandbox:
    """A sandbox that knows nothing yet, with the default connections pointing at it."""
    running_sandbox.reset()
    running_sandbox.settings(dialect=visiono_dialect)
    clock.sandbox = running_sandbox
    clock.time = running_sandbox.control("GET", "/time")["now"]
    extra = {} if visiono_dialect == "both" else {"dialect": visiono_dialect}
    url, key = running_sandbox.visiono_url, running_sandbox.visiono_key
    connect(monkeypatch, "visiono_default", url, key, **extra)
    connect(monkeypatch, "vizdom_default", running_sandbox.vizdom_url, running_sandbox.vizdom_key)
    return running_sandbox


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that defines a connection: ``connection("my_id", host, key, **extras)``."""

    def define(conn_id: str, host: str, key: str, **extra: Any) -> str:
        return connect(monkeypatch, conn_id, host, key, **extra)

    return define


def connect(monkeypatch: pytest.MonkeyPatch, conn_id: str, host: str, key: str, **extra: Any) -> str:
    kind = "vizdom" if "vizdom" in conn_id else "visiono"
    value = json.dumps({"conn_type": kind, "host": host, "password": key, "extra": extra})
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", value)
    return conn_id


class FakeClock:
    """
    A clock that only moves when somebody waits; it takes a sandbox's clock along.

    On an event loop it moves to the next moment that anybody waits for, once nothing else can happen before.
    """

    def __init__(self) -> None:
        self.time = time.time()
        self.pauses: list[float] = []
        self.sandbox: Sandbox | None = None
        self.busy = 0
        self._timers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._threads = threading.Lock()
        self._mover: asyncio.Task[None] | None = None

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        with self._threads:
            self.pauses.append(seconds)
            self._advance(seconds)

    async def asleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if seconds > 0:
            await self._timer(seconds)
        else:
            await asyncio.sleep(0)

    async def wait(self, event: asyncio.Event, seconds: float | None) -> bool:
        if not event.is_set() and seconds != 0:
            came = asyncio.ensure_future(event.wait())
            timer = asyncio.get_running_loop().create_future() if seconds is None else self._timer(seconds)
            try:
                await asyncio.wait({came, timer}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if timer.done() and seconds:
                    self.pauses.append(seconds)
                came.cancel()
                timer.cancel()
        return event.is_set()

    def _timer(self, seconds: float) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        timer = loop.create_future()
        heapq.heappush(self._timers, (self.time + seconds, next(self._order), timer))
        if self._mover is None or self._mover.done() or self._mover.get_loop() is not loop:
            # Those of an earlier loop, which has ended, will not be waited for any more.
            self._timers = [entry for entry in self._timers if entry[2].get_loop() is loop]
            # A context of its own: it outlives the task that happens to start it.
            self._mover = contextvars.Context().run(loop.create_task, self._move())
        return timer

    async def _move(self) -> None:
        while self._timers:
            await self._until_quiet()
            while self._timers and self._timers[0][2].done():
                heapq.heappop(self._timers)
            if self._timers:
                moment, _, timer = heapq.heappop(self._timers)
                self._advance(moment - self.time)
                timer.set_result(None)

    async def _until_quiet(self) -> None:
        quiet = 0
        while quiet < 3:
            await asyncio.sleep(0.0005)
            ready: Any = asyncio.get_running_loop()
            quiet = 0 if self.busy or ready._ready else quiet + 1

    def _advance(self, seconds: float) -> None:
        if seconds > 0:
            self.time += seconds
            if self.sandbox is not None:
                self.sandbox.advance(seconds)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Nothing in the provider waits for real; ``clock.pauses`` has what it would have waited, in seconds."""
    from airflow_provider_visio import clock as real
    from airflow_provider_visio.api import rate_limit as ledger

    fake = FakeClock()
    for name in ("now", "sleep", "asleep", "wait"):
        monkeypatch.setattr(real, name, getattr(fake, name))
    monkeypatch.setattr(real, "ticks", fake.now)
    # Each test has books of its own, for each has a service that knows nothing yet.
    books = Path(tempfile.mkdtemp(dir=_HOME))
    monkeypatch.setattr(ledger, "_folder", lambda: books)

    # Time stands still while a thread is under way, as each HTTP exchange of a trigger is.
    in_thread = asyncio.BaseEventLoop.run_in_executor

    def counted_thread(self: Any, *args: Any) -> Any:
        fake.busy += 1
        future = in_thread(self, *args)
        future.add_done_callback(lambda _: setattr(fake, "busy", fake.busy - 1))
        return future

    monkeypatch.setattr(asyncio.BaseEventLoop, "run_in_executor", counted_thread)
    return fake


@pytest.fixture
def serve() -> Iterator[Callable[..., LocalServer]]:
    """Start small servers, and stop them in the end."""
    running: list[LocalServer] = []

    def start(*script: Any, **options: Any) -> LocalServer:
        running.append(LocalServer(*script, **options))
        return running[-1]

    yield start
    for server in running:
        server.close()


@pytest.fixture(params=["file", "memory"])
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder to store in, by its URL, on each kind of store: one that renames, and one that does not."""
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.io import attach
    from fsspec.implementations.memory import MemoryFileSystem

    if request.param == "file":
        yield f"file://{tmp_path}/out"
        return
    MemoryFileSystem.store.clear()
    attach("memory", fs=MemoryFileSystem())
    yield str(ObjectStoragePath("memory://out/photos"))  # Airflow 3.1 writes it with three slashes
    MemoryFileSystem.store.clear()


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """An Airflow database for the session."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def run_dag(airflow_database: None) -> Callable[..., Any]:
    """Return a function that runs a DAG with Airflow's own ``dag.test()``; keyword arguments become its params."""

    def run(dag: Any, **conf: Any) -> Any:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.utils.session import create_session

        try:
            from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
        except ImportError:  # Airflow 3.1
            from airflow.models.dagbag import DagBag, sync_bag_to_db
        with create_session() as session:
            DagBundlesManager().sync_bundles_to_db(session=session)
        bag = DagBag(dag_folder=os.devnull)
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)
        return dag.test(run_conf=conf or None)

    return run


@pytest.fixture
def later(clock: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[float, Callable[[], Any]], None]:
    """Return a function that has something done once so many seconds have passed: ``later(30, action)``."""
    due: list[tuple[float, Callable[[], Any]]] = []
    advance = clock._advance

    def advancing(seconds: float) -> None:
        until = clock.now() + max(0.0, seconds)
        for entry in sorted((entry for entry in due if entry[0] <= until), key=lambda entry: entry[0]):
            due.remove(entry)
            advance(entry[0] - clock.now())
            entry[1]()
        advance(until - clock.now())

    monkeypatch.setattr(clock, "_advance", advancing)
    return lambda seconds, action: due.append((clock.now() + seconds, action))
