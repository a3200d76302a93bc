"""What belongs to a photo request: submissions, links, QR code; and the docs' name of its items."""

from __future__ import annotations

import logging

import pytest
import requests
from api.local_server import Answer

from airflow_provider_visio.exceptions import NotFoundError, UnexpectedReplyError
from airflow_provider_visio.hooks.visiono import VisionoHook
from hooks.recipient import send_photo, submit

SLOTS = [{"id": "s1", "instructions": "Front", "is_required": True}]


@pytest.fixture
def asked(visiono):
    return visiono.create_photo_request("A photo", items=["Front", "Back"])


def test_submissions_come_as_they_are_sent(sandbox, visiono, asked):
    assert list(visiono.list_submissions(asked["id"])) == []
    send_photo(asked, 0)
    (first,) = visiono.list_submissions(asked["id"])
    assert first["item_id"] == asked["items"][0]["id"]
    assert first["gps_latitude"] == 48.2
    send_photo(asked, 1)
    assert len(list(visiono.list_submissions(asked["unique_code"]))) == 2


def test_no_more_submissions_are_asked_for_than_are_taken(sandbox, visiono, asked):
    for n in range(2):
        send_photo(asked, n)
    sandbox.settings(page_size=1)
    route = "GET /photo-requests/{id}/submissions"
    before = sandbox.count("visiono", route)
    assert len(list(visiono.list_submissions(asked["id"], limit=1))) == 1
    assert sandbox.count("visiono", route) == before + 1
    assert len(list(visiono.list_submissions(asked["id"]))) == 2
    assert sandbox.count("visiono", route) == before + 3


def test_links_to_photos_are_given_as_they_are(sandbox, visiono, asked):
    submit(sandbox, asked)
    found = visiono.get_download_urls(asked["id"])
    assert found["photo_request_id"] == asked["id"]
    assert len(found["submissions"]) == 2
    for photo in found["submissions"]:
        assert requests.get(photo["download_url"], timeout=10).content.startswith(b"\xff\xd8")


def test_a_qr_code_s_address_is_given(sandbox, visiono, asked):
    address = visiono.get_qr_code(asked["id"])["qrcode_url"]
    assert requests.get(address, timeout=10).content.startswith(b"\x89PNG")


def test_a_reply_without_the_qr_code_is_told(serve, connection):
    server = serve(Answer(200, {"data": {}}))
    with pytest.raises(UnexpectedReplyError, match=r"data\.qrcode_url"):
        VisionoHook(connection("my_visiono", server.url, "key12345")).get_qr_code("req_1")


@pytest.mark.parametrize(
    "call",
    [
        lambda hook: list(hook.list_submissions("req_never")),
        lambda hook: hook.get_download_urls("req_never"),
        lambda hook: hook.get_qr_code("req_never"),
    ],
)
def test_a_request_that_is_not_there_may_be_a_call_that_is_not_there(visiono, call):
    with pytest.raises(NotFoundError) as caught:
        call(visiono)
    for part in ("Check the id", "plugin has and its API reference has not", "`dialect` to `plugin`"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({"photo_slots": SLOTS}, SLOTS),
        ({"photo_slots": SLOTS, "items": []}, SLOTS),
        ({"items": SLOTS}, SLOTS),
        ({}, None),
    ],
)
def test_the_docs_name_of_items_is_read(serve, connection, sent, read):
    body = {"id": "req_1", "status": "pending", **sent}
    server = serve(*(Answer(200, {"data": data}) for data in (body, body, [body], body, [body])))
    hook = VisionoHook(connection("my_visiono", server.url, "key12345"))
    found = [
        hook.create_photo_request("A photo"),
        hook.get_photo_request("req_1"),
        next(hook.list_photo_requests(limit=1)),
        hook.get_permanent_link("sl_1"),
        next(hook.list_permanent_links(limit=1)),
    ]
    assert [one.get("items") for one in found] == [read] * 5


@pytest.mark.parametrize(
    ("asked_for", "told", "warned"),
    [
        (["Front"], {"items": []}, True),
        (["Front"], {"items": SLOTS}, False),
        (["Front"], {"photo_slots": SLOTS}, False),
        (["Front"], {}, False),
        (None, {"items": []}, False),
    ],
)
def test_items_that_the_service_did_not_take_are_warned_of(
    serve, connection, caplog, asked_for, told, warned
):
    server = serve(Answer(201, {"data": {"id": "req_1", **told}}))
    with caplog.at_level(logging.WARNING):
        VisionoHook(connection("my_visiono", server.url, "key12345")).create_photo_request(
            "A", items=asked_for
        )
    said = "req_1 was created without its items: this service may not know them as `photo_slots`"
    assert (said in caplog.text) is warned
