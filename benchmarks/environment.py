"""The environment of a measurement: a sandbox on a fast clock, and the processes that use it."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from benchmarks.fast_clock import FastClock
from benchmarks.message_files import Json, read_message, write_message
from dev.checkout import ROOT
from dev.polling import wait_for
from dev.processes import Child, DevError
from dev.sandbox import Sandbox
from dev.settings import environment, fernet_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

START_TIMEOUT = 60.0


class Process:
    """A module of the benchmark in its own process. Both sides write messages in a folder.

    :param module: name of the module
    :param folder: a new folder for messages and output
    :param setup: the first message to the process
    :param env: its environment variables
    """

    def __init__(self, module: str, folder: Path, setup: Json, env: Mapping[str, str]) -> None:
        folder.mkdir(parents=True)
        write_message(folder, "setup", setup)
        self.folder = folder
        self.child = Child(
            module,
            [sys.executable, "-m", module, str(folder)],
            folder / "output.log",
            env=env,
            cwd=ROOT,
            grace=2,
        )

    def message(self, name: str, timeout: float = START_TIMEOUT) -> Json:
        """Wait for a message of the process."""
        return wait_for(f"{name} of {self.child.name}", lambda: self._look(name), timeout=timeout, every=0.05)

    def has_message(self, name: str) -> bool:
        """Return whether the process has written a message."""
        return self._look(name) is not None

    def order(self, **order: Any) -> None:
        """Write the message `order`."""
        write_message(self.folder, "order", order)

    def stop(self) -> None:
        """Write the message `stop`."""
        write_message(self.folder, "stop", {})

    def _look(self, name: str) -> Json | None:
        alive = self.child.alive
        found = read_message(self.folder, name)
        if found is None and not alive:
            raise DevError(f"{self.child.name} ended. The end of its log:\n{self.child.tail()}")
        return found


class MeasurementEnvironment:
    """
    A new sandbox, and processes with connections to it. All of them end with the `with` block.

    :param folder: a folder for this measurement only.
    :param speed: virtual seconds in a real second.
    :param settings: settings of the sandbox.
    """

    def __init__(self, folder: Path, speed: float, settings: Json) -> None:
        self._folder = folder
        self._settings = settings
        self._ended = ExitStack()
        self.sandbox = Sandbox(folder / "sandbox", options=("--speed", str(speed)))

    def __enter__(self) -> Self:
        with ExitStack() as started:
            started.enter_context(self.sandbox)
            # The provider uses the sandbox's clock.
            self.sandbox.control("PATCH", "/settings", {"caller_clock": "virtual", **self._settings})
            self.clock = FastClock.of(self.sandbox)
            self._ended = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.close()

    def start(self, module: str, connections: Mapping[str, Json], host: str = "", **setup: Any) -> Process:
        """Start a module in its own process.

        The processes of a host share their temporary files, and none has those of an earlier measurement.

        :param connections: connection id -> fields
        :param host: the host that the process is on; empty: the one that it shares with all others without a name
        :param setup: further fields of the first message
        """
        home = self._folder / "airflow" / host
        home.mkdir(parents=True, exist_ok=True)
        env = environment(
            home,
            {
                **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()},
                "AIRFLOW__CORE__FERNET_KEY": fernet_key(),
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'none.db'}",
                "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self._folder / "logs"),
                "TMPDIR": str(home),
            },
        )
        messages = self._folder / host / module.rpartition(".")[2]
        process = Process(module, messages, {"clock": self.clock.as_json(), **setup}, env)
        self._ended.callback(process.child.stop)
        return process

    def counters(self) -> Json:
        """Return the numbers of calls and of 429 replies since the last reset."""
        counters = self.sandbox.control("GET", "/counters")
        return {
            "calls": sum(counters["visiono"].values()),
            "refused": counters["refused_429"]["visiono"],
        }
