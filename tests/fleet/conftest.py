"""Run the selected scenes on one fleet, and print the tables at the end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1])]

from chaos.table import put  # noqa: E402

from fleet.environment import Fleet, running_fleet  # noqa: E402
from fleet.scenes import PEOPLE  # noqa: E402
from fleet.table import BEGIN, END, table  # noqa: E402

RESULT = pytest.StashKey[dict[str, Any]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write", type=Path, help="write the tables into this file, between their marks")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.fleet)


@pytest.fixture(scope="session")
def result(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return where the tests put their figures for the tables."""
    found = {
        "began": time.time(),
        "people": PEOPLE,
        "scenes": [],
        "hosts": [],
        "versions": {},
        "restarted": [],
    }
    request.config.stash[RESULT] = found
    return found


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory, result: dict[str, Any]) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with running_fleet(folder) as fleet:
        result["versions"] = fleet.versions
        yield fleet
        result["restarted"] = fleet.stack.restarted
        (folder / "fleet.json").write_text(json.dumps(result, indent=1))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    found = config.stash.get(RESULT, None)
    if found is None:
        return
    found["seconds"] = round(time.time() - found["began"])
    terminalreporter.section("fleet")
    terminalreporter.write_line(table(found))
    document = config.getoption("write", None)
    if document is not None:
        put(table(found), document, BEGIN, END)
