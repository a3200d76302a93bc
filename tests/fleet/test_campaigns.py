"""A campaign loses a part of the fleet, and nothing else: nobody is asked twice, no task fails, no photo is lost."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.environment import TRIGGERERS, WORKERS, Fleet
from fleet.outcome import play
from fleet.scenes import PEOPLE, SCENES, Scene


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_campaign(scene: Scene, fleet: Fleet, result: dict[str, Any]) -> None:
    outcome = play(fleet, scene, PEOPLE)
    result["scenes"].append(outcome.as_json())

    assert not outcome.aborted
    assert not outcome.not_asked
    assert outcome.made == PEOPLE
    assert outcome.most == 1
    assert not outcome.ended_wrong
    assert outcome.photos == PEOPLE
    assert not outcome.lost
    assert set(outcome.hosts) >= set(WORKERS)
    assert outcome.refused <= outcome.calls / 60 * len(WORKERS + TRIGGERERS)
