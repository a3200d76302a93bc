"""The parts of the benchmark that could falsify its figures. No triggerer is started here."""

from __future__ import annotations

import asyncio
import math
import os
import time
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_visio import clock as provider_clock
from benchmarks.create_measurement import _refused_in, minimum_seconds
from benchmarks.fast_clock import FastClock
from benchmarks.fork import run_in_fork
from benchmarks.message_files import read_message, write_message
from benchmarks.slots import Slots
from benchmarks.table import Row
from benchmarks.wait_measurement import Plan, WaitResult


@pytest.fixture
def fast(running_sandbox) -> Any:
    running_sandbox.reset()
    running_sandbox.control("POST", "/time", {"speed": 60})
    yield FastClock.of(running_sandbox)
    running_sandbox.reset()


def test_clock_agrees_with_the_sandbox(fast, running_sandbox):
    time.sleep(0.3)
    before = fast.now()
    now = running_sandbox.control("GET", "/time")["now"]
    assert before - 3 <= now <= fast.now() + 3


def test_clock_waits_in_virtual_seconds(fast, clock, monkeypatch):
    for name in ("now", "sleep", "asleep", "wait"):
        monkeypatch.setattr(provider_clock, name, getattr(provider_clock, name))
    fast.install()
    begin, start = time.monotonic(), provider_clock.now()
    provider_clock.sleep(6)
    asyncio.run(provider_clock.asleep(6))

    async def wait() -> bool:
        return await provider_clock.wait(asyncio.Event(), 6)

    assert asyncio.run(wait()) is False
    assert 18 <= provider_clock.now() - start < 60
    assert 0.3 <= time.monotonic() - begin < 1


async def test_slots_go_to_the_lowest_number():
    slots, order = Slots(1), []

    async def task(number: int) -> None:
        async with slots.one(number):
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(task(number) for number in (5, 3, 4, 1)))
    assert order == [5, 1, 3, 4]


async def test_a_forked_process_leaves_no_memory_behind():
    memory: list[int] = []

    def work() -> dict[str, Any]:
        memory.append(1)
        return {"pid": os.getpid(), "seen": len(memory)}

    first, second = await run_in_fork(work), await run_in_fork(work)
    assert (first["seen"], second["seen"], memory) == (1, 1, [])
    assert first["pid"] != second["pid"] != os.getpid()
    assert "ZeroDivisionError" in (await run_in_fork(lambda: {"x": 1 / 0}))["failed"]


def test_a_message_exists_or_not(tmp_path):
    assert read_message(tmp_path, "report") is None
    write_message(tmp_path, "report", {"calls": 1})
    assert read_message(tmp_path, "report") == {"calls": 1}


@pytest.mark.parametrize(("count", "seconds"), [(1, 0), (60, 0), (61, 60), (200, 180), (1000, 960)])
def test_shortest_time_of_creates(count, seconds):
    assert minimum_seconds(count) == seconds


def test_refusals_are_counted_by_the_service_s_windows():
    calls = [(0, 201), (1, 429), (59, 429), (60, 201), (61, 200), (119, 429), (300, 201)]
    assert _refused_in([{"at": at, "status": status} for at, status in calls]) == [2, 1, 0]


def test_delays_count_submissions_without_an_event():
    found = SimpleNamespace(plan=Plan(None, 4), delays=[0.2, 0.4, 0.6, math.inf])
    assert [WaitResult.delay(found, part) for part in (0.25, 0.5, 0.75, 0.95)] == [0.2, 0.4, 0.6, math.inf]


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (Row("calls", "us", 61.0, most=70.0), "| calls | us | 61 | at most 70 | hit |"),
        (Row("calls", "us", 1234.5, most=70.0), "| calls | us | 1,234 | at most 70 | **miss** |"),
        (Row("share", "us", 0.93, "93 %", least=0.9), "| share | us | 93 % | at least 0.90 | hit |"),
        (Row("delay", "us", math.inf, most=1.25), "| delay | us | never | at most 1.25 | **miss** |"),
        (Row("calls", "peer", 5.0), "| calls | peer | 5 |  |  |"),
    ],
)
def test_rows(row, line):
    assert row.line() == line
