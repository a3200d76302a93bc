"""Marks the properties, and says in the end how many cases held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from properties.cases import SEED, held


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--least-cases", type=int, default=0, help="fail with fewer cases than these")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.properties)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add what another process of the same run has counted."""
    held.update(getattr(node, "workeroutput", {}).get("held", {}))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["held"] = dict(held)
        return
    if exitstatus == pytest.ExitCode.OK and held.total() < session.config.getoption("least_cases", 0):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not held:
        return
    least = config.getoption("least_cases", 0)
    short = f", fewer than {least:,}" if held.total() < least else ""
    terminalreporter.section("properties")
    for name, count in sorted(held.items()):
        terminalreporter.write_line(f"{count:7,}  {name}")
    terminalreporter.write_line(
        f"{held.total():7,}  cases in {len(held)} properties held{short}, seed {SEED}"
    )
    terminalreporter.write_line(
        f"Again: make properties SEED={SEED}    One alone: make properties SEED={SEED} ONLY=<name>"
    )
