"""Start Airflow and the sandbox at the same time, and stop both."""

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
    """Run Airflow and the sandbox, with the provider's connections to the sandbox.

    :param home: folder for all files of both
    :param dags: the DAGs folder
    :param person: how recipients behave, as for `visio-sandbox --person`
    :param sandbox_port: port of the sandbox; 0: any free one
    :param options: further arguments of `Stack`
    """
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
