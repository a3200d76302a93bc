"""What comes through a permanent link: submissions, photos, files."""

from __future__ import annotations

import json

import pytest
import requests
from api.local_server import Answer

from airflow_provider_visio.exceptions import (
    InvalidRequestError,
    NotFoundError,
    PhotoRequestFailedError,
    UnexpectedReplyError,
)
from airflow_provider_visio.hooks.visiono import VisionoHook
from hooks.recipient import leave


@pytest.fixture
def link(visiono):
    return visiono.create_permanent_link("Each damage", custom_slug="fleet", unique_field_label="Plate")


@pytest.fixture
def two(visiono, link):
    """Submissions of two photos and of one."""
    return [
        leave(visiono, link, photos, unique_field_value=f"W-{photos}", full_name="Zoë") for photos in (2, 1)
    ]


def test_links_are_filtered(visiono, link):
    other = visiono.create_permanent_link("b", tags=["fleet", "vienna"])
    visiono.update_permanent_link(link["id"], is_active=False)

    def ids(**filters):
        return [one["id"] for one in visiono.list_permanent_links(**filters)]

    assert ids(is_active=True) == [other["id"]]
    assert ids(is_active=False) == [link["id"]]
    assert ids(tags="vienna") == ids(tags=["fleet", "vienna"]) == [other["id"]]
    assert ids(tags=["nobody's"]) == []
    assert len(ids(limit=1)) == 1


def test_submissions_are_listed_through_all_pages(sandbox, visiono, link):
    assert list(visiono.list_permanent_link_submissions(link["id"])) == []
    sandbox.settings(page_size=2)
    left = [leave(visiono, link, unique_field_value=f"W-{n}") for n in range(5)]
    found = list(visiono.list_permanent_link_submissions(link["id"]))
    assert sorted(one["id"] for one in found) == sorted(left)
    assert {one["unique_field_value"] for one in found} == {f"W-{n}" for n in range(5)}
    assert len(list(visiono.list_permanent_link_submissions(link["id"], limit=3))) == 3


def test_photos_tell_their_submission(visiono, link, two):
    photos = visiono.list_permanent_link_photos(link["id"])
    assert sorted(photo["submission_id"] for photo in photos) == sorted([two[0], *two])
    for photo in photos:
        assert requests.get(photo["url"], timeout=10).content.startswith(b"\xff\xd8")
    for wanted in ([two[1]], (two[1], "pls_other"), two[1]):
        (one,) = visiono.list_permanent_link_photos(link["id"], submission_ids=wanted)
        assert one["submission_id"] == two[1]
    assert len(visiono.list_permanent_link_photos(link["id"], submission_ids=two)) == 3
    for nobody in ("pls_other", []):
        assert visiono.list_permanent_link_photos(link["id"], submission_ids=nobody) == []


def test_signed_links_are_returned_unchanged(visiono, link, two):
    found = visiono.get_permanent_link_download_urls(link["id"])["submissions"]
    assert [set(one) >= {"id", "download_url"} for one in found] == [True] * 3


def test_get_a_qr_code_s_address(visiono, link):
    address = visiono.get_permanent_link_qr_code(link["id"])["qrcode_url"]
    assert requests.get(address, timeout=10).content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "call",
    [
        lambda hook: list(hook.list_permanent_link_submissions("sl_never")),
        lambda hook: hook.list_permanent_link_photos("sl_never"),
        lambda hook: hook.get_permanent_link_download_urls("sl_never"),
        lambda hook: hook.get_permanent_link_qr_code("sl_never"),
    ],
)
def test_a_link_that_is_not_there_may_be_a_call_that_is_not_there(visiono, call):
    with pytest.raises(NotFoundError, match=r"Check the id.*plugin and not in .*`dialect` to `plugin`"):
        call(visiono)


