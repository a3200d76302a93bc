"""Hooks over connections as people write them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from api.local_server import LocalServer
from conftest import Sandbox

from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook


@pytest.fixture
def visiono(sandbox: Sandbox) -> VisionoHook:
    return VisionoHook()


@pytest.fixture
def vizdom(sandbox: Sandbox) -> VizdomHook:
    return VizdomHook()


@pytest.fixture
def define(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """Define a connection by its text, JSON or URI, as it stands in the environment."""

    def write(conn_id: str, text: str) -> str:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", text)
        return conn_id

    return write


@pytest.fixture
def serve() -> Iterator[Callable[..., LocalServer]]:
    """Start small servers, and stop them in the end."""
    running: list[LocalServer] = []

    def start(*script: Any, **options: Any) -> LocalServer:
        running.append(LocalServer(*script, **options))
        return running[-1]

    yield start
    for server in running:
        server.close()
