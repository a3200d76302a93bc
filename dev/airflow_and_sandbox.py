"""Start Airflow and the sandbox at the same time, and stop both."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dev.processes import stop_all
from dev.sandbox import Sandbox
from dev.settings import merge
from dev.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The sandbox refuses a private address, as the service does; its gateway stands for this host.
WEBHOOK_URL = "https://hooks.example.com/visio/webhooks/visiono_default"
# Those that say that photos are there, or that none will come.
WEBHOOK_EVENTS = ("photo_request.submitted", "photo_request.expired", "photo_submission.created")


@contextmanager
def airflow_and_sandbox(
    home: Path,
    dags: Path,
    *,
    person: dict[str, Any] | None = None,
    sandbox_port: int = 0,
    webhooks: bool = False,
    **options: Any,
) -> Iterator[tuple[Sandbox, Stack]]:
    """Run Airflow and the sandbox, with the provider's connections to the sandbox.

    :param home: folder for all files of both
    :param dags: the DAGs folder
    :param person: how recipients behave, as for `visio-sandbox --person`
    :param sandbox_port: port of the sandbox; 0: any free one
    :param webhooks: the sandbox sends its webhooks to this Airflow, whose receiver is on
    :param options: further arguments of `Stack`
    """
    if webhooks:
        options["config"] = merge({"visio": {"webhooks": True}}, options.get("config", {}))
    stack = Stack(home / "airflow", dags, **options)
    gateway = ("--webhook-gateway", stack.url) if webhooks else ()
    sandbox = Sandbox(home / "sandbox", port=sandbox_port, person=person, options=gateway)
    try:
        sandbox.start()
        stack.prepare()
        sandbox.wait_ready()
        connections = sandbox.connections()
        if webhooks:
            extra = connections["visiono_default"].setdefault("extra", {})
            extra["webhook_secret"] = sandbox.create_webhook(WEBHOOK_URL, WEBHOOK_EVENTS)
        stack.connections.update(connections)
        stack.launch()
        stack.wait_ready()
        yield sandbox, stack
    finally:
        stop_all([*sandbox.children, *stack.children])
