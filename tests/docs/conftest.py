from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from api.local_server import Answer, LocalServer
from conftest import Sandbox

from .bucket import bucket
from .stage import Stage

pytest.register_assert_rewrite("docs.connections", "docs.scenes", "docs.shell")


@pytest.fixture
def stage(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    serve: Callable[..., LocalServer],
    run_dag: Callable[..., Any],
    later: Callable[[float, Callable[[], Any]], None],
) -> Iterator[Stage]:
    """A world of its own for one block."""
    gateway = serve(Answer(202, {"accepted": True}, {"Content-Type": "application/json"}))
    with bucket() as store:
        yield Stage(sandbox, monkeypatch, tmp_path, store, gateway, run_dag, later)
