"""`make up` and `make demo` as a developer meets them: busy ports, Ctrl-C, trouble."""

from __future__ import annotations

import json
import signal
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
import requests
from terminal import Terminal

from dev.ports import is_free
from dev.up import AIRFLOW_PORT, SANDBOX_PORT

if TYPE_CHECKING:
    from pathlib import Path

START = 200
END = 30


def listen(port: int) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen()
    return server


def test_up_avoids_busy_ports_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with ExitStack() as ending:
        for port in (AIRFLOW_PORT, SANDBOX_PORT):
            if is_free(port):
                ending.enter_context(listen(port))
        up = ending.enter_context(Terminal("dev.up", "--work", str(tmp_path)))
        up.wait_for_text("Ctrl-C stops everything", START)
        assert f"port {AIRFLOW_PORT} is busy: Airflow gets " in up.output
        assert f"port {SANDBOX_PORT} is busy: the sandbox gets " in up.output
        recipients = next(line.split()[1] for line in up.output.splitlines() if "recipients  http" in line)
        assert requests.get(recipients, timeout=5).ok

        up.signal_group(signal.SIGINT)

        assert up.wait_for_end(END) == 0
    # The API server, the scheduler and its workers, the DAG processor, the triggerer and its runner,
    # the sandbox, and a guard for each.
    assert len(up.seen) > 12
    assert up.survivors() == []
    assert "Traceback" not in up.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_can_be_stopped_while_it_starts(number: signal.Signals, tmp_path: Path) -> None:
    with Terminal("dev.up", "--work", str(tmp_path)) as up:
        up.wait_for_text("starting the sandbox and Airflow", START)
        up.wait_for_processes(8, START)
        up.signal_group(number)
        assert up.wait_for_end(END) == 0
    assert up.survivors() == []
    assert "everything is stopped" in up.output
    assert "Traceback" not in up.output


def test_a_failing_demo_says_why_and_exits_non_zero(tmp_path: Path) -> None:
    fault = {
        "service": "visiono",
        "method": "POST",
        "path": "/photo-requests",
        "times": None,
        "kind": "status",
        "status": 403,
        "body": {
            "error": {"code": "forbidden", "message": "The plan of this account has no photo requests."}
        },
    }
    arguments = [
        "--work",
        str(tmp_path / "work"),
        "--output",
        str(tmp_path / "out"),
        "--fault",
        json.dumps(fault),
    ]
    with Terminal("dev.demo", *arguments) as demo:
        assert demo.wait_for_end(START + 60) == 1
    assert demo.survivors() == []
    assert "--- log of " in demo.output
    assert "The plan of this account has no photo requests." in demo.output
    assert "Traceback" not in demo.output
