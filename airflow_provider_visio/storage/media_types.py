"""Media types of files, and checks that a file is complete. No I/O."""

from __future__ import annotations

import hashlib
import re

EXTENSIONS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/heic": ".heic",
    "image/heif": ".heif",
    "application/pdf": ".pdf",
    "text/csv": ".csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}

_EDGE_BYTES = 1024
# A web page, or an object store's XML error, instead of a file.
_PAGE = re.compile(
    rb"(\xef\xbb\xbf)?\s*<(!doctype|!--|html|head|body|title|script|\?xml|error)", re.IGNORECASE
)
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"}


class Inspection:
    """
    Finds the size, digest and media type of a file while its bytes are received.

    :param declared: the declared media type, or None for any.
    """

    def __init__(self, declared: str | None = None) -> None:
        self.declared = media_type(declared)
        self.size = 0
        self._head = b""
        self._tail = b""
        self._digest = hashlib.sha256()
        self._jpeg = JpegEnd()
        self._boxes = BoxEnd()

    def add(self, chunk: bytes) -> None:
        """Add the next bytes."""
        if len(self._head) < _EDGE_BYTES:
            self._head = (self._head + chunk)[:_EDGE_BYTES]
        self._tail = (self._tail + chunk[-_EDGE_BYTES:])[-_EDGE_BYTES:]
        self.size += len(chunk)
        self._digest.update(chunk)
        self._jpeg.add(chunk)
        self._boxes.add(chunk)

    @property
    def sha256(self) -> str:
        """Digest of the bytes so far, as hex."""
        return self._digest.hexdigest()

    @property
    def mime_type(self) -> str | None:
        """The declared media type if it can be verified, else that of the bytes."""
        return self.declared if self.declared in EXTENSIONS else sniff(self._head) or self.declared

    def problem(self) -> str | None:
        """Return why the file is not complete or not of its declared type, or None."""
        if self.size == 0:
            return "it is empty"
        found = sniff(self._head)
        if self.declared in EXTENSIONS and not _agree(self.declared, found):
            return f"it should be {self.declared} but is {found or 'something else'}"
        if found == "text/html":
            return "it is a web page, not a file"
        if found == "image/jpeg" and not self._jpeg.reached:
            return "the JPEG is cut off"
        if found == "image/heic" and self._boxes.cut:
            return "the HEIC is cut off"
        if found == "image/png" and b"IEND\xaeB`\x82" not in self._tail:
            return "the PNG is cut off"
        if found == "image/webp" and int.from_bytes(self._head[4:8], "little") + 8 > self.size:
            return "the WebP is cut off"
        if found == "application/zip" and b"PK\x05\x06" not in self._tail:
            return "the archive is cut off"
        if found == "application/pdf" and b"%%EOF" not in self._tail:
            return "the PDF is cut off"
        return None


class JpegEnd:
    """
    Finds the end of a JPEG picture (ITU T.81, annex B), since a truncated one may have a matching length.

    The last bytes do not show it: phones append data (motion photos), and a thumbnail in the header has its own end
    marker. So the segments are followed to the end marker of the picture itself.
    """

    # A marker inside entropy-coded data: not a stuffed zero, not a restart marker, not fill.
    _MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")

    def __init__(self) -> None:
        self.reached = False
        self._broken = False
        self._in_scan = False
        self._skip = 2  # the start marker
        self._rest = b""

    def add(self, chunk: bytes) -> None:
        """Add the next bytes."""
        if self.reached or self._broken:
            return
        data = self._rest + chunk
        at = 0
        while not self.reached and not self._broken:
            if self._skip:
                step = min(self._skip, len(data) - at)
                at, self._skip = at + step, self._skip - step
                if self._skip:
                    break
            if self._in_scan:
                match = self._MARKER.search(data, at)
                if match is None:
                    at = max(at, len(data) - 1)
                    break
                at, self._in_scan = match.start(), False
            if len(data) - at < 4 and data[at : at + 2] != b"\xff\xd9":
                break
            at = self._segment(data, at)
        self._rest = data[at:]

    def _segment(self, data: bytes, at: int) -> int:
        if data[at] != 0xFF:
            self._broken = True
            return at
        kind = data[at + 1]
        if kind == 0xFF:  # fill
            return at + 1
        if kind == 0xD9:
            self.reached = True
            return at + 2
        if kind == 0x01 or 0xD0 <= kind <= 0xD8:  # markers without a length
            return at + 2
        self._skip = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        self._in_scan = kind == 0xDA
        return at


class BoxEnd:
    """Follows the boxes of an HEIF picture (ISO/IEC 14496-12, 4.2), each of which begins with its length."""

    def __init__(self) -> None:
        self._to_the_end = False
        self._skip = 0
        self._rest = b""

    @property
    def cut(self) -> bool:
        """Whether bytes of the last box are missing."""
        return not self._to_the_end and bool(self._skip or self._rest)

    def add(self, chunk: bytes) -> None:
        """Add the next bytes."""
        if self._to_the_end:
            return
        if self._skip >= len(chunk):
            self._skip -= len(chunk)
            return
        data = self._rest + chunk[self._skip :]
        at = self._skip = 0
        while not self._skip and len(data) - at >= 8:
            size = int.from_bytes(data[at : at + 4], "big")
            if size == 1:
                if len(data) - at < 16:
                    break
                size = int.from_bytes(data[at + 8 : at + 16], "big")
            if size < 8:  # 0 is a box up to the end; less than a header is no box
                self._to_the_end = True
                return
            self._skip = max(0, size - (len(data) - at))
            at = min(at + size, len(data))
        self._rest = data[at:]


def media_type(declared: str | None) -> str | None:
    """Return a declared media type without its parameters, or None if it is unspecific."""
    name = (declared or "").split(";")[0].strip().lower()
    name = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg"}.get(name, name)
    return None if name in {"", "application/octet-stream", "binary/octet-stream"} else name


def sniff(head: bytes) -> str | None:
    """Return the media type of a file's first bytes, or None if it is unknown."""
    for start, found in (
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"%PDF-", "application/pdf"),
        (b"PK\x03\x04", "application/zip"),
    ):
        if head.startswith(start):
            return found
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return "image/heic"
    return "text/html" if _PAGE.match(head) else None


def _agree(wanted: str, found: str | None) -> bool:
    if wanted == "text/csv":
        return found is None
    if wanted.endswith("spreadsheetml.sheet"):
        return found == "application/zip"
    if wanted in {"image/heic", "image/heif"}:
        return found == "image/heic"
    return found == wanted
