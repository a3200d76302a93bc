"""A hundred tasks wait at once, on one poll; each ends as its own request does, and no call is refused."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from dev.run_watcher import RunWatcher
from dev.task_log import read_task_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dev.sandbox import Sandbox
    from dev.stack import Stack

DAG_ID = "visiono_many_waits"
SUBMITTED, EXPIRED, DELETED = range(90), range(90, 95), range(95, 100)
WAITS = 100
# The DAG's poke_interval, less what a pause is shortened by at random.
SHORTEST_PAUSE = 0.9 * 5.0
# Five times the real limits, for minutes stand for hours here.
LIMITS = {"minute": 300, "hour": 5000}
TIMEOUT = 240
LOOK_EVERY = 2.0
# Seconds within which everybody acts.
BUSY = 30.0


@dataclass
class ManyWaits:
    """What was seen of the run, and of the service meanwhile."""

    run: RunWatcher
    most_deferred: int = 0
    seconds: float = 0.0
    ids: dict[int, str] = field(default_factory=dict)
    calls: list[dict[str, Any]] = field(default_factory=list)

    def look(self) -> None:
        self.run.look()
        deferred = [task for task in self.run.tasks if task["state"] == "deferred" and task["triggerer_job"]]
        self.most_deferred = max(self.most_deferred, len(deferred))

    def states(self, numbers: range) -> set[str]:
        return {task["state"] for task in self.run.tasks if task["map_index"] in numbers}

    def log(self, stack: Stack, number: int) -> str:
        """Return what a task has logged, on the worker and in the triggerer."""
        task = next(task for task in self.run.tasks if task["map_index"] == number)
        return read_task_log(stack.logs, task, lines=10_000)


@pytest.fixture(scope="module")
def waits(stack: Stack, sandbox: Sandbox) -> Iterator[ManyWaits]:
    settings = sandbox.control("GET", "/settings")
    sandbox.control(
        "PATCH", "/settings", {f"visiono_per_{window}": calls for window, calls in LIMITS.items()}
    )
    extra = {f"calls_per_{window}": calls for window, calls in LIMITS.items()}
    stack.add_connections({"visiono_many": {**sandbox.connections()["visiono_default"], "extra": extra}})
    stack.wait_for_dag(DAG_ID)
    before = len(sandbox.control("GET", "/calls"))
    started = time.monotonic()
    seen = ManyWaits(RunWatcher(stack.api, DAG_ID, stack.api.trigger(DAG_ID)))
    follow(seen, lambda: seen.most_deferred == WAITS)
    asked = {
        request["id"]: request["metadata"] or {} for request in sandbox.control("GET", "/photo-requests")
    }
    seen.ids = {metadata["number"]: i for i, metadata in asked.items() if "number" in metadata}
    to_delete = people_act(sandbox, seen.ids)

    def ended() -> bool:
        while to_delete and to_delete[0][0] < time.monotonic():
            sandbox.control("POST", f"/photo-requests/{to_delete.pop(0)[1]}/delete")
        return seen.run.ended

    follow(seen, ended)
    seen.seconds = time.monotonic() - started
    seen.calls = sandbox.control("GET", "/calls", after=before)
    yield seen
    sandbox.control("PATCH", "/settings", settings)


def people_act(sandbox: Sandbox, ids: dict[int, str]) -> list[tuple[float, str]]:
    """Have each person act at a random moment; return when to delete which request."""
    draw = random.Random(3)
    for number in [*SUBMITTED, *EXPIRED]:
        person = {
            "behaviour": "submit" if number in SUBMITTED else "expire",
            "open_after": draw.uniform(0, BUSY),
            "photo_every": 0.1,
            "photos": 1,
        }
        sandbox.control("PUT", f"/photo-requests/{ids[number]}/person", person)
    return sorted((time.monotonic() + draw.uniform(0, BUSY), ids[number]) for number in DELETED)


def follow(seen: ManyWaits, over: Callable[[], bool]) -> None:
    """Look until it is over, or for too long; the tests judge."""
    until = time.monotonic() + TIMEOUT
    while not over() and not seen.run.ended and time.monotonic() < until:
        seen.look()
        time.sleep(LOOK_EVERY)


def test_all_are_deferred_at_once(waits: ManyWaits) -> None:
    assert waits.most_deferred == WAITS


def test_each_ends_as_its_own_request_does(waits: ManyWaits, stack: Stack) -> None:
    assert waits.run.ended
    assert waits.states(SUBMITTED) == {"success"}
    assert waits.states(range(90, WAITS)) == {"failed"}
    for numbers, error in ((EXPIRED, "expired before the photos"), (DELETED, "was deleted at Visiono")):
        for number in numbers:
            assert f"PhotoRequestFailedError: Photo request {waits.ids[number]} {error}" in waits.log(
                stack, number
            )


def test_no_call_is_refused(waits: ManyWaits) -> None:
    assert {call["status"] for call in waits.calls} <= {200, 201, 404}


def test_waiting_costs_few_calls(waits: ManyWaits) -> None:
    routes = [f"{call['method']} {call['route']}" for call in waits.calls if call["service"] == "visiono"]
    assert routes.count("POST /photo-requests") == WAITS
    lists, single = routes.count("GET /photo-requests"), routes.count("GET /photo-requests/{id}")
    # One call a look, and now and then another that finds out about those which have ended otherwise.
    assert 0 < lists <= 1.5 * waits.seconds / SHORTEST_PAUSE
    # Each task keeps the request that it has created, and asks for it no more.
    assert single <= 20


def test_a_task_s_log_tells_of_its_own_wait_only(waits: ManyWaits, stack: Stack) -> None:
    triggerer = (stack.logs / "triggerer.log").read_text()
    assert "The poll for photo requests on connection visiono_many serves" in triggerer
    for number, own in waits.ids.items():
        log = waits.log(stack, number)
        assert "Waiting for 1 photo request(s) on connection visiono_many" in log
        # Airflow's triggerer may have forgotten a trigger that is done before it has read its last words.
        left_behind = [line for line in triggerer.splitlines() if f" map_index={number} " in line]
        assert "The wait ends" in "\n".join([log, *left_behind])
        assert "The poll for" not in log
        assert "HTTP Request" not in log
        assert not [other for other in waits.ids.values() if other != own and other in log]