def test_files_are_stored_with_their_submission(visiono, link, two, destination):
    manifest = visiono.download_permanent_link_photos(link["id"], destination)
    assert manifest["id"] == link["id"]
    assert manifest["path"] == f"{destination}/{link['id']}/manifest.json"
    assert manifest["about"]["custom_slug"] == "fleet"
    assert sorted(file["submission_id"] for file in manifest["files"]) == sorted([two[0], *two])
    assert all(file["mime_type"] == "image/jpeg" and file["submitted_at"] for file in manifest["files"])


def test_a_second_run_fetches_what_is_new(sandbox, visiono, link, two, destination):
    def fetched():
        return sum(sandbox.counters().get("storage", {}).values())

    visiono.download_permanent_link_photos(link["id"], destination)
    before = fetched()
    assert before == 3
    third = leave(visiono, link, unique_field_value="W-3")
    manifest = visiono.download_permanent_link_photos(link["id"], destination)
    assert fetched() == before + 1
    assert sum(file["submission_id"] == third for file in manifest["files"]) == 1
    assert len(manifest["files"]) == 4


@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize("wanted", [0, 1])
def test_files_of_one_submission_are_stored(visiono, link, two, tmp_path, wanted, several):
    ids = [two[wanted]] if several else two[wanted]
    manifest = visiono.download_permanent_link_photos(link["id"], str(tmp_path), submission_ids=ids)
    assert [file["submission_id"] for file in manifest["files"]] == [two[wanted]] * (2 - wanted)
    assert len(list(tmp_path.rglob("*.jpg"))) == 2 - wanted
    (kept,) = tmp_path.rglob("manifest.json")
    assert json.loads(kept.read_text()) == manifest


def test_a_download_never_succeeds_with_nothing(visiono, link, tmp_path):
    with pytest.raises(PhotoRequestFailedError, match=r"no photos yet.*VisionoPermanentLinkSensor"):
        visiono.download_permanent_link_photos(link["id"], str(tmp_path))
    assert list(tmp_path.rglob("*.json")) == []


@pytest.mark.parametrize("wanted", [["pls_other"], []])
def test_a_submission_without_photos_is_named(visiono, link, two, tmp_path, wanted):
    with pytest.raises(PhotoRequestFailedError, match="no photos of pls_other" if wanted else "no photos"):
        visiono.download_permanent_link_photos(
            link["id"], str(tmp_path), submission_ids=[*wanted, *two[: len(wanted)]]
        )
    assert list(tmp_path.rglob("*.jpg")) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda hook: hook.list_permanent_links(tags=[""]),
        lambda hook: hook.list_permanent_link_submissions(""),
        lambda hook: hook.list_permanent_link_photos("sl_1", submission_ids=["../x"]),
        lambda hook: hook.download_permanent_link_photos("sl_1", "relative/path"),
        lambda hook: hook.download_permanent_link_photos("sl_1", "/tmp/x", submission_ids=["a/b"]),
    ],
)
def test_bad_input_makes_no_call(sandbox, visiono, call):
    with pytest.raises(InvalidRequestError):
        call(visiono)
    assert sandbox.calls() == []


PHOTO = {"id": "ps_1", "download_url": "https://files.example/1"}
LIST = {"data": [{"id": "pls_1", "photos": [{"id": "ps_1"}]}], "meta": {"total": 1}}


def read(serve, connection, links, *more, **wanted):
    server = serve(Answer(200, {"data": links}), *(Answer(200, body) for body in more))
    hook = VisionoHook(connection("my_visiono", server.url, "key12345"))
    found = hook.list_permanent_link_photos("sl_1", **wanted)
    return [(photo["id"], photo["submission_id"]) for photo in found], len(server.received)


@pytest.mark.parametrize(
    "links",
    [
        {"submissions": [{**PHOTO, "permanent_link_submission_id": "pls_1"}]},
        {"submissions": [{**PHOTO, "submission_id": "pls_1"}]},
        {"photos": [{**PHOTO, "submission_id": "pls_1"}]},
        {"submissions": [{"id": "pls_1", "photos": [PHOTO]}]},
        {"submissions": [{"id": "pls_0", "photos": []}, {"id": "pls_1", "photos": [PHOTO]}]},
    ],
)
def test_a_photo_s_submission_is_read_in_each_likely_place(serve, connection, links):
    assert read(serve, connection, links) == ([("ps_1", "pls_1")], 1)


