"""Run the sandbox as a child process, and call its control interface."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Self

import requests

from dev.polling import wait_for
from dev.processes import Child, DevError, ignore_signals

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

Json = dict[str, Any]
TIMEOUT = (5, 30)
START_TIMEOUT = 30


class Sandbox:
    """`with Sandbox(folder) as sandbox:` starts a sandbox and always stops it.

    :param folder: folder for its log and its info file
    :param port: the main port; 0: any free one
    :param person: how recipients behave, as for `visio-sandbox --person`
    :param options: further options of `visio-sandbox`
    """

    def __init__(
        self, folder: Path, *, port: int = 0, person: Json | None = None, options: tuple[str, ...] = ()
    ) -> None:
        self.log = folder / "sandbox.log"
        self._info_file = folder / "sandbox.json"
        self._command = [
            *(sys.executable, "-m", "airflow_provider_visio.sandbox"),
            *("--port", str(port), "--info-file", str(self._info_file)),
            *(("--person", json.dumps(person)) if person else ()),
            *options,
        ]
        self._child: Child | None = None
        self._session = requests.Session()
        self._session.trust_env = False
        self.info: Json = {}

    def start(self) -> None:
        """Start the process without waiting. Call `wait_ready` afterwards."""
        self._info_file.parent.mkdir(parents=True, exist_ok=True)
        self._info_file.unlink(missing_ok=True)
        self._child = Child("sandbox", self._command, self.log, grace=3)

    def wait_ready(self) -> None:
        """Wait until the sandbox accepts calls, and read its info file."""
        wait_for("the sandbox", self._look, timeout=START_TIMEOUT, every=0.05)
        self.info = json.loads(self._info_file.read_text())

    def _look(self) -> bool:
        self.check_alive()
        return self._info_file.is_file()

    def check_alive(self) -> None:
        """Check that the sandbox runs.

        :raises DevError: it has ended
        """
        if self._child is not None and not self._child.alive:
            raise DevError(
                f"the sandbox ended with exit code {self._child.exit_code}. The end of its log:\n{self._child.tail()}"
            )

    @property
    def children(self) -> list[Child]:
        """Return the process in a list, which is empty before the start."""
        return [self._child] if self._child else []

    def stop(self) -> None:
        """Stop the process, if it runs."""
        if self._child is not None:
            with ignore_signals():
                self._child.stop()

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def connections(self) -> dict[str, Json]:
        """Return the provider's connections to this sandbox, in the sandbox's dialect.

        :return: connection id -> fields
        """
        dialect = self.info["dialect"]
        return {
            "visiono_default": {
                "conn_type": "visiono",
                "host": self.info["visiono_url"],
                "password": self.info["visiono_key"],
                **({} if dialect == "both" else {"extra": {"dialect": dialect}}),
            },
            "vizdom_default": {
                "conn_type": "vizdom",
                "host": self.info["vizdom_url"],
                "password": self.info["vizdom_key"],
                "extra": {"dashboard_url": f"{self.info['url']}/app/dashboards/{{dashboard_id}}"},
            },
        }

    def create_webhook(self, url: str, events: tuple[str, ...]) -> str:
        """Create a webhook endpoint, as a user does in the dashboard.

        :return: its secret
        """
        reply = self._session.post(
            f"{self.info['visiono_url']}/webhooks",
            json={"url": url, "events": events},
            headers={"X-API-Key": self.info["visiono_key"]},
            timeout=TIMEOUT,
        )
        reply.raise_for_status()
        return str(reply.json()["data"]["secret"])

    def control(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """Call the control interface, such as `control("GET", "/counters")`.

        :return: the reply's JSON, or None if the reply is empty
        :raises requests.HTTPError: the reply has an error status
        """
        reply = self._session.request(
            method, f"{self.info['control_url']}{path}", params=params, json=body, timeout=TIMEOUT
        )
        if not reply.ok:
            text = f"{method} {path}: {reply.status_code} {reply.text[:500]}"
            raise requests.HTTPError(text, response=reply)
        return reply.json() if reply.content else None

    def events(self, after: int = 0) -> list[Json]:
        """Return the events after event number `after`."""
        events: list[Json] = self.control("GET", "/events", after=after)
        return events

    def add_fault(self, **fault: Any) -> None:
        """Add a fault; docs/sandbox.md lists its fields."""
        self.control("POST", "/faults", fault)
