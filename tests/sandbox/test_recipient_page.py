import io
import re

import pytest
from PIL import Image

ITEMS = [{"instructions": "The parcel <at> your door"}, {"instructions": "The label"}]


def jpeg(colour="red"):
    out = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(out, "JPEG")
    return out.getvalue()


def path(made):
    return made["request_url"].split("/", 3)[3].join(["/", ""])


def upload(sandbox, made, content=None, **fields):
    files = {"photo": ("photo.jpg", content or jpeg(), "image/jpeg")}
    return sandbox.page("POST", f"{path(made)}/photos", files=files, data=fields)


def submit(sandbox, made, **fields):
    return sandbox.page("POST", f"{path(made)}/submit", data=fields)


def test_page_shows_the_items(sandbox):
    made = sandbox.ask(instructions="Your parcel, please", items=ITEMS, allow_submitter_notes=True)
    page = sandbox.page("GET", path(made))
    assert page.status_code == 200
    assert '<h1 class="wrap">Your parcel, please</h1>' in page.text
    assert "The parcel &lt;at&gt; your door" in page.text
    assert "<at>" not in page.text
    assert page.text.count('type="file"') == 2
    assert 'accept="image/*" capture="environment"' in page.text
    assert 'name="notes"' in page.text
    assert 'id="locate"' not in page.text
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.text), "no foreign assets"


def test_opening_counts_once(sandbox):
    made = sandbox.ask()
    for _ in range(3):
        sandbox.page("GET", path(made).upper().replace("/P/", "/p/"))
    assert sandbox.kinds() == ["request_created", "link_opened"]
    assert sandbox.control("GET", f"/photo-requests/{made['id']}")["visits"] == 3


def test_photos_one_by_one(sandbox):
    made = sandbox.ask(items=ITEMS, allow_submitter_notes=True)
    first, second = (item["id"] for item in made["items"])
    mine = jpeg("blue")
    reply = upload(sandbox, made, mine, item=first, latitude="46.07", longitude="11.12")
    assert reply.status_code == 201
    assert sandbox.status(made) == "in_progress"
    early = submit(sandbox, made)
    assert early.status_code == 422
    assert "One photo is still missing: The label" in early.text
    assert upload(sandbox, made, item=second).status_code == 201
    done = submit(sandbox, made, notes="Left at the neighbour")
    assert (done.status_code, done.headers["location"]) == (303, f"{path(made)}?thanks")
    assert "Thank you" in sandbox.page("GET", done.headers["location"]).text
    assert sandbox.status(made) == "submitted"
    assert sandbox.control("GET", f"/photo-requests/{made['id']}")["notes"] == "Left at the neighbour"
    photos = sandbox.photos(made)
    assert [photo["item_id"] for photo in photos] == [first, second]
    assert (photos[0]["gps_latitude"], photos[0]["gps_longitude"]) == (46.07, 11.12)
    # What a person sent is kept byte for byte.
    assert sandbox.session.get(photos[0]["download_url"]).content == mine


def test_whole_form_at_once(sandbox):
    made = sandbox.ask(items=ITEMS)
    files = [(f"photo-{item['id']}", ("p.jpg", jpeg(), "image/jpeg")) for item in made["items"]]
    reply = sandbox.page("POST", f"{path(made)}/submit", files=files)
    assert reply.status_code == 303
    assert sandbox.status(made) == "submitted"


def test_any_number_of_photos_without_items(sandbox):
    made = sandbox.ask()
    assert "Add at least one photo" in submit(sandbox, made).text
    for _ in range(2):
        upload(sandbox, made)
    assert submit(sandbox, made).status_code == 303
    assert [photo["item_id"] for photo in sandbox.photos(made)] == [None, None]


def test_location_when_required(sandbox):
    made = sandbox.ask(require_gps=True)
    assert 'id="locate"' in sandbox.page("GET", path(made)).text
    upload(sandbox, made)
    for wrong in ({}, {"latitude": "x", "longitude": "1"}, {"latitude": "91", "longitude": "1"}):
        assert "Share your location" in submit(sandbox, made, **wrong).text
    assert submit(sandbox, made, latitude="46.07", longitude="11.12").status_code == 303
    assert sandbox.photos(made)[0]["gps_latitude"] == 46.07


def test_photos_can_be_seen_and_taken_back(sandbox):
    made = sandbox.ask()
    photo = upload(sandbox, made).json()["id"]
    assert f"{path(made)}/photos/{photo}" in sandbox.page("GET", path(made)).text
    assert sandbox.page("GET", f"{path(made)}/photos/{photo}").headers["content-type"] == "image/jpeg"
    assert sandbox.page("DELETE", f"{path(made)}/photos/{photo}").status_code == 204
    assert sandbox.photos(made) == []
    assert sandbox.page("GET", f"{path(made)}/photos/{photo}").status_code == 404


def boxes(major, *compatible):
    """The beginning of a file of boxes (ISO/IEC 14496-12), as HEIF, AVIF and MP4 have it."""
    brands = b"".join(compatible)
    return (16 + len(brands)).to_bytes(4, "big") + b"ftyp" + major + bytes(4) + brands + b"\0\0\0\x08mdat"


