import io
from typing import get_args

import pytest
from PIL import Image

from airflow_provider_visio.sandbox.options import Pictures
from airflow_provider_visio.sandbox.picture_kinds import KINDS, kind_of

JPEG, END = b"\xff\xd8\xff", b"\xff\xd9"


def opened(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


def brands(content: bytes) -> tuple[bytes, bytes]:
    """Major and compatible brands of a file of boxes."""
    assert content[4:8] == b"ftyp"
    return content[8:12], content[16 : int.from_bytes(content[:4], "big")]


def behind_the_boxes(content: bytes) -> bytes:
    at = 0
    while len(content) - at >= 8:
        at += int.from_bytes(content[at : at + 4], "big")
    return content[at:]


def is_jpeg(content):
    assert opened(content).size == (1600, 1200)
    assert content.endswith(END)


def is_heic(content):
    assert brands(content) == (b"heic", b"mif1heicmiaf")
    assert behind_the_boxes(content) == b""


def has_a_video_behind(content):
    assert opened(content).size == (1600, 1200)
    end = content.index(END + b"\0\0\0\x20ftyp") + 2
    assert brands(content[end:])[0] == b"isom"


def has_a_gain_map(content):
    picture = opened(content)
    assert (picture.format, picture.n_frames, picture.size) == ("MPO", 2, (1600, 1200))
    assert picture.getexif().get_ifd(0x8769)[0x9003]
    picture.seek(1)
    assert (picture.mode, picture.size) == ("L", (400, 300))


def has_stray_bytes(content):
    assert opened(content).size == (1600, 1200)
    at = content.index(b"\0\0\1\0\1\0\0\xff\xdb")
    assert content[2:at].startswith(b"\xff\xe0")


def has_a_trailer_instead_of_an_end(content):
    assert opened(content).size == (1600, 1200)
    assert content.endswith(b"SEFT")
    length = int.from_bytes(content[-8:-4], "little")
    directory = len(content) - 8 - length
    assert content[directory : directory + 4] == b"SEFH"
    offset, size = (int.from_bytes(content[-n : -n + 4], "little") for n in (16, 12))
    block = content[directory - offset :][:size]
    assert block[8:].startswith(b"Image_UTC_Data")
    assert END not in content[directory - offset - 1000 : directory - offset]


def ends_with_a_line_feed(content):
    assert behind_the_boxes(content) == b"\n"
    is_heic(content[:-1])


def is_of_format(name):
    def check(content):
        picture = opened(content)
        assert (picture.format, picture.size) == (name, (640, 480))

    return check


def is_of_brand(major, compatible):
    def check(content):
        assert brands(content) == (major, compatible)
        assert behind_the_boxes(content) == b""

    return check


def is_jpeg_xl(content):
    assert content.startswith(b"\0\0\0\x0cJXL \r\n\x87\n")
    assert behind_the_boxes(content) == b""


def is_cut(content):
    assert Image.open(io.BytesIO(content)).size == (1600, 1200)
    with pytest.raises(OSError, match="truncated"):
        opened(content)


EXPECTED = {
    "plain": [("image/jpeg", "jpg", is_jpeg)],
    "phone": [
        ("image/jpeg", "jpg", is_jpeg),
        ("image/heic", "heic", is_heic),
        ("image/jpeg", "jpg", has_a_video_behind),
        ("image/jpeg", "jpg", has_a_gain_map),
    ],
    "samsung": [
        ("image/jpeg", "jpg", has_stray_bytes),
        ("image/jpeg", "jpg", has_a_trailer_instead_of_an_end),
        ("image/heic", "heic", ends_with_a_line_feed),
    ],
    "odd": [
        ("image/heic", "heic", is_jpeg),
        ("image/jpeg", "jpg", is_of_format("PNG")),
        ("image/jpeg", "jpg", is_of_format("WEBP")),
        ("image/gif", "gif", is_of_format("GIF")),
        ("image/avif", "avif", is_of_brand(b"avif", b"avifmif1miafMA1B")),
        ("image/tiff", "tiff", is_of_format("TIFF")),
        ("image/bmp", "bmp", is_of_format("BMP")),
        ("image/jxl", "jxl", is_jpeg_xl),
        ("video/quicktime", "mov", is_of_brand(b"qt  ", b"isomiso2avc1mp41")),
        ("video/mp4", "mp4", is_of_brand(b"isom", b"isomiso2avc1mp41")),
        ("image/heif", "heif", is_of_brand(b"mif2", b"mif1heicmiaf")),
        ("image/jpeg", "jpg", is_cut),
    ],
}


def test_every_set_has_its_kinds():
    assert set(EXPECTED) == set(KINDS) == set(get_args(Pictures))
    names = [kind.name for kinds in KINDS.values() for kind in kinds[1:]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("pictures", EXPECTED)
def test_a_person_sends_the_kinds_in_turn(sandbox, pictures):
    expected = EXPECTED[pictures]
    person = {"behaviour": "submit", "open_after": 0, "photo_every": 0, "pictures": pictures}
    sandbox.control("PUT", "/person", {**person, "photos": len(expected) + 1})
    made = sandbox.ask()
    assert sandbox.status(made) == "submitted"
    files = []
    for photo, (media_type, suffix, check) in zip(
        sandbox.photos(made), [*expected, expected[0]], strict=True
    ):
        reply = sandbox.session.get(photo["download_url"])
        assert (photo["mime_type"], reply.headers["content-type"]) == (media_type, media_type)
        assert photo["download_url"].partition("?")[0].endswith(f".{suffix}")
        assert photo["file_size_kb"] == max(1, round(len(reply.content) / 1024))
        check(reply.content)
        assert sandbox.session.get(photo["download_url"]).content == reply.content
        assert opened(sandbox.session.get(photo["thumbnail_url"]).content).format == "JPEG"
        files.append(reply.content)
    assert len(set(files)) == len(files)
    shown = sandbox.control("GET", f"/photo-requests/{made['id']}")["photos"]
    assert [photo["kind"] for photo in shown] == [kind_of(pictures, n).name for n in range(len(files))]


def test_the_kind_follows_the_item_not_the_order(sandbox):
    sandbox.control("PUT", "/person", {"pictures": "samsung"})
    made = sandbox.ask(items=[{"instructions": name} for name in ("Front", "Rear", "Left")])
    for item in (2, 0, 0):
        sandbox.act(made, "upload", item=item)
    found = {photo["item_id"]: photo["mime_type"] for photo in sandbox.photos(made)}
    first, _, third = (item["id"] for item in made["items"])
    assert found == {first: "image/jpeg", third: "image/heic"}


def test_a_wanted_size_gives_a_plain_jpeg(sandbox):
    sandbox.control("PUT", "/person", {"pictures": "odd"})
    made = sandbox.ask()
    assert sandbox.act(made, "upload", bytes=500_000)["photos"][0]["kind"] == "JPEG"
    (photo,) = sandbox.photos(made)
    content = sandbox.session.get(photo["download_url"]).content
    assert (photo["mime_type"], len(content)) == ("image/jpeg", 500_000)
    is_jpeg(content)


def test_a_picture_sent_by_hand_is_shown_as_uploaded(sandbox):
    made = sandbox.ask()
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    page = "/" + made["request_url"].split("/", 3)[3]
    files = {"photo": ("photo.heic", out.getvalue(), "image/heic")}
    assert sandbox.page("POST", f"{page}/photos", files=files).status_code == 201
    (photo,) = sandbox.control("GET", f"/photo-requests/{made['id']}")["photos"]
    assert photo["kind"] == "uploaded"
    assert sandbox.photos(made)[0]["mime_type"] == "image/png"


def test_visitors_of_permanent_links_send_them_too(sandbox):
    link = sandbox.visiono("POST", "/permanent-links", {"instructions": "Show the car"}).json()["data"]
    sandbox.control("POST", f"/permanent-links/{link['id']}/submit", {"photos": 4, "pictures": "phone"})
    (found,) = sandbox.get(f"/permanent-links/{link['id']}/submissions")
    assert [photo["mime_type"] for photo in found["photos"]] == [one[0] for one in EXPECTED["phone"]]


@pytest.mark.parametrize(("method", "path"), [("PUT", "/person"), ("POST", "/permanent-links/x/submit")])
def test_an_unknown_set_is_refused_with_the_known_ones(sandbox, method, path):
    reply = sandbox.call("control_url", method, path, json={"pictures": "nokia"})
    assert reply.status_code == 422
    assert "pictures: Input should be 'plain', 'phone', 'samsung' or 'odd'" in reply.json()["error"]
