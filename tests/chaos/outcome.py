"""Evaluate a scene: count its requests at the service, its task states in Airflow, and its stored files."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chaos.environment import ChaosEnvironment
    from chaos.scenes import Scene


@dataclass
class Outcome:
    """The outcome of a scene. Each list has the deviations from the target.

    :param name: name of the scene
    :param what: title of the failure
    :param tasks: number of tasks
    :param made: number of requests or exports
    :param most: largest number of requests for one task
    :param ended_wrong: tasks and requests that ended with a wrong state
    :param created_again: tasks with more than one request
    :param not_created: tasks without a request
    :param submitted: number of files that should be stored
    :param lost: files that are missing or damaged
    :param fetched_again: number of files that were fetched more than once, for scenes that break the storing of files
    :param tries: number of tries of all tasks
    :param why: why a second request is allowed; empty: it is not
    :param extra: number of further requests that are allowed
    :param aborted: traceback of an error in the scene itself
    :param actions: failures of a random scene
    """

    name: str
    what: str
    tasks: int = 0
    made: int = 0
    most: int = 0
    ended_wrong: list[str] = field(default_factory=list)
    created_again: list[str] = field(default_factory=list)
    not_created: list[str] = field(default_factory=list)
    submitted: int = 0
    lost: list[str] = field(default_factory=list)
    fetched_again: int | None = None
    tries: int = 0
    why: str = ""
    extra: int = 0
    aborted: str = ""
    actions: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as JSON."""
        return asdict(self)


def evaluate(env: ChaosEnvironment, scene: Scene, marked: Mapping[int, str] | None = None) -> Outcome:
    """Evaluate a scene.

    :param marked: number of a task -> the state that a user marked it with
    """
    marked = marked or {}
    found = Outcome(scene.name, scene.what, why=scene.why, extra=scene.extra)
    tasks = env.tasks(scene.name)
    found.tasks, found.tries = len(tasks), sum(task.tries for task in tasks)
    if found.tasks != scene.tasks * scene.runs:
        found.ended_wrong.append(f"{found.tasks} tasks, not {scene.tasks * scene.runs}")
    for task in tasks:
        ends = marked.get(task.number, scene.ends)
        if task.state != ends:
            found.ended_wrong.append(f"{task.run_id} [{task.number}] is {task.state}, not {ends}")
    if scene.export_format:
        _evaluate_exports(env, scene, found)
    else:
        _evaluate_requests(env, scene, found, marked)
    if "parallel_downloads" in scene.operator:
        photos = {f"/photos/{photo['id']}.jpg" for one in env.requests(scene.name) for photo in one["photos"]}
        fetched = Counter(
            event["id"] for event in env.sandbox.control("GET", "/events") if event["id"] in photos
        )
        found.fetched_again = sum(count - 1 for count in fetched.values())
    return found


def _evaluate_requests(
    env: ChaosEnvironment, scene: Scene, found: Outcome, marked: Mapping[int, str]
) -> None:
    requests = env.requests(scene.name)
    by_intent = Counter((one["metadata"]["run"], one["metadata"]["number"]) for one in requests)
    by_tag = Counter(one["metadata"].get("airflow_task") for one in requests)
    wanted = {(task.run_id, task.number) for task in env.tasks(scene.name)}
    found.made, found.most = len(requests), max(by_intent.values(), default=0)
    found.created_again = [f"{intent}: {count}" for intent, count in by_intent.items() if count > 1]
    found.not_created = [str(intent) for intent in wanted - set(by_intent)]
    if len(by_tag) != len(by_intent):
        found.ended_wrong.append(f"{len(by_tag)} tags for {len(by_intent)} intents")
    folder = env.folder / "stored" / scene.name
    for one in requests:
        number = one["metadata"]["number"]
        if scene.left and scene.left != "any":
            if one["status"] != scene.left:
                found.ended_wrong.append(f"[{number}]: {one['id']} is {one['status']}, not {scene.left}")
        elif number not in marked:
            found.submitted += len(one["photos"])
            if not one["photos"]:
                found.ended_wrong.append(f"[{number}]: nothing was submitted to {one['id']}")
            found.lost += lost_files(folder / one["id"], {photo["id"] for photo in one["photos"]})


def _evaluate_exports(env: ChaosEnvironment, scene: Scene, found: Outcome) -> None:
    made = env.exports(scene.export_format or "")
    manifests = (env.folder / "stored" / scene.name).glob("*/manifest.json")
    # An export that was given up may have left one that is not complete.
    stored = [path for path in manifests if json.loads(path.read_text())["complete"]]
    found.made = len(made)
    # An export does not name its task, so exports cannot be counted for one task.
    extra = len(made) - found.tasks
    found.created_again = [f"{extra} of {found.tasks} started again"] if extra > 0 else []
    found.not_created = [f"{-extra} not started"] if extra < 0 else []
    found.submitted = found.tasks
    if len(stored) != found.tasks:
        found.lost.append(f"{len(stored)} files of {found.tasks}")
    for manifest in stored:
        found.lost += lost_files(manifest.parent, None)


def lost_files(folder: Path, keys: set[str] | None) -> list[str]:
    """Compare the stored files of a request with its manifest.

    :param folder: folder of the request or export
    :param keys: ids of the photos that the manifest must have; None: do not check them
    :return: missing and damaged files
    """
    path = folder / "manifest.json"
    if not path.is_file():
        return [f"{folder.name}: no manifest"]
    files = json.loads(path.read_text())["files"]
    lost = []
    for file in files:
        content = Path(file["path"].removeprefix("file://"))
        if not content.is_file() or hashlib.sha256(content.read_bytes()).hexdigest() != file["sha256"]:
            lost.append(f"{folder.name}: {content.name}")
    if keys is not None and {file["key"] for file in files} != keys:
        lost.append(f"{folder.name}: the manifest has {len(files)} of {len(keys)} photos")
    return lost
