"""The lines of a `bash` block: each is run, or looked at as far as it can be without the network."""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import requests
from packaging.requirements import Requirement

from .connections import accepted
from .stage import Stage

ROOT = Path(__file__).resolve().parents[2]


def run(text: str, stage: Stage) -> None:
    """
    Run the commands of a block, one a line.

    ``pip install`` and ``airflow standalone`` are only parsed, ``make`` and ``python -m`` only looked up: they take the
    network, or minutes.
    """
    _forget_connections()
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            command = COMMANDS.get(words[0])
            assert command, f"nothing here knows how to check `{words[0]}`: {line}"
            command(words[1:], stage)


def _airflow(words: list[str], stage: Stage) -> None:
    from airflow.cli.cli_parser import get_parser

    args = get_parser().parse_args(words)
    if words == ["standalone"]:
        # It runs until somebody stops it.
        return
    stage.monkeypatch.chdir(stage.folder)
    before = _stored_connections()
    args.func(args)
    for conn_id, value in _stored_connections().items():
        if conn_id not in before:
            # A task gets it from the API server, which there is none of here.
            stage.monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", value)
            accepted(conn_id)


def _forget_connections() -> None:
    """Take away what another page has put into Airflow's database."""
    from airflow.models import Connection
    from airflow.utils.session import create_session

    with create_session() as session:
        session.query(Connection).delete()


def _stored_connections() -> dict[str, str]:
    """Return the connections in Airflow's database, as JSON."""
    from airflow.models import Connection
    from airflow.utils.session import create_session

    with create_session() as session:
        return {row.conn_id: row.as_json() for row in session.query(Connection)}


def _export(words: list[str], stage: Stage) -> None:
    (assignment,) = words
    name, _, value = assignment.partition("=")
    assert name.startswith("AIRFLOW_"), f"no test looks at {name}"
    stage.monkeypatch.setenv(name, value)
    if name.startswith("AIRFLOW_CONN_"):
        accepted(name.removeprefix("AIRFLOW_CONN_").lower())


def _make(words: list[str], stage: Stage) -> None:
    targets = re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = [word for word in words if "=" not in word]
    assert named
    assert set(named) <= set(targets)


def _pip(words: list[str], stage: Stage) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert words[0] == "install"
    # The constraints are an address, which is not fetched.
    rest = words[1 : words.index("--constraint")] if "--constraint" in words else words[1:]
    for word in rest:
        # A dot is this clone.
        wanted = Requirement(project["name"] + word[1:] if word.startswith(".") else word)
        if wanted.name == project["name"]:
            assert wanted.extras <= set(project["optional-dependencies"])


def _python(words: list[str], stage: Stage) -> None:
    assert words[0] == "-m"
    assert importlib.util.find_spec(words[1]), f"there is no module {words[1]}"


# Ids in commands stand for the object that an earlier line of the block has created.
EXAMPLE_IDS: dict[str, str] = {"req_k7m2n9p4qx": "/photo-requests", "exp_k7m2n9p4qx": "/exports"}


def _curl(words: list[str], stage: Stage) -> None:
    parser = argparse.ArgumentParser("curl")
    parser.add_argument("url")
    parser.add_argument("-X", dest="method")
    parser.add_argument("--json")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    args = parser.parse_args(words)
    url = args.url.replace("http://127.0.0.1:8400", stage.sandbox.info["url"])
    for example, path in EXAMPLE_IDS.items():
        if example in url:
            url = url.replace(example, stage.sandbox.control("GET", path)[-1]["id"])
    headers = {"Content-Type": "application/json"} if args.json else {}
    headers |= dict(header.split(": ", 1) for header in args.headers)
    method = args.method or ("POST" if args.json else "GET")
    reply = requests.request(method, url, data=args.json, headers=headers, timeout=30)
    assert reply.ok, f"{method} {args.url}: {reply.status_code} {reply.text}"


def _sandbox(words: list[str], stage: Stage) -> None:
    # The options before it are parsed first, and a wrong one is refused.
    command = [sys.executable, "-m", "airflow_provider_visio.sandbox", *words, "--help"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


COMMANDS: dict[str, Callable[[list[str], Stage], None]] = {
    "airflow": _airflow,
    "curl": _curl,
    "export": _export,
    "make": _make,
    "pip": _pip,
    "python": _python,
    "visio-sandbox": _sandbox,
}
