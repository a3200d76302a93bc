"""Where a measurement takes place: a sandbox of its own on a fast clock, and the processes that use it."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from benchmarks.fast_clock import FastClock
from benchmarks.message_files import Json, find, leave
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
    """One of the benchmark's modules, running beside us; it and we leave notes in a folder."""

    def __init__(self, module: str, folder: Path, setup: Json, env: Mapping[str, str]) -> None:
        folder.mkdir(parents=True)
        leave(folder, "setup", setup)
        self.folder = folder
        self.child = Child(
            module,
            [sys.executable, "-m", module, str(folder)],
            folder / "output.log",
            env=env,
            cwd=ROOT,
            grace=2,
        )

    def note(self, name: str, timeout: float = START_TIMEOUT) -> Json:
        """Wait for a note."""
        return wait_for(f"{name} of {self.child.name}", lambda: self._look(name), timeout=timeout, every=0.05)

    def left(self, name: str) -> bool:
        """Whether it has left a note."""
        return self._look(name) is not None

    def order(self, **order: Any) -> None:
        """Say what to do."""
        leave(self.folder, "order", order)

    def stop(self) -> None:
        """Say that it is over."""
        leave(self.folder, "stop", {})

    def _look(self, name: str) -> Json | None:
        alive = self.child.alive
        found = find(self.folder, name)
        if found is None and not alive:
            raise DevError(f"{self.child.name} has ended:\n{self.child.tail()}")
        return found


class Stage:
    """
    A fresh sandbox, and processes whose connections lead there; all of it ends with the `with` block.

    :param folder: a folder of its own.
    :param speed: virtual seconds in a real one.
    :param settings: the sandbox's settings.
    """

    def __init__(self, folder: Path, speed: float, settings: Json) -> None:
        self._folder = folder
        self._settings = settings
        self._ended = ExitStack()
        self.sandbox = Sandbox(folder / "sandbox", options=("--speed", str(speed)))

    def __enter__(self) -> Self:
        with ExitStack() as started:
            started.enter_context(self.sandbox)
            # The provider lives on the sandbox's clock.
            self.sandbox.control("PATCH", "/settings", {"caller_clock": "virtual", **self._settings})
            self.clock = FastClock.of(self.sandbox)
            self._ended = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.close()

    def start(self, module: str, connections: Mapping[str, Json], **setup: Any) -> Process:
        """Start a module in a process of its own; all share what this machine remembers, and nothing from before."""
        home = self._folder / "airflow"
        home.mkdir(exist_ok=True)
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
        name = module.rpartition(".")[2]
        process = Process(module, self._folder / name, {"clock": self.clock.as_json(), **setup}, env)
        self._ended.callback(process.child.stop)
        return process

    def counters(self) -> Json:
        """Return calls and refused calls since the counters were cleared."""
        counters = self.sandbox.control("GET", "/counters")
        return {
            "calls": sum(counters["visiono"].values()),
            "refused": counters["refused_429"]["visiono"],
        }
