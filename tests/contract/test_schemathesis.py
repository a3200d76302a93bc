"""The sandbox matches the documents in all checks of schemathesis, in both dialects."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dev.contract.documents import closed, load, spoken_in
from dev.sandbox import Sandbox

pytestmark = pytest.mark.contract

HERE = Path(__file__).resolve().parent
SEED = os.environ.get("CONTRACT_SEED", "4")
LEAST = 2000


@dataclass(frozen=True)
class Part:
    """Some calls of a service, tested in one process.

    :param paths: a regular expression for their paths
    :param examples: how many cases at random each call gets, beside those that follow from the document
    :param least: fewer cases than these are a failure
    :param without: a check that does not hold there
    """

    service: str
    dialect: str
    paths: str
    examples: int
    least: int
    phases: str = "examples,coverage,fuzzing,stateful"
    without: str = ""

    def __str__(self) -> str:
        return f"{self.service} {self.dialect} {self.paths}"


PARTS = [
    Part("visiono", "both", "^/(photo-requests|st)", 20, 600),
    Part("visiono", "both", "^/(permanent-links|smart-links)", 12, 700),
    Part("visiono", "both", "^/webhooks", 20, 300),
    # Cases from the document alone are the same in one dialect and in both.
    Part("visiono", "reference", "^/", 10, 120, "examples,fuzzing,stateful"),
    # In the plugin's dialect, a cancelled request can still be read (assumed).
    Part("visiono", "plugin", "^/", 10, 200, "examples,fuzzing,stateful", "use_after_free"),
    Part("vizdom", "both", "^/", 20, 400),
]

UNLIMITED = {"visiono_per_minute": 10**9, "visiono_per_hour": 10**9, "vizdom_per_minute": 10**9}


def test_there_are_enough_cases():
    assert sum(part.least for part in PARTS) >= LEAST


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_sandbox_keeps_to_the_contract(part, tmp_path, record_property):
    with Sandbox(tmp_path / "sandbox") as sandbox:
        sandbox.control("PATCH", "/settings", {**UNLIMITED, "dialect": part.dialect, "export_seconds": 0})
        done, report = schemathesis(part, sandbox.info, tmp_path)
    for name, value in (("part", str(part)), ("cases", cases(report)), ("seed", SEED)):
        record_property(name, value)
    assert done.returncode == 0, f"seed {SEED}\n{done.stdout}\n{done.stderr}"
    assert report["operations"]["tested"] == report["operations"]["selected"] > 0
    assert cases(report) >= part.least


def cases(report: dict[str, Any]) -> int:
    return report["test_cases"]["generated"] if report else 0


def schemathesis(
    part: Part, info: dict[str, Any], folder: Path
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    document, report = folder / "openapi.json", folder / "report.json"
    document.write_text(json.dumps(closed(spoken_in(load(part.service), part.dialect))))
    key = {
        "visiono": f"X-API-Key: {info['visiono_key']}",
        "vizdom": f"Authorization: Bearer {info['vizdom_key']}",
    }
    command = [
        *(
            sys.executable,
            "-m",
            "schemathesis.cli",
            "--no-color",
            "--config-file",
            str(HERE / "schemathesis.toml"),
        ),
        *("run", str(document), "--url", info[f"{part.service}_url"], "--header", key[part.service]),
        *("--phases", part.phases, "--mode", "all"),
        *("--include-path-regex", part.paths, "--max-examples", str(part.examples), "--seed", SEED),
        *(("--exclude-checks", part.without) if part.without else ()),
        # One worker: threads cause errors in CPython 3.11's parser. Each part is a process.
        *("--workers", "1", "--report", "json", "--report-json-path", str(report)),
    ]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks"}
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE), environment.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    return done, json.loads(report.read_text()) if report.exists() else {}
