"""No failure creates a second request, a wrong end state or a lost file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chaos.outcome import Outcome


def test_scene(outcome: Outcome) -> None:
    assert not outcome.aborted
    assert outcome.tasks > 0
    assert not outcome.not_created
    assert outcome.why or not outcome.created_again
    assert outcome.made <= outcome.tasks + outcome.extra
    assert not outcome.ended_wrong
    assert not outcome.lost
    # One at a time, so at most the one under way when the first try ended.
    assert (outcome.fetched_again or 0) <= outcome.tasks
