"""Check the files that a run has stored: open each, describe it in a line, and compare it with its manifest."""

from __future__ import annotations

import hashlib
import json
import re
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image, UnidentifiedImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

EXIF_IFD, GPS_IFD = 0x8769, 0x8825
TAKEN, TAKEN_ORIGINAL = 0x0132, 0x9003
PDF_PAGE = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
MANIFEST = "manifest.json"


class OutputFile(NamedTuple):
    """A stored file.

    :param path: path below the folder
    :param size: size in bytes
    :param what: description in a line
    :param problem: error text; empty if the file is correct
    """

    path: str
    size: int
    what: str
    problem: str = ""


def check_output_files(folder: Path) -> list[OutputFile]:
    """Check every file below a folder."""
    return [_describe(path, folder) for path in sorted(folder.rglob("*")) if path.is_file()]


def _describe(path: Path, folder: Path) -> OutputFile:
    name, size = str(path.relative_to(folder)), path.stat().st_size
    try:
        if path.suffix in {".jpg", ".jpeg"}:
            return OutputFile(name, size, _picture(path))
        if path.suffix == ".pdf":
            return OutputFile(name, size, _pdf(path))
        if path.name == MANIFEST:
            return OutputFile(name, size, _manifest(path))
    except (ValueError, KeyError, OSError, UnidentifiedImageError) as error:
        return OutputFile(name, size, f"WRONG: {error}", problem=f"{name}: {error}")
    return OutputFile(name, size, path.suffix.lstrip(".").upper() or "file")


def _picture(path: Path) -> str:
    with Image.open(path) as image:
        image.load()
        exif = image.getexif()
        size = f"{image.width}x{image.height}"
    taken = exif.get_ifd(EXIF_IFD).get(TAKEN_ORIGINAL) or exif.get(TAKEN)
    gps = exif.get_ifd(GPS_IFD)
    if not taken or not gps:
        raise ValueError("the picture has no EXIF time or position")
    day, clock = str(taken).split(" ", 1)
    return (
        f"JPEG {size}, {day.replace(':', '-')} {clock}, {_degrees(gps[2], gps[1])} {_degrees(gps[4], gps[3])}"
    )


def _degrees(parts: tuple[float, float, float], side: str) -> str:
    degrees, minutes, seconds = (float(part) for part in parts)
    return f"{degrees + minutes / 60 + seconds / 3600:.4f} {side}"


def _pdf(path: Path) -> str:
    data = path.read_bytes()
    pages = len(PDF_PAGE.findall(data))
    if not data.startswith(b"%PDF-") or b"%%EOF" not in data[-1024:] or not pages:
        raise ValueError("not a complete PDF")
    return f"PDF, {pages} page{'s' if pages > 1 else ''}"


def _manifest(path: Path) -> str:
    entries = list(_entries(json.loads(path.read_text())))
    if not entries:
        raise ValueError("the manifest names no file")
    for entry in entries:
        data = (path.parent / Path(entry["path"]).name).read_bytes()
        if len(data) != entry["bytes"] or hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise ValueError(f"{entry['path']} differs from its size or checksum in the manifest")
    return f"manifest of {len(entries)} file{'s' if len(entries) > 1 else ''}, sizes and checksums match"


def _entries(manifest: Any) -> Iterator[dict[str, Any]]:
    yield from manifest["files"]


def table(files: list[OutputFile]) -> str:
    """Return a table for the terminal, with a block for each folder."""
    width = max((len(Path(file.path).name) for file in files), default=0)
    lines = []
    for folder, group in groupby(files, key=lambda file: Path(file.path).parent):
        lines.append(f"  {folder}/")
        lines += [f"    {Path(file.path).name:{width}} {file.size:>9,}  {file.what}" for file in group]
    return "\n".join(lines)
