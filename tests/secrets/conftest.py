"""One Airflow for the whole folder: everything is run once, and what is left of it is searched by the tests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE), str(HERE.parent / "live")]

from stage import Stage, staged  # noqa: E402

from dev.checkout import single_run  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.secrets)


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    # Not among pytest's own folders, of which the oldest are removed: this one stays until the next run.
    with single_run("secrets") as home, staged(home) as found:
        found.play()
        yield found
