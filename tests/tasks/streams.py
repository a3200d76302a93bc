"""Run triggers as Airflow's triggerer does: each by itself, or many behind its manager of shared streams."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.triggers.visiono import VisionoPhotoRequestTrigger

shared_streams = pytest.mark.skipif(
    not hasattr(BaseEventTrigger, "shared_stream_key"), reason="this Airflow has no shared streams"
)

Event = dict[str, Any]


def ask(number: int) -> list[str]:
    hook = VisionoHook()
    return [hook.create_photo_request(f"meter {n}")["id"] for n in range(number)]


def many(sandbox: Any, number: int) -> list[str]:
    """Make requests outside the limit and the counters."""
    return sandbox.control("POST", "/photo-requests", {"count": number})


def fire(trigger: Any) -> Event:
    return asyncio.run(asyncio.wait_for(fire_alone(trigger), 30))


async def fire_alone(trigger: Any) -> Event:
    (event,) = [event.payload async for event in trigger.run()]
    return event


class Triggerer:
    """Airflow's own manager of shared streams, which triggers subscribe to as in its triggerer."""

    def __init__(self) -> None:
        from airflow.triggers.shared_stream import SharedStreamManager

        self.manager = SharedStreamManager()
        self._number = 0

    async def fire(self, trigger: VisionoPhotoRequestTrigger) -> Event:
        number, key = self._number, trigger.shared_stream_key()
        self._number += 1
        stream = self.manager.subscribe(trigger_id=number, trigger=trigger, key=key)
        try:
            (event,) = [event.payload async for event in trigger.filter_shared_stream(stream)]
            return event
        finally:
            await self.manager.unsubscribe(number, key)


async def fire_shared(
    triggers: list[VisionoPhotoRequestTrigger], *meanwhile: Coroutine[Any, Any, Any]
) -> list[Event]:
    """Return the events of triggers that share a poll; ``meanwhile`` runs beside them and is waited for, too."""
    triggerer = Triggerer()
    waits = [triggerer.fire(trigger) for trigger in triggers]
    try:
        events = await asyncio.wait_for(asyncio.gather(*waits, *meanwhile), 60)
        return events[: len(triggers)]
    finally:
        await triggerer.manager.stop_all()
