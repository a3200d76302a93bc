"""Each promise names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "reliability.md").read_text()
PROMISES = re.findall(r"^\| \*\*(.+?)\.\*\* .*\| (.+) \|$", PAGE, re.MULTILINE)


def test_there_are_seven():
    assert len(PROMISES) == 7


@pytest.mark.parametrize(("promise", "tests"), PROMISES, ids=[promise for promise, _ in PROMISES])
def test_a_promise_names_tests_that_are_there(promise, tests):
    names = re.findall(r"`([^`]+)`", tests)
    assert names
    for name in names:
        file, _, test = name.partition("::")
        assert (ROOT / file).exists(), f"{promise}: {file}"
        if test:
            assert f"def {test}(" in (ROOT / file).read_text(), f"{promise}: {name}"
