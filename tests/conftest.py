"""A sandbox in its own process for all tests, and an Airflow of their own for those that run tasks."""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
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
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(_HOME / "dags"),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_HOME / 'airflow.db'}",
        # Only a scheduler can lose the race that this dwell is for, and no test that needs it at zero has one.
        "AIRFLOW__VISIO__MIN_DWELL": "0",
    }
)


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
def sandbox(running_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> Sandbox:
    """A sandbox that knows nothing yet, with the default connections pointing at it."""
    running_sandbox.reset()
    clock.sandbox = running_sandbox
    clock.time = running_sandbox.control("GET", "/time")["now"]
    connect(monkeypatch, "visiono_default", running_sandbox.visiono_url, running_sandbox.visiono_key)
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
    """A clock that only moves when somebody waits; it takes a sandbox's clock along."""

    def __init__(self) -> None:
        self.time = time.time()
        self.pauses: list[float] = []
        self.sandbox: Sandbox | None = None

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds
        if self.sandbox is not None and seconds > 0:
            self.sandbox.advance(seconds)

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)
        await asyncio.sleep(0)

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        await asyncio.sleep(0)
        if not event.is_set():
            self.sleep(seconds)
        return event.is_set()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Nothing in the provider waits for real; ``clock.pauses`` has what it would have waited, in seconds."""
    from airflow_provider_visio import clock as real

    fake = FakeClock()
    for name in ("now", "sleep", "asleep", "wait"):
        monkeypatch.setattr(real, name, getattr(fake, name))
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
