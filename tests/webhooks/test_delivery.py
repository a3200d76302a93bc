"""What a webhook's body is read for: the event, and ids."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_visio.waiting import NO_WORD
from airflow_provider_visio.webhooks.delivery import EVENTS, read_delivery


def read(event: Any, data: Any = None) -> Any:
    return read_delivery(
        json.dumps({"event": event, "timestamp": "2026-01-01T00:00:00Z", "data": data}).encode()
    )


@pytest.mark.parametrize("event", ["photo_request.submitted", "photo_request.expired"])
@pytest.mark.parametrize(
    "data",
    [
        {"id": "req_1", "type": "one_time"},
        {"photo_request": {"id": "req_1"}},
        {"photo_request": {"id": "req_1"}, "id": "req_1"},
    ],
    ids=["webhook page", "plugin", "both"],
)
def test_the_id_of_a_photo_request(event, data):
    found = read(event, data)
    assert (found.event, found.known, found.ids) == (event, True, ("photo_request:req_1",))


@pytest.mark.parametrize(
    "data",
    [
        {"id": "pl_1"},
        {"permanent_link": {"id": "pl_1"}},
        {"smart_link_id": "pl_1"},
        {"link": {"id": "pl_1"}, "submission": {"id": "sub_1"}},
        {"photo_request": {"id": "pl_1"}},
    ],
)
@pytest.mark.parametrize("event", ["photo_submission.created", "submission.created"])
def test_the_id_of_a_permanent_link(event, data):
    assert read(event, data).ids == ("permanent_link:pl_1",)


@pytest.mark.parametrize("event", [event for event, kind in EVENTS.items() if kind is None])
def test_an_event_that_ends_no_wait_names_nothing(event):
    found = read(event, {"id": "req_1"})
    assert (found.known, found.ids) == (True, ())


@pytest.mark.parametrize(
    "data", [None, [], "req_1", {}, {"id": None}, {"id": True}, {"id": "a b"}, {"id": "x" * 101}]
)
def test_an_event_without_an_id_still_says_that_something_has_changed(data):
    assert read("photo_request.submitted", data).ids == ("photo_request:*",)


def test_a_number_as_id():
    assert read("photo_request.submitted", {"id": 4711}).ids == ("photo_request:4711",)


@pytest.mark.parametrize("event", ["webhook.test", "photo_request.deleted", "PHOTO_REQUEST.SUBMITTED"])
def test_an_unknown_event(event):
    found = read(event, {"id": "req_1"})
    assert (found.known, found.ids) == (False, ())


@pytest.mark.parametrize("event", [None, 1, [], "two words", "x" * 61, "line\nbreak"])
def test_a_word_that_is_not_an_event_is_not_repeated(event):
    assert read(event).event == NO_WORD


@pytest.mark.parametrize("body", [b"", b"photo", b"[]", b"1", b"\xff\xfe", b"[" * 100_000, b'{"event"'])
def test_a_body_that_is_not_a_json_object(body):
    with pytest.raises(ValueError, match="JSON"):
        read_delivery(body)
