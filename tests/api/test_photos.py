"""A submitted photo looks the same whichever dialect it was read from."""

from __future__ import annotations

import pytest

from airflow_provider_visio.api.visiono import photos_in
from airflow_provider_visio.api.visiono_permanent_links import photos_of_link, submission_by_photo

REQUEST = {
    "id": "req_1",
    "items": [{"id": "pri_1", "instructions": "Front"}, {"id": "pri_2", "instructions": "Back"}],
}
PLUGIN = {
    "id": "ps_1",
    "item_id": "pri_1",
    "download_url": "https://s.test/1?signature=x",
    "thumbnail_url": "https://s.test/1t?signature=x",
    "file_size_kb": 100,
    "mime_type": "image/jpeg",
    "has_gps_data": True,
    "gps_latitude": 48.2,
    "gps_longitude": 16.37,
    "submitted_at": "2026-01-01T00:00:00+00:00",
}
DOCS = {
    "id": "photo_1",
    "url": "https://s.test/1",
    "slot_instructions": "Front",
    "metadata": {"gps_lat": 48.2, "gps_lng": 16.37, "captured_at": "2026-01-01T00:00:00Z"},
}


def test_the_plugin_s_dialect():
    assert photos_in(REQUEST, {"submissions": [PLUGIN]}) == [
        {
            "id": "ps_1",
            "url": "https://s.test/1?signature=x",
            "mime_type": "image/jpeg",
            "size_kb": 100,
            "item_id": "pri_1",
            "item": "Front",
            "gps": {"latitude": 48.2, "longitude": 16.37},
            "taken_at": None,
            "submitted_at": "2026-01-01T00:00:00+00:00",
        }
    ]


def test_the_documentation_s_dialect():
    assert photos_in({**REQUEST, "photos": [DOCS]}) == [
        {
            "id": "photo_1",
            "url": "https://s.test/1",
            "mime_type": None,
            "size_kb": None,
            "item_id": None,
            "item": "Front",
            "gps": {"latitude": 48.2, "longitude": 16.37},
            "taken_at": "2026-01-01T00:00:00Z",
            "submitted_at": None,
        }
    ]


@pytest.mark.parametrize(
    ("request_", "links"),
    [
        ({"submissions": [PLUGIN]}, None),
        ({"photos": [PLUGIN]}, None),
        ({}, {"photos": [PLUGIN]}),
        ({"photos": [DOCS]}, {"submissions": [PLUGIN]}),
        ({"photos": [], "submissions": None}, {"submissions": [PLUGIN]}),
    ],
)
def test_photos_are_found_wherever_they_stand(request_, links):
    assert [photo["id"] for photo in photos_in(request_, links)] == ["ps_1"]


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"photos": None},
        {"photos": []},
        {"photos": "x"},
        {"photos": {"id": "a"}},
        {"photos": [None, "x", {}]},
    ],
)
def test_no_photos_are_no_trouble(request_):
    assert photos_in(request_) == []


@pytest.mark.parametrize(
    "place",
    [
        {"gps_latitude": None, "gps_longitude": None},
        {"gps_latitude": 48.2},
        {"gps_latitude": "north", "gps_longitude": "east"},
        {"metadata": None},
        {"metadata": {"gps_lat": 48.2}},
        {"metadata": "x"},
        {"has_gps_data": False},
        {"has_gps_data": False, "gps_latitude": 48.2, "gps_longitude": 16.37},
        {"gps_latitude": 90.5, "gps_longitude": 16.37},
        {"gps_latitude": 48.2, "gps_longitude": -180.1},
    ],
)
def test_half_a_place_is_none(place):
    assert photos_in({"photos": [{"id": "a", **place}]})[0]["gps"] is None


def test_a_place_on_the_equator_is_one():
    found = photos_in({"photos": [{"id": "a", "gps_latitude": 0, "gps_longitude": "0.0"}]})
    assert found[0]["gps"] == {"latitude": 0.0, "longitude": 0.0}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "nan", 10**400], ids=lambda v: str(v)[:9])
def test_a_place_that_is_no_number_is_none(value):
    assert photos_in({"photos": [{"id": "a", "gps_latitude": value, "gps_longitude": 1.0}]})[0]["gps"] is None


def test_a_plugin_null_place_does_not_hide_the_documentation_s():
    entry = {**DOCS, "gps_latitude": None, "gps_longitude": None}
    assert photos_in({"photos": [entry]})[0]["gps"] == {"latitude": 48.2, "longitude": 16.37}


@pytest.mark.parametrize("item_id", [7, "7"])
def test_an_id_that_comes_as_an_integer_is_kept_as_text(item_id):
    request = {"id": 1, "items": [{"id": 7, "instructions": "Front"}, {"instructions": "without an id"}]}
    found = photos_in(request, {"submissions": [{"id": 5, "item_id": item_id, "url": "https://s.test/1"}]})
    assert [(one["id"], one["item_id"], one["item"]) for one in found] == [("5", "7", "Front")]


@pytest.mark.parametrize("item_id", [None, "", True, 1.5, ["7"]])
def test_a_value_that_is_no_id_is_left_out(item_id):
    assert photos_in({"photos": [{"id": "a", "item_id": item_id}]})[0]["item_id"] is None


@pytest.mark.parametrize("name", ["permanent_link_submission_id", "submission_id"])
def test_integer_ids_of_a_permanent_link_are_kept_as_text(name):
    link = {"items": [{"id": 7, "instructions": "Front"}]}
    single = photos_of_link({"photos": [{"id": 5, "item_id": 7, name: 3}]}, link)
    nested = photos_of_link({"submissions": [{"id": 3, "photos": [{"id": 5, "item_id": 7}]}]}, link)
    for found in (single, nested):
        assert [(one["id"], one["item_id"], one["item"], one["submission_id"]) for one in found] == [
            ("5", "7", "Front", "3")
        ]
    assert submission_by_photo([{"id": 3, "photos": [{"id": 5}]}]) == {"5": "3"}
