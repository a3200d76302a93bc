"""The task slots of an executor."""

from __future__ import annotations

import asyncio
import heapq
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Slots:
    """A number of slots. A free slot goes to the waiting task with the lowest number, as in Airflow's scheduler."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._queue: list[tuple[int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def one(self, number: int) -> AsyncIterator[None]:
        """Wait for a slot, and hold it.

        :param number: number of the task
        """
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
