"""What a permanent link may have is known before any call."""

from __future__ import annotations

import pytest

from airflow_provider_visio.api.permanent_link_fields import check_permanent_link
from airflow_provider_visio.api.visiono_permanent_links import (
    create_permanent_link,
    list_permanent_links,
    update_permanent_link,
)
from airflow_provider_visio.exceptions import InvalidRequestError


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("custom_slug", "ab", "3 to 30"),
        ("custom_slug", "a" * 31, "3 to 30"),
        ("custom_slug", "Fleet", "lower-case"),
        ("custom_slug", "fleet inspection", "lower-case"),
        ("custom_slug", "größe", "lower-case"),
        ("custom_slug", "fleet\n", "lower-case"),
        ("custom_slug", 12, "lower-case"),
        ("unique_field_label", " ", "Licence plate"),
        ("unique_field_label", ["a"], "Licence plate"),
        ("show_full_name_field", "true", "True or False, not str"),
        ("full_name_required", 1, "True or False, not int"),
        ("require_gps", [], "True or False, not list"),
        ("tags", "fleet", "a list"),
        ("tags", {"fleet": 1}, "a list"),
        ("tags", ["fleet", ""], "each tag"),
        ("tags", [None], "each tag"),
        ("items", "front", "give a list"),
        ("items", {"instructions": "front"}, "give a list"),
        ("items", 5, "give a list"),
        ("items", [""], "each item needs instructions"),
        ("colour", "red", "no such field"),
    ],
)
def test_a_bad_value_is_named_with_what_to_give(name, value, advice):
    for refuse in (
        lambda: create_permanent_link("Each damage", {name: value}),
        lambda: update_permanent_link("sl_1", {name: value}),
        lambda: check_permanent_link(**{name: value}),
    ):
        with pytest.raises(InvalidRequestError, match=advice) as caught:
            refuse()
        assert list(caught.value.fields) == [name]


@pytest.mark.parametrize("slug", ["abc", "a" * 30, "fleet-2", "---"])
def test_a_good_slug_is_sent_as_it_is(slug):
    assert create_permanent_link("Each damage", {"custom_slug": slug}).body["custom_slug"] == slug


def test_a_new_link_leaves_out_what_is_none():
    made = create_permanent_link("Each damage", {"custom_slug": None, "tags": None, "require_gps": False})
    assert made.body == {"instructions": "Each damage", "require_gps": False}


def test_a_change_can_take_a_slug_or_label_away():
    changes = {"custom_slug": None, "unique_field_label": None}
    assert update_permanent_link("sl_1", changes).body == changes


@pytest.mark.parametrize("name", ["instructions", "tags", "items", "is_active", "require_gps"])
def test_nothing_else_can_be_taken_away(name):
    with pytest.raises(InvalidRequestError, match=name):
        update_permanent_link("sl_1", {name: None})


@pytest.mark.parametrize("instructions", ["", " \n", None, ["a"]])
def test_instructions_are_a_sentence(instructions):
    with pytest.raises(InvalidRequestError, match="what to photograph"):
        create_permanent_link(instructions)
    with pytest.raises(InvalidRequestError, match="what to photograph"):
        update_permanent_link("sl_1", {"instructions": instructions})


def test_a_new_link_cannot_be_switched_off_yet():
    with pytest.raises(InvalidRequestError, match="no such field"):
        create_permanent_link("Each damage", {"is_active": False})


def test_nothing_to_change_is_refused():
    with pytest.raises(InvalidRequestError, match="nothing to change"):
        update_permanent_link("sl_1", {})


@pytest.mark.parametrize(
    ("tags", "sent"), [(None, None), ([], None), ("fleet", "fleet"), (["fleet", "vienna"], "fleet,vienna")]
)
def test_tags_of_a_filter_are_joined(tags, sent):
    assert list_permanent_links(tags=tags).params["tags"] == sent
