"""Whatever breaks: nothing is asked twice, nothing ends wrong, nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chaos.outcome import Outcome


def test_scene(outcome: Outcome) -> None:
    assert not outcome.broke_off
    assert outcome.tasks > 0
    assert not outcome.not_asked
    assert outcome.why or not outcome.asked_again
    assert outcome.made <= outcome.tasks + outcome.extra
    assert not outcome.ended_wrong
    assert not outcome.lost
