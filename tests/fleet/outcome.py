"""Evaluate a scene: its requests and refusals at the service, its task states in Airflow, and its stored files."""

from __future__ import annotations

import time
import traceback
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from chaos.outcome import lost_files

from fleet.environment import Fleet
from fleet.scenes import Scene

# Seconds. A campaign that has not ended by then has lost something.
TIMEOUT = 600


@dataclass
class Outcome:
    """The outcome of a scene. Each list has the deviations from the target.

    :param name: name of the scene
    :param what: title of the loss
    :param people: number of people
    :param tries: number of tries of all tasks
    :param made: number of requests
    :param most: largest number of requests for one person
    :param not_asked: people without a request
    :param ended_wrong: tasks that did not end with success
    :param photos: number of photos that should be stored
    :param lost: photos that are missing or damaged
    :param calls: number of calls to the service's API
    :param refused: number of calls that the rate limit refused
    :param seconds: real seconds
    :param spans: task id -> seconds from the start of the run to the task's first start and last end
    :param hosts: host -> number of tasks that ended there
    :param aborted: traceback of an error in the scene itself
    """

    name: str
    what: str
    people: int
    tries: int = 0
    made: int = 0
    most: int = 0
    not_asked: list[str] = field(default_factory=list)
    ended_wrong: list[str] = field(default_factory=list)
    photos: int = 0
    lost: list[str] = field(default_factory=list)
    calls: int = 0
    refused: int = 0
    seconds: int = 0
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    hosts: dict[str, int] = field(default_factory=dict)
    aborted: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as JSON."""
        return asdict(self)


def play(fleet: Fleet, scene: Scene, people: int) -> Outcome:
    """Run a scene, and evaluate it."""
    found = Outcome(scene.name, scene.what, people)
    began = time.monotonic()
    with fleet.campaign(scene.name, people):
        try:
            scene.act(fleet)
            fleet.until("the end of the campaign", fleet.ended, TIMEOUT)
        except Exception:  # noqa: BLE001  any error is an outcome of this scene
            found.aborted = traceback.format_exc()
        found.seconds = round(time.monotonic() - began)
        evaluate(fleet, found)
    return found


def evaluate(fleet: Fleet, found: Outcome) -> None:
    """Fill in the figures of a campaign."""
    tasks, requests, calls = fleet.tasks(), fleet.requests(), fleet.calls()
    found.tries = sum(task.tries for task in tasks)
    found.ended_wrong = [
        f"{task.task_id}[{task.number}] is {task.state}" for task in tasks if task.state != "success"
    ]
    found.hosts, found.spans = dict(fleet.hosts()), fleet.spans()
    by_person = Counter(request["metadata"]["customer"] for request in requests)
    found.made, found.most = len(requests), max(by_person.values(), default=0)
    everybody = {f"K-{number:04}" for number in range(1, found.people + 1)}
    found.not_asked = sorted(everybody - set(by_person))
    for request in requests:
        found.photos += len(request["photos"])
        found.lost += lost_files(fleet.stored / request["id"], {photo["id"] for photo in request["photos"]})
    found.calls, found.refused = len(calls), sum(call["status"] == 429 for call in calls)
