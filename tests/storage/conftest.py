"""Files in an object store."""

from typing import Any

import pytest
from conftest import Sandbox, connect
from tasks.conftest import *  # noqa: F403  the fixtures that run a task as Airflow does


@pytest.fixture
def parallel_downloads() -> int:
    """How many files a task fetches at once; one, so that they come in order, unless a test parametrizes it."""
    return 1


@pytest.fixture
def sandbox(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, visiono_dialect: str, parallel_downloads: int
) -> Sandbox:
    extra: dict[str, Any] = {} if visiono_dialect == "both" else {"dialect": visiono_dialect}
    connect(
        monkeypatch,
        "visiono_default",
        sandbox.visiono_url,
        sandbox.visiono_key,
        parallel_downloads=parallel_downloads,
        **extra,
    )
    return sandbox
