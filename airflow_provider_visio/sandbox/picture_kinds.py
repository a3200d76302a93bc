"""The kinds of pictures that people send, each made from a plain JPEG, and the media type of an uploaded one.

The samples of HEIC, AVIF, JPEG XL and MP4 were encoded from `car.jpg` by libheif, libavif, libjxl and ffmpeg.
"""

import hashlib
import io
import re
import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from .options import Pictures
from .photo_jpeg import SAMPLES
from .stored_files import end_of_head


class Kind(NamedTuple):
    """One kind of picture: its name, the media type that the service declares, and the function that makes it."""

    name: str
    media_type: str
    build: Callable[[bytes], bytes]


@lru_cache(maxsize=32)
def picture(kind: Kind, jpeg: bytes) -> bytes:
    """Return a picture of the kind, made from a plain JPEG; the same arguments give the same bytes."""
    return kind.build(jpeg)


def kind_of(pictures: Pictures, position: int) -> Kind:
    """Return the kind of a person's picture; the kinds come in turn, by the picture's zero-based position."""
    kinds = KINDS[pictures]
    return kinds[position % len(kinds)]


def picture_type(content: bytes) -> str | None:
    """Return the media type of a picture by its first bytes, whatever the sender declares; None for other files."""
    if content[4:8] != b"ftyp":
        return next((name for name, start in _STARTS.items() if re.match(start, content, re.DOTALL)), None)
    brands = content[8 : min(256, int.from_bytes(content[:4], "big"))]
    found = {brands[at : at + 4] for at in range(0, len(brands), 4)}
    return next((name for name, known in _BRANDS.items() if found.intersection(known)), None)


def suffix_of(media_type: str) -> str:
    """Return the suffix of a file name."""
    name = media_type.partition("/")[2]
    return {"jpeg": "jpg", "quicktime": "mov"}.get(name, name)


def _sample(jpeg: bytes, suffix: str, brand: bytes = b"") -> bytes:
    sample = (SAMPLES / f"car.{suffix}").read_bytes()
    # A free box at the end, which readers skip, makes the files of two photos differ.
    return (
        sample[:8] + (brand or sample[8:12]) + sample[12:] + b"\0\0\0\x28free" + hashlib.sha256(jpeg).digest()
    )


def _encoded(jpeg: bytes, pillow_name: str) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.open(io.BytesIO(jpeg)).resize((640, 480)).save(out, pillow_name)
    return out.getvalue()


def _with_gain_map(jpeg: bytes) -> bytes:
    from PIL import Image

    picture, out = Image.open(io.BytesIO(jpeg)), io.BytesIO()
    gain = picture.convert("L").resize((400, 300))
    picture.save(out, "MPO", save_all=True, append_images=[gain], quality=90, exif=picture.getexif())
    return out.getvalue()


def _with_stray_bytes(jpeg: bytes) -> bytes:
    head = end_of_head(jpeg)
    return jpeg[:head] + b"\0\0\1\0\1\0\0" + jpeg[head:]


def _panorama(jpeg: bytes) -> bytes:
    name = b"Image_UTC_Data"
    block = struct.pack("<HHI", 0, 0x0A01, len(name)) + name + b"1700000000000"
    directory = b"SEFH" + struct.pack("<IIHHII", 106, 1, 0, 0x0A01, len(block), len(block))
    return jpeg.removesuffix(b"\xff\xd9") + block + directory + struct.pack("<I", len(directory)) + b"SEFT"


KINDS: Mapping[Pictures, tuple[Kind, ...]] = {
    "plain": (Kind("JPEG", "image/jpeg", bytes),),
    "phone": (
        Kind("JPEG", "image/jpeg", bytes),
        Kind("HEIC", "image/heic", lambda jpeg: _sample(jpeg, "heic")),
        Kind("motion photo", "image/jpeg", lambda jpeg: jpeg + _sample(jpeg, "mp4")),
        Kind("JPEG with a gain map", "image/jpeg", _with_gain_map),
    ),
    "samsung": (
        Kind("JPEG with stray bytes", "image/jpeg", _with_stray_bytes),
        Kind("panorama without an end marker", "image/jpeg", _panorama),
        Kind("HEIC with a line feed", "image/heic", lambda jpeg: _sample(jpeg, "heic") + b"\n"),
    ),
    "odd": (
        Kind("JPEG declared HEIC", "image/heic", bytes),
        Kind("PNG declared JPEG", "image/jpeg", lambda jpeg: _encoded(jpeg, "PNG")),
        Kind("WebP declared JPEG", "image/jpeg", lambda jpeg: _encoded(jpeg, "WEBP")),
        Kind("GIF", "image/gif", lambda jpeg: _encoded(jpeg, "GIF")),
        Kind("AVIF", "image/avif", lambda jpeg: _sample(jpeg, "avif")),
        Kind("TIFF", "image/tiff", lambda jpeg: _encoded(jpeg, "TIFF")),
        Kind("BMP", "image/bmp", lambda jpeg: _encoded(jpeg, "BMP")),
        Kind("JPEG XL", "image/jxl", lambda jpeg: _sample(jpeg, "jxl")),
        Kind("MOV", "video/quicktime", lambda jpeg: _sample(jpeg, "mp4", b"qt  ")),
        Kind("MP4", "video/mp4", lambda jpeg: _sample(jpeg, "mp4")),
        Kind("HEIF of brand mif2", "image/heif", lambda jpeg: _sample(jpeg, "heic", b"mif2")),
        Kind("cut JPEG", "image/jpeg", lambda jpeg: jpeg[: len(jpeg) // 2]),
    ),
}

_STARTS = {
    "image/jpeg": rb"\xff\xd8\xff",
    "image/png": rb"\x89PNG\r\n\x1a\n",
    "image/webp": rb"RIFF....WEBP",
    "image/gif": rb"GIF8[79]a",
    "image/tiff": rb"II\*\0|MM\0\*",
    "image/bmp": rb"BM....\0\0\0\0",
    "image/jxl": rb"\xff\x0a|\0\0\0\x0cJXL ",
}
# In this order: an AVIF may list `mif1` too.
_BRANDS = {
    "image/avif": (b"avif", b"avis"),
    "image/heic": tuple(b"heic heix heim heis hevc hevx hevm hevs mif1 mif2 msf1".split()),
}
