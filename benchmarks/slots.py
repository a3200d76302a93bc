"""The slots of an executor."""

from __future__ import annotations

import asyncio
import heapq
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Slots:
    """Some slots; one that gets free goes to the waiting task with the lowest number, as Airflow's scheduler has it."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._queue: list[tuple[int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def one(self, number: int) -> AsyncIterator[None]:
        """Hold a slot."""
        if self._free:
            self._free -= 1
        else:
            turn = asyncio.get_running_loop().create_future()
            heapq.heappush(self._queue, (number, turn))
            await turn
        try:
            yield
        finally:
            if self._queue:
                heapq.heappop(self._queue)[1].set_result(None)
            else:
                self._free += 1
