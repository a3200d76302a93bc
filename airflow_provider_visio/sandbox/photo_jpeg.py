"""JPEG files as a phone makes them: a sample picture with a caption, EXIF and GPS position."""

import io
import random
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

Place = tuple[float, float]

_SIZE = (1600, 1200)
SAMPLES = Path(__file__).with_name("sample_photos")
# Which sample shows what the instructions name; the first row with one of their words counts.
_SAMPLES = tuple(
    (name, frozenset(words.split()))
    for name, words in (
        (
            "car",
            "car cars dent dents vehicle van plate wheel wheels tyre tire bumper windscreen odometer scratch paint",
        ),
        ("meter", "meter meters reading readings gas dial electric electricity kwh"),
        ("parcel", "parcel parcels package packages delivery door doorstep box label shipment"),
        ("wall", "wall walls room damp leak crack ceiling roof house water floor mould stain kitchen window"),
        ("car", "damage front rear side back left right"),
    )
)


class ToolMissingError(RuntimeError):
    """A drawing library is not installed. The text says what to install."""


@contextmanager
def needs(name: str) -> Iterator[None]:
    """Say what to install where the import of a drawing library fails."""
    try:
        yield
    except ImportError as problem:
        raise ToolMissingError(
            f"The sandbox needs {name} to draw this ({problem.name} cannot be imported). "
            "Install it with: pip install 'airflow-provider-visio[sandbox]'"
        ) from problem


@lru_cache(maxsize=32)
def photo(
    instructions: str, request_text: str, taken_at: int, gps: Place | None, *, subject: str, seed: int
) -> bytes:
    """Return a JPEG of 1600 x 1200 pixels; the same arguments give the same bytes.

    :param instructions: of the item; they choose the sample picture and are written on it.
    :param request_text: instructions of the request; they choose the sample where the item's name nothing.
    :param taken_at: Unix timestamp.
    :param gps: latitude and longitude in degrees.
    :param subject: id of the request or submission; written on the picture.
    :param seed: varies the part of the sample that is shown, and the light.
    """
    with needs("Pillow"):
        from PIL import Image, ImageEnhance
    source = random.Random(seed)
    with Image.open(SAMPLES / f"{sample_for(instructions, request_text, subject)}.jpg") as sample:
        zoom, (width, height) = source.uniform(1.05, 1.35), sample.size
        x, y = source.random() * width * (1 - 1 / zoom), source.random() * height * (1 - 1 / zoom)
        shown = (x, y, x + width / zoom, y + height / zoom)
        picture = sample.resize(_SIZE, Image.Resampling.BICUBIC, box=shown)
    picture = ImageEnhance.Brightness(picture).enhance(source.uniform(0.85, 1.1))
    _write_caption(picture, instructions, _facts(taken_at, gps, subject))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90, exif=_exif(instructions, taken_at, gps))
    return out.getvalue()


@lru_cache(maxsize=32)
def thumbnail(content: bytes) -> bytes:
    """Return a small JPEG of a picture, or a grey card where Pillow cannot read it."""
    with needs("Pillow"):
        from PIL import Image, ImageOps
    try:
        small: Image.Image = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
        small.thumbnail((320, 320))
    except (OSError, ValueError, SyntaxError, RuntimeError, Image.DecompressionBombError):
        small = Image.new("RGB", (320, 240), (200, 204, 208))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=80)
    return out.getvalue()


def sample_for(instructions: str, request_text: str, subject: str) -> str:
    """Return the name of the sample that the texts name, else one that depends on the subject only."""
    for text in (instructions, request_text):
        words = {word.strip(".,:;!?()") for word in text.lower().replace("-", " ").split()}
        for name, hints in _SAMPLES:
            if words & hints:
                return name
    return random.Random(subject).choice(_SAMPLES)[0]


def _facts(taken_at: int, gps: Place | None, subject: str) -> str:
    facts = [subject, datetime.fromtimestamp(taken_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")]
    if gps:
        north, east = ("N" if gps[0] >= 0 else "S"), ("E" if gps[1] >= 0 else "W")
        facts.append(f"{abs(gps[0]):.5f}\N{DEGREE SIGN} {north}  {abs(gps[1]):.5f}\N{DEGREE SIGN} {east}")
    return "    ".join(facts)


def _write_caption(picture: "Image.Image", instructions: str, facts: str) -> None:
    from PIL import ImageDraw, ImageFont

    lines = textwrap.wrap(instructions, 66, max_lines=2, placeholder=" ...")
    draw, (width, height) = ImageDraw.Draw(picture), picture.size
    top = height - 80 - 54 * len(lines)
    draw.rectangle((0, top, width, height), (16, 18, 22))
    for number, line in enumerate(lines):
        draw.text(
            (50, top + 40 + 54 * number), line, (255, 255, 255), ImageFont.load_default(42), anchor="lm"
        )
    draw.text((50, height - 40), facts, (255, 214, 102), ImageFont.load_default(30), anchor="lm")


def _exif(instructions: str, taken_at: int, gps: Place | None) -> "Image.Exif":
    from PIL import ExifTags, Image

    tags, moment = ExifTags.Base, datetime.fromtimestamp(taken_at, UTC)
    stamp = moment.strftime("%Y:%m:%d %H:%M:%S")
    exif = Image.Exif()
    exif[tags.Make], exif[tags.Model], exif[tags.Software] = "Sandbox", "Pretend Phone 1", "visio-sandbox"
    exif[tags.DateTime], exif[tags.Orientation] = stamp, 1
    exif[tags.ImageDescription] = instructions.encode("ascii", "replace").decode()[:500]
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    inner[tags.DateTimeOriginal] = inner[tags.DateTimeDigitized] = stamp
    inner[tags.OffsetTimeOriginal] = "+00:00"
    if gps:
        exif.get_ifd(ExifTags.IFD.GPSInfo).update(_gps_tags(gps, moment))
    return exif


def _gps_tags(gps: Place, moment: datetime) -> Mapping[int, object]:
    from PIL import ExifTags

    latitude, longitude = gps
    tags = ExifTags.GPS
    return {
        tags.GPSVersionID: b"\x02\x03\x00\x00",
        tags.GPSLatitudeRef: "N" if latitude >= 0 else "S",
        tags.GPSLatitude: _degrees(abs(latitude)),
        tags.GPSLongitudeRef: "E" if longitude >= 0 else "W",
        tags.GPSLongitude: _degrees(abs(longitude)),
        tags.GPSTimeStamp: (Fraction(moment.hour), Fraction(moment.minute), Fraction(moment.second)),
        tags.GPSDateStamp: moment.strftime("%Y:%m:%d"),
    }


def _degrees(value: float) -> tuple[Fraction, Fraction, Fraction]:
    whole = int(value)
    minutes = int((value - whole) * 60)
    seconds = Fraction(round(((value - whole) * 60 - minutes) * 60 * 10_000), 10_000)
    return Fraction(whole), Fraction(minutes), seconds
