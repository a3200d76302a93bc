"""Whatever stands in a connection's fields, it is a site that can be called, or an error that says which connection."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest
from airflow.sdk.exceptions import AirflowNotFoundException
from api.drivers import Driver
from hypothesis import reject
from hypothesis import strategies as st

from airflow_provider_visio.api.call import Call
from airflow_provider_visio.api.config import ServiceConfig, base_url_from
from airflow_provider_visio.api.visiono import VISIONO, get_status
from airflow_provider_visio.api.vizdom import create_export, get_export
from airflow_provider_visio.exceptions import InvalidRequestError, VisioProviderError
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook, contract_of
from properties.cases import cases
from properties.values import KEY, json_value, leaf, text

CONN_ID = "my_connection"
VARIABLE = f"AIRFLOW_CONN_{CONN_ID.upper()}"

PIECES = [
    "http://", "https://", "HTTPS://", "ftp://", "h.example", "127.0.0.1", "localhost", "::1", "[::1]", "[::", "a..b",
    ":", ":80", ":0", ":x", "/", "/v2", "?a=b", "#f", "@", "u:p@", " ", "é", "*", "%00", "x" * 70,
]  # fmt: skip
host = st.lists(st.sampled_from(PIECES), max_size=4).map("".join) | text | st.none()
port = st.sampled_from([None, 0, 80, 443, 65535, 65536, -1, "80", "x", True, 1.5, 10**30])
schema = st.sampled_from([None, "", "http", "https", "HTTPS", "v2", "/v2/", "a/b", "ftp", " ", "\x00"]) | text
EXTRAS = [
    "timeout", "connect_timeout", "verify", "ca_bundle", "max_attempts", "rate_limit_wait", "polling_reserve",
    "calls_per_minute", "calls_per_hour", "webhook_secret", "workspace", "dashboard_url", "contract",
]  # fmt: skip
CONTRACT = ["start_path", "export_path", "formats", "done_words", "id_field", "dashboard_field", "other"]
PATHS = [
    "/e/{export_id}", "/{export_id}/{export_id!r}", "/{export_id:d}", "/{export_id!x}", "/{export_id:{x}}",
    "/{dashboard_id:d}", "/{x}", "/{", "/{0}", "e", "/e",
]  # fmt: skip
paths = st.sampled_from(PATHS)
contract = st.dictionaries(st.sampled_from(CONTRACT), paths | json_value, max_size=3) | st.fixed_dictionaries(
    {}, optional={"start_path": paths, "export_path": paths}
)
values = (
    st.sampled_from(["7", 7, "1e9", 0.1, "true", "no", "{}", '{"formats": ["pdf"]}']) | json_value | contract
)
extra = st.dictionaries(st.sampled_from(EXTRAS), values, max_size=3) | json_value
key = st.sampled_from([KEY, KEY, KEY, f" {KEY} ", None, "", f"{KEY}é", f"{KEY} x", f"{KEY}\n{KEY}"])
hooks = st.sampled_from([VisionoHook, VizdomHook])


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    """Airflow asks its database too, writes each fault to the log, and gathers what it masks for ever: all slow."""
    from airflow.sdk._shared.secrets_masker import SecretsMasker
    from airflow.sdk.definitions import connection
    from airflow.sdk.execution_time import supervisor

    backends = [b for b in supervisor.ensure_secrets_backend_loaded() if "Environment" in type(b).__name__]
    assert backends
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SecretsMasker, "add_mask", lambda *_: None)
        patch.setattr(connection.log, "exception", lambda *_: None)
        patch.setattr(supervisor, "ensure_secrets_backend_loaded", lambda: backends)
        yield
    os.environ.pop(VARIABLE, None)


def read_both(hook_class: type) -> ServiceConfig | None:
    """Read the connection in both ways, which must agree, and return the site; None where it is refused."""
    hook = hook_class(CONN_ID)
    try:
        config = hook.config()
    except (VisioProviderError, AirflowNotFoundException) as error:
        check_refusal(error)
        return None
    assert KEY in config.key
    assert KEY not in repr(config)
    return config


def check_refusal(error: Exception) -> None:
    assert CONN_ID in str(error)
    assert KEY not in str(error)


def check_site(config: ServiceConfig) -> None:
    parts = urlsplit(config.base_url)
    assert parts.scheme in {"http", "https"}
    assert parts.hostname
    check_port(config)
    assert (parts.username, parts.password, parts.query, parts.fragment) == (None, None, "", "")
    assert config.owns(get_status().url(config.base_url))
    assert config.read_timeout > 0
    assert config.connect_timeout > 0
    assert config.max_attempts >= 1
    assert 0 <= config.reserve <= 0.9
    assert config.auth


def check_port(config: ServiceConfig) -> None:
    port = urlsplit(config.base_url).port
    assert port is None or port > 0


def check_contract(config: ServiceConfig) -> None:
    try:
        found = contract_of(config)
    except VisioProviderError:
        return
    try:
        calls: list[Call] = [
            get_export("exp_1", found),
            create_export("dash_1", next(iter(found.formats)), found),
        ]
    except (VisioProviderError, IndexError):
        return
    for each in calls:
        assert each.url(config.base_url).startswith(f"{config.base_url}/")


@cases(900, hook=hooks, host=host, port=port, schema=schema, extra=extra, key=key)
def test_any_json_is_a_site_or_an_error_that_names_the_connection(hook, host, port, schema, extra, key):
    fields = {
        "conn_type": "visiono",
        "host": host,
        "port": port,
        "schema": schema,
        "extra": extra,
        "password": key,
    }
    os.environ[VARIABLE] = json.dumps({name: value for name, value in fields.items() if value is not None})
    config = read_both(hook)
    if config is not None:
        check_site(config)


@cases(400, extra=st.fixed_dictionaries({"contract": contract | json_value}))
def test_any_contract_makes_calls_or_is_refused(extra):
    os.environ[VARIABLE] = json.dumps({"conn_type": "vizdom", "password": KEY, "extra": extra})
    config = read_both(VizdomHook)
    if config is not None:
        check_contract(config)


query = st.dictionaries(st.sampled_from([*EXTRAS, "__extra__"]), leaf.map(str), max_size=3)


@cases(500, hook=hooks, host=host, port=port, schema=schema, query=query, raw=st.booleans())
def test_any_uri_is_a_site_or_an_error_that_names_the_connection(hook, host, port, schema, query, raw):
    written = [f"{n}={quote(v.encode('utf-8', 'replace'))}" for n, v in query.items()]
    parts = (
        [host or "", schema or ""]
        if raw
        else [quote((p or "").encode("utf-8", "replace")) for p in (host, schema)]
    )
    uri = f"visiono://:{KEY}@{parts[0]}{'' if port is None else f':{port}'}/{parts[1]}?{'&'.join(written)}"
    try:
        os.environ[VARIABLE] = uri
    except ValueError:
        return  # no variable can hold it
    config = read_both(hook)
    if config is not None:
        check_site(config)


@cases(100, hook=hooks, host=host, port=port, extra=extra)
def test_a_loop_reads_a_connection_as_a_worker_does(hook, host, port, extra):
    fields = {"conn_type": "visiono", "host": host, "port": port, "extra": extra, "password": KEY}
    os.environ[VARIABLE] = json.dumps({name: value for name, value in fields.items() if value is not None})
    config = read_both(hook)
    if config is not None:
        assert asyncio.run(hook(CONN_ID).async_config()) == config


seconds = st.sampled_from([0.1, 30.0, 1e6, 1e10, 1e308])


@cases(
    300, host=host, schema=schema, seconds=seconds, driver=st.sampled_from([Driver("sync"), Driver("async")])
)
def test_any_site_that_cannot_be_reached_is_an_error_of_ours(host, schema, seconds, driver):
    try:
        url = base_url_from(VISIONO, host, None, schema)
    except InvalidRequestError:
        reject()
    config = ServiceConfig(
        VISIONO, CONN_ID, url, KEY, max_attempts=1, read_timeout=seconds, connect_timeout=seconds
    )

    def nowhere(*_: object, **__: object) -> None:
        raise socket.gaierror

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", nowhere)
        try:
            driver.send(config, get_status())
        except VisioProviderError as error:
            check_refusal(error)
        else:
            raise AssertionError
