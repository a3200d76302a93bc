"""The Test button says what it reached, or what to do."""

from __future__ import annotations

import json

import pytest
from api.local_server import Answer

from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook

KEY = "vsk_live_wrong_one"


def test_visiono_says_what_it_reached(sandbox):
    good, text = VisionoHook().test_connection()
    assert good
    assert sandbox.visiono_url in text
    assert "GET /status answered" in text
    assert text.endswith("No webhook is set up.")
    assert [call["path"] for call in sandbox.calls()] == ["/status", "/webhooks"]


def test_vizdom_says_what_it_reached(sandbox):
    good, text = VizdomHook().test_connection()
    assert good
    assert sandbox.vizdom_url in text
    assert "GET /dashboards answered" in text
    assert len(sandbox.calls()) == 1


def test_a_key_that_sees_no_dashboard_is_told(sandbox):
    sandbox.fault("vizdom", "status", status=200, body={"data": [], "meta": {"total": 0}}, times=None)
    good, text = VizdomHook().test_connection()
    assert good
    assert "sees no dashboard" in text


@pytest.mark.parametrize(("hook", "name"), [(VisionoHook, "visiono"), (VizdomHook, "vizdom")])
def test_a_wrong_key_is_told_and_not_shown(sandbox, connection, hook, name):
    url = sandbox.visiono_url if name == "visiono" else sandbox.vizdom_url
    good, text = hook(connection(f"my_{name}", url, KEY)).test_connection()
    assert not good
    assert "401" in text
    assert "Check the API key in the connection's Password" in text
    assert f"connection my_{name}" in text
    assert KEY not in text


def test_a_viewer_s_key_is_told(sandbox):
    sandbox.settings(vizdom_role="viewer")
    good, text = VizdomHook().test_connection()
    assert not good
    assert "Viewers have no API access" in text
    assert "403" in text


def test_a_host_that_nobody_answers_is_told(connection, clock):
    good, text = VisionoHook(connection("my_visiono", "http://127.0.0.1:9", KEY)).test_connection()
    assert not good
    assert "never reached: check the connection's Host" in text
    assert KEY not in text


def test_a_host_that_does_not_exist_is_told(connection):
    good, text = VisionoHook(
        connection("my_visiono", "http://no-such-host.invalid/v1", KEY)
    ).test_connection()
    assert not good
    assert "check the connection's Host" in text


def test_a_host_with_a_wrong_path_is_told(sandbox, connection):
    conn_id = connection("my_visiono", f"{sandbox.visiono_url}/nonsense", sandbox.visiono_key)
    good, text = VisionoHook(conn_id).test_connection()
    assert not good
    assert "connection's Host is the API's base URL" in text


@pytest.mark.parametrize("hook", [VisionoHook, VizdomHook])
def test_a_web_page_in_place_of_the_api_is_told(serve, connection, hook):
    server = serve(Answer(200, b"<html><title>Welcome to nginx!</title></html>"))
    good, text = hook(connection(f"my_{hook.conn_type}", server.url, KEY)).test_connection()
    assert not good
    assert 'an HTML page titled "Welcome to nginx!"' in text
    assert "Host is the API's base URL" in text
    assert KEY not in text


def test_a_redirect_is_told(serve, connection):
    server = serve(Answer(301, headers={"Location": "https://www.visiono.io/login?next=%2F"}))
    good, text = VisionoHook(connection("my_visiono", server.url, KEY)).test_connection()
    assert not good
    assert "a redirect to https://www.visiono.io" in text
    assert "Host" in text


def test_json_that_is_not_the_service_s_is_told(serve, connection):
    server = serve(Answer(200, ["hello"]))
    good, text = VisionoHook(connection("my_visiono", server.url, KEY)).test_connection()
    assert not good
    assert "without an object in `data`" in text


