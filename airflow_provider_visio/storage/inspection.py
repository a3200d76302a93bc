"""
Say what a fetched file is, and whether it looks damaged. It is stored in any case, with this in its manifest.

The checks are small: they find a file that was cut off. One that is wrong about a file costs nothing but the mark.
"""

from __future__ import annotations

import json
import mmap
import re
import zipfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal, cast

from airflow_provider_visio.storage.media_types import EXTENSIONS, HEAD_BYTES, is_text, media_type_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Data = mmap.mmap

Check = Literal["ok", "damaged", "unknown"]

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_TAIL_BYTES = 2048
# A longer document is not an error message.
LONGEST_DOCUMENT = 64 * 1024

_BLANK = rb"(?:\xef\xbb\xbf)?(?:\s|<!--.*?-->)*"
_HTML = re.compile(_BLANK + rb"<(?:!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE | re.DOTALL)
_HTML_PART = re.compile(
    _BLANK + rb"<(?:title|script|style|meta|div|p|h1|center|pre)[\s>]", re.IGNORECASE | re.DOTALL
)
_XML = re.compile(_BLANK + rb"<\?xml.*?\?>(?:\s|<!.*?>)*<(?:[\w-]+:)?(?!svg\b)\w", re.IGNORECASE | re.DOTALL)
_XML_ERROR = re.compile(_BLANK + rb"<error[\s>]", re.IGNORECASE)
_INVISIBLE = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Inspection:
    """
    What a file is by its bytes.

    :param mime_type: the media type by the bytes, or as declared if the bytes do not show it.
    :param check: ``ok`` if it looks whole, ``damaged`` if not, ``unknown`` if there is no check for its type.
    :param note: the reason, if it is not ``ok``.
    """

    mime_type: str | None
    check: Check
    note: str = ""


def error_document(head: bytes, size: int, declared: str | None) -> str | None:
    """
    Return what a file is if it is an error message instead of a file, or None.

    :param head: its first ``LONGEST_DOCUMENT`` bytes.
    :param size: its length in bytes.
    :param declared: the media type that the service declares, as of :func:`media_type`.
    :return: ``"empty"``, ``"a web page"``, ``"an XML document"`` or ``"a JSON document"``.
    """
    if not size:
        return "empty"
    kind = (declared or "").partition("/")[2]
    may_have_tags = kind == "csv"  # a table's first column may be called "<Title>"
    if "html" not in kind and (_HTML.match(head) or (not may_have_tags and _HTML_PART.match(head))):
        return "a web page"
    if not kind.endswith("xml") and (_XML.match(head) or (not may_have_tags and _XML_ERROR.match(head))):
        return "an XML document"
    if "json" not in kind and size <= LONGEST_DOCUMENT and head.lstrip()[:1] in {b"{", b"["}:
        try:
            json.loads(head)
        except (ValueError, RecursionError):
            return None
        return "a JSON document"
    return None


def first_words(head: bytes, limit: int = 120) -> str:
    """Return the first words of a text, without its markup."""
    words = " ".join(_INVISIBLE.sub(" ", head[:HEAD_BYTES].decode("utf-8", "replace")).split())
    return words if len(words) <= limit else f"{words[:limit]}..."


def inspect(part: Path, declared: str | None) -> Inspection:
    """
    Return what a file is, and whether it looks damaged.

    :param part: the fetched file, in the file system of this machine; not empty.
    :param declared: the media type that the service declares, as of :func:`media_type`.
    """
    with part.open("rb") as source, mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = media_type_of(data[:HEAD_BYTES], declared)
        try:
            if found == "application/zip" and declared == _XLSX and _is_workbook(data):
                found = _XLSX
            note = _CHECKS.get(found or "", _no_check)(data)
        except Exception as error:  # noqa: BLE001 - whatever the file holds, it is stored
            note = f"it cannot be read: {error}"
    if found is None and declared in EXTENSIONS:
        return Inspection(declared, "damaged", f"its bytes are not those of {declared}")
    if note is None:
        reason = "its type is not known" if found is None else f"there is no check of {found}"
        return Inspection(found or declared, "unknown", reason)
    return Inspection(found, "damaged" if note else "ok", note)


def _no_check(data: Data) -> None:  # noqa: ARG001
    return None


def _jpeg(data: Data) -> str:
    """Follow the segments to the picture's data, which must have an end marker after them (ITU T.81, annex B)."""
    at, size = 2, len(data)
    while data[at : at + 2] != b"\xff\xda":  # start of scan
        at = data.find(b"\xff", at)  # some phones write stray bytes between two segments
        if at < 0 or at + 4 > size:
            return "it ends before the picture's data"
        if data[at + 1] in {0x00, 0x01, 0xFF} or 0xD0 <= data[at + 1] <= 0xD8:  # markers without a length
            at += 1
        elif data[at + 1] != 0xDA:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    end = data.rfind(b"\xff\xd9", at)
    # Behind the end there may be a second picture, which has a scan and an end of its own; or a motion photo's video.
    if end >= 0 and not _SCAN.search(data, end):
        return ""
    return (
        "" if data[-4:] == b"SEFT" else "the end of the picture is missing"
    )  # Samsung's panoramas have a trailer


# A start of scan whose length fits its number of components.
_SCAN = re.compile(rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")


def _png(data: Data) -> str:
    return "" if data.rfind(b"IEND\xaeB`\x82") >= 0 else "the end of the picture is missing"


def _gif(data: Data) -> str:
    # The last block's end, and the trailer; some programs write more behind it.
    return "" if b"\x00\x3b" in data[-_TAIL_BYTES:] else "the end of the picture is missing"


def _webp(data: Data) -> str:
    return _short_of(int.from_bytes(data[4:8], "little") + 8, data)


def _bmp(data: Data) -> str:
    return _short_of(int.from_bytes(data[2:6], "little"), data)


def _short_of(length: int, data: Data) -> str:
    return f"it has {len(data)} of {length} bytes" if len(data) < length else ""


def _boxes(data: Data) -> str:
    """Follow the boxes of ISO/IEC 14496-12, each of which begins with its length."""
    at, seen = 0, set[bytes]()
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind not in _BOXES:
            break  # other data behind the last box
        seen.add(kind)
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8:  # up to the end
            break
        at += size
        if at > len(data):
            return _short_of(at, data)
    has_data = seen & {b"mdat", b"moof", b"jxlc", b"jxlp"} or data.find(b"idat") >= 0
    return (
        "" if has_data and seen & {b"meta", b"moov", b"moof", b"jxlc", b"jxlp"} else "a part of it is missing"
    )


_BOXES = {
    *b"ftyp meta moov mdat moof mfra free skip wide uuid pdin sidx styp jxlc jxlp jxll Exif".split(),
    b"JXL ",
}


def _jxl(data: Data) -> str | None:
    return _boxes(data) if data[4:8] == b"JXL " else None  # the bare form has no lengths


def _pdf(data: Data) -> str:
    return "" if b"%%EOF" in data[-_TAIL_BYTES:] else "the end of the document is missing"


def _csv(data: Data) -> str:
    return "" if is_text(data[:HEAD_BYTES]) else "it has bytes that are not text"


def _zip(data: Data) -> str:
    return "the archive's directory is missing" if _names_in(data) is None else ""


def _is_workbook(data: Data) -> bool:
    names = _names_in(data)
    return names is None or any(name.startswith("xl/") for name in names)


def _names_in(data: Data) -> list[str] | None:
    """Return the names of an archive's files, or None if it is cut off."""
    try:
        return zipfile.ZipFile(cast("IO[bytes]", data)).namelist()
    except zipfile.BadZipFile:
        return None


_CHECKS: dict[str, Callable[[Data], str | None]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/gif": _gif,
    "image/webp": _webp,
    "image/bmp": _bmp,
    "image/heic": _boxes,
    "image/heif": _boxes,
    "image/avif": _boxes,
    "video/mp4": _boxes,
    "video/quicktime": _boxes,
    "image/jxl": _jxl,
    "application/pdf": _pdf,
    "text/csv": _csv,
    "application/zip": _zip,
    _XLSX: _zip,
}
