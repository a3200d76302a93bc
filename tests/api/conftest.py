"""A site for each service, both drivers, and small servers for what the sandbox cannot do."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Sandbox

from airflow_provider_visio.api.config import ServiceConfig
from airflow_provider_visio.api.visiono import VISIONO
from airflow_provider_visio.api.vizdom import VIZDOM
from api.drivers import Driver

KEY = "vsk_live_secret_1"


@pytest.fixture(params=["sync", "async"])
def driver(request: pytest.FixtureRequest) -> Driver:
    return Driver(request.param)


@pytest.fixture
def visiono(sandbox: Sandbox) -> ServiceConfig:
    return ServiceConfig(VISIONO, "visiono_default", sandbox.visiono_url, sandbox.visiono_key)


@pytest.fixture
def vizdom(sandbox: Sandbox) -> ServiceConfig:
    return ServiceConfig(VIZDOM, "vizdom_default", sandbox.vizdom_url, sandbox.vizdom_key)


@pytest.fixture
def config_at() -> Callable[..., ServiceConfig]:
    """Return a function that makes a Visiono site at an address."""

    def make(url: str, **more: Any) -> ServiceConfig:
        return ServiceConfig(VISIONO, "my_visiono", url, KEY, **more)

    return make


@pytest.fixture
def closed_port() -> int:
    """A port of this machine on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(autouse=True)
def no_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns are counted to the second here; what the margin is for has a test of its own."""
    from airflow_provider_visio.api import rate_limit as budget

    monkeypatch.setattr(budget, "MARGIN", 0.0)
