"""Mark the schemathesis tests, and print their number of cases at the end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1])]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [one for kind in ("passed", "failed") for one in terminalreporter.stats.get(kind, [])]
    found = [
        dict(one.user_properties) for one in reports if any(n == "cases" for n, _ in one.user_properties)
    ]
    if not found:
        return
    terminalreporter.section("contract")
    for one in found:
        terminalreporter.write_line(f"{one['cases']:7,}  {one['part']}")
    total, seed = sum(one["cases"] for one in found), found[0]["seed"]
    terminalreporter.write_line(f"{total:7,}  cases, seed {seed}. Again: make contract SEED={seed}")
