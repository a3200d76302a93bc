"""Pictures: of our own encoding, within bounds, and never anything but pixels."""

from __future__ import annotations

import io
import threading

import pytest
from PIL import Image, features

from gallery.stored import HTML, PHOTO, SAMPLES, SVG, jpeg, store


def size_of(reply) -> tuple[int, int]:
    assert (reply.status_code, reply.headers["content-type"]) == (200, "image/jpeg"), reply.text
    return Image.open(io.BytesIO(reply.content), formats=["JPEG"]).size


def test_a_thumbnail_and_a_large_picture(gallery, tmp_path):
    gallery.has(store(tmp_path, {"car.jpg": jpeg(4000, 3000)}))
    assert size_of(gallery.picture()) == (480, 360)
    assert size_of(gallery.picture(size="large")) == (1600, 1200)
    assert gallery.picture(size="huge").status_code == 404


@pytest.mark.parametrize("name", ["car.jpg", "car.heic", "car.avif"])
def test_what_phones_send_comes_as_jpeg(gallery, tmp_path, name):
    if name == "car.heic":
        pytest.importorskip("pillow_heif")
    if name == "car.avif" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    gallery.has(store(tmp_path, {name: (SAMPLES / name).read_bytes()}))
    assert max(size_of(gallery.picture())) == 480


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_other_raster_types_come_as_jpeg(gallery, tmp_path, kind):
    out = io.BytesIO()
    Image.new("RGBA" if kind in {"PNG", "WEBP"} else "RGB", (600, 800)).save(out, kind)
    gallery.has(store(tmp_path, {f"one.{kind.lower()}": out.getvalue()}))
    assert size_of(gallery.picture()) == (360, 480)


def test_a_photo_is_upright_and_without_its_exif(gallery, tmp_path):
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    exif[0x010E] = "a private description"
    Image.new("RGB", (800, 400)).save(out, "JPEG", exif=exif)
    gallery.has(store(tmp_path, {"car.jpg": out.getvalue()}))
    reply = gallery.picture()
    assert size_of(reply) == (240, 480)
    assert b"private" in out.getvalue()
    assert b"private" not in reply.content


def test_a_transparent_picture_has_a_white_ground(gallery, tmp_path):
    out = io.BytesIO()
    Image.new("RGBA", (10, 10), (255, 0, 0, 0)).save(out, "PNG")
    gallery.has(store(tmp_path, {"one.png": out.getvalue()}))
    picture = Image.open(io.BytesIO(gallery.picture().content))
    assert min(picture.getpixel((5, 5))) > 250


def test_of_a_photo_that_was_cut_off_comes_what_there_is(gallery, tmp_path):
    gallery.has(store(tmp_path, {"car.jpg": PHOTO[: len(PHOTO) // 2]}))
    assert size_of(gallery.picture()) == (480, 360)


@pytest.mark.parametrize(
    "data", [SVG, HTML, b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xff\xd8\xff\xe0 not a photo", b"x"]
)
@pytest.mark.parametrize("hidden", [(), ("PIL",)])
def test_what_is_no_raster_picture_is_never_shown(gallery, tmp_path, without, data, hidden):
    without(*hidden)
    gallery.has(store(tmp_path, {"car.jpg": data}))
    reply = gallery.picture()
    if data.startswith(b"\xff\xd8") and hidden:
        assert reply.headers["content-type"] == "image/jpeg"  # its bytes say so, and a browser knows no more
        return
    assert reply.status_code == 415
    assert reply.headers["content-type"].startswith("text/plain")
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_a_photo_with_too_many_pixels_says_so(gallery, tmp_path):
    gallery.has(store(tmp_path, {"200.jpg": jpeg(20_000, 10_000), "130.jpg": jpeg(13_000, 10_000)}))
    assert "too many pixels" in gallery.picture(0).text
    assert "130 megapixels; the gallery shows at most 120" in gallery.picture(1).text
    assert gallery.picture(1).status_code == 413


def test_a_png_is_decoded_whole_so_it_may_have_fewer_pixels(gallery, tmp_path):
    out = io.BytesIO()
    Image.new("L", (6000, 10_000)).save(out, "PNG")
    gallery.has(store(tmp_path, {"60.png": out.getvalue()}))
    assert "60 megapixels; the gallery shows at most 50" in gallery.picture().text


def test_a_large_file_is_not_read(gallery, tmp_path, monkeypatch):
    from airflow_provider_visio.gallery import app

    monkeypatch.setattr(app, "LARGEST_PHOTO", 2**20)
    output = store(tmp_path, {"said.jpg": PHOTO, "is.jpg": PHOTO}, entries={"said.jpg": {"bytes": 2**20 + 1}})
    (tmp_path / "is.jpg").write_bytes(PHOTO + bytes(2**20))
    gallery.has(output)
    for number in (0, 1):
        assert gallery.picture(number).status_code == 413
        assert "larger than the 1 MiB" in gallery.picture(number).text


def test_two_are_decoded_at_the_same_time(gallery, tmp_path, monkeypatch):
    from airflow_provider_visio.gallery import app

    now, most, lock, both = 0, 0, threading.Lock(), threading.Barrier(2)

    def slow(data: bytes, size: str) -> tuple[bytes, str]:
        nonlocal now, most
        with lock:
            now, most = now + 1, max(most, now + 1)
        both.wait(10)
        with lock:
            now -= 1
        return b"", "image/jpeg"

    monkeypatch.setattr(app, "picture_of", slow)
    gallery.has(store(tmp_path, {"car.jpg": PHOTO}))
    threads = [threading.Thread(target=gallery.picture) for _ in range(6)]
    with gallery._client:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == 2


def test_a_browser_keeps_a_picture(gallery, tmp_path):
    gallery.has(store(tmp_path, {"car.jpg": PHOTO}))
    first = gallery.picture()
    assert first.headers["cache-control"] == "private, max-age=3600"
    again = gallery.picture(headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert gallery.picture(size="large").headers["etag"] != first.headers["etag"]


def test_without_the_extra_browsers_get_what_they_know(gallery, tmp_path, without):
    without("PIL", "pillow_heif")
    gallery.has(store(tmp_path, {name: (SAMPLES / name).read_bytes() for name in ("car.jpg", "car.heic")}))
    assert gallery.picture(0).content == PHOTO
    assert "airflow-provider-visio[gallery]" in gallery.picture(1).text
    page = gallery.get("photos").text
    assert page.count("<img src") == 1
    assert "airflow-provider-visio[gallery]" in page


def test_heic_needs_its_own_library(gallery, tmp_path, without):
    without("pillow_heif")
    gallery.has(store(tmp_path, {"car.heic": (SAMPLES / "car.heic").read_bytes()}))
    assert "airflow-provider-visio[gallery]" in gallery.get("photos").text
