"""A poll's metrics: each call is counted once, and waits for links are told apart from waits for requests."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tasks.streams import ask

from airflow_provider_visio.api.photo_request_poller import query_photo_requests
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.triggers import poll_report
from airflow_provider_visio.triggers.poll_client import PollClient
from airflow_provider_visio.triggers.subscriptions import hub_of


class Recorder:
    def __init__(self) -> None:
        self.sent: dict[tuple[str, str], float] = {}

    def gauge(self, name: str, value: float, tags: dict[str, str]) -> None:
        self.sent[name, tags.get("subject", "")] = value

    def incr(self, name: str, count: int, tags: dict[str, str]) -> None:
        self.gauge(name, self.sent.get((name, tags["subject"]), 0) + count, tags)


@pytest.fixture
def stats(monkeypatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(poll_report, "Stats", recorder)
    return recorder


def test_two_polls_of_one_connection_count_their_own_calls(sandbox, stats):
    (request_id,) = ask(1)

    async def go() -> None:
        shared = await VisionoHook().get_polling_conn()
        photos, link = PollClient(shared), PollClient(shared)
        hubs = [
            hub_of("visiono_default", "photo_requests"),
            hub_of("visiono_default", "permanent_link", "lnk_1"),
        ]
        hubs[0].subscribe([request_id], 60)
        hubs[1].subscribe(["lnk_1"], 60)
        other = hub_of("visiono_default", "permanent_link", "lnk_2")
        other.subscribe(["lnk_2"], 60)
        for _ in range(3):
            await photos.query(query_photo_requests([request_id], lambda *_: None))
        for hub, client in zip(hubs, (photos, link), strict=True):
            poll_report.PollReport(hub).write(client, 60)
        await shared.close()

    asyncio.run(go())
    sent: Any = stats.sent
    assert (
        sent["visio.poll.calls", "photo_requests"]
        == sandbox.count("visiono", "GET /photo-requests/{id}")
        == 3
    )
    assert sent["visio.poll.calls", "permanent_link"] == 0
    assert sent["visio.poll.waits", "photo_requests"] == 1
    assert sent["visio.poll.waits", "permanent_link"] == 2
