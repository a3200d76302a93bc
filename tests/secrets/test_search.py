"""The search finds what is there, and nothing else."""

from __future__ import annotations

import pytest
from markers import made
from search import Search, packed

SECRET = made("a value")


@pytest.mark.parametrize("form", packed(SECRET.core))
def test_a_value_is_found_in_every_form(form: str) -> None:
    content = b"before\n" + packed(SECRET.core)[form] + b"\nafter" * 20
    assert Search([SECRET]).look("here", content)


@pytest.mark.parametrize("form", packed(SECRET.core))
def test_another_value_is_not_found(form: str) -> None:
    assert not Search([made("another")]).look("here", packed(SECRET.core)[form])


def test_a_hit_says_where_and_does_not_repeat_the_value() -> None:
    content = f"a line\nthe key {SECRET.text} is bad\n".encode()
    hits = Search([SECRET]).look("logs/a.log", content)
    text = "\n".join(map(str, hits))
    assert "logs/a.log: a value" in text
    assert "the key <a value>" in text
    assert SECRET.core[:12] not in text
    assert SECRET.core[-12:] not in text
    assert SECRET.core[12:20] not in text
