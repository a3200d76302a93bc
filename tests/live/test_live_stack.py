"""Single components of a stack can be lost and started again, by name."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from dev.run_watcher import RunWatcher
    from dev.stack import Stack


@pytest.mark.parametrize("name", ["triggerer", "scheduler"])
def test_a_component_is_killed_and_comes_back(name: str, stack: Stack, runs: dict[str, RunWatcher]) -> None:
    before = {child.name: child for child in stack.children}
    processes = before[name].processes()
    assert processes

    stack.kill(name)
    assert not any(process.is_running() for process in processes)
    assert all(child.alive for child in stack.children if child.name != name)

    stack.start(name)
    stack.check_alive()
    assert stack.child(name) is not before[name]


ASK_FOR_PATIENCE = """
from airflow import settings

with settings.engine.connect() as database:
    print("waits", database.exec_driver_sql("PRAGMA busy_timeout").scalar())
"""


@pytest.mark.parametrize(("name", "milliseconds"), [("scheduler", 60_000), ("api-server", 5_000)])
def test_a_component_outlives_a_database_that_the_api_server_holds(
    name: str, milliseconds: int, stack: Stack
) -> None:
    ask = [sys.executable, "-c", ASK_FOR_PATIENCE]
    told = subprocess.run(ask, env=stack.environment(name), capture_output=True, text=True, check=True)
    assert f"waits {milliseconds}" in told.stdout.splitlines()


def test_connections_are_in_the_database(stack: Stack) -> None:
    connections = stack.api.every("/connections", "connections")
    found = {connection["connection_id"]: connection["conn_type"] for connection in connections}
    assert found["visiono_default"] == "visiono"
    assert found["vizdom_default"] == "vizdom"
