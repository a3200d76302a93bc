"""A key that was rotated is read again from the connection, once."""

from __future__ import annotations

import asyncio
import json

import pytest

from airflow_provider_visio.api.visiono import get_status
from airflow_provider_visio.exceptions import AuthenticationError
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook


def rotate(sandbox, monkeypatch, key="vsk_live_new"):
    """Regenerate the key at the service, and put the new one into the connection."""
    sandbox.keys(visiono=[key])
    fields = {"conn_type": "visiono", "host": sandbox.visiono_url, "password": key}
    monkeypatch.setenv("AIRFLOW_CONN_VISIONO_DEFAULT", json.dumps(fields))


def test_a_hook_that_lives_on_takes_the_new_key(sandbox, monkeypatch):
    hook = VisionoHook()
    hook.get_status()
    rotate(sandbox, monkeypatch)
    assert hook.create_photo_request("A photo")["status"] == "pending"
    assert sandbox.count("visiono", "POST /photo-requests") == 2
    assert len(sandbox.control("GET", "/photo-requests")) == 1
    hook.get_status()
    assert sandbox.count("visiono", "GET /status") == 2


def test_it_can_be_rotated_again(sandbox, monkeypatch):
    hook = VisionoHook()
    for n in range(3):
        rotate(sandbox, monkeypatch, f"vsk_live_{n}")
        assert hook.get_status() == {"status": "ok"}


def test_a_trigger_that_lives_on_takes_the_new_key(sandbox, monkeypatch):
    async def go():
        client = await VisionoHook().get_async_conn()
        try:
            await client.send(get_status())
            rotate(sandbox, monkeypatch)
            return (await client.send(get_status()))["data"]
        finally:
            await client.close()

    assert asyncio.run(go()) == {"status": "ok"}


def test_a_polling_client_takes_the_new_key_too(sandbox, monkeypatch):
    async def go():
        client = await VisionoHook().get_polling_conn()
        try:
            rotate(sandbox, monkeypatch)
            found = (await client.send(get_status()))["data"]
            return found, client.config.max_attempts, client.config.rate_limit_wait
        finally:
            await client.close()

    assert asyncio.run(go()) == ({"status": "ok"}, 1, 0.0)


@pytest.mark.parametrize("hook", [VisionoHook, VizdomHook])
def test_a_revoked_key_fails_after_one_more_try(sandbox, hook):
    sandbox.keys(visiono=[], vizdom=[])
    with pytest.raises(AuthenticationError) as caught:
        hook().request("GET", "/status" if hook is VisionoHook else "/dashboards")
    assert len(sandbox.calls()) == 2
    assert caught.value.status == 401
    for part in ("mistyped, revoked or regenerated", f"connection {hook.default_conn_name}"):
        assert part in str(caught.value)
    assert sandbox.visiono_key not in str(caught.value)
