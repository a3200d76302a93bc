import io
import sys
from datetime import UTC, datetime
from importlib import resources

import pytest
from PIL import ExifTags, Image

from airflow_provider_visio.sandbox import export_files, photo_jpeg, web_pages
from airflow_provider_visio.sandbox.dashboards import SEEDED

TAKEN = int(datetime(2026, 3, 22, 14, 30, 5, tzinfo=UTC).timestamp())


def draw(text="Show the dent", context="", gps=(46.0679, -11.1211), subject="req_1", seed=1):
    return photo_jpeg.photo(text, context, TAKEN, gps, subject=subject, seed=seed)


def test_photo_has_size_and_exif_of_a_phone():
    content = draw()
    assert 100_000 < len(content) < 500_000
    picture = Image.open(io.BytesIO(content))
    picture.load()
    assert (picture.format, picture.size) == ("JPEG", (1600, 1200))
    exif = picture.getexif()
    assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == "2026:03:22 14:30:05"
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    assert (place[ExifTags.GPS.GPSLatitudeRef], place[ExifTags.GPS.GPSLongitudeRef]) == ("N", "W")
    degrees, minutes, seconds = place[ExifTags.GPS.GPSLatitude]
    assert float(degrees + minutes / 60 + seconds / 3600) == pytest.approx(46.0679, abs=1e-5)


def test_no_place_when_none_was_given():
    assert not Image.open(io.BytesIO(draw(gps=None))).getexif().get_ifd(ExifTags.IFD.GPSInfo)


def test_same_again_and_different_otherwise():
    first = draw()
    photo_jpeg.photo.cache_clear()
    assert draw() == first
    assert len({first, draw(seed=2), draw(subject="req_2"), draw("Read the meter")}) == 4


@pytest.mark.parametrize("text", ["\u00e4\u00f6 \u4e2d\u6587 \U0001f697", "word " * 400, "x" * 3000])
def test_any_instructions_can_be_shown(text):
    Image.open(io.BytesIO(draw(text))).load()


@pytest.mark.parametrize(
    ("instructions", "request_text", "sample"),
    [
        ("Show the dent", "", "car"),
        ("The reading, please", "Your car", "meter"),
        ("The label", "", "parcel"),
        ("Close up", "The damp wall in the kitchen", "wall"),
        ("Rear", "", "car"),
    ],
)
def test_a_photo_shows_what_the_instructions_name(instructions, request_text, sample):
    assert photo_jpeg.sample_for(instructions, request_text, "req_1") == sample


def test_instructions_that_name_nothing_give_one_sample_a_request():
    assert photo_jpeg.sample_for("x", "", "req_1") == photo_jpeg.sample_for("y", "", "req_1")
    assert len({photo_jpeg.sample_for("x", "", f"req_{n}") for n in range(50)}) == 4


def test_the_samples_are_package_data():
    folder = resources.files("airflow_provider_visio.sandbox") / "sample_photos"
    sizes = {file.name: len(file.read_bytes()) for file in folder.iterdir()}
    photos, others = {"car.jpg", "meter.jpg", "parcel.jpg", "wall.jpg"}, {"heic", "avif", "jxl", "mp4"}
    assert set(sizes) == photos | {f"car.{suffix}" for suffix in others}
    assert max(sizes.values()) < 60 * 1024


def broken_avif() -> bytes:
    content = (photo_jpeg.SAMPLES / "car.avif").read_bytes()
    return content[:-3000] + bytes(3000)


@pytest.mark.parametrize("content", [b"\xff\xd8\xff nonsense", broken_avif()], ids=["jpeg", "avif"])
def test_thumbnail_of_an_unreadable_picture(content):
    assert Image.open(io.BytesIO(photo_jpeg.thumbnail(content))).size == (320, 240)


MAKE = {
    "PIL": lambda: draw("not cached"),
    "reportlab": lambda: export_files.render(SEEDED[1], "pdf", TAKEN),
    "segno": lambda: web_pages.qr_code("https://example.com"),
}


@pytest.mark.parametrize("module", ["PIL", "reportlab", "segno"])
def test_missing_libraries_are_named(monkeypatch, module):
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(photo_jpeg.ToolMissingError, match=r"airflow-provider-visio\[sandbox\]"):
        MAKE[module]()
    assert export_files.render(SEEDED[1], "csv", TAKEN)
