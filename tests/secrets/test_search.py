"""The search finds what is there, and nothing else."""

from __future__ import annotations

import base64
import gzip
import zlib
from urllib.parse import quote

import pytest
from markers import made
from search import PART, Search

SECRET = made("a value")


def packed(value: str) -> dict[str, bytes]:
    raw = value.encode()
    return {
        "as it is": raw,
        "in capitals": raw.upper(),
        "its first part": raw[:PART],
        "its last part": raw[-PART:],
        "in a URL": f"https://a.test/?q={quote('<' + value + '>')}".encode(),
        "in JSON": b'{"a": "\\"' + raw + b'\\""}',
        "in base64": base64.b64encode(raw),
        "in base64, behind a name": base64.b64encode(b"user:" + raw),
        "in base64, behind a longer name": base64.b64encode(b"users:" + raw + b":more"),
        "in base64 for URLs": base64.urlsafe_b64encode(b"\xff\xfeuser:" + raw),
        "in hex": raw.hex().encode(),
        "in UTF-16": value.encode("utf-16"),
        "in gzip": gzip.compress(raw * 2),
        "in zlib, with something before": b"\x00\x01\x02" + zlib.compress(b"{..." + raw + b"...}"),
        "in zlib in base64": b'{"x": "' + base64.b64encode(zlib.compress(b"...." + raw)) + b'"}',
        "in gzip in zlib": zlib.compress(gzip.compress(b"...." + raw)),
    }


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
