"""Airflow's own triggerer carries the poll's metrics to a statsd server, and keeps its log apart from the task's."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tasks.streams import ask, shared_streams

HERE = Path(__file__).parent.parent / "tasks"

pytestmark = shared_streams


@dataclass
class Run:
    event: dict[str, Any]
    metrics: dict[str, str]
    triggerer_log: str
    task_log: list[str]


@pytest.fixture
def triggerer(sandbox, tmp_path: Path) -> Callable[..., Run]:
    """Run a trigger in Airflow's triggerer, on its real clock, with this process as the statsd server."""

    def run(path: str, kwargs: dict[str, Any]) -> Run:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            env = {
                **os.environ,
                "AIRFLOW_HOME": str(tmp_path),
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path / 'airflow.db'}",
                "AIRFLOW__METRICS__STATSD_ON": "True",
                "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
                "AIRFLOW__METRICS__STATSD_PORT": str(server.getsockname()[1]),
                "PYTHONPATH": os.pathsep.join([str(HERE / "stand_ins"), os.environ.get("PYTHONPATH", "")]),
                "TMPDIR": str(tmp_path),
            }
            command = [sys.executable, str(HERE / "small_triggerer.py"), path, json.dumps(kwargs)]
            done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
            lines = received(server)
        event = re.search(r"^EVENT (.*)$", done.stdout, re.MULTILINE)
        assert event, done.stdout + done.stderr
        return Run(
            json.loads(event[1]),
            dict(line.rsplit(":", 1) for line in lines),
            done.stdout + done.stderr,
            (tmp_path / "logs" / "task.log").read_text().splitlines(),
        )

    return run


def received(server: socket.socket) -> list[str]:
    server.setblocking(False)
    lines = []
    while True:
        try:
            lines.append(server.recv(4096).decode())
        except BlockingIOError:
            return lines


PHOTOS = "airflow_provider_visio.triggers.visiono.VisionoPhotoRequestTrigger"


def wait(request_id: str) -> dict[str, Any]:
    return {"visiono_conn_id": "visiono_default", "request_ids": [request_id], "min_dwell": 0}


@pytest.fixture
def submitted(sandbox) -> str:
    (request_id,) = ask(1)
    sandbox.act(request_id, "submit")
    return request_id


def test_the_metrics_arrive(triggerer, submitted):
    run = triggerer(PHOTOS, wait(submitted))
    assert run.event["outcome"] == "done"
    ours = {name: value for name, value in run.metrics.items() if ".visio." in name}
    assert set(ours) == {
        "airflow.visio.poll.waits",
        "airflow.visio.poll.calls",
        "airflow.visio.poll.interval",
        "airflow.visio.poll.budget_left.60s",
        "airflow.visio.poll.budget_left.3600s",
    }
    assert ours["airflow.visio.poll.waits"] == "1|g"
    assert ours["airflow.visio.poll.calls"] == "1|c"
    # A quarter is left to others; two calls were made, and one too many is counted where both fall into a millisecond.
    assert ours["airflow.visio.poll.budget_left.60s"] in {f"{60 * 3 // 4 - n}|g" for n in (1, 2, 3)}
    assert ours["airflow.visio.poll.budget_left.3600s"] in {f"{1000 * 3 // 4 - n}|g" for n in (1, 2)}
    # A minute, a tenth more or less, less the time that the look itself took: that is the machine's.
    assert 30 <= float(ours["airflow.visio.poll.interval"].removesuffix("|g")) <= 66
    assert run.metrics["airflow.triggers.running"], "Airflow's own come the same way"


def test_the_triggerer_s_log_has_the_poll_and_the_task_s_its_wait(triggerer, submitted, sandbox):
    run = triggerer(PHOTOS, wait(submitted))
    task = [json.loads(line)["event"] for line in run.task_log]
    assert any(
        line.startswith("Waiting for 1 photo request(s) on connection visiono_default") for line in task
    )
    assert "The wait ends: its goal is reached. The task continues on a worker." in task
    assert not [line for line in task if "serves" in line or "Poll" in line]
    assert run.triggerer_log.count("on connection visiono_default serves 1 wait(s): 1 call(s)") == 1
    assert "The wait ends" not in run.triggerer_log
    assert sandbox.visiono_key not in run.triggerer_log + "".join(run.task_log)


def test_trouble_of_the_shared_poll_is_in_the_triggerer_s_log(triggerer, submitted, sandbox):
    sandbox.keys(visiono=["another"])
    run = triggerer(PHOTOS, wait(submitted))
    assert (run.event["outcome"], run.event["trouble"]) == ("trouble", "AuthenticationError (401)")
    task = [json.loads(line)["event"] for line in run.task_log]
    assert (
        "The wait ends: the service cannot be polled (AuthenticationError (401)). The task continues on a worker."
    ) in task
    assert not [line for line in task if "Poll failed" in line]
    assert "Poll failed (1 of 5 in a row): AuthenticationError (401)" in run.triggerer_log
