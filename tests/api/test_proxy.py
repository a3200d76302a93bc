"""A connection's own proxy, for the API and for files; its password is shown nowhere."""

from __future__ import annotations

import base64
import logging

import pytest

from airflow_provider_visio.api import visiono as api
from airflow_provider_visio.api.client import Client
from airflow_provider_visio.exceptions import ConnectionFailedError, ServiceError
from api.local_server import Answer, LocalServer

PASSWORD = "hunter two/2"
GOOD = Answer(200, {"data": {"id": "req_1"}})


@pytest.fixture(autouse=True)
def no_proxy_environment(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def with_password(proxy: LocalServer) -> str:
    return proxy.url.replace("http://", "http://me:hunter%20two%2F2@")


def test_calls_go_through_the_proxy_with_its_password(driver, serve, config_at):
    proxy = serve(GOOD)
    config = config_at("http://visiono.test/v1", proxy=with_password(proxy))
    assert driver.send(config, api.get_status())["data"] == {"id": "req_1"}
    assert [call.path for call in proxy.received] == ["http://visiono.test/v1/status"]
    basic = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    assert proxy.received[0].headers["proxy-authorization"] == f"Basic {basic}"


def test_files_go_through_it_too(serve, config_at):
    proxy = serve(Answer(200, b"bytes"))
    config = config_at("http://visiono.test/v1", proxy=with_password(proxy))
    client = Client(config, lambda: config)
    with client.open("http://files.test/a.jpg?signature=x") as file:
        assert b"".join(file.chunks) == b"bytes"
    client.close()
    assert [call.path for call in proxy.received] == ["http://files.test/a.jpg?signature=x"]


@pytest.mark.parametrize(
    "environment", [{"HTTP_PROXY": "http://127.0.0.1:9"}, {"NO_PROXY": "127.0.0.1,visiono.test"}]
)
def test_it_goes_before_the_environment_s(driver, serve, config_at, monkeypatch, environment):
    proxy = serve(GOOD)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    driver.send(config_at("http://visiono.test/v1", proxy=proxy.url), api.get_status())
    assert len(proxy.received) == 1


def test_without_it_the_environment_s_proxy_counts(driver, serve, config_at, monkeypatch):
    proxy = serve(GOOD)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    driver.send(config_at("http://visiono.test/v1"), api.get_status())
    assert len(proxy.received) == 1


def test_an_ipv6_range_in_no_proxy_breaks_nothing(driver, serve, config_at, monkeypatch):
    service = serve(GOOD)
    monkeypatch.setenv("NO_PROXY", "fd00::/8,127.0.0.1,::1")
    assert driver.send(config_at(service.url), api.get_status())["data"] == {"id": "req_1"}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_is_no_reply_and_its_password_no_secret_told(
    driver, closed_port, config_at, caplog, scheme
):
    caplog.set_level(logging.DEBUG)
    config = config_at(
        f"{scheme}://visiono.test/v1",
        proxy=f"http://me:hunter%20two%2F2@127.0.0.1:{closed_port}",
        max_attempts=2,
    )
    with pytest.raises(ConnectionFailedError) as caught:
        driver.send(config, api.create_photo_request("x"))
    assert not caught.value.ambiguous
    chain = [str(caught.value), str(caught.value.__cause__), repr(config), caplog.text]
    assert not [text for text in chain if "hunter" in text]


def test_a_proxy_that_repeats_the_password_is_quoted_without_it(driver, serve, config_at):
    proxy = serve(Answer(503, {"message": f"no upstream for me:{PASSWORD} or hunter%20two%2F2"}))
    config = config_at("http://visiono.test/v1", proxy=with_password(proxy), max_attempts=1)
    with pytest.raises(ServiceError, match=r"no upstream for me:\*\*\*") as caught:
        driver.send(config, api.get_status())
    assert "hunter" not in str(caught.value)
