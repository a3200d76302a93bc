"""A client's turns: a booked turn is booked again after a refusal, and few calls are under way at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_visio import clock as provider_clock
from airflow_provider_visio.api import visiono as api
from airflow_provider_visio.api.call import Reply
from airflow_provider_visio.api.client import CONCURRENCY, Client, TriggerClient
from airflow_provider_visio.api.rate_limit import SharedRateLimit

GET = api.get_status()


@pytest.mark.parametrize(
    ("retry_after", "sent_after"),
    [(None, 60), (10, 60), (60, 90), (80, 110)],
    ids=["nobody is refused", "refused, but the turn is later", "refused", "refused for longer"],
)
def test_a_booked_turn_is_booked_anew_where_a_neighbour_is_refused_meanwhile(
    sandbox, visiono, clock, monkeypatch, retry_after, sent_after
):
    """Half-way to the turn, another task of the same host is refused."""
    sandbox.settings(rate_headers=False)
    config = replace(visiono, limits=((60.0, 2), (3600.0, 1000)))
    client, neighbour = Client(config, lambda: config), SharedRateLimit(config)
    for _ in range(2):
        client.send(GET)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds / 2)
        if retry_after is not None and len(clock.pauses) == 1:
            refusal = Reply(429, {"retry-after": str(retry_after)}, b"")
            neighbour.learn(refusal, sent=clock.now(), now=clock.now())
        # A little too long, as it always is.
        clock.sleep(seconds / 2 + 0.002)

    monkeypatch.setattr(provider_clock, "sleep", sleep)
    started = clock.now()
    client.send(GET)
    client.close()
    assert clock.now() - started == pytest.approx(sent_after, abs=0.02)
    assert sandbox.count("visiono", "GET /status") == 3


class Holding:
    """A service that answers when it is told to."""

    def __init__(self) -> None:
        self.under_way = 0
        self.come = asyncio.Condition()
        self.answer = asyncio.Event()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        async with self.come:
            self.under_way += 1
            self.come.notify_all()
        await self.answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 11\r\n\r\n" + b'{"data":{}}')
        await writer.drain()
        writer.close()

    async def has(self, number: int) -> None:
        async with self.come:
            await self.come.wait_for(lambda: self.under_way >= number)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.handle, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("polling", [True, False])
async def test_an_event_loop_has_few_calls_under_way_at_once(config_at: Any, polling: bool):
    service = Holding()
    async with service.running() as url:
        config = config_at(url)

        async def again() -> Any:
            return config

        client = TriggerClient(config, again, polling=polling)
        calls = [asyncio.create_task(client.send(GET)) for _ in range(25)]
        await asyncio.wait_for(service.has(CONCURRENCY), 10)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(service.has(CONCURRENCY + 1), 0.1)
        service.answer.set()
        assert len(await asyncio.wait_for(asyncio.gather(*calls), 10)) == 25
        await client.close()
    assert service.under_way == 25
