"""Whether bytes are whole, and what they claim to be."""

from __future__ import annotations

import hashlib
import io
import random
import struct
import zipfile

import pytest
from PIL import Image

from airflow_provider_visio.storage.media_types import Inspection, JpegEnd, media_type, sniff


def picture(kind="JPEG", size=(24, 18), **options):
    noise = random.Random(7).randbytes(size[0] * size[1] * 3)
    made = io.BytesIO()
    Image.frombytes("RGB", size, noise).save(made, kind, **options)
    return made.getvalue()


def with_thumbnail(jpeg, thumbnail):
    """Put a JPEG of its own into a header segment, as EXIF does with thumbnails."""
    payload = b"Exif\x00\x00" + thumbnail
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + jpeg[2:]


BASELINE = picture(quality=60)
JPEGS = {
    "baseline": BASELINE,
    "progressive": picture(quality=60, progressive=True),
    "restart markers": picture(quality=60, size=(64, 64), restart_marker_blocks=1),
    "thumbnail": with_thumbnail(BASELINE, picture(size=(4, 4), quality=20)),
    "fill bytes": BASELINE[:2] + b"\xff\xff\xff" + BASELINE[2:],
    "comment with markers in it": BASELINE[:2] + b"\xff\xfe\x00\x08\xff\xd9\xff\xda\xff\xd9" + BASELINE[2:],
    "stuffed zeros": picture(quality=95, size=(64, 64)),
}
PNG = picture("PNG", size=(8, 8))
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\nstartxref\n9\n%%EOF\n"
WEBP = picture("WEBP")


def archive():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as target:
        target.writestr("xl/workbook.xml", "<workbook/>" * 50)
    return made.getvalue()


XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HEIC = b"\x00\x00\x00\x18ftypheic" + bytes(200)


def box(kind, content):
    return struct.pack(">I", len(content) + 8) + kind + content


# As a phone writes it: what it is, where its parts are, and the picture, with a length in 64 bits.
PHONE_HEIC = (
    box(b"ftyp", b"heic\0\0\0\0mif1heic")
    + box(b"meta", bytes(700))
    + struct.pack(">I4sQ", 1, b"mdat", 3016)
    + bytes(3000)
)


