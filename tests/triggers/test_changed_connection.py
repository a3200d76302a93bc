"""A poll that runs reads its connection again every few minutes."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from api.local_server import Answer
from tasks.streams import fire

from airflow_provider_visio import clock as provider_clock
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.task_wait import PhotoRequestWait
from airflow_provider_visio.triggers.visiono import VisionoPermanentLinkTrigger, VisionoPhotoRequestTrigger

WARNING = "cannot be read again"


@pytest.fixture
def request_id(sandbox) -> str:
    """A request that has photos at the sandbox, and is open at the other address of the service."""
    made = VisionoHook().create_photo_request("A meter")["id"]
    sandbox.act(made, "submit")
    return made


@pytest.fixture
def elsewhere(serve, request_id) -> Any:
    return serve(Answer(200, {"data": {"id": request_id, "status": "pending"}}))


def wait(request_id: str, deadline: float | None = None) -> VisionoPhotoRequestTrigger:
    return VisionoPhotoRequestTrigger([request_id], "visiono_default", deadline, 30, 0)


def test_a_poll_goes_to_the_new_host(sandbox, clock, connection, later, request_id, elsewhere):
    connection("visiono_default", elsewhere.url, sandbox.visiono_key)
    later(600, lambda: connection("visiono_default", sandbox.visiono_url, sandbox.visiono_key))
    started = clock.now()
    event = fire(wait(request_id))
    assert event["outcome"] == "done"
    assert 600 <= clock.now() - started <= 600 + 300 + 60


def test_a_wait_on_a_worker_goes_to_the_new_host(sandbox, clock, connection, later, request_id, elsewhere):
    connection("visiono_default", elsewhere.url, sandbox.visiono_key)
    later(600, lambda: connection("visiono_default", sandbox.visiono_url, sandbox.visiono_key))
    verdict = PhotoRequestWait(VisionoHook(), 30).block([request_id], clock.now() + 1800)
    assert verdict.arrived == (request_id,)


def test_a_watch_follows_the_dialect(sandbox, connection, later):
    link_id = VisionoHook().create_permanent_link("Photograph the van")["id"]
    extra = {"dialect": "plugin"}
    later(600, lambda: connection("visiono_default", sandbox.visiono_url, sandbox.visiono_key, **extra))
    trigger = VisionoPermanentLinkTrigger(link_id, once=True, deadline=provider_clock.now() + 1800)
    assert fire(trigger)["outcome"] == "timeout"
    paths = [call["path"] for call in sandbox.calls() if "/submissions" in call["path"]]
    dialects = ["smart-links" in path for path in paths]
    assert dialects == sorted(dialects)
    assert set(dialects) == {False, True}


@pytest.mark.parametrize(
    "changed",
    [
        {"key": "vsk_live_new"},
        {"calls_per_minute": 7},
        {"verify": False},
        {"ca_bundle": "certifi"},
        {"ca_bundle": "certifi", "ca_bundle_only": True},
        {"proxy": "http://proxy.example.com:3128"},
        {"timeout": 3},
        {"dialect": "plugin"},
    ],
    ids=str,
)
def test_each_setting_takes_effect_after_five_minutes(sandbox, connection, changed):
    import certifi

    changed = {name: certifi.where() if value == "certifi" else value for name, value in changed.items()}
    key = changed.pop("key", sandbox.visiono_key)

    async def go() -> None:
        hook = VisionoHook()
        client = await hook.get_polling_conn()
        before = client.config
        try:
            connection("visiono_default", sandbox.visiono_url, key, **changed)
            await provider_clock.asleep(299)
            await client.refresh()
            assert client.config == before
            await provider_clock.asleep(2)
            await client.refresh()
            assert client.config != before
            other = await hook.get_polling_conn()
            assert client.config == other.config
            assert client.budget_left() == other.budget_left()
            await other.close()
        finally:
            await client.close()

    asyncio.run(go())


@pytest.mark.parametrize("broken", ["not there", "a mask", "no such bundle"])
def test_a_connection_that_cannot_be_read_again_leaves_the_old_one(
    sandbox, clock, connection, later, monkeypatch, caplog, broken
):
    request_id = VisionoHook().create_photo_request("A meter")["id"]
    url, key = sandbox.visiono_url, sandbox.visiono_key

    def spoil() -> None:
        if broken == "not there":
            monkeypatch.delenv("AIRFLOW_CONN_VISIONO_DEFAULT")
        elif broken == "a mask":
            connection("visiono_default", url, "***")
        else:
            connection("visiono_default", url, key, ca_bundle="/no/such/bundle.pem")

    later(400, spoil)
    later(4000, lambda: connection("visiono_default", url, key))
    later(5000, lambda: sandbox.act(request_id, "submit"))
    caplog.set_level(logging.WARNING)
    assert fire(wait(request_id))["outcome"] == "done"
    (said,) = [text for text in caplog.messages if WARNING in text]
    assert "visiono_default" in said
    assert key not in said
