"""Media types of files, by their first bytes, and the extensions of file names. No I/O."""

from __future__ import annotations

import mimetypes

EXTENSIONS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/heic": ".heic",
    "image/heif": ".heif",
    "image/avif": ".avif",
    "image/tiff": ".tiff",
    "image/x-adobe-dng": ".dng",
    "image/jxl": ".jxl",
    "image/bmp": ".bmp",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "application/pdf": ".pdf",
    "text/csv": ".csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/zip": ".zip",
}
HEAD_BYTES = 4096

_SYNONYMS = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/heic-sequence": "image/heic",
    "image/heif-sequence": "image/heif",
    "image/x-ms-bmp": "image/bmp",
    "image/dng": "image/x-adobe-dng",
    "application/x-zip-compressed": "application/zip",
}
_UNSPECIFIC = {"", "application/octet-stream", "binary/octet-stream"}
# The brands of ISO/IEC 14496-12 and 23008-12, the most specific type first: an AVIF is a kind of HEIF.
_BRANDS = {
    "image/avif": {b"avif", b"avis"},
    "image/heic": {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"},
    "image/jxl": {b"jxl "},
    "image/heif": {b"mif1", b"mif2", b"msf1"},
    "video/quicktime": {b"qt  "},
}
_JXL_STARTS = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n")
# The first box of an old QuickTime film, which has no brand.
_MOV_STARTS = {b"moov", b"mdat", b"wide"}
# The tag DNGVersion of a TIFF, in both byte orders.
_DNG_TAGS = (b"\x12\xc6\x01\x00\x04\x00\x00\x00", b"\xc6\x12\x00\x01\x00\x00\x00\x04")
# The standard's table, without that of the machine: all workers give a file the same name.
_STANDARD = mimetypes.MimeTypes()


def media_type(declared: str | None) -> str | None:
    """Return a declared media type without its parameters, or None if it is unspecific."""
    name = (declared or "").split(";")[0].strip().lower()
    return None if name in _UNSPECIFIC else _SYNONYMS.get(name, name)


def media_type_of(head: bytes, declared: str | None) -> str | None:
    """
    Return the media type that the bytes show, or None if they show none.

    :param head: the first ``HEAD_BYTES`` bytes of the file.
    :param declared: the declared media type, as of :func:`media_type`.
    """
    import filetype  # type: ignore[import-untyped, unused-ignore]

    if (declared or "").startswith("text/") and is_text(head) and not head.startswith(b"%PDF-"):
        return declared  # a table may begin with the letters of a signature, such as "BM"
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    if head.startswith(_JXL_STARTS):
        return "image/jxl"
    if head[4:8] in _MOV_STARTS:
        return "video/quicktime"
    found: str | None = media_type(filetype.guess_mime(head))
    if found == "image/tiff" and any(tag in head for tag in _DNG_TAGS):
        return "image/x-adobe-dng"
    return found


def is_text(head: bytes) -> bool:
    """Return whether bytes are text in UTF-8, in UTF-16 with a mark, or in an encoding of single bytes."""
    return head.startswith((b"\xff\xfe", b"\xfe\xff")) or not any(byte < 9 or 13 < byte < 27 for byte in head)


def extension_of(mime_type: str | None) -> str:
    """Return the extension of a media type; ``.bin`` if none is known."""
    name = mime_type or ""
    return EXTENSIONS.get(name) or _STANDARD.guess_extension(name) or ".bin"


def _of_brands(head: bytes) -> str:
    size = int.from_bytes(head[:4], "big")
    # The major brand, and after the minor version the compatible ones.
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(size, len(head)) - 3, 4))}
    return next((found for found, known in _BRANDS.items() if brands & known), "video/mp4")
