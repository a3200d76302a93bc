"""Odd files: each is stored as it was sent, with its type by its bytes; only an error document is no file."""

from __future__ import annotations

import io
import itertools
import json
import random
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from api.local_server import Answer
from PIL import Image, TiffImagePlugin, features
from reportlab.pdfgen.canvas import Canvas

from airflow_provider_visio.api.client import Client
from airflow_provider_visio.api.config import ServiceConfig
from airflow_provider_visio.api.visiono import VISIONO
from airflow_provider_visio.exceptions import TransferError
from airflow_provider_visio.storage.destination import folder_at
from airflow_provider_visio.storage.media_types import EXTENSIONS, extension_of, media_type
from airflow_provider_visio.storage.remote_file import RemoteFile
from airflow_provider_visio.storage.transfer import Job, store

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def drawn(seed: int) -> Image.Image:
    return Image.frombytes("RGB", (64, 48), random.Random(seed).randbytes(64 * 48 * 3))


def picture(kind: str, **options: Any) -> bytes:
    made = io.BytesIO()
    noise = drawn(7)
    (noise.convert("P") if kind == "GIF" else noise).save(made, kind, **options)
    return made.getvalue()


def with_frames(kind: str) -> bytes:
    made = io.BytesIO()
    drawn(1).save(made, kind, save_all=True, append_images=[drawn(2)])
    return made.getvalue()


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def large_box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4sQ", 1, kind, len(content) + 16) + content


def brands(major: bytes, *compatible: bytes) -> bytes:
    return box(b"ftyp", major + bytes(4) + b"".join(compatible))


