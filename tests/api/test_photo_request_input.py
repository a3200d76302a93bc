"""What a photo request may ask for is known before any call."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from inspect import signature

import pytest

from airflow_provider_visio.api.photo_request_fields import (
    FIELDS,
    check_photo_request,
    item_body,
    whole_hours,
)
from airflow_provider_visio.api.visiono import create_photo_request, list_photo_requests
from airflow_provider_visio.exceptions import InvalidRequestError


@pytest.mark.parametrize(
    ("field", "value", "advice"),
    [
        ("instructions", "", "what to photograph"),
        ("instructions", " \n", "what to photograph"),
        ("instructions", None, "what to photograph"),
        ("instructions", True, "what to photograph"),
        ("instructions", ["a"], "what to photograph"),
        ("recipient_email", "mary", "leave it out to share request_url"),
        ("recipient_email", "mary@", "leave it out to share request_url"),
        ("recipient_email", "@example.com", "leave it out to share request_url"),
        ("recipient_email", "mary@example", "leave it out to share request_url"),
        ("recipient_email", "mary@example.com, joe@example.com", "leave it out to share request_url"),
        ("recipient_email", "Mary <mary@example.com>", "leave it out to share request_url"),
        ("recipient_email", "mary@ example.com", "leave it out to share request_url"),
        ("recipient_email", 5, "leave it out to share request_url"),
        ("recipient_email", ["mary@example.com"], "leave it out to share request_url"),
        ("expires_in_hours", 0, "at least one hour"),
        ("expires_in_hours", -1, "at least one hour"),
        ("expires_in_hours", 1.5, "whole hours or a timedelta"),
        ("expires_in_hours", True, "whole hours or a timedelta"),
        ("expires_in_hours", "soon", "whole hours or a timedelta"),
        ("expires_in_hours", "-1", "whole hours or a timedelta"),
        ("expires_in_hours", "", "not ''; text must be a whole number such as '24'"),
        ("expires_in_hours", "None", "not 'None'; text must be a whole number"),
        ("expires_in_hours", dt.timedelta(0), "at least one hour"),
        ("expires_in_hours", dt.timedelta(hours=-3), "at least one hour"),
        ("items", "front", "give a list"),
        ("items", {"instructions": "front"}, "give a list"),
        ("items", 5, "give a list"),
        ("items", [""], "each item needs instructions"),
        ("items", [{}], "each item needs instructions"),
        ("items", [{"instructions": " "}], "each item needs instructions"),
        ("items", [None], "an item is text or a dict"),
        ("items", [True], "an item is text or a dict"),
        ("items", [{"instructions": "front", "required": True}], "not required"),
        ("metadata", "x", "give a dict"),
        ("metadata", [1], "give a dict"),
        ("metadata", {"for": dt.timedelta(1)}, "JSON cannot carry"),
        ("metadata", {"x": Decimal("NaN")}, "JSON cannot carry"),
        ("metadata", {"x": float("nan")}, "JSON cannot carry"),
        ("metadata", {"x": {1, 2}}, "JSON cannot carry"),
        ("metadata", {"x": "\udcff"}, "JSON cannot carry"),
    ],
)
def test_what_the_service_would_refuse_is_refused(field, value, advice):
    with pytest.raises(InvalidRequestError) as caught:
        check_photo_request(**{"instructions": "A photo", field: value})
    assert list(caught.value.fields) == [field]
    assert field in str(caught.value)
    assert advice in str(caught.value)


def test_a_refused_address_is_not_in_the_error():
    with pytest.raises(InvalidRequestError) as caught:
        check_photo_request(instructions="x", recipient_email="mary@example")
    assert "mary" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "hours"),
    [
        (1, 1),
        (8760, 8760),
        ("24", 24),
        (" 24 ", 24),
        (dt.timedelta(hours=24), 24),
        (dt.timedelta(days=2), 48),
        (dt.timedelta(minutes=1), 1),
        (dt.timedelta(minutes=61), 2),
    ],
)
def test_a_lifetime_is_whole_hours_rounded_up(value, hours):
    assert whole_hours(value) == hours


@pytest.mark.parametrize(
    ("item", "body"),
    [
        ("Front", {"instructions": "Front", "is_required": True}),
        ({"instructions": "Front"}, {"instructions": "Front", "is_required": True}),
        ({"instructions": "Front", "is_required": False}, {"instructions": "Front", "is_required": False}),
    ],
)
def test_an_item_is_text_or_a_dict(item, body):
    assert item_body(item) == body


def test_only_what_was_given_is_sent():
    assert create_photo_request("A photo").body == {"instructions": "A photo"}


@pytest.mark.parametrize(("dialect", "name"), [("reference", "photo_slots"), ("plugin", "items")])
def test_everything_given_is_sent_even_when_false(dialect, name):
    made = create_photo_request(
        "A photo",
        recipient_email="mary@example.com",
        send_email=False,
        expires_in_hours=dt.timedelta(days=1),
        items=["Front", {"instructions": "Back", "is_required": False}],
        require_gps=False,
        allow_submitter_notes=True,
        internal_notes="n",
        metadata={},
        dialect=dialect,
    )
    assert made.body == {
        "instructions": "A photo",
        "recipient_email": "mary@example.com",
        "send_email": False,
        "expires_in_hours": 24,
        name: [
            {"instructions": "Front", "is_required": True},
            {"instructions": "Back", "is_required": False},
        ],
        "require_gps": False,
        "allow_submitter_notes": True,
        "internal_notes": "n",
        "metadata": {},
    }


def test_a_request_of_a_batch_has_the_fields_of_one_alone():
    assert tuple(signature(create_photo_request).parameters) == (*FIELDS, "dialect")


@pytest.mark.parametrize("field", ["created_after", "created_before"])
def test_a_time_without_a_zone_is_refused(field):
    with pytest.raises(InvalidRequestError, match=r"no time zone; use pendulum\.datetime") as caught:
        list_photo_requests(**{field: dt.datetime(2026, 1, 1)})  # noqa: DTZ001
    assert list(caught.value.fields) == [field]


def test_a_time_with_a_zone_is_sent_as_iso_8601():
    made = list_photo_requests(
        created_after=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), created_before="2026-02-01"
    )
    assert made.params["created_after"] == "2026-01-01T00:00:00+00:00"
    assert made.params["created_before"] == "2026-02-01"
