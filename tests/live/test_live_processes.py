"""What `dev` starts, it ends: all of it, and nothing else."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from dev.airflow_api import AirflowApi
from dev.polling import wait_for
from dev.ports import free_port, is_free
from dev.processes import Child, DevError
from dev.stack import Component, Stack

if TYPE_CHECKING:
    from pathlib import Path

# A command with a child in a session of its own and an orphan: each writes its process id.
FAMILY = """
sleep 600 & echo $! >> {pids}
setsid sleep 600 & echo $! >> {pids}
( setsid sleep 600 & echo $! >> {pids} )
echo $$ >> {pids}
{rest}
"""
FAMILY_SIZE = 4


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    return tmp_path / "pids"


def family(pids: Path, rest: str = "wait") -> list[str]:
    return ["bash", "-c", FAMILY.format(pids=pids, rest=rest)]


def members(pids: Path) -> list[int]:
    def look() -> list[int] | None:
        found = [int(line) for line in pids.read_text().split()] if pids.exists() else []
        return found if len(found) == FAMILY_SIZE else None

    return wait_for("the family", look, timeout=10, every=0.05)


def alive(pids: list[int]) -> list[int]:
    return [
        pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    ]


def test_stop_ends_the_whole_family(tmp_path: Path, pids: Path) -> None:
    child = Child("family", family(pids), tmp_path / "log", grace=1)
    everybody = members(pids)
    assert alive(everybody) == everybody

    child.stop()

    assert not alive(everybody)
    assert not child.alive


def test_the_family_goes_when_its_head_ends_by_itself(tmp_path: Path, pids: Path) -> None:
    child = Child("family", family(pids, "echo the last word; exit 3"), tmp_path / "log", grace=0.5)
    everybody = members(pids)
    wait_for("the end", lambda: not child.alive, timeout=10, every=0.05)

    assert child.exit_code == 3
    assert child.tail() == "the last word"
    assert not alive(everybody)


def test_who_ignores_term_is_killed_after_the_grace(tmp_path: Path, pids: Path) -> None:
    child = Child(
        "deaf", family(pids, "trap '' TERM; while :; do sleep 1; done"), tmp_path / "log", grace=0.5
    )
    everybody = members(pids)
    started = time.monotonic()
    child.stop()

    assert time.monotonic() - started < 5
    assert not alive(everybody)


def test_kill_gives_no_time_to_tidy_up(tmp_path: Path, pids: Path) -> None:
    tidied = tmp_path / "tidied"
    child = Child("tidy", family(pids, f"trap 'touch {tidied}' TERM; wait; wait"), tmp_path / "log")
    everybody = members(pids)
    child.kill()

    assert not alive(everybody)
    assert not tidied.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_outlives_the_starter(number: signal.Signals, tmp_path: Path, pids: Path) -> None:
    starter = f"""
import time
from pathlib import Path
from dev.processes import Child, raise_on_signal
with raise_on_signal():
    child = Child("family", {family(pids)!r}, Path({str(tmp_path / "log")!r}), grace=0.5)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", starter], stderr=subprocess.DEVNULL) as process:
        everybody = members(pids)
        process.send_signal(number)
        process.wait(10)

    wait_for("their end", lambda: not alive(everybody), timeout=10)


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    child = Child("nobody", ["no-such-command"], tmp_path / "log", grace=0.5)
    wait_for("the end", lambda: not child.alive, timeout=10, every=0.05)

    assert child.exit_code == 127
    assert "no-such-command" in child.tail()


LIVES = "until rm order; do sleep 0.05; done 2>&-; echo the last word; exit 3"
FRAGILE = {"scheduler": Component(("bash", "-c", LIVES), lambda _api, child: child.alive)}


def end_by_itself(stack: Stack) -> None:
    (stack.home / "order").touch()
    wait_for("the end", lambda: not stack.child("scheduler").alive, timeout=10, every=0.05)


def test_a_component_that_ends_by_itself_is_complained_of(tmp_path: Path) -> None:
    stack = Stack(tmp_path, tmp_path, components=FRAGILE)
    stack.start("scheduler", wait=False)
    end_by_itself(stack)

    with pytest.raises(DevError, match=r"(?s)the scheduler ended \(3\).*the last word"):
        stack.check_alive()


def test_a_component_that_ends_by_itself_is_started_again_so_many_times(tmp_path: Path) -> None:
    stack = Stack(tmp_path, tmp_path, components=FRAGILE, restarts=1)
    stack.start("scheduler", wait=False)
    end_by_itself(stack)
    stack.check_alive()

    assert stack.child("scheduler").alive
    assert stack.restarted == ["scheduler (3): the last word"]

    end_by_itself(stack)
    with pytest.raises(DevError, match="the scheduler ended"):
        stack.check_alive()


def test_a_component_that_was_ended_is_not_started_again(tmp_path: Path) -> None:
    stack = Stack(tmp_path, tmp_path, components=FRAGILE, restarts=1)
    stack.start("scheduler", wait=False)
    stack.kill("scheduler")
    stack.check_alive()

    assert not stack.children
    assert not stack.restarted


def test_a_busy_port_is_avoided() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        assert not is_free(taken)
        assert free_port(taken) != taken
    assert free_port(taken) == taken


def test_waiting_ends() -> None:
    with pytest.raises(DevError, match="the moon: not there after 0 s"):
        wait_for("the moon", lambda: None, timeout=0)


def test_the_api_client_ignores_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        server.settimeout(5)
        import threading

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

        threading.Thread(target=answer, daemon=True).start()
        assert AirflowApi(f"http://127.0.0.1:{port}").health() == {}
