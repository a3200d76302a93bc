import io
import re

import pytest
from PIL import Image


@pytest.fixture
def link(sandbox):
    made = sandbox.ask()
    sandbox.act(made, "upload")
    return sandbox.photos(made)[0]["download_url"]


def test_link_opens_without_a_key(sandbox, link):
    assert link.startswith(sandbox.info["storage_url"] + "/photos/")
    reply = sandbox.session.get(link)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "image/jpeg"
    assert int(reply.headers["content-length"]) == len(reply.content)
    assert reply.headers["etag"].startswith('"')
    assert reply.content == sandbox.session.get(link).content


def test_signatures_that_were_given_out_are_known(sandbox, link):
    assert re.search("signature=([^&]+)", link)[1] in sandbox.control("GET", "/signatures")


def test_thumbnail(sandbox):
    made = sandbox.ask()
    sandbox.act(made, "upload")
    small = sandbox.session.get(sandbox.photos(made)[0]["thumbnail_url"]).content
    assert max(Image.open(io.BytesIO(small)).size) == 320


def code(reply):
    assert reply.headers["content-type"] == "application/xml"
    return reply.status_code, re.search("<Code>(.*)</Code>", reply.text)[1]


def test_link_expires(sandbox, link):
    sandbox.advance(86399)
    assert sandbox.session.get(link).status_code == 200
    sandbox.advance(1)
    assert code(sandbox.session.get(link)) == (403, "AccessDenied")


def test_fresh_links_after_expiry(sandbox):
    sandbox.settings(photo_link_seconds=10)
    made = sandbox.ask()
    sandbox.act(made, "upload")
    old = sandbox.photos(made)[0]["download_url"]
    sandbox.advance(11)
    assert sandbox.session.get(old).status_code == 403
    assert sandbox.session.get(sandbox.photos(made)[0]["download_url"]).status_code == 200


@pytest.mark.parametrize(
    ("pattern", "instead"),
    [
        ("signature=.", "signature=x"),
        (r"expires=\d+", "expires=99999999999"),
        ("&signature=.*", ""),
        (r"\?.*", ""),
        (r"/photos/(\w+)\.jpg", r"/thumbnails/\1.jpg"),
    ],
)
def test_tampered_links(sandbox, link, pattern, instead):
    assert code(sandbox.session.get(re.sub(pattern, instead, link))) == (403, "SignatureDoesNotMatch")


def test_keys_that_reach_storage_are_noticed(sandbox, link):
    sandbox.session.get(link)
    sandbox.session.get(link, headers={"X-API-Key": "vsk_live_test"})
    sandbox.session.get(link, headers={"Authorization": "Bearer vzd_test"})
    calls = [call for call in sandbox.control("GET", "/calls") if call["service"] == "storage"]
    assert [call["key_sent"] for call in calls] == [False, True, True]
    assert all(call["path"].endswith("&signature=cut") for call in calls)
    assert sandbox.control("GET", "/counters")["storage"] == {"GET /photos/{name}": 3}


def test_photo_of_a_wanted_size(sandbox):
    made = sandbox.ask()
    sandbox.act(made, "upload", bytes=3_000_000)
    (photo,) = sandbox.photos(made)
    assert photo["file_size_kb"] == round(3_000_000 / 1024)
    content = sandbox.session.get(photo["download_url"]).content
    assert len(content) == 3_000_000
    picture = Image.open(io.BytesIO(content))
    picture.load()
    assert picture.size == (1600, 1200)
    assert picture.getexif().get_ifd(0x8769)[0x9003]
    assert content.endswith(b"\xff\xd9")