def inspected(content, declared=None, step=0):
    found = Inspection(declared)
    for start in range(0, len(content), step or len(content) or 1):
        found.add(content[start : start + (step or len(content))])
    return found


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("step", [0, 1, 2, 3, 5, 64, 1021])
def test_the_end_of_a_jpeg_is_found_however_it_is_chunked(kind, step):
    assert inspected(JPEGS[kind], "image/jpeg", step).problem() is None


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_split_in_two_anywhere_is_whole(kind):
    content = JPEGS[kind]
    for cut in range(1, len(content), 1 if len(content) < 2000 else 7):
        end = JpegEnd()
        end.add(content[:cut])
        end.add(content[cut:])
        assert end.reached, cut


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("step", [0, 1])
def test_a_jpeg_cut_anywhere_is_not_whole(kind, step):
    content = JPEGS[kind]
    for cut in range(3, len(content), max(1, len(content) // 60) if step else 1):
        assert inspected(content[:cut], "image/jpeg", step).problem() == "the JPEG is cut off", cut
    assert inspected(content[:-1], "image/jpeg", step).problem() == "the JPEG is cut off"


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("behind", [b"\x00", b"MotionPhoto" + bytes(5000), b"\xff\xd8\xff\xe0" + bytes(50)])
def test_what_phones_put_behind_a_picture_does_not_matter(kind, behind):
    for step in (0, 1, 100):
        assert inspected(JPEGS[kind] + behind, "image/jpeg", step).problem() is None


@pytest.mark.parametrize("kind", JPEGS)
def test_a_cut_picture_is_not_saved_by_what_a_thumbnail_ends_with(kind):
    content = JPEGS[kind]
    assert (
        inspected(content[: len(content) * 3 // 4] + bytes(8), "image/jpeg").problem()
        == "the JPEG is cut off"
    )


def test_a_jpeg_whose_segments_make_no_sense_is_not_whole():
    assert (
        inspected(b"\xff\xd8\xff\xe0\x00\x04ab" + b"no marker here" * 50 + b"\xff\xd9").problem()
        == "the JPEG is cut off"
    )


def test_noise_never_breaks_the_walk():
    draw = random.Random(1)
    for _ in range(300):
        content = b"\xff\xd8\xff" + draw.randbytes(draw.randrange(200))
        whole = inspected(content).problem()
        assert all(inspected(content, step=step).problem() == whole for step in (1, 2, 3, 17))


@pytest.mark.parametrize(
    ("content", "declared"),
    [
        (BASELINE, None),
        (BASELINE, "image/jpeg"),
        (BASELINE, "image/jpg"),
        (BASELINE, "IMAGE/JPEG; charset=binary"),
        (BASELINE, "application/octet-stream"),
        (BASELINE, "binary/octet-stream"),
        (PNG, "image/png"),
        (PNG, None),
        (PDF, "application/pdf"),
        (PDF.rstrip(), "application/pdf"),
        (PDF + b"\r\n" * 20, "application/pdf"),
        (b"week,asked\n2026-01-01,5\n", "text/csv"),
        (b"week,asked\n", "text/csv; charset=utf-8"),
        (b"\xef\xbb\xbfweek;asked\n", "text/csv"),
        (archive(), XLSX_TYPE),
        (WEBP, "image/webp"),
        (HEIC, "image/heic"),
        (HEIC, "image/heif"),
        (b"anything", None),
        (b"anything", "application/x-unknown"),
    ],
)
def test_a_whole_file_of_its_type_has_no_problem(content, declared):
    assert inspected(content, declared).problem() is None


@pytest.mark.parametrize(
    ("content", "declared", "problem"),
    [
        (b"", None, "it is empty"),
        (b"", "image/jpeg", "it is empty"),
        (b"<!DOCTYPE html><html>", "image/jpeg", "it should be image/jpeg but is text/html"),
        (b"\n\t <html>", None, "it is a web page, not a file"),
        (b"\xef\xbb\xbf<html>", None, "it is a web page, not a file"),
        (
            b'<?xml version="1.0"?><Error/>',
            "application/pdf",
            "it should be application/pdf but is text/html",
        ),
        (b"<html>", "text/csv", "it should be text/csv but is text/html"),
        (b"<html>", "text/html", "it is a web page, not a file"),
        (PNG, "image/jpeg", "it should be image/jpeg but is image/png"),
        (BASELINE, "image/png", "it should be image/png but is image/jpeg"),
        (BASELINE, "text/csv", "it should be text/csv but is image/jpeg"),
        (b"\x00\x01\x02", "image/jpeg", "it should be image/jpeg but is something else"),
        (b"\xff\xd8", "image/jpeg", "it should be image/jpeg but is something else"),
        (b"not a zip", XLSX_TYPE, f"it should be {XLSX_TYPE} but is something else"),
        (BASELINE[:100], None, "the JPEG is cut off"),
        (PNG[:-20], "image/png", "the PNG is cut off"),
        (PDF[:30], "application/pdf", "the PDF is cut off"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_has_a_problem(content, declared, problem):
    assert inspected(content, declared).problem() == problem
    assert inspected(content, declared, 1).problem() == problem


@pytest.mark.parametrize("left", range(8, len(PNG), 5))
def test_a_png_cut_anywhere_is_not_whole(left):
    assert inspected(PNG[:left], "image/png").problem() == "the PNG is cut off"


def test_a_png_cut_in_its_last_bytes_is_not_whole():
    assert inspected(PNG[:-1], "image/png").problem() == "the PNG is cut off"


def test_a_spreadsheet_that_is_cut_off_has_a_problem():
    content = archive()
    assert inspected(content[: len(content) // 2], XLSX_TYPE).problem() is not None


def test_a_webp_that_is_cut_off_has_a_problem():
    assert inspected(WEBP[: len(WEBP) // 2], "image/webp").problem() is not None


def test_a_table_may_begin_with_a_less_than_sign():
    assert inspected(b"<5 kg,>5 kg\n1,2\n", "text/csv").problem() is None


def test_size_and_digest_are_those_of_all_bytes():
    found = inspected(JPEGS["stuffed zeros"], step=100)
    assert found.size == len(JPEGS["stuffed zeros"])
    assert found.sha256 == hashlib.sha256(JPEGS["stuffed zeros"]).hexdigest()


@pytest.mark.parametrize(
    ("declared", "content", "expected"),
    [
        ("image/jpeg", BASELINE, "image/jpeg"),
        (None, BASELINE, "image/jpeg"),
        ("binary/octet-stream", PNG, "image/png"),
        ("text/csv; charset=utf-8", b"a,b\n", "text/csv"),
        ("image/heif", HEIC, "image/heif"),
        (None, b"a,b\n", None),
        ("text/plain", BASELINE, "image/jpeg"),
    ],
)
def test_the_type_is_the_declared_one_or_what_the_bytes_show(declared, content, expected):
    assert inspected(content, declared).mime_type == expected


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (None, None),
        ("", None),
        ("application/octet-stream", None),
        ("Image/JPG", "image/jpeg"),
        ("image/pjpeg", "image/jpeg"),
        (" text/csv ; charset=utf-8", "text/csv"),
        (";", None),
    ],
)
def test_a_media_type_loses_its_parameters(declared, expected):
    assert media_type(declared) == expected


def test_the_first_bytes_may_come_one_by_one():
    found = inspected(b"%PDF-", step=1)
    assert found.mime_type == "application/pdf"
    assert sniff(b"") is None


@pytest.mark.parametrize("step", [0, 1, 5, 64, 1021])
def test_an_heic_picture_is_whole_with_its_last_byte(step):
    assert inspected(PHONE_HEIC, "image/heic", step).problem() is None
    edges = {24, 24 + 708}  # between two boxes nothing shows that there should be another
    for cut in range(12, len(PHONE_HEIC), 1 if step == 0 else 97):
        expected = None if cut in edges else "the HEIC is cut off"
        assert inspected(PHONE_HEIC[:cut], "image/heic", step).problem() == expected, cut


@pytest.mark.parametrize("end", [box(b"free", b""), struct.pack(">I4s", 0, b"mdat") + bytes(50), bytes(40)])
def test_an_heic_picture_may_end_in_any_way_that_the_format_allows(end):
    assert inspected(PHONE_HEIC + end, "image/heic", 7).problem() is None
