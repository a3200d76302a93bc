"""What the tests of all watches share: a state store of an asset, and a trigger that never ends, run for a while."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from airflow.triggers.base import BaseEventTrigger


class AssetStore:
    """An asset's state store; what it is given goes through JSON."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.broken = 0

    async def aget(self, key: str, default: Any = None) -> Any:
        self._break()
        return self.kept.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self._break()
        self.kept[key] = json.loads(json.dumps(value))

    def _break(self) -> None:
        if self.broken:
            self.broken -= 1
            raise RuntimeError("Airflow's API server is away")


def events(
    trigger: BaseEventTrigger, seconds: float, later: Callable[..., Any], *steps: tuple[float, Any]
) -> list[Any]:
    """Return what a watcher fires within some seconds; each step happens after so many."""
    fired: list[Any] = []
    for after, step in steps:
        later(after, step)

    async def run() -> None:
        from airflow_provider_visio import clock

        async def listen() -> None:
            async for event in trigger.run():
                fired.append(event.payload)  # noqa: PERF401  it never ends

        listening = asyncio.create_task(listen())
        await clock.asleep(seconds)
        assert not listening.done(), "a watcher never ends"
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    asyncio.run(asyncio.wait_for(run(), 30))
    return json.loads(json.dumps(fired))
