"""Which base URL a connection means."""

from __future__ import annotations

import pytest

from airflow_provider_visio.api.config import ServiceConfig, base_url_from
from airflow_provider_visio.api.visiono import VISIONO
from airflow_provider_visio.api.vizdom import VIZDOM
from airflow_provider_visio.exceptions import InvalidRequestError


@pytest.mark.parametrize(
    ("host", "port", "schema", "expected"),
    [
        (None, None, None, "https://api.visio.now/v1"),
        ("", None, "", "https://api.visio.now/v1"),
        ("  ", None, None, "https://api.visio.now/v1"),
        ("api.visio.now", None, None, "https://api.visio.now/v1"),
        ("https://api.visio.now", None, None, "https://api.visio.now/v1"),
        ("https://api.visio.now/v1", None, None, "https://api.visio.now/v1"),
        ("https://api.visio.now/v1/", None, None, "https://api.visio.now/v1"),
        (" https://api.visio.now/v1//", None, None, "https://api.visio.now/v1"),
        ("www.visiono.io/api/v1", None, None, "https://www.visiono.io/api/v1"),
        ("HTTPS://api.visio.now/v1", None, None, "https://api.visio.now/v1"),
        ("api.visio.now", 8443, None, "https://api.visio.now:8443/v1"),
        ("api.visio.now/v2", 8443, None, "https://api.visio.now:8443/v2"),
        ("api.visio.now:9000", 8443, None, "https://api.visio.now:9000/v1"),
        ("api.visio.now:", 8443, None, "https://api.visio.now:8443/v1"),
        ("api.visio.now:", None, None, "https://api.visio.now/v1"),
        ("api.visio.now", "8443", None, "https://api.visio.now:8443/v1"),
        ("api.visio.now", 65535, None, "https://api.visio.now:65535/v1"),
        ("api.visio.now", 0, None, "https://api.visio.now/v1"),
        ("api.visio.now", None, "https", "https://api.visio.now/v1"),
        ("gateway.internal", None, "http", "http://gateway.internal/v1"),
        ("gateway.internal", 80, "HTTP", "http://gateway.internal:80/v1"),
        ("http://gateway.internal/v1", None, "https", "http://gateway.internal/v1"),
        ("127.0.0.1", 8400, "visiono/v1", "http://127.0.0.1:8400/visiono/v1"),
        ("127.0.0.1:8400/visiono/v1", None, "", "http://127.0.0.1:8400/visiono/v1"),
        ("http://127.0.0.1", 8400, "/visiono/v1/", "http://127.0.0.1:8400/visiono/v1"),
        ("127.0.0.1", 8400, "https", "https://127.0.0.1:8400/v1"),
        ("localhost", 8400, None, "http://localhost:8400/v1"),
        ("LocalHost:8400/v1", None, None, "http://LocalHost:8400/v1"),
        ("[::1]:8400/v1", None, None, "http://[::1]:8400/v1"),
        # What Airflow makes of visiono://:key@[::1]:8400/visiono/v1
        ("::1", 8400, "visiono/v1", "http://[::1]:8400/visiono/v1"),
        ("localhost.example.com/v1", None, None, "https://localhost.example.com/v1"),
        ("127.0.0.1.example.com", None, None, "https://127.0.0.1.example.com/v1"),
        ("api.visio.now", None, "v2", "https://api.visio.now/v2"),
        ("https://api.visio.now/base", None, "v2", "https://api.visio.now/base/v2"),
    ],
)
def test_a_connection_means_this_base_url(host, port, schema, expected):
    assert base_url_from(VISIONO, host, port, schema) == expected


def test_no_host_means_the_documented_base_url_of_each_service():
    assert base_url_from(VIZDOM, None, None, None) == "https://api.vizdom.ai/v1"


@pytest.mark.parametrize(
    "host",
    [
        "ftp://api.visio.now/v1",
        "file:///etc/passwd",
        "https://",
        "https:///v1",
        "https://user:secret@api.visio.now/v1",
        "user@api.visio.now",
        "api visio now",
        "https://api.visio.now/v 1",
        "https://api.visio.now:port/v1",
        "https://api.visio.now:99999/v1",
        "https://[::1/v1",
        "https://api.visio.now:0/v1",
        "api..visio.now",
        f"{'a' * 64}.visio.now",
        "h\ud800",
    ],
)
def test_a_host_that_cannot_be_called_is_refused_with_a_good_example(host):
    with pytest.raises(InvalidRequestError) as caught:
        base_url_from(VISIONO, host, None, None)
    text = str(caught.value)
    assert "https://api.visio.now/v1" in text
    assert "leave Host empty" in text
    assert "secret" not in text


@pytest.mark.parametrize(
    "schema", ["?0", "#0", "v1?a=b", "https://h/x?sig=abc", "v 1", "v\x001", "\ud800"], ids=ascii
)
@pytest.mark.parametrize("host", ["api.visio.now", "https://api.visio.now/base"])
def test_a_schema_that_is_no_path_is_refused_with_what_to_write(host, schema):
    with pytest.raises(InvalidRequestError, match="must be http, https or a path") as caught:
        base_url_from(VISIONO, host, None, schema)
    assert list(caught.value.fields) == ["schema"]


@pytest.mark.parametrize("port", [65536, -1, 10**30, "x", True, 1.5], ids=str)
def test_a_port_that_is_none_is_refused_with_what_to_write(port):
    with pytest.raises(InvalidRequestError, match="a whole number from 1 to 65535") as caught:
        base_url_from(VISIONO, "api.visio.now", port, None)
    assert list(caught.value.fields) == ["port"]


@pytest.mark.parametrize(
    ("url", "owned"),
    [
        ("https://api.visio.now/files/1?x=1", True),
        ("https://API.visio.now:443/", True),
        ("http://api.visio.now/files/1", False),
        ("https://api.visio.now:8443/", False),
        ("https://storage.visio.now/", False),
        ("https://api.visio.now.evil.test/", False),
        ("https://api.visio.now@evil.test/", False),
        ("/files/1", False),
    ],
)
def test_only_the_api_s_own_origin_may_see_the_key(url, owned):
    assert ServiceConfig(VISIONO, "c", "https://api.visio.now/v1", "k").owns(url) is owned


def test_a_site_never_shows_its_key():
    config = ServiceConfig(
        VISIONO, "c", "https://api.visio.now/v1", "vsk_live_x", extra={"webhook_secret": "whsec_y"}
    )
    assert "vsk_live_x" not in repr(config)
    assert "whsec_y" not in repr(config)


def test_each_service_has_its_own_way_to_send_the_key():
    assert ServiceConfig(VISIONO, "c", "https://x", "k").auth == {"X-API-Key": "k"}
    assert ServiceConfig(VIZDOM, "c", "https://x", "k").auth == {"Authorization": "Bearer k"}
