"""Looking for values in bytes, whatever form they have taken on."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markers import Secret

# So many of a value's first, and last, characters are as good as the value.
PART = 12
DEPTH = 4
CONTEXT = 60
# What zlib and gzip begin with, as it is and in base64.
_PACKED = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
_PACKED_IN_BASE64 = re.compile(rb"(?:H4sI|eJ[w-z]|eN[o-r]|eA[E-H]|eF[4-7])[A-Za-z0-9+/_-]{20,}")
_URLSAFE = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True)
class Hit:
    """
    A value that was found.

    :param place: where.
    :param secret: what.
    :param form: how it looked.
    :param context: what stands around it, without the value.
    """

    place: str
    secret: Secret
    form: str
    context: str

    def __str__(self) -> str:
        return f"{self.place}: {self.secret.name} ({self.form}): {self.context}"


class Search:
    """
    A search for some values.

    Each is looked for by its first and its last characters, in any case, and by these in base64 wherever they fall in
    it, in hex and in UTF-16. Quoting and escaping need no forms of their own: they leave letters and digits alone.

    :param secrets: the values.
    :param plain: do without base64, hex and UTF-16, for very many values.
    """

    def __init__(self, secrets: Iterable[Secret], *, plain: bool = False) -> None:
        self._secrets = list(secrets)
        forms = _plain if plain else _forms
        self._needles = [
            (secret, form, needle) for secret in self._secrets for form, needle in forms(secret.core)
        ]

    def look(self, place: str, content: bytes) -> list[Hit]:
        """Return what is found in some content, also when that is packed."""
        hits: dict[tuple[str, str], Hit] = {}
        for layer, data in layers(content):
            folded = data.lower()
            for secret, form, needle in self._needles:
                text = data if form == "base64" else folded
                at = text.find(needle)
                if at >= 0 and (secret.name, form) not in hits:
                    around = self._redacted(data[max(0, at - CONTEXT) : at + len(needle) + CONTEXT])
                    hits[secret.name, form] = Hit(f"{place}{layer}", secret, form, around)
        return list(hits.values())

    def _redacted(self, around: bytes) -> str:
        for secret, form, needle in self._needles:
            if form == "base64":
                around = around.replace(needle, b"<...>")
            else:
                around = re.sub(re.escape(needle), f"<{secret.name}>".encode(), around, flags=re.IGNORECASE)
        # What is left of a value beside the part that was found.
        for secret in self._secrets:
            middle = secret.core[PART:-PART].encode()
            around = re.sub(re.escape(middle), b"", around, flags=re.IGNORECASE)
        return repr(around.decode("utf-8", "replace"))


def layers(content: bytes, depth: int = DEPTH) -> Iterator[tuple[str, bytes]]:
    """Yield the content, and what it turns out to be when it is unpacked, again and again."""
    yield "", content
    if depth == 0:
        return
    for name, inner in _unpacked(content):
        for layer, data in layers(inner, depth - 1):
            yield f" > {name}{layer}", data


def _unpacked(content: bytes) -> Iterator[tuple[str, bytes]]:
    view = memoryview(content)
    for start in _PACKED.finditer(content):
        try:
            inner = zlib.decompressobj(wbits=47).decompress(view[start.start() :])
        except zlib.error:
            continue
        # By accident, a few bytes at most can be unpacked.
        if len(inner) >= PART:
            yield "gzip" if start[0].startswith(b"\x1f") else "zlib", inner
    for run in _PACKED_IN_BASE64.finditer(content):
        text = run[0].translate(_URLSAFE)
        yield "base64", base64.b64decode(text[: len(text) // 4 * 4])


def _plain(core: str) -> Iterator[tuple[str, bytes]]:
    yield "its start", core[:PART].encode()
    yield "its end", core[-PART:].encode()


def _forms(core: str) -> Iterator[tuple[str, bytes]]:
    for which, part in _plain(core):
        yield which, part
        yield f"{which}, in hex", part.hex().encode()
        yield f"{which}, in UTF-16", part.decode().encode("utf-16-le")
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            # The first group and the last also hold bits of what stands before and behind.
            yield "base64", encode(b"\0" * shift + core.encode())[4:28]
