"""What a trigger runner's process costs: resident memory, and how long its event loop was blocked."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from pathlib import Path

STEP = 0.005
SAMPLE_EVERY = 0.1

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> int:
    """
    Return the resident memory of this process, in bytes.

    Not its private part: that grows in a forked process without anybody's doing, as Python counts references on pages
    that it shares with its parent.
    """
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


class Meter:
    """Watches its own process and the running event loop, from :meth:`begin` on."""

    def __init__(self) -> None:
        self.idle = 0
        self.most = 0
        self.longest_block = 0.0
        self.longest_collection = 0.0
        self.longest_apart = 0.0
        self.longest_work = 0.0
        self._collecting_since = 0.0
        self._collected = 0.0
        self._watching: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Watch until the loop ends."""
        self._watching = asyncio.create_task(self._watch())
        gc.callbacks.append(self._on_collection)

    def _on_collection(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting_since = time.perf_counter()
        else:
            took = time.perf_counter() - self._collecting_since
            self.longest_collection = max(self.longest_collection, took)
            self._collected += took

    async def _watch(self) -> None:
        sampled = 0.0
        while True:
            before, work, collected = time.perf_counter(), time.thread_time(), self._collected
            await asyncio.sleep(STEP)
            late = time.perf_counter() - before - STEP
            self.longest_block = max(self.longest_block, late)
            collected = self._collected - collected
            self.longest_apart = max(self.longest_apart, late - collected)
            # Processor time tells a block from a machine that had no processor for us.
            self.longest_work = max(self.longest_work, time.thread_time() - work - collected)
            if before - sampled > SAMPLE_EVERY:
                sampled = before
                self.most = max(self.most, resident())
