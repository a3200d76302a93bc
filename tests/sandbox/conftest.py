"""One sandbox in its own process for the whole folder, with its clock stopped, and reset before each test."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

KEY, VIZDOM_KEY = "vsk_live_test", "vzd_test"


class Sandbox:
    """Talks to a running sandbox the way its users do: over HTTP."""

    def __init__(self, info: dict[str, str]) -> None:
        self.info = info
        self.session = requests.Session()

    def call(self, base: str, method: str, path: str, **more) -> requests.Response:
        return self.session.request(method, self.info[base] + path, timeout=20, allow_redirects=False, **more)

    def visiono(
        self, method: str, path: str, json=None, *, key: str | None = KEY, **more
    ) -> requests.Response:
        headers = ({"X-API-Key": key} if key else {}) | more.pop("headers", {})
        return self.call("visiono_url", method, path, json=json, headers=headers, **more)

    def vizdom(
        self, method: str, path: str, json=None, *, key: str | None = VIZDOM_KEY, **more
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return self.call("vizdom_url", method, path, json=json, headers=headers, **more)

    def page(self, method: str, path: str, **more) -> requests.Response:
        return self.call("url", method, path, **more)

    def control(self, method: str, path: str, json=None):
        """The answer's content; an error is the test's own mistake."""
        reply = self.call("control_url", method, path, json=json)
        assert reply.ok, reply.text
        return reply.json()

    def settings(self, **changes) -> None:
        self.control("PATCH", "/settings", changes)

    def advance(self, seconds: float) -> None:
        self.control("POST", "/time", {"advance": seconds})

    def ask(self, **body) -> dict:
        reply = self.visiono("POST", "/photo-requests", {"instructions": "Show the dent", **body})
        assert reply.status_code == 201, reply.text
        return reply.json()["data"]

    def get(self, path: str) -> dict:
        reply = self.visiono("GET", path)
        assert reply.status_code == 200, reply.text
        return reply.json()["data"]

    def status(self, request: dict) -> str:
        return self.get(f"/photo-requests/{request['id']}")["status"]

    def act(self, request: dict, action: str, **body) -> dict:
        return self.control("POST", f"/photo-requests/{request['id']}/{action}", body)

    def photos(self, request: dict) -> list[dict]:
        return self.get(f"/photo-requests/{request['id']}/download-urls")["submissions"]

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.control("GET", "/events")]


def start(folder: Path, *options: str) -> tuple[subprocess.Popen[str], Sandbox]:
    """Start a sandbox on free ports and wait for its one line of JSON."""
    process = subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_visio.sandbox", "--port", "0", "--json", *options],
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the sandbox did not start"
    return process, Sandbox(json.loads(line))


def stop(process: subprocess.Popen[str]) -> int:
    process.terminate()
    try:
        return process.wait(10)
    finally:
        process.kill()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    options = ("--visiono-key", KEY, "--vizdom-key", VIZDOM_KEY, "--speed", "0")
    process, sandbox = start(tmp_path_factory.mktemp("sandbox"), *options)
    yield sandbox
    assert stop(process) == 0


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.control("POST", "/reset")
    return running