def test_a_submission_that_links_do_not_tell_is_looked_up(serve, connection):
    assert read(serve, connection, {"submissions": [PHOTO]}, LIST) == ([("ps_1", "pls_1")], 2)
    assert read(serve, connection, {"submissions": [PHOTO]}, LIST, submission_ids=["pls_2"]) == ([], 2)


def test_a_submission_that_nobody_tells_is_not_guessed(serve, connection):
    nothing = {"data": [{"id": "pls_1"}], "meta": {"total": 1}}
    assert read(serve, connection, {"submissions": [PHOTO]}, nothing) == ([("ps_1", None)], 2)
    with pytest.raises(UnexpectedReplyError, match="which submission"):
        read(serve, connection, {"submissions": [PHOTO]}, nothing, submission_ids=["pls_1"])


def pages_of_photos(serve, connection, *bodies):
    server = serve(*(Answer(200, body) for body in bodies))
    hook = VisionoHook(connection("my_visiono", server.url, "key12345"))
    return [photo["id"] for photo in hook.list_permanent_link_photos("sl_1")], server.received


def page_of(*numbers, **more):
    photos = [{**PHOTO, "id": f"ps_{n}", "submission_id": "pls_1"} for n in numbers]
    return {"data": {"photos": photos}, **more}


NEXT = {"links": {"next": "https://elsewhere.example/v1/x?page=2"}}


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (page_of(1, 2, **NEXT), page_of(3, links={"next": None})),
        (page_of(1, 2, meta={"next_cursor": "abc"}), page_of(3, meta={"next_cursor": None})),
        (
            page_of(1, 2, meta={"current_page": 1, "last_page": 2}),
            page_of(3, meta={"current_page": 2, "last_page": 2}),
        ),
        (
            {"data": {"submissions": [{"id": "pls_1", "photos": [PHOTO, {**PHOTO, "id": "ps_2"}]}]}, **NEXT},
            {
                "data": {"submissions": [{"id": "pls_1", "photos": [{**PHOTO, "id": "ps_3"}]}]},
                "links": {"next": None},
            },
        ),
        (
            {**page_of(1, 2)["data"], **NEXT},
            {**page_of(3)["data"], "links": {"next": None}},
        ),
        (
            page_of(1, 2, 3, **NEXT),
            page_of(links={"next": None}),
        ),
    ],
    ids=["link", "cursor", "number", "a submission on two pages", "no envelope", "an empty page"],
)
def test_photos_that_come_in_pages_are_all_read(serve, connection, first, last):
    found, asked = pages_of_photos(serve, connection, first, last)
    assert found == ["ps_1", "ps_2", "ps_3"]
    assert len(asked) == 2
    assert "/permanent-links/sl_1/download-urls?" in asked[1].path


@pytest.mark.parametrize(
    "pages",
    [
        [page_of(1, 2, **NEXT)],  # the same page once more
        [page_of(1, 2, meta={"total": 3})],
        [page_of(1, 2, links={"next": "https://elsewhere.example/v1/x"})],
    ],
)
def test_photos_are_never_fewer_than_the_service_says(serve, connection, pages):
    with pytest.raises(UnexpectedReplyError):
        pages_of_photos(serve, connection, *pages)


def test_an_empty_page_of_photos_does_not_end_them(serve, connection):
    pages = (page_of(1, **NEXT), page_of(links={"next": "?page=3"}), page_of(2, links={"next": None}))
    found, asked = pages_of_photos(serve, connection, *pages)
    assert (found, len(asked)) == (["ps_1", "ps_2"], 3)


def test_a_count_of_submissions_is_no_count_of_photos(serve, connection):
    body = {"submissions": [{"id": "pls_1", "photos": [PHOTO, {**PHOTO, "id": "ps_2"}]}]}
    found, asked = pages_of_photos(serve, connection, {"data": body, "meta": {"total": 1}})
    assert (found, len(asked)) == (["ps_1", "ps_2"], 1)
