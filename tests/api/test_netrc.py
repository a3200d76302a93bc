"""A .netrc file neither adds credentials nor replaces ours."""

from __future__ import annotations

import pytest

from airflow_provider_visio.api import visiono as api
from airflow_provider_visio.api.client import Client
from airflow_provider_visio.api.config import ServiceConfig
from airflow_provider_visio.api.vizdom import VIZDOM, list_dashboards
from api.local_server import Answer

GOOD = Answer(200, {"data": {"id": "req_1"}})


@pytest.fixture(autouse=True)
def netrc(tmp_path, monkeypatch):
    path = tmp_path / ".netrc"
    path.write_text("machine 127.0.0.1 login mary password secret\ndefault login mary password secret\n")
    path.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(path))


def test_the_file_is_one_that_requests_would_use(serve):
    import requests

    server = serve(GOOD)
    requests.get(server.url, timeout=5)
    assert server.received[0].headers["authorization"].startswith("Basic ")


def test_it_adds_nothing_to_a_call(driver, serve, config_at):
    server = serve(GOOD)
    driver.send(config_at(server.url), api.get_status())
    assert "authorization" not in server.received[0].headers


def test_it_does_not_replace_a_bearer_key(driver, serve):
    server = serve(GOOD)
    driver.send(ServiceConfig(VIZDOM, "my_vizdom", server.url, "vzd_1"), list_dashboards())
    assert server.received[0].headers["authorization"] == "Bearer vzd_1"


def test_it_adds_nothing_to_a_file_s_link(serve, config_at):
    server = serve(Answer(200, b"bytes"))
    config = config_at("http://127.0.0.1:1")
    client = Client(config, lambda: config)
    with client.open(f"{server.url}/x?signature=y") as download:
        assert b"".join(download.chunks) == b"bytes"
    client.close()
    assert "authorization" not in server.received[0].headers
