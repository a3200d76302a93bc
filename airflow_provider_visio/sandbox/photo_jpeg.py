"""Photos as a phone would take them: a scene, light, grain, the time stamped on it, EXIF and GPS."""

import io
import math
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

    from .scenes import Scene

_SIZE = (1600, 1200)


class ToolMissingError(RuntimeError):
    """A drawing library is not installed; the text says what to do."""


def need(module: str, name: str) -> ToolMissingError:
    """Return the error for a missing drawing library."""
    return ToolMissingError(
        f"The sandbox needs {name} to draw this ({module} cannot be imported). "
        "Install it with: pip install 'airflow-provider-visio[sandbox]'"
    )


@lru_cache(maxsize=32)
def photo(
    instructions: str,
    request_text: str,
    taken_at: int,
    gps: tuple[float, float] | None,
    *,
    subject: int,
    seed: int,
) -> bytes:
    """Draw a JPEG of 1600 x 1200 that shows what was asked for; the same arguments give the same bytes.

    What it shows is read from the item's instructions, else from the request's (`request_text`). Photos of one
    `subject` show the same thing; `seed` varies how it was taken.
    """
    try:
        from . import scenes
    except ImportError as problem:
        raise need("PIL", "Pillow") from problem
    thing = random.Random(subject)
    scene = scenes.choose((instructions, request_text), thing)(thing)
    picture = _as_taken(scene, instructions, random.Random(seed))
    _stamp(picture, instructions, taken_at, gps)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=84, exif=_exif(instructions, taken_at, gps))
    return out.getvalue()


@lru_cache(maxsize=32)
def thumbnail(content: bytes) -> bytes:
    """Make a small JPEG of a picture; of one that Pillow cannot read, a grey card."""
    try:
        from PIL import Image, ImageOps
    except ImportError as problem:
        raise need("PIL", "Pillow") from problem
    try:
        small: Image.Image = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
        small.thumbnail((320, 320))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        small = Image.new("RGB", (320, 240), (200, 204, 208))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=80)
    return out.getvalue()


def _as_taken(scene: "Scene", instructions: str, source: random.Random) -> "Image.Image":
    """Held a little askew, close to what the instructions name, lit unevenly, with the sensor's grain."""
    from PIL import Image, ImageChops, ImageEnhance

    picture = _framed(scene, instructions.lower(), source)
    vignette = Image.radial_gradient("L").resize(_SIZE).point([max(0, v - 96) * 2 // 3 for v in range(256)])
    picture.paste((8, 8, 12), mask=vignette)
    picture = ImageEnhance.Brightness(picture).enhance(source.uniform(0.9, 1.1))
    # Pillow's own noise cannot be seeded; the same picture must come out twice the same.
    speckle = Image.frombytes("L", (400, 300), source.randbytes(120_000)).resize(_SIZE)
    grain = speckle.point([118 + value * 20 // 255 for value in range(256)])
    return ImageChops.overlay(picture, Image.merge("RGB", [grain] * 3))


def _framed(scene: "Scene", words: str, source: random.Random) -> "Image.Image":
    from PIL import Image

    wide, high = scene.picture.size
    named = [place for name, place in scene.places.items() if name in words]
    if named:
        (x, y), zoom = named[0], source.uniform(1.45, 1.7)
    else:
        x, y, zoom = wide / 2 + source.uniform(-50, 50), high / 2, source.uniform(1.04, 1.12)
    # Room for the tilt: what is cut out must lie inside the drawing.
    reach_x, reach_y = wide / zoom / 2 + 40, high / zoom / 2 + 40
    x = min(max(x, reach_x), wide - reach_x) if reach_x * 2 < wide else wide / 2
    y = min(max(y, reach_y), high - reach_y) if reach_y * 2 < high else high / 2
    angle, scale = math.radians(source.uniform(-1.8, 1.8)), wide / zoom / _SIZE[0]
    a, b = scale * math.cos(angle), scale * math.sin(angle)
    shift_x = x - a * _SIZE[0] / 2 + b * _SIZE[1] / 2
    shift_y = y - b * _SIZE[0] / 2 - a * _SIZE[1] / 2
    turn = (a, -b, shift_x, b, a, shift_y)
    return scene.picture.transform(_SIZE, Image.Transform.AFFINE, turn, Image.Resampling.BILINEAR)


def _stamp(picture: "Image.Image", instructions: str, taken_at: int, gps: tuple[float, float] | None) -> None:
    from PIL import Image, ImageDraw, ImageFont

    width, height = picture.size
    big, small = ImageFont.load_default(42), ImageFont.load_default(30)
    lines = _wrapped(" ".join(instructions.split()), big.getlength, width - 100, 2)
    facts = datetime.fromtimestamp(taken_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if gps:
        north, east = ("N" if gps[0] >= 0 else "S"), ("E" if gps[1] >= 0 else "W")
        facts += f"    {abs(gps[0]):.5f}\N{DEGREE SIGN} {north}  {abs(gps[1]):.5f}\N{DEGREE SIGN} {east}"
    band = 66 + 54 * len(lines) + 30
    shade = Image.linear_gradient("L").resize((width, band)).point([min(190, v) for v in range(256)])
    picture.paste((0, 0, 0), (0, height - band), shade)
    draw = ImageDraw.Draw(picture)
    y = height - 56 - 54 * len(lines)
    for line in lines:
        draw.text((50, y), line, (255, 255, 255), big, anchor="lm")
        y += 54
    draw.text((50, height - 40), facts, (255, 214, 102), small, anchor="lm")


def _wrapped(text: str, measure: Callable[[str], float], room: float, most: int) -> list[str]:
    """Break the text into lines that fit, at most so many; what is too much is left out."""
    lines = [""]
    # More than this fits on no photo, and measuring takes time.
    for word in text[:400].split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if measure(longer) <= room or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > most:
        lines = [*lines[: most - 1], lines[most - 1] + " ..."]
    for number, _ in enumerate(lines):
        while measure(lines[number]) > room:
            lines[number] = lines[number][:-5].rstrip(".") + " ..."
    return lines


def _exif(instructions: str, taken_at: int, gps: tuple[float, float] | None) -> "Image.Exif":
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


def _gps_tags(gps: tuple[float, float], moment: datetime) -> Mapping[int, object]:
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
