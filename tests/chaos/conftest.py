"""Run the selected scenes once for all tests, and print the table at the end."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1])]

from chaos.environment import chaos_environment  # noqa: E402
from chaos.outcome import Outcome  # noqa: E402
from chaos.run_scenes import run_scenes  # noqa: E402
from chaos.scenes import scenes  # noqa: E402
from chaos.table import FILE, put, table  # noqa: E402

SEED = int(os.environ.get("CHAOS_SEED") or "4")
SCENES = {scene.name: scene for scene in scenes(SEED)}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write", type=Path, help="write the table into this file, between its marks")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.chaos)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "outcome" in metafunc.fixturenames:
        metafunc.parametrize("outcome", list(SCENES), indirect=True, scope="session")


@pytest.fixture(scope="session")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Return the outcome of each selected scene."""
    chosen = {item.callspec.params["outcome"] for item in request.session.items if hasattr(item, "callspec")}
    folder = tmp_path_factory.mktemp("chaos")
    began = time.time()
    with chaos_environment(folder, [SCENES[name] for name in SCENES if name in chosen]) as env:
        played = run_scenes(env, [SCENES[name] for name in SCENES if name in chosen])
        calls = env.sandbox.control("GET", "/calls")
        result: dict[str, Any] = {
            "seed": SEED,
            "seconds": round(time.time() - began),
            "versions": env.versions,
            "calls": len(calls),
            "restarted": env.stack.restarted,
            "refused": {
                status: sum(call["status"] == status for call in calls) for status in (401, 403, 422, 429)
            },
            "scenes": [outcome.as_json() for outcome in played.values()],
        }
    path = folder / FILE
    path.write_text(json.dumps(result, indent=1))
    request.config.stash[RESULT] = (result, path)
    return played


@pytest.fixture(scope="session")
def outcome(request: pytest.FixtureRequest, outcomes: dict[str, Outcome]) -> Outcome:
    return outcomes[request.param]


RESULT = pytest.StashKey[tuple[dict[str, Any], Path]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    found = config.stash.get(RESULT, None)
    if found is None:
        return
    result, path = found
    terminalreporter.section("chaos")
    terminalreporter.write_line(table(result))
    terminalreporter.write_line(f"{path}")
    document = config.getoption("write", None)
    if document is not None:
        put(table(result), document)
    terminalreporter.write_line(
        f"Run again: make chaos SEED={SEED}    Run one scene: make chaos SEED={SEED} ONLY=<name>"
    )
