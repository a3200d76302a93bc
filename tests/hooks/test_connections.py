"""Connections in every form that Airflow takes reach the service, and wrong ones say what to change."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook
from airflow.sdk import Connection
from api.local_server import Answer

from airflow_provider_visio.exceptions import AuthenticationError, InvalidRequestError
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook


def status_of(conn_id):
    return VisionoHook(conn_id).get_status()


def round_trip(**fields):
    """A connection as ``airflow connections get -o json`` shows its URI."""
    return Connection(conn_id="my_visiono", conn_type="visiono", **fields).get_uri()


def test_a_json_connection_reaches_the_service(sandbox, define):
    text = json.dumps({"conn_type": "visiono", "host": sandbox.visiono_url, "password": sandbox.visiono_key})
    assert status_of(define("my_visiono", text)) == {"status": "ok"}


def test_json_with_extras_as_text_reaches_the_service(sandbox, define):
    fields = {"conn_type": "visiono", "host": sandbox.visiono_url, "password": sandbox.visiono_key}
    conn_id = define("my_visiono", json.dumps({**fields, "extra": '{"timeout": "7", "max_attempts": "2"}'}))
    config = VisionoHook(conn_id).config()
    assert (config.read_timeout, config.max_attempts) == (7.0, 2)
    assert status_of(conn_id) == {"status": "ok"}


def test_json_with_a_port_and_a_schema_reaches_the_service(sandbox, define):
    port = int(sandbox.visiono_url.split(":")[2].split("/")[0])
    fields = {"conn_type": "visiono", "host": "127.0.0.1", "port": port, "schema": "visiono/v1"}
    assert status_of(define("my_visiono", json.dumps({**fields, "password": sandbox.visiono_key}))) == {
        "status": "ok"
    }


@pytest.mark.parametrize(
    "query", ["", "?timeout=7&max_attempts=2&verify=true", "?__extra__=%7B%22timeout%22%3A+7%7D"]
)
def test_a_uri_reaches_the_service(sandbox, define, query):
    uri = f"visiono://:{quote(sandbox.visiono_key)}@{sandbox.visiono_url.removeprefix('http://')}{query}"
    conn_id = define("my_visiono", uri)
    assert status_of(conn_id) == {"status": "ok"}
    if query:
        assert VisionoHook(conn_id).config().read_timeout == 7.0


def test_a_uri_with_a_scheme_reaches_the_service(sandbox, define):
    uri = f"visiono://http://:{sandbox.visiono_key}@{sandbox.visiono_url.removeprefix('http://')}"
    assert status_of(define("my_visiono", uri)) == {"status": "ok"}


@pytest.mark.parametrize(
    "extra",
    [
        None,
        {"timeout": "7"},
        {"timeout": 7, "verify": False},
        {"timeout": 7, "contract": {"formats": ["pdf"]}},
    ],
)
@pytest.mark.parametrize("key", [None, "k/y+with%odd@signs:"])
def test_the_uri_that_airflow_writes_reaches_the_service(sandbox, define, extra, key):
    key = key or sandbox.visiono_key
    sandbox.keys(visiono=[key])
    uri = round_trip(host=sandbox.visiono_url, password=key, extra=json.dumps(extra) if extra else None)
    conn_id = define("my_visiono", uri)
    assert status_of(conn_id) == {"status": "ok"}
    assert VisionoHook(conn_id).config().read_timeout == (7.0 if extra else 30.0)


def test_a_uri_round_trip_of_host_and_port_reaches_the_service(sandbox, define):
    host, path = sandbox.visiono_url.removeprefix("http://").split("/", 1)
    name, port = host.split(":")
    uri = round_trip(
        host=name, port=int(port), schema=path, password=sandbox.visiono_key, extra='{"timeout": "7"}'
    )
    assert status_of(define("my_visiono", uri)) == {"status": "ok"}


def test_a_vizdom_uri_reaches_the_service(sandbox, define):
    uri = f"vizdom://:{sandbox.vizdom_key}@{sandbox.vizdom_url.removeprefix('http://')}"
    assert VizdomHook(define("my_vizdom", uri)).get_dashboard("dash_abc123")["name"] == "Q4 Revenue Overview"


def test_a_generic_connection_type_will_do(sandbox, define):
    text = json.dumps({"conn_type": "http", "host": sandbox.visiono_url, "password": sandbox.visiono_key})
    assert status_of(define("my_visiono", text)) == {"status": "ok"}


@pytest.mark.parametrize("kind", [None, "", "generic", "http", "https"])
@pytest.mark.parametrize("hook", [VisionoHook, VizdomHook])
def test_a_type_that_names_no_service_needs_no_host(define, hook, kind):
    config = hook(define("my_conn", json.dumps({"conn_type": kind, "password": "key12345"}))).config()
    assert (config.base_url, config.key) == (hook.service.default_base_url, "key12345")


def test_another_type_will_do_with_a_host(sandbox, define):
    text = json.dumps({"conn_type": "my_proxy", "host": sandbox.visiono_url, "password": sandbox.visiono_key})
    assert status_of(define("my_visiono", text)) == {"status": "ok"}


@pytest.mark.parametrize(
    ("hook", "kind", "host", "advice"),
    [
        (VisionoHook, "vizdom", None, "Name a connection of the type 'visiono'."),
        (VisionoHook, "Vizdom", "sandbox", "Name a connection of the type 'visiono'."),
        (VizdomHook, "visiono", None, "Name a connection of the type 'vizdom'."),
        (VizdomHook, "visiono", "sandbox", "Name a connection of the type 'vizdom'."),
        (VisionoHook, "aws", None, "or give this one Visiono's base URL as its Host."),
        (VizdomHook, "aws", " ", "or give this one Vizdom's base URL as its Host."),
    ],
)
@pytest.mark.parametrize("password", ["key12345", None])
def test_another_service_s_key_is_not_sent(sandbox, define, hook, kind, host, advice, password):
    host = sandbox.visiono_url if host == "sandbox" else host
    conn_id = define("my_conn", json.dumps({"conn_type": kind, "host": host, "password": password}))
    for reads in (hook(conn_id).config, lambda: asyncio.run(hook(conn_id).async_config())):
        with pytest.raises(InvalidRequestError) as caught:
            reads()
        assert list(caught.value.fields) == ["conn_type"]
        for part in ("'my_conn'", repr(kind.lower()), hook.service.name, advice):
            assert part in str(caught.value)
        assert "key12345" not in str(caught.value)
    assert hook(conn_id).test_connection() == (False, str(caught.value))
    assert sandbox.calls() == []


def test_a_trigger_reads_the_same_connection(sandbox, define):
    uri = f"visiono://:{sandbox.visiono_key}@{sandbox.visiono_url.removeprefix('http://')}?timeout=7"
    hook = VisionoHook(define("my_visiono", uri))
    assert asyncio.run(hook.async_config()) == hook.config()


@pytest.mark.parametrize(
    ("hook", "uri", "base_url"),
    [
        (VisionoHook, "visiono://:key12345@", "https://api.visio.now/v1"),
        (VizdomHook, "vizdom://:key12345@/?timeout=5", "https://api.vizdom.ai/v1"),
        (VisionoHook, '{"conn_type": "visiono", "password": "key12345"}', "https://api.visio.now/v1"),
        (
            VisionoHook,
            '{"conn_type": "visiono", "password": "key12345", "host": ""}',
            "https://api.visio.now/v1",
        ),
        (
            VizdomHook,
            '{"conn_type": "vizdom", "password": "key12345", "host": null}',
            "https://api.vizdom.ai/v1",
        ),
    ],
)
def test_no_host_means_the_documented_base_url(define, hook, uri, base_url):
    assert hook(define("my_conn", uri)).config().base_url == base_url


def test_a_hook_reads_no_connection_before_its_first_call(sandbox):
    assert VisionoHook("no_such_connection").conn_id == "no_such_connection"
    assert VizdomHook(vizdom_conn_id="no_such_connection").vizdom_conn_id == "no_such_connection"


def test_a_key_may_have_blanks_around_it(sandbox, define):
    text = json.dumps(
        {"conn_type": "visiono", "host": sandbox.visiono_url, "password": f" {sandbox.visiono_key}\n"}
    )
    assert status_of(define("my_visiono", text)) == {"status": "ok"}


@pytest.mark.parametrize("hook", [VisionoHook, VizdomHook])
def test_a_missing_connection_says_how_to_make_it(sandbox, hook):
    with pytest.raises(AirflowNotFoundException) as caught:
        hook("nobody_made_it").get_conn()
    kind = hook.conn_type
    for part in (
        "nobody_made_it",
        "Admin > Connections",
        f"airflow connections add nobody_made_it --conn-type {kind}",
    ):
        assert part in str(caught.value)


def test_a_missing_connection_says_the_same_in_a_trigger(sandbox):
    with pytest.raises(AirflowNotFoundException, match="airflow connections add nobody_made_it"):
        asyncio.run(VisionoHook("nobody_made_it").async_config())


@pytest.mark.parametrize("password", [None, "", "  \n"])
def test_a_missing_key_says_where_to_put_it(define, password):
    conn_id = define("my_visiono", json.dumps({"conn_type": "visiono", "password": password}))
    with pytest.raises(
        AuthenticationError, match="'my_visiono' has no API key: put the Visiono key into its Password"
    ) as caught:
        status_of(conn_id)
    assert caught.value.conn_id == "my_visiono"


@pytest.mark.parametrize(
    "key", ["vsk_live_a\nb", "vsk_live_a b", "vsk_live_ä", "vsk_live_\x00", "vsk_live_“x”", "vsk\u200blive"]
)
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(define, key):
    conn_id = define("my_visiono", json.dumps({"conn_type": "visiono", "password": key}))
    with pytest.raises(AuthenticationError, match="Copy the key again") as caught:
        status_of(conn_id)
    assert "my_visiono" in str(caught.value)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("extra", "advice"),
    [
        ({"timeout": "soon"}, "timeout must be a number of at least 0.1"),
        ({"timeout": 0}, "timeout must be a number of at least 0.1"),
        ({"timeout": -5}, "timeout must be a number of at least 0.1"),
        ({"timeout": True}, "timeout must be a number"),
        ({"timeout": "nan"}, "timeout must be a number"),
        ({"timeout": "inf"}, "timeout must be a number"),
        ({"timeout": [5]}, "timeout must be a number"),
        ({"timeout": 86_401}, "timeout must be a number of at least 0.1 and at most 86400"),
        ({"connect_timeout": 0}, "connect_timeout must be a number of at least 0.1"),
        ({"connect_timeout": 1e10}, "connect_timeout must be a number of at least 0.1 and at most 86400"),
        ({"max_attempts": 0}, "max_attempts must be a whole number of at least 1"),
        ({"max_attempts": 2.5}, "max_attempts must be a whole number"),
        ({"rate_limit_wait": -1}, "rate_limit_wait must be a number of at least 0"),
        ({"verify": "maybe"}, "verify must be true or false"),
        ({"calls_per_minute": "many"}, "calls_per_minute must be a whole number"),
    ],
    ids=str,
)
def test_a_bad_extra_says_what_it_must_be(define, extra, advice):
    conn_id = define(
        "my_visiono", json.dumps({"conn_type": "visiono", "password": "key12345", "extra": extra})
    )
    with pytest.raises(InvalidRequestError) as caught:
        VisionoHook(conn_id).get_conn()
    assert advice in str(caught.value)
    assert "'my_visiono' cannot be used" in str(caught.value)
    assert caught.value.conn_id == "my_visiono"


@pytest.mark.parametrize(
    ("extra", "advice"),
    [
        ({"contract": "{not json"}, "contract must be JSON"),
        ({"contract": {"start": "/x"}}, "'start' is not one of"),
        ({"contract": {"done_words": "x"}}, "done_words: Input should be a valid tuple"),
    ],
)
def test_a_bad_contract_says_what_it_must_be(sandbox, define, extra, advice):
    fields = {"conn_type": "vizdom", "host": sandbox.vizdom_url, "password": sandbox.vizdom_key}
    hook = VizdomHook(define("my_vizdom", json.dumps({**fields, "extra": extra})))
    with pytest.raises(InvalidRequestError, match=advice):
        hook.create_export("dash_abc123", "pdf")
    assert sandbox.calls() == []


@pytest.mark.parametrize("extra", ["timeout=5", "[1, 2]", '"text"'])
def test_extras_that_are_no_json_object_are_not_passed_over(define, extra):
    conn_id = define(
        "my_visiono", json.dumps({"conn_type": "visiono", "password": "key12345", "extra": extra})
    )
    try:
        BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        pytest.skip("this Airflow has no connection with such extras")
    with pytest.raises(InvalidRequestError, match="JSON object"):
        VisionoHook(conn_id).get_conn()


@pytest.mark.parametrize("port", [65536, -1])
def test_a_bad_port_says_what_to_give(define, port):
    fields = {"conn_type": "visiono", "password": "key12345", "host": "api.visio.now", "port": port}
    with pytest.raises(
        InvalidRequestError, match=r"'my_visiono' cannot be used: port: .* 1 to 65535"
    ) as caught:
        VisionoHook(define("my_visiono", json.dumps(fields))).get_conn()
    assert caught.value.conn_id == "my_visiono"


@pytest.mark.parametrize("host", ["ftp://x", "api visio now", "https://user:secret@api.visio.now/v1"])
def test_a_bad_host_says_what_to_give(define, host):
    conn_id = define("my_visiono", json.dumps({"conn_type": "visiono", "password": "key12345", "host": host}))
    with pytest.raises(InvalidRequestError) as caught:
        status_of(conn_id)
    for part in ("'my_visiono'", "https://api.visio.now/v1", "leave Host empty"):
        assert part in str(caught.value)
    assert "secret" not in str(caught.value)
    assert ".." not in str(caught.value)


@pytest.mark.parametrize(
    ("extra", "verify"),
    [
        ({}, True),
        ({"verify": True}, True),
        ({"verify": "True"}, True),
        ({"verify": "false"}, False),
        ({"verify": 0}, False),
        ({"verify": ""}, True),
        ({"ca_bundle": "/etc/ca.pem"}, True),
        ({"ca_bundle": "/etc/ca.pem", "ca_bundle_only": True}, "/etc/ca.pem"),
        ({"ca_bundle": " "}, True),
        ({"ca_bundle": "/etc/ca.pem", "verify": "no"}, False),
        ({"ca_bundle": "/etc/ca.pem", "ca_bundle_only": "yes", "verify": "no"}, False),
    ],
    ids=str,
)
def test_extras_say_what_to_trust(define, extra, verify):
    conn_id = define(
        "my_visiono", json.dumps({"conn_type": "visiono", "password": "key12345", "extra": extra})
    )
    config = VisionoHook(conn_id).config()
    assert config.verify == verify
    added = extra.get("ca_bundle", "").strip() and verify is True
    assert config.ca_bundle == ("/etc/ca.pem" if added else None)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"password": "***"}, "Password"),
        ({"extra": {"workflow_secret": "***"}}, "workflow_secret"),
        ({"extra": {"webhook_secret": " *** "}}, "webhook_secret"),
        ({"extra": {"proxy": "***"}}, "proxy"),
    ],
    ids=str,
)
def test_a_mask_of_airflow_is_no_secret(sandbox, define, fields, named):
    text = json.dumps(
        {"conn_type": "visiono", "host": sandbox.visiono_url, "password": sandbox.visiono_key, **fields}
    )
    with pytest.raises((AuthenticationError, InvalidRequestError)) as caught:
        status_of(define("my_visiono", text))
    for part in ("'my_visiono'", named, "Airflow shows in place of a secret"):
        assert part in str(caught.value)
    assert sandbox.calls() == []


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ({"proxy": "me:hunter2@proxy.example.com:3128"}, "proxy must be a URL such as http://"),
        ({"proxy": "ftp://me:hunter2@proxy.example.com"}, "proxy must be a URL such as http://"),
        ({"proxy": "http://me:hunter2@proxy.example.com:x"}, "proxy must be a URL such as http://"),
        ({"ca_bundle_only": True}, "ca_bundle_only needs a ca_bundle"),
    ],
    ids=str,
)
def test_a_way_that_cannot_be_is_refused_without_its_password(define, extra, problem):
    text = json.dumps({"conn_type": "visiono", "password": "key12345", "extra": extra})
    with pytest.raises(InvalidRequestError, match=problem) as caught:
        status_of(define("my_visiono", text))
    assert "hunter2" not in str(caught.value)


def test_a_proxy_of_the_extras_is_the_one_of_the_calls(sandbox, serve, connection):
    proxy = serve(Answer(200, {"data": {"status": "proxied"}}))
    conn_id = connection("my_visiono", sandbox.visiono_url, sandbox.visiono_key, proxy=proxy.url)
    assert status_of(conn_id) == {"status": "proxied"}
    assert sandbox.calls() == []


def test_timeouts_of_the_extras_are_those_of_the_calls(sandbox, connection, clock):
    from airflow_provider_visio.exceptions import ConnectionFailedError

    conn_id = connection("my_visiono", sandbox.visiono_url, sandbox.visiono_key, timeout=0.2, max_attempts=2)
    sandbox.fault("visiono", "delay", seconds=2, times=None)
    with pytest.raises(ConnectionFailedError):
        status_of(conn_id)
    assert len(sandbox.calls()) == 2
    assert len(clock.pauses) == 1
