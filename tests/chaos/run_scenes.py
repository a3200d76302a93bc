"""Run scenes: those of a phase at the same time, one phase after the other."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chaos.outcome import Outcome, evaluate
from chaos.random_faults import random_runs
from dev.processes import DevError

if TYPE_CHECKING:
    from chaos.environment import ChaosEnvironment
    from chaos.scenes import Scene

TIMEOUT = 600
# The phase whose scenes run one after the other, because each breaks a shared component.
IN_TURN = 2


def run_scenes(env: ChaosEnvironment, scenes: Sequence[Scene]) -> dict[str, Outcome]:
    """Run scenes.

    :return: name of the scene -> outcome
    """
    outcomes: dict[str, Outcome] = {}
    for phase in sorted({scene.phase for scene in scenes}):
        together = [scene for scene in scenes if scene.phase == phase]
        errors = _act(env, together, in_turn=phase == IN_TURN)
        for scene in together:
            if scene.name not in errors:
                errors |= _wait_for_end(env, scene)
        for scene in together:
            random_run = next((random_run for random_run in random_runs if random_run.scene is scene), None)
            outcome = evaluate(env, scene, random_run.marked if random_run else None)
            outcome.aborted = errors.get(scene.name, "")
            outcome.actions = random_run.done if random_run else []
            outcomes[scene.name] = outcome
            write_progress(env, outcome.as_json())
    return outcomes


def write_progress(env: ChaosEnvironment, what: Mapping[str, Any]) -> None:
    """Append a result to the file so-far.jsonl, so that it is kept if the run is interrupted."""
    with (env.folder / "so-far.jsonl").open("a") as file:
        file.write(json.dumps(what) + "\n")


def _act(env: ChaosEnvironment, scenes: Sequence[Scene], *, in_turn: bool) -> dict[str, str]:
    errors: dict[str, str] = {}

    def act(scene: Scene) -> None:
        try:
            scene.act(env, scene)
        except Exception:  # noqa: BLE001  any error is an outcome of this scene
            errors[scene.name] = traceback.format_exc()
            write_progress(env, {"name": scene.name, "aborted": errors[scene.name]})

    threads = [threading.Thread(target=act, args=[scene], name=scene.name, daemon=True) for scene in scenes]
    for thread in threads:
        thread.start()
        if in_turn:
            thread.join()
    for thread in threads:
        thread.join()
    return errors


def _wait_for_end(env: ChaosEnvironment, scene: Scene) -> dict[str, str]:
    try:
        env.until(f"the end of {scene.name}", lambda: env.ended(scene.name), TIMEOUT)
    except DevError as error:
        left = [task for task in env.tasks(scene.name) if task.state not in {"success", "failed"}]
        return {scene.name: f"{error}; left: {left}"}
    return {}
