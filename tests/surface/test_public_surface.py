"""What users rely on is as recorded; `python -m dev.surface --write` records a change that is meant."""

from __future__ import annotations

from dev.surface.__main__ import differences


def test_the_public_surface_is_the_recorded_one():
    found = "\n".join(differences())
    assert not found, found
