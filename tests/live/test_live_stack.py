"""Single components of a stack can be lost and started again, by name."""

from __future__ import annotations

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


def test_connections_are_in_the_database(stack: Stack) -> None:
    connections = stack.api.every("/connections", "connections")
    found = {connection["connection_id"]: connection["conn_type"] for connection in connections}
    assert found["visiono_default"] == "visiono"
    assert found["vizdom_default"] == "vizdom"
