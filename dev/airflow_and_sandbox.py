"""Airflow and the sandbox together, started and ended side by side."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dev.processes import stop_all
from dev.sandbox import Sandbox
from dev.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def airflow_and_sandbox(
    home: Path, dags: Path, *, person: dict[str, Any] | None = None, sandbox_port: int = 0, **options: Any
) -> Iterator[tuple[Sandbox, Stack]]:
    """Run both in `home`, with the provider's connections in place. Options are those of `Stack`."""
    sandbox = Sandbox(home / "sandbox", port=sandbox_port, person=person)
    stack = Stack(home / "airflow", dags, **options)
    try:
        sandbox.start()
        stack.prepare()
        sandbox.wait_ready()
        stack.connections.update(sandbox.connections())
        stack.launch()
        stack.wait_ready()
        yield sandbox, stack
    finally:
        stop_all([*sandbox.children, *stack.children])
