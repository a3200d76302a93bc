"""Where a page's block runs: a sandbox, an Airflow, a store for s3:// and a server that keeps what it is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from api.local_server import LocalServer
from conftest import Sandbox

from airflow_provider_visio.hooks.visiono import VisionoHook

FRAMES = Path(__file__).with_name("frames")


@dataclass
class Stage:
    """
    What a scene sets and looks at.

    :param gateway: stands in for whatever else a block calls by HTTP.
    :param later: has something done once so many seconds have passed.
    :param given: names that a snippet finds defined.
    :param conf: params of the runs.
    :param dags: the DAGs of the block.
    :param runs: how they ended, by DAG.
    :param left: the names that a snippet leaves behind.
    """

    sandbox: Sandbox
    monkeypatch: pytest.MonkeyPatch
    folder: Path
    store: dict[str, Any]
    gateway: LocalServer
    run_dag: Callable[..., Any]
    later: Callable[[float, Callable[[], Any]], None]
    given: dict[str, Any] = field(default_factory=dict)
    conf: dict[str, Any] = field(default_factory=dict)
    dags: list[Any] = field(default_factory=list)
    runs: dict[str, Any] = field(default_factory=dict)
    left: dict[str, Any] = field(default_factory=dict)

    def states(self) -> dict[str, str]:
        """Return how each task ended, of a block with one DAG."""
        (run,) = self.runs.values()
        return {
            ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]": str(ti.state)
            for ti in run.get_task_instances()
        }

    def output(self, task_id: str) -> Any:
        """Return what a task has returned, of a block with one DAG."""
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        (run,) = self.runs.values()
        with create_session() as session:
            rows = session.query(XComModel).filter_by(run_id=run.run_id, task_id=task_id, key="return_value")
            return XComModel.deserialize_value(rows.one())

    def stored(self, suffix: str = "") -> list[str]:
        """Return the files in the store."""
        return sorted(name for name in self.store if name.endswith(suffix))

    def asked(self) -> list[dict[str, Any]]:
        """Return the photo requests at the service."""
        return self.sandbox.control("GET", "/photo-requests")

    def submitted(self) -> str:
        """Return the id of a request whose photos are there."""
        request = VisionoHook().create_photo_request("Please photograph your meter.", items=["The meter"])
        self.sandbox.act(request["id"], "submit")
        return request["id"]


def framed(text: str, frame: str | None) -> str:
    """Return a block within the code that it is a part of."""
    if frame is None:
        return text
    around = (FRAMES / f"{frame}.py").read_text()
    mark = next(line for line in around.splitlines() if line.strip() == "# BLOCK")
    indent = mark[: -len("# BLOCK")]
    return around.replace(mark, "\n".join(indent + line if line else line for line in text.splitlines()))
