"""Measure the memory of a trigger runner's process, and the blocks of its event loop."""

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

    Private memory would be misleading: in a forked process, it grows by itself, because Python counts references on
    pages that are shared with the parent.
    """
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


class Meter:
    """Measures its own process and the running event loop, after :meth:`begin`."""

    def __init__(self) -> None:
        self.idle = 0
        self.most = 0
        self.longest_block = 0.0
        self.longest_collection = 0.0
        self.longest_without_collections = 0.0
        self.longest_work = 0.0
        self._collecting_since = 0.0
        self._collected = 0.0
        self._watching: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Measure until the loop ends."""
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
            self.longest_without_collections = max(self.longest_without_collections, late - collected)
            # Processor time shows whether the loop was blocked or the machine was busy.
            self.longest_work = max(self.longest_work, time.thread_time() - work - collected)
            if before - sampled > SAMPLE_EVERY:
                sampled = before
                self.most = max(self.most, resident())
