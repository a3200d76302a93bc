"""What came of a scene: counted at the service, in Airflow's database, and in the folder where files were stored."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chaos.environment import Field
    from chaos.scenes import Scene


@dataclass
class Outcome:
    """What came of one scene; each list has what is short of target."""

    name: str
    what: str
    tasks: int = 0
    made: int = 0
    most: int = 0
    ended_wrong: list[str] = field(default_factory=list)
    asked_again: list[str] = field(default_factory=list)
    not_asked: list[str] = field(default_factory=list)
    submitted: int = 0
    lost: list[str] = field(default_factory=list)
    tries: int = 0
    why: str = ""
    extra: int = 0
    broke_off: str = ""
    deeds: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)


def judge(the: Field, scene: Scene, marked: Mapping[int, str] | None = None) -> Outcome:
    """Count what came of a scene, some of whose tasks were marked by somebody."""
    marked = marked or {}
    found = Outcome(scene.name, scene.what, why=scene.why, extra=scene.extra)
    tasks = the.tasks(scene.name)
    found.tasks, found.tries = len(tasks), sum(task.tries for task in tasks)
    if found.tasks != scene.tasks * scene.runs:
        found.ended_wrong.append(f"{found.tasks} tasks, not {scene.tasks * scene.runs}")
    for task in tasks:
        ends = marked.get(task.number, scene.ends)
        if task.state != ends:
            found.ended_wrong.append(f"{task.run_id} [{task.number}] is {task.state}, not {ends}")
    if scene.export_format:
        _judge_exports(the, scene, found)
    else:
        _judge_requests(the, scene, found, marked)
    return found


def _judge_requests(the: Field, scene: Scene, found: Outcome, marked: Mapping[int, str]) -> None:
    requests = the.requests(scene.name)
    by_intent = Counter((one["metadata"]["run"], one["metadata"]["number"]) for one in requests)
    by_tag = Counter(one["metadata"].get("airflow_task") for one in requests)
    wanted = {(task.run_id, task.number) for task in the.tasks(scene.name)}
    found.made, found.most = len(requests), max(by_intent.values(), default=0)
    found.asked_again = [f"{intent}: {count}" for intent, count in by_intent.items() if count > 1]
    found.not_asked = [str(intent) for intent in wanted - set(by_intent)]
    if len(by_tag) != len(by_intent):
        found.ended_wrong.append(f"{len(by_tag)} tags for {len(by_intent)} intents")
    folder = the.folder / "stored" / scene.name
    for one in requests:
        number = one["metadata"]["number"]
        if scene.left and scene.left != "any":
            if one["status"] != scene.left:
                found.ended_wrong.append(f"[{number}]: {one['id']} is {one['status']}, not {scene.left}")
        elif number not in marked:
            found.submitted += len(one["photos"])
            if not one["photos"]:
                found.ended_wrong.append(f"[{number}]: nothing was submitted to {one['id']}")
            found.lost += _lost(folder / one["id"], {photo["id"] for photo in one["photos"]})


def _judge_exports(the: Field, scene: Scene, found: Outcome) -> None:
    made = the.exports(scene.export_format or "")
    stored = list((the.folder / "stored" / scene.name).glob("*/manifest.json"))
    found.made = len(made)
    # Nothing says which task an export is for, so nobody can say how many were started for one.
    extra = len(made) - found.tasks
    found.asked_again = [f"{extra} of {found.tasks} started again"] if extra > 0 else []
    found.not_asked = [f"{-extra} not started"] if extra < 0 else []
    found.submitted = found.tasks
    if len(stored) != found.tasks:
        found.lost.append(f"{len(stored)} files of {found.tasks}")
    for manifest in stored:
        found.lost += _lost(manifest.parent, None)


def _lost(folder: Path, keys: set[str] | None) -> list[str]:
    """Return what of a request is not there whole: its manifest says what should be."""
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