def archive(**content: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as target:
        for name, text in content.items():
            target.writestr(name.replace("__", "/"), text)
    return made.getvalue()


def document() -> bytes:
    made = io.BytesIO()
    page = Canvas(made)
    page.drawString(100, 100, "Week 3")
    page.save()
    return made.getvalue()


def raw_photo() -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[50706] = 1
    tags[50706] = b"\x01\x04\x00\x00"  # DNGVersion
    return picture("TIFF", tiffinfo=tags)


JPEG = picture("JPEG")
META, MDAT = box(b"meta", bytes(700)), large_box(b"mdat", bytes(3000))
HEIC = brands(b"heic", b"mif1", b"heic") + META + MDAT
FILM = box(b"moov", bytes(400)) + box(b"mdat", bytes(3000))
JXL_START = box(b"JXL ", b"\r\n\x87\n")
ZIP = archive(one="a,b\n1,2\n", two="a,b\n3,4\n")
#: A whole file of each kind, by a name of it.
KINDS: dict[str, tuple[str, bytes]] = {
    "jpeg": ("image/jpeg", JPEG),
    "progressive jpeg": ("image/jpeg", picture("JPEG", progressive=True)),
    "jpeg of two": ("image/jpeg", with_frames("MPO")),
    "png": ("image/png", picture("PNG")),
    "gif": ("image/gif", picture("GIF")),
    "animated gif": ("image/gif", with_frames("GIF")),
    "webp": ("image/webp", picture("WEBP")),
    "heic": ("image/heic", HEIC),
    "heif": ("image/heif", brands(b"mif1", b"mif1", b"miaf") + META + MDAT),
    "avif": ("image/avif", picture("AVIF") if features.check("avif") else brands(b"avif", b"mif1") + META + MDAT),
    "tiff": ("image/tiff", picture("TIFF")),
    "dng": ("image/x-adobe-dng", raw_photo()),
    "jxl": ("image/jxl", JXL_START + brands(b"jxl ", b"jxl ") + box(b"jxlc", bytes(900))),
    "bare jxl": ("image/jxl", b"\xff\x0a" + bytes(900)),
    "bmp": ("image/bmp", picture("BMP")),
    "mp4": ("video/mp4", brands(b"isom", b"isom", b"mp42") + FILM),
    "mov": ("video/quicktime", brands(b"qt  ", b"qt  ") + FILM),
    "old mov": ("video/quicktime", box(b"wide", b"") + FILM),
    "pdf": ("application/pdf", document()),
    "csv": ("text/csv", b"week,asked\n" + b"2026-01-01,5\n" * 50),
    "xlsx": (XLSX, archive(**{"[Content_Types].xml": "<Types/>", "xl__workbook.xml": "<workbook/>" * 50})),
    "zip": ("application/zip", ZIP),
}  # fmt: skip
UNCHECKED = {"tiff", "dng", "bare jxl"}
KIND = pytest.mark.parametrize("kind", KINDS)
Entries = dict[str, dict[str, Any]]


@pytest.fixture
def fetch(serve: Any, tmp_path: Path) -> Any:
    """
    Return a function that stores files from a storage host: ``fetch(name=(bytes, declared))``.

    It checks that each is stored as it was sent, and returns the manifest's entries by name.
    """
    config = ServiceConfig(VISIONO, "my_visiono", "http://127.0.0.1:1", "key12345")
    client = Client(config, lambda: config)
    sent: dict[str, bytes] = {}
    server = serve(lambda request: Answer(200, sent[request.path[1:]]))
    folders = itertools.count()

    def run(named: Mapping[str, tuple[bytes, str | None]]) -> Entries:
        keys = {f"f{number}": name for number, name in enumerate(named)}
        sent.update({key: named[name][0] for key, name in keys.items()})
        files = [RemoteFile(key, "File", named[name][1]) for key, name in keys.items()]
        manifest = store(
            files,
            folder_at(str(tmp_path), f"job{next(folders)}"),
            Job("Visiono", "my_visiono", "job", {}),
            links=lambda: {key: f"{server.url}/{key}" for key in keys},
            open_link=client.open,
            parallel=4,
        )
        assert manifest["complete"]
        for entry in manifest["files"]:
            assert Path(entry["path"].removeprefix("file://")).read_bytes() == sent[entry["key"]]
            assert ("check_note" in entry) == (entry["check"] != "ok")
        return {keys[entry["key"]]: entry for entry in manifest["files"]}

    yield run
    client.close()


def seen(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return what the manifest says of a file: its type, the check's result and its name's extension."""
    return entry["mime_type"], entry["check"], Path(entry["path"]).suffix


# The rows of a review of 6,666 real photos.


def test_one_odd_photo_keeps_no_other_from_being_stored(fetch):
    found = fetch({"odd": (JPEG[:500], "image/heic"), "second": (JPEG, "image/jpeg"), "third": (JPEG, None)})
    assert [seen(entry) for entry in found.values()] == [
        ("image/jpeg", "damaged", ".jpg"),
        ("image/jpeg", "ok", ".jpg"),
        ("image/jpeg", "ok", ".jpg"),
    ]


@pytest.mark.parametrize(
    ("kind", "declared"),
    [("jpeg", "image/heic"), ("png", "image/jpeg"), ("webp", "image/jpeg"), ("heic", "image/jpeg")],
)
def test_a_photo_of_another_type_than_declared(fetch, kind, declared):
    mime_type, content = KINDS[kind]
    entry = fetch({"photo": (content, declared)})["photo"]
    assert seen(entry) == (mime_type, "ok", EXTENSIONS[mime_type])
    assert entry["declared_type"] == declared


def segments_of(jpeg: bytes) -> int:
    """Return where the second segment of a JPEG begins."""
    return 4 + int.from_bytes(jpeg[4:6], "big")


def test_stray_bytes_between_two_segments(fetch):
    at = segments_of(JPEG)
    content = JPEG[:at] + bytes.fromhex("00000100010000") + JPEG[at:]
    assert seen(fetch({"photo": (content, "image/jpeg")})["photo"]) == ("image/jpeg", "ok", ".jpg")


TRAILER = b"\x00\x00\x01\x0a" + bytes(40) + b"SEFH" + bytes(20) + struct.pack("<I", 24) + b"SEFT"


def test_a_panorama_that_ends_in_a_trailer_instead_of_an_end_marker(fetch):
    assert JPEG.endswith(b"\xff\xd9")
    content = JPEG[:-2] + TRAILER
    assert seen(fetch({"photo": (content, "image/jpeg")})["photo"]) == ("image/jpeg", "ok", ".jpg")


def test_a_heic_with_a_line_feed_behind_its_last_box(fetch):
    assert seen(fetch({"photo": (HEIC + b"\n", "image/heic")})["photo"]) == ("image/heic", "ok", ".heic")


@pytest.mark.parametrize(
    ("major", "compatible", "mime_type"),
    [
        (b"mif2", (b"mif1", b"heic"), "image/heic"),
        (b"mif1", (b"mif1", b"heix"), "image/heic"),
        (b"msf1", (b"hevc",), "image/heic"),
        (b"mif1", (b"mif1", b"avif"), "image/avif"),
        (b"mif2", (b"mif2",), "image/heif"),
        (b"isom", (b"iso2", b"mp41"), "video/mp4"),
    ],
)
def test_a_type_that_only_a_compatible_brand_shows(fetch, major, compatible, mime_type):
    content = brands(major, *compatible) + META + MDAT
    assert seen(fetch({"photo": (content, "image/heic")})["photo"]) == (
        mime_type,
        "ok",
        EXTENSIONS[mime_type],
    )


@KIND
@pytest.mark.parametrize("declared", [None, "application/octet-stream"])
def test_a_type_that_nobody_declares(fetch, kind, declared):
    mime_type, content = KINDS[kind]
    entry = fetch({"photo": (content, declared)})["photo"]
    if kind == "csv":  # text alone shows no type
        assert seen(entry) == (None, "unknown", ".bin")
    else:
        assert seen(entry) == (mime_type, "unknown" if kind in UNCHECKED else "ok", EXTENSIONS[mime_type])
    assert "declared_type" not in entry


@pytest.mark.parametrize("kind", ["avif", "gif", "bmp", "jxl", "jpeg of two"])
def test_a_file_that_is_cut_in_half_is_marked(fetch, kind):
    mime_type, content = KINDS[kind]
    entry = fetch({"photo": (content[: len(content) // 2 + 1], None)})["photo"]
    assert seen(entry)[:2] == (mime_type, "damaged")


def test_a_second_picture_or_a_video_behind_the_first_that_is_cut(fetch):
    """The second picture is checked, such as a gain map; a motion photo's video is not."""
    second = picture("JPEG", quality=30)
    found = fetch({
        "gain map": (JPEG + second[:-100], "image/jpeg"),
        "whole gain map": (JPEG + second, "image/jpeg"),
        "video": (JPEG + KINDS["mp4"][1][:-100], "image/jpeg"),
    })  # fmt: skip
    assert [entry["check"] for entry in found.values()] == ["damaged", "ok", "ok"]


# The kinds behind these rows.


@KIND
def test_a_file_that_is_cut_anywhere_is_stored(fetch, kind):
    mime_type, content = KINDS[kind]
    cuts = [1, *(len(content) * sixth // 6 for sixth in (1, 2, 3, 4, 5)), len(content) - 1]
    for declared in (mime_type, None, "image/jpeg"):
        found = fetch({str(cut): (content[:cut], declared) for cut in cuts})
        if declared == mime_type and kind not in UNCHECKED | {"csv"}:
            # The last byte of a PDF is a line feed.
            assert [found[str(cut)]["check"] for cut in cuts[:-1]] == ["damaged"] * 6


DECLARED = [
    *EXTENSIONS,
    "text/html",
    "application/json",
    "application/xml",
    "image/svg+xml",
    "video/x-any",
    None,
]


@KIND
def test_every_type_declared_as_every_other(fetch, kind):
    mime_type, content = KINDS[kind]
    found = fetch({str(declared): (content, declared) for declared in DECLARED})
    for declared in DECLARED:
        entry = found[str(declared)]
        if kind == "csv" and declared != mime_type:
            # No bytes speak against what is declared, but those of a known type are missing.
            text = (declared or "").startswith("text/")
            check = "unknown" if text or declared not in EXTENSIONS else "damaged"
            assert seen(entry) == (declared, check, extension_of(declared))
            continue
        assert seen(entry) == (mime_type, "unknown" if kind in UNCHECKED else "ok", EXTENSIONS[mime_type])
        assert entry.get("declared_type") == (None if declared in {mime_type, None} else declared)


BEHIND = {
    "line feed": b"\n",
    "zeros": bytes(1000),
    "text": b"Samsung Galaxy A32, panorama " * 20,
    "another file": picture("JPEG", quality=20),
    "many zeros": bytes(50_000),
    "SEF trailer": TRAILER,
}


@KIND
def test_what_stands_behind_the_end_does_no_harm(fetch, kind):
    mime_type, content = KINDS[kind]
    found = fetch({name: (content + behind, mime_type) for name, behind in BEHIND.items()})
    for name, entry in found.items():
        wrong = (kind, name) in {("gif", "many zeros"), ("animated gif", "many zeros"), ("pdf", "many zeros")}
        not_text = kind == "csv" and b"\x00" in BEHIND[name][:3000]
        check = "unknown" if kind in UNCHECKED else "damaged" if wrong or not_text else "ok"
        assert (name, *seen(entry)) == (name, mime_type, check, EXTENSIONS[mime_type])


# What is no file.

PAGE = b"<!DOCTYPE html><html><title>Sign in</title></html>"
DOCUMENTS: dict[str, bytes] = {
    "a web page": PAGE,
    "a page after blanks": b"\xef\xbb\xbf\n\t <!-- proxy --> <html>Sign in</html>",
    "a part of a page": b"<h1>502 Bad Gateway</h1>",
    "an XML error": b"<?xml version='1.0'?>\n<Error><Code>AccessDenied</Code></Error>",
    "an XML error without a head": b"<Error><Code>AccessDenied</Code></Error>",
    "a JSON error": b'{"error": {"code": "gone"}}',
    "JSON in a list": b' [{"message": "gone"}]',
    "nothing": b"",
}


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("declared", ["image/jpeg", "application/pdf", XLSX, None])
def test_an_error_document_is_no_file_whatever_is_declared(fetch, tmp_path, name, declared):
    with pytest.raises(TransferError, match="1 of 2 files are stored") as caught:
        fetch({"document": (DOCUMENTS[name], declared), "photo": (JPEG, "image/jpeg")})
    (failed,) = caught.value.failed
    assert failed["key"] == "f0"
    manifest = json.loads((tmp_path / "job0" / "manifest.json").read_text())
    assert [entry["key"] for entry in manifest["files"]] == ["f1"]
    assert manifest["failed"] == [failed]


@pytest.mark.parametrize(
    ("content", "declared"),
    [
        (PAGE, "text/html"),
        (DOCUMENTS["an XML error"], "application/xml"),
        (DOCUMENTS["a JSON error"], "application/json"),
        (b"<?xml version='1.0'?><svg/>", "image/svg+xml"),
        (b"<svg/>", None),
        (b"<Title>,<Error>\n1,2\n", "text/csv"),
        (b"<5 kg,>5 kg\n1,2\n", "text/csv"),
        (b"{a},{b}\n1,2\n", "text/csv"),
        (b"[1], [2]\n", None),
        (b"[" * 60_000, None),
        (b"[" * 60_000, "image/jpeg"),
        (b"BM,II\n1,2\n", "text/csv"),
        (b"%PDF-1.7 no more", "text/csv"),
        (b"\x00", "image/jpeg"),
        (b"\x00", None),
        (json.dumps(["x" * 70_000]).encode(), None),
    ],
)
def test_what_only_resembles_an_error_document_is_stored(fetch, content, declared):
    fetch({"file": (content, declared)})


STARTS = [content[:size] for _, content in KINDS.values() for size in (2, 4, 12, 30, 300)]


@pytest.mark.parametrize("seed", range(4))
def test_no_bytes_whatever_break_the_inspection(fetch, seed):
    draw = random.Random(seed)
    fetch({
        str(number): (start + draw.randbytes(draw.choice([0, 1, 7, 100, 3000])), draw.choice(DECLARED))
        for number, start in enumerate(STARTS)
    })  # fmt: skip


def changed(content: bytes, at: int, value: bytes) -> bytes:
    return content[:at] + value + content[at + len(value) :]


@pytest.mark.parametrize("kind", ["zip", "xlsx"])
def test_an_archive_that_cannot_be_read(fetch, kind):
    mime_type, content = KINDS[kind]
    entry = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    found = fetch({
        "of a later version": (changed(content, entry + 6, b"\xff\x00"), mime_type),
        "names in no encoding": (changed(content, entry + 8, b"\x00\x08" * 20), mime_type),
        "a directory elsewhere": (changed(content, end + 16, b"\xff\xff\xff\x7f"), mime_type),
    })  # fmt: skip
    assert {entry["check"] for entry in found.values()} <= {"ok", "damaged"}


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (None, None),
        ("", None),
        ("application/octet-stream", None),
        ("Image/JPG", "image/jpeg"),
        ("image/pjpeg", "image/jpeg"),
        ("image/heic-sequence", "image/heic"),
        (" text/csv ; charset=utf-8", "text/csv"),
        (";", None),
    ],
)
def test_a_media_type_loses_its_parameters(declared, expected):
    assert media_type(declared) == expected


@pytest.mark.parametrize(
    ("mime_type", "extension"),
    [("image/jpeg", ".jpg"), ("image/svg+xml", ".svg"), ("no/such", ".bin"), (None, ".bin")],
)
def test_an_extension_is_that_of_the_media_type(mime_type, extension):
    assert extension_of(mime_type) == extension


def test_the_storage_host_s_type_is_known_where_the_service_says_none(serve, tmp_path):
    server = serve(Answer(200, b"a,b\n", {"Content-Type": "text/csv; charset=utf-8"}))
    config = ServiceConfig(VISIONO, "my_visiono", "http://127.0.0.1:1", "key12345")
    client = Client(config, lambda: config)
    manifest = store(
        [RemoteFile("f", "File")],
        folder_at(str(tmp_path), "job"),
        Job("Visiono", "my_visiono", "job", {}),
        links=lambda: {"f": server.url},
        open_link=client.open,
        parallel=1,
    )
    client.close()
    assert seen(manifest["files"][0]) == ("text/csv", "ok", ".csv")
