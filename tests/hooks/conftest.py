"""Hooks over connections as people write them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
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
