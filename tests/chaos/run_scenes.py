"""Plays scenes: those of a phase at once, one phase after the other."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chaos.outcome import Outcome, judge
from chaos.random_faults import storms
from dev.processes import DevError

if TYPE_CHECKING:
    from chaos.environment import Field
    from chaos.scenes import Scene

TIMEOUT = 600
# Those that break what all share do so one after the other.
IN_TURN = 2


def play(the: Field, scenes: Sequence[Scene]) -> dict[str, Outcome]:
    """Play the scenes and return what came of each."""
    outcomes: dict[str, Outcome] = {}
    for phase in sorted({scene.phase for scene in scenes}):
        together = [scene for scene in scenes if scene.phase == phase]
        errors = _act(the, together, in_turn=phase == IN_TURN)
        for scene in together:
            if scene.name not in errors:
                errors |= _wait_for_end(the, scene)
        for scene in together:
            storm = next((storm for storm in storms if storm.scene is scene), None)
            outcome = judge(the, scene, storm.marked if storm else None)
            outcome.broke_off = errors.get(scene.name, "")
            outcome.deeds = storm.done if storm else []
            outcomes[scene.name] = outcome
            note(the, outcome.as_json())
    return outcomes


def note(the: Field, what: Mapping[str, Any]) -> None:
    """Write down what is known before the run ends."""
    with (the.folder / "so-far.jsonl").open("a") as file:
        file.write(json.dumps(what) + "\n")


def _act(the: Field, scenes: Sequence[Scene], *, in_turn: bool) -> dict[str, str]:
    errors: dict[str, str] = {}

    def act(scene: Scene) -> None:
        try:
            scene.act(the, scene)
        except Exception:  # noqa: BLE001  whatever it is, it belongs to this scene
            errors[scene.name] = traceback.format_exc()
            note(the, {"name": scene.name, "broke_off": errors[scene.name]})

    threads = [threading.Thread(target=act, args=[scene], name=scene.name, daemon=True) for scene in scenes]
    for thread in threads:
        thread.start()
        if in_turn:
            thread.join()
    for thread in threads:
        thread.join()
    return errors


def _wait_for_end(the: Field, scene: Scene) -> dict[str, str]:
    try:
        the.until(f"the end of {scene.name}", lambda: the.ended(scene.name), TIMEOUT)
    except DevError as error:
        left = [task for task in the.tasks(scene.name) if task.state not in {"success", "failed"}]
        return {scene.name: f"{error}; left: {left}"}
    return {}
