"""The sandbox as a child process, and a small client for its control interface."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Self

import requests

from dev.polling import wait_for
from dev.processes import Child, DevError, undisturbed

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

Json = dict[str, Any]
TIMEOUT = (5, 30)
START_TIMEOUT = 30


class Sandbox:
    """Both services on ports of their own. `with Sandbox(folder) as sandbox:` starts it and always ends it.

    :param folder: where its log and its info file go
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
        """Start without waiting; `wait_ready` waits."""
        self._info_file.parent.mkdir(parents=True, exist_ok=True)
        self._info_file.unlink(missing_ok=True)
        self._child = Child("sandbox", self._command, self.log, grace=3)

    def wait_ready(self) -> None:
        """Wait until both ports accept calls."""
        wait_for("the sandbox", self._look, timeout=START_TIMEOUT, every=0.05)
        self.info = json.loads(self._info_file.read_text())

    def _look(self) -> bool:
        self.check_alive()
        return self._info_file.is_file()

    def check_alive(self) -> None:
        """Complain when the sandbox has ended by itself."""
        if self._child is not None and not self._child.alive:
            raise DevError(f"the sandbox ended (exit code {self._child.exit_code}):\n{self._child.tail()}")

    @property
    def children(self) -> list[Child]:
        """Return its process, if it was started."""
        return [self._child] if self._child else []

    def stop(self) -> None:
        """End it, if it runs."""
        if self._child is not None:
            with undisturbed():
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
        """Make the connections that the provider needs to reach this sandbox, in the dialect it was started with."""
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

    def control(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """Call the control interface, e.g. `control("GET", "/counters")`."""
        reply = self._session.request(
            method, f"{self.info['control_url']}{path}", params=params, json=body, timeout=TIMEOUT
        )
        if not reply.ok:
            text = f"{method} {path}: {reply.status_code} {reply.text[:500]}"
            raise requests.HTTPError(text, response=reply)
        return reply.json() if reply.content else None

    def events(self, after: int = 0) -> list[Json]:
        """Read what happened since event number `after`."""
        events: list[Json] = self.control("GET", "/events", after=after)
        return events

    def add_fault(self, **fault: Any) -> None:
        """Make the sandbox misbehave; see its control interface."""
        self.control("POST", "/faults", fault)
