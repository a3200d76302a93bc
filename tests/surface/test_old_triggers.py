"""Triggers as an Airflow has stored them before an update: found by the old path, made of the old arguments."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest
from airflow.sdk.module_loading import import_string
from tasks.streams import fire, fire_shared, shared_streams

from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook

REQUESTS = "airflow_provider_visio.triggers.visiono.VisionoPhotoRequestTrigger"
EXPORTS = "airflow_provider_visio.triggers.vizdom.VizdomExportTrigger"
MOMENT = "airflow_provider_visio.triggers.moment.MomentTrigger"
# Stored is the second; the first is the one that users import.
LINKS = [
    "airflow_provider_visio.triggers.visiono.VisionoPermanentLinkTrigger",
    "airflow_provider_visio.triggers.visiono_links.VisionoPermanentLinkTrigger",
]

# What `serialize()` has written, by version; each version has all of the one before.
REQUEST_ARGUMENTS: dict[str, dict[str, Any]] = {
    "02ba193": {
        "visiono_conn_id": "visiono_default",
        "request_ids": [],
        "deadline": None,
        "poke_interval": 60.0,
        "min_dwell": 10.0,
    },
    "127fa73": {
        "visiono_conn_id": "visiono_default",
        "request_ids": [],
        "deadline": None,
        "poke_interval": 60.0,
        "min_dwell": 10.0,
        "needed": None,
        "proceed": False,
        "states": {},
    },
    "65a347b": {
        "visiono_conn_id": "visiono_default",
        "request_ids": [],
        "deadline": None,
        "poke_interval": 60.0,
        "min_dwell": 10.0,
        "needed": None,
        "proceed": False,
        "states": {},
        "cancel_on_kill": True,
    },
}
EXPORT_ARGUMENTS: dict[str, Any] = {
    "vizdom_conn_id": "vizdom_default",
    "export_ids": [],
    "deadline": None,
    "poke_interval": 2.0,
    "min_dwell": 10.0,
}
LINK_ARGUMENTS: dict[str, Any] = {
    "link_id": "",
    "visiono_conn_id": "visiono_default",
    "since": None,
    "unique_value": None,
    "poke_interval": 60.0,
    "once": True,
    "min_submissions": 1,
    "deadline": None,
    "min_dwell": 10.0,
}

# What a worker reads that goes on, also one with the old code.
EVENT: dict[str, Any] = {
    "outcome": "done",
    "arrived": [],
    "ended": {},
    "waiting": [],
    "unknown": {},
    "trouble": None,
    "fatal": False,
    "deadline": None,
}


@pytest.fixture(params=["alone", pytest.param("on a shared poll", marks=shared_streams)])
def drive(request: pytest.FixtureRequest) -> Any:
    """Return a function that runs a trigger to its event, as the triggerers of all versions do."""
    if request.param == "alone":
        return fire
    return lambda trigger: asyncio.run(fire_shared([trigger]))[0]


def stored(path: str, arguments: dict[str, Any], **given: Any) -> Any:
    """Make a trigger of what a database has, which is JSON."""
    assert given.keys() <= arguments.keys(), "only what was stored"
    return import_string(path)(**json.loads(json.dumps({**arguments, **given})))


def ask(number: int = 1) -> list[str]:
    return [VisionoHook().create_photo_request(f"meter {n}")["id"] for n in range(number)]


@pytest.fixture
def link(sandbox: Any) -> str:
    return VisionoHook().create_permanent_link("Photograph the van")["id"]


def submit(sandbox: Any, link_id: str, value: str | None = None) -> str:
    body = {"photos": 0, "unique_field_value": value}
    return sandbox.control("POST", f"/permanent-links/{link_id}/submit", body)["id"]


OF_EACH_VERSION = pytest.mark.parametrize("arguments", REQUEST_ARGUMENTS.values(), ids=REQUEST_ARGUMENTS)


@OF_EACH_VERSION
def test_a_request_is_submitted(sandbox, later, drive, arguments):
    (request_id,) = ask()
    later(300, lambda: sandbox.act(request_id, "submit"))
    event = drive(stored(REQUESTS, arguments, request_ids=[request_id]))
    assert event == {**EVENT, "arrived": [request_id]}


@OF_EACH_VERSION
@pytest.mark.parametrize(
    ("action", "how"), [("cancel", "cancelled"), ("delete", "deleted"), ("expire", "expired")]
)
def test_a_request_ends_otherwise(sandbox, later, drive, arguments, action, how):
    (request_id,) = ask()
    later(300, lambda: sandbox.act(request_id, action))
    event = drive(stored(REQUESTS, arguments, request_ids=[request_id]))
    assert event == {**EVENT, "outcome": "failed", "ended": {request_id: how}}


@OF_EACH_VERSION
def test_the_deadline_of_a_request_passes(sandbox, clock, drive, arguments):
    (request_id,) = ask()
    deadline = clock.now() + 300
    event = drive(stored(REQUESTS, arguments, request_ids=[request_id], deadline=deadline))
    assert event == {**EVENT, "outcome": "timeout", "waiting": [request_id], "deadline": deadline}
    assert clock.now() == pytest.approx(deadline, abs=1)


def test_a_wait_for_some_of_many(sandbox, clock, drive):
    first, second = ids = ask(2)
    sandbox.act(first, "submit")
    known = {"status": "pending", "created_at": "2026-06-01T12:00:00Z", "expires_at": None}
    deadline = clock.now() + 300
    trigger = stored(
        REQUESTS,
        REQUEST_ARGUMENTS["65a347b"],
        request_ids=ids,
        needed=2,
        proceed=True,
        deadline=deadline,
        states={second: known},
    )
    assert drive(trigger) == {**EVENT, "arrived": [first], "waiting": [second], "deadline": deadline}


def test_an_export_is_ready(sandbox):
    export_id = VizdomHook().create_export("dash_abc123", "pdf")["id"]
    assert fire(stored(EXPORTS, EXPORT_ARGUMENTS, export_ids=[export_id])) == {
        **EVENT,
        "arrived": [export_id],
    }


def test_an_export_fails(sandbox):
    export_id = VizdomHook().create_export("dash_broken", "pdf")["id"]
    event = fire(stored(EXPORTS, EXPORT_ARGUMENTS, export_ids=[export_id]))
    assert event == {**EVENT, "outcome": "failed", "ended": {export_id: "failed"}}


def test_the_deadline_of_an_export_passes(sandbox, clock):
    sandbox.settings(export_seconds=10_000)
    export_id = VizdomHook().create_export("dash_abc123", "pdf")["id"]
    deadline = clock.now() + 300
    event = fire(stored(EXPORTS, EXPORT_ARGUMENTS, export_ids=[export_id], deadline=deadline))
    assert event == {**EVENT, "outcome": "timeout", "waiting": [export_id], "deadline": deadline}


@pytest.mark.parametrize("path", LINKS)
def test_a_task_waits_for_submissions(sandbox, clock, later, drive, link, path):
    since = clock.now() - 3600
    submit(sandbox, link, "another")
    for after in (300, 600):
        later(after, lambda: submit(sandbox, link, "B-XY 1"))
    arguments = {"link_id": link, "since": since, "unique_value": "B-XY 1", "min_submissions": 2}
    event = drive(stored(path, LINK_ARGUMENTS, **arguments))
    assert event == {**EVENT, "arrived": [link], "since": since}


@pytest.mark.parametrize("path", LINKS)
def test_the_deadline_of_submissions_passes(clock, drive, link, path):
    since, deadline = clock.now(), clock.now() + 300
    event = drive(stored(path, LINK_ARGUMENTS, link_id=link, since=since, deadline=deadline))
    assert event == {
        **EVENT,
        "outcome": "timeout",
        "waiting": [link],
        "deadline": deadline,
        "since": since,
    }


@pytest.mark.parametrize("path", LINKS)
def test_a_watcher_of_an_asset_fires_for_what_is_new(sandbox, clock, link, path):
    """It never ends, so its first event has to do."""
    found = submit(sandbox, link)
    trigger = stored(path, LINK_ARGUMENTS, link_id=link, since=clock.now() - 3600, once=False)

    async def first() -> Any:
        async with contextlib.aclosing(trigger.run()) as events:
            return (await anext(events)).payload

    assert asyncio.run(asyncio.wait_for(first(), 30)) == {"link_id": link, "submissions": [found]}


def test_a_moment_comes(clock):
    moment = clock.now() + 1831
    event = {"step": "execute", "event": None, "since": clock.now(), "done": {}}
    assert fire(stored(MOMENT, {"moment": moment, "event": event})) == event
    assert clock.now() == moment