@pytest.mark.parametrize(
    ("fields", "advice"),
    [
        ({}, "put the Visiono key into its Password"),
        ({"password": "a b"}, "Copy the key again"),
        ({"password": KEY, "host": "ftp://x"}, "leave Host empty"),
        ({"password": KEY, "extra": {"timeout": "soon"}}, "timeout must be a number"),
        ({"password": KEY, "extra": {"ca_bundle": "/no/such/file.pem"}}, "ca_bundle"),
    ],
    ids=str,
)
def test_a_connection_that_cannot_be_used_is_told(define, fields, advice):
    good, text = VisionoHook(
        define("my_visiono", json.dumps({"conn_type": "visiono", **fields}))
    ).test_connection()
    assert not good
    assert advice in text
    assert KEY not in text


@pytest.mark.parametrize(
    ("contract", "advice"),
    [
        ({"strat_path": "/x"}, "did you mean 'start_path'"),
        ({"dashboard_field": ""}, "start_path must hold"),
        ({"invite_path": 5}, "invite_path: Input should be a valid string"),
    ],
    ids=str,
)
def test_a_contract_that_cannot_be_is_told(sandbox, connection, contract, advice):
    conn_id = connection("my_vizdom", sandbox.vizdom_url, sandbox.vizdom_key, contract=contract)
    good, text = VizdomHook(conn_id).test_connection()
    assert not good
    assert advice in text


def test_a_missing_connection_is_told():
    good, text = VisionoHook("nobody_made_it").test_connection()
    assert not good
    assert "Admin > Connections" in text


def test_a_connection_that_airflow_cannot_read_is_told(define):
    good, text = VisionoHook(
        define("my_visiono", '{"conn_type": "visiono", "port": "many"}')
    ).test_connection()
    assert not good
    assert "my_visiono" in text


def test_it_does_not_wait_for_minutes(sandbox, clock):
    # The button's request would time out in Airflow's own API server.
    sandbox.fault("visiono", "rate_limit", retry_after=100, times=None)
    good, text = VisionoHook().test_connection()
    assert not good
    assert "429" in text
    assert sum(clock.pauses) <= 30


def test_a_test_does_not_change_how_long_the_hook_waits_afterwards(sandbox, clock):
    hook = VisionoHook()
    assert hook.test_connection()[0]
    sandbox.fault("visiono", "rate_limit", retry_after=60, times=1)
    assert hook.get_status() == {"status": "ok"}
    assert 60 <= sum(clock.pauses) <= 62


def set_up(conn_id: str = "visiono_default") -> str:
    return VisionoHook().ensure_webhook(f"https://airflow.example.com/visio/webhooks/{conn_id}")["id"]


def test_visiono_says_that_a_webhook_is_set_up(sandbox):
    set_up()
    VisionoHook().update_webhook(set_up("visiono_other"), is_active=False)
    good, text = VisionoHook().test_connection()
    assert good
    assert text.endswith("Webhook endpoints: 2, 1 of them switched off; none has come yet.")


def test_visiono_says_when_the_last_webhook_came(sandbox, monkeypatch):
    """The Test button tests a connection under another id, so the endpoint's address says which inbox it is."""
    set_up("visiono_eu")
    inbox = '{"changed": "a", "at": 1796083200, "ids": ["photo_request:req_1"]}'
    monkeypatch.setenv("AIRFLOW_VAR_VISIO_WEBHOOKS_VISIONO_EU", inbox)
    good, text = VisionoHook().test_connection()
    assert good
    assert text.endswith("Webhook endpoints: 1; the last one came at 2026-12-01T00:00:00Z.")


@pytest.mark.parametrize("inbox", ["photos", '{"changed": "a", "at": 1e300, "ids": []}'])
def test_an_inbox_that_cannot_be_read_is_like_none(sandbox, monkeypatch, inbox):
    set_up()
    monkeypatch.setenv("AIRFLOW_VAR_VISIO_WEBHOOKS_VISIONO_DEFAULT", inbox)
    assert VisionoHook().test_connection()[1].endswith("none has come yet.")


@pytest.mark.parametrize(("status", "error"), [(403, "PermissionDeniedError"), (404, "NotFoundError")])
def test_a_key_that_may_not_list_webhooks_is_a_good_key(sandbox, status, error):
    sandbox.fault("visiono", "status", status=status, path="/webhooks", times=None)
    good, text = VisionoHook().test_connection()
    assert good
    assert text.endswith(f"Whether webhooks are set up cannot be read ({error}).")