def encoded(name):
    out = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(out, name)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "media_type", "suffix"),
    [
        (encoded("JPEG"), "image/jpeg", "jpg"),
        (encoded("PNG"), "image/png", "png"),
        (encoded("WEBP"), "image/webp", "webp"),
        (encoded("GIF"), "image/gif", "gif"),
        (encoded("TIFF"), "image/tiff", "tiff"),
        (b"MM\0*" + bytes(40), "image/tiff", "tiff"),
        (encoded("BMP"), "image/bmp", "bmp"),
        (boxes(b"heic", b"mif1", b"heic"), "image/heic", "heic"),
        (boxes(b"mif2", b"mif1", b"heic"), "image/heic", "heic"),
        (boxes(b"mif1", b"mif1"), "image/heic", "heic"),
        (boxes(b"MiHB", b"mif1", b"MiHB", b"heix"), "image/heic", "heic"),
        (boxes(b"avif", b"mif1", b"miaf"), "image/avif", "avif"),
        (boxes(b"mif1", b"avif", b"miaf"), "image/avif", "avif"),
        (b"\xff\x0a" + bytes(40), "image/jxl", "jxl"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40), "image/jxl", "jxl"),
    ],
)
def test_pictures_of_many_types_are_accepted_and_kept_unchanged(sandbox, content, media_type, suffix):
    made = sandbox.ask()
    name = upload(sandbox, made, content).json()["id"]
    (photo,) = sandbox.photos(made)
    assert photo["mime_type"] == media_type
    assert photo["download_url"].partition("?")[0].endswith(f"/photos/{name}.{suffix}")
    file = sandbox.session.get(photo["download_url"])
    assert (file.headers["content-type"], file.content) == (media_type, content)
    assert sandbox.page("GET", f"{path(made)}/photos/{name}").status_code == 200


@pytest.mark.parametrize("content", [boxes(b"isom", b"avc1"), boxes(b"qt  "), b"BMW 320", b"<html>", b"ftyp"])
def test_other_files_are_refused(sandbox, content):
    reply = upload(sandbox, sandbox.ask(), content)
    assert reply.status_code == 422
    assert "JPEG, HEIC, AVIF, PNG, WebP, GIF, TIFF, BMP or JPEG XL" in reply.json()["error"]


def test_wrong_uploads(sandbox):
    made = sandbox.ask(items=ITEMS)
    item = made["items"][0]["id"]
    assert "not a picture" in upload(sandbox, made, b"%PDF-1.4", item=item).json()["error"]
    assert upload(sandbox, made, item="pri_other").status_code == 422
    assert sandbox.page("POST", f"{path(made)}/photos", data={"item": item}).status_code == 422
    assert sandbox.status(made) == "pending"


@pytest.mark.parametrize(
    ("action", "status", "title"),
    [("submit", 200, "Thank you"), ("expire", 410, "This link has expired"), ("cancel", 410, "withdrawn")],
)
def test_closed_links(sandbox, action, status, title):
    made = sandbox.ask()
    sandbox.act(made, action)
    page = sandbox.page("GET", path(made))
    assert page.status_code == status
    assert title in page.text
    assert "<form" not in page.text
    assert upload(sandbox, made).status_code == 409
    assert submit(sandbox, made).status_code == status


def test_unknown_link(sandbox):
    page = sandbox.page("GET", "/p/zzzzzz")
    assert page.status_code == 404
    assert "Link not found" in page.text
    assert sandbox.page("GET", "/nowhere").status_code == 404


def test_permanent_link_page(sandbox):
    body = {
        "instructions": "Inspect",
        "unique_field_label": "Plate",
        "full_name_required": True,
        "items": ITEMS[1:],
    }
    made = sandbox.visiono("POST", "/permanent-links", body).json()["data"]
    for name in ("Ada", "Bob"):
        page = sandbox.page("GET", path(made)).text
        draft = re.search('name="draft" value="(.+?)"', page)[1]
        assert upload(sandbox, made, draft=draft, item=made["items"][0]["id"]).status_code == 201
        assert "Fill in: Plate" in submit(sandbox, made, draft=draft).text
        assert "Fill in your name" in submit(sandbox, made, draft=draft, unique_field_value="AB 1").text
        fields = {"draft": draft, "unique_field_value": "AB 1", "full_name": name}
        assert submit(sandbox, made, **fields).status_code == 303
    found = sandbox.get(f"/permanent-links/{made['id']}/submissions")
    assert [(one["full_name"], len(one["photos"])) for one in found] == [("Bob", 1), ("Ada", 1)]


def test_code_entry(sandbox):
    made = sandbox.ask()
    assert 'name="code"' in sandbox.page("GET", "/code").text
    for code in (made["numeric_code"], made["unique_code"].lower()):
        assert sandbox.page("GET", f"/code?code={code}").headers["location"] == path(made)
    assert sandbox.page("GET", "/code?code=000").status_code == 404


def test_overview(sandbox):
    assert "There are no requests yet" in sandbox.page("GET", "/recipients").text
    made, done = sandbox.ask(instructions="First <one>"), sandbox.ask(instructions="Second")
    sandbox.act(done, "submit")
    text = sandbox.page("GET", "/recipients").text
    assert f'<a href="{made["request_url"]}">' in text
    assert "First &lt;one&gt;" in text
    assert done["request_url"] + '"' not in text
    assert sandbox.page("GET", "/").headers["location"] == "/recipients"


def test_dashboard_page(sandbox):
    sandbox.vizdom("POST", "/exports", {"dashboard_id": "dash_abc123", "format": "csv"})
    sandbox.advance(2)
    text = sandbox.page("GET", "/app/dashboards/dash_abc123").text
    assert "Q4 Revenue Overview" in text
    assert "2,410,820" in text
    picture = re.search(r'<img [^>]*src="(/app/[^"]+)"', text)[1]
    assert Image.open(io.BytesIO(sandbox.page("GET", picture).content)).size == (1400, 900)
    link = re.search(f'href="({sandbox.info["storage_url"]}/exports/.+?)"', text)[1]
    assert sandbox.session.get(link.replace("&amp;", "&")).status_code == 200
    assert sandbox.page("GET", "/app/dashboards/dash_none").status_code == 404
    assert sandbox.page("GET", "/app/dashboards/dash_none.png").status_code == 404
