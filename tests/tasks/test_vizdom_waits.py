"""Waits for exports share one client and its bounds, and poll less and less often."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_visio.api import client as client_module
from airflow_provider_visio.exceptions import ExportFailedError
from airflow_provider_visio.hooks.vizdom import VizdomHook
from airflow_provider_visio.operators.vizdom import VizdomExportDashboardOperator
from airflow_provider_visio.triggers import poll_client
from airflow_provider_visio.triggers.vizdom import VizdomExportTrigger
from tasks.streams import fire_alone

WAITS = 50


def start(number: int) -> list[str]:
    hook = VizdomHook()
    return [hook.create_export("dash_abc123", "pdf")["id"] for _ in range(number)]


def test_an_export_that_fails_at_once_tells_no_secret(sandbox, run_task):
    """The service's reply to the start says so already."""
    words = "cannot write https://files.example/a.pdf?X-Amz-Signature=MARKER for bob@example.com"
    reply = {"data": {"id": "exp_1", "status": "failed", "error": words}}
    sandbox.fault(
        "vizdom",
        "body",
        method="POST",
        path="^/exports$",
        body=json.dumps(reply),
        content_type="application/json",
    )
    with pytest.raises(ExportFailedError, match="cannot write") as caught:
        run_task(VizdomExportDashboardOperator(task_id="export", dashboard_id="dash_abc123")).run()
    assert "MARKER" not in str(caught.value)
    assert "bob@" not in str(caught.value)


def wait_for_all(ids: list[str], **more: Any) -> list[dict[str, Any]]:
    async def together() -> list[dict[str, Any]]:
        triggers = [
            VizdomExportTrigger(
                **{
                    "vizdom_conn_id": "vizdom_default",
                    "export_ids": [export_id],
                    "min_dwell": 0,
                    **more,
                }
            )
            for export_id in ids
        ]
        return await asyncio.wait_for(asyncio.gather(*(fire_alone(trigger) for trigger in triggers)), 60)

    return asyncio.run(together())


@pytest.fixture
def clients_made(monkeypatch) -> list[client_module.TriggerClient]:
    made: list[client_module.TriggerClient] = []
    init = client_module.TriggerClient.__init__

    def counted(self: client_module.TriggerClient, *args: Any, **kwargs: Any) -> None:
        made.append(self)
        init(self, *args, **kwargs)

    monkeypatch.setattr(client_module.TriggerClient, "__init__", counted)
    return made


@pytest.fixture
def closed(monkeypatch) -> list[client_module.TriggerClient]:
    ended: list[client_module.TriggerClient] = []
    close = client_module.TriggerClient.close

    async def noted(self: client_module.TriggerClient) -> None:
        ended.append(self)
        await close(self)

    monkeypatch.setattr(client_module.TriggerClient, "close", noted)
    return ended


def test_they_share_one_client(sandbox, clients_made, closed):
    sandbox.settings(export_seconds=30)
    events = wait_for_all(ids := start(WAITS))
    assert [event["arrived"] for event in events] == [[i] for i in ids]
    assert len(clients_made) == 1
    assert closed == clients_made
    assert not poll_client._SHARED


def test_those_that_come_after_all_have_gone_use_another(sandbox, clients_made, closed):
    ids = start(2)
    sandbox.advance(10)
    for export_id in ids:
        assert wait_for_all([export_id])[0]["outcome"] == "done"
    assert len(clients_made) == 2
    assert closed == clients_made


def test_few_calls_are_under_way_at_once(sandbox, monkeypatch):
    """All triggers of a triggerer share Python's few worker threads."""
    ids = start(WAITS)
    sandbox.advance(10)
    sandbox.fault("vizdom", "delay", seconds=0.02, times=None)
    lock, under_way, most = threading.Lock(), 0, 0
    exchange = client_module.TriggerClient._exchange

    def counted(self: Any, call: Any) -> Any:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        try:
            return exchange(self, call)
        finally:
            with lock:
                under_way -= 1

    monkeypatch.setattr(client_module.TriggerClient, "_exchange", counted)
    events = wait_for_all(ids)
    assert {event["outcome"] for event in events} == {"done"}
    assert 1 < most <= client_module.CONCURRENCY


def test_looks_grow_apart_from_two_to_thirty_seconds_and_spread(sandbox):
    sandbox.control("POST", "/time", {"speed": 0})
    sandbox.settings(export_seconds=200)
    ids = start(20)
    wait_for_all(ids)
    looks: dict[str, list[float]] = defaultdict(list)
    for call in sandbox.calls():
        if call["method"] == "GET":
            looks[call["path"].rpartition("/")[2]].append(call["at"])
    assert set(looks) == set(ids)
    for moments in looks.values():
        pauses = [later - earlier for earlier, later in pairwise(moments)]
        for pause, usual in zip(
            pauses, [2, 3, 4.5, 6.75, 10.125, 15.1875, 22.78125, *[30] * 20], strict=False
        ):
            assert 0.9 * usual - 0.01 <= pause <= 1.1 * usual + 0.01
        assert len(pauses) >= 11
    assert len({round(moments[1], 2) for moments in looks.values()}) > 5, "not all at the same moment"
    assert sandbox.counters()["refused_429"]["vizdom"] == 0


def test_one_that_fails_ends_its_own_wait_only(sandbox):
    broken = VizdomHook().create_export("dash_broken", "pdf")["id"]
    (good,) = start(1)
    events = wait_for_all([broken, good, "exp_nobody"])
    assert [event["outcome"] for event in events] == ["failed", "done", "failed"]
    assert events[2]["ended"] == {"exp_nobody": "deleted"}


def test_a_key_that_is_refused_ends_all_and_is_asked_about_once_each(sandbox):
    ids = start(5)
    sandbox.keys(vizdom=["another"])
    events = wait_for_all(ids)
    assert {(event["outcome"], event["trouble"]) for event in events} == {
        ("trouble", "AuthenticationError (401)")
    }


def test_a_key_that_was_rotated_is_read_again(sandbox, connection, later):
    ids = start(5)
    sandbox.settings(export_seconds=60)

    def rotate() -> None:
        sandbox.keys(vizdom=["vzd_new"])
        connection("vizdom_default", sandbox.vizdom_url, "vzd_new")

    later(10, rotate)
    assert {event["outcome"] for event in wait_for_all(ids)} == {"done"}
