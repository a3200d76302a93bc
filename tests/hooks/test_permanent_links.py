"""Permanent links through the hook."""

from __future__ import annotations

import pytest

from airflow_provider_visio.exceptions import InvalidRequestError, NotFoundError


def test_create_read_update_and_delete_a_link(sandbox, visiono):
    made = visiono.create_permanent_link(
        "Photograph each damage",
        custom_slug="fleet-inspection",
        unique_field_label="License plate",
        show_full_name_field=True,
        full_name_required=False,
        require_gps=True,
        tags=["fleet", "vienna"],
        items=["Front", {"instructions": "Back", "is_required": False}],
    )
    assert made["is_active"] is True
    assert made["custom_slug"] == "fleet-inspection"
    assert made["tags"] == ["fleet", "vienna"]
    assert [item["is_required"] for item in made["items"]] == [True, False]
    assert visiono.get_permanent_link(made["id"]) == made

    changed = visiono.update_permanent_link(made["id"], is_active=False, tags=[], items=["Left"])
    assert (changed["is_active"], changed["tags"]) == (False, [])
    assert [item["instructions"] for item in changed["items"]] == ["Left"]
    assert changed["custom_slug"] == "fleet-inspection"
    assert visiono.get_permanent_link(made["id"]) == changed

    assert visiono.delete_permanent_link(made["id"]) is None
    with pytest.raises(NotFoundError, match="Permanent link not found"):
        visiono.get_permanent_link(made["id"])


def test_the_calls_are_those_of_the_reference(sandbox, visiono):
    made = visiono.create_permanent_link("Photograph each damage")
    visiono.get_permanent_link(made["id"])
    visiono.update_permanent_link(made["id"], is_active=False)
    list(visiono.list_permanent_links())
    visiono.delete_permanent_link(made["id"])
    called = [(call["method"], call["route"]) for call in sandbox.calls()]
    assert called == [
        ("POST", "/permanent-links"),
        ("GET", "/permanent-links/{id}"),
        ("PATCH", "/permanent-links/{id}"),
        ("GET", "/permanent-links"),
        ("DELETE", "/permanent-links/{id}"),
    ]


@pytest.mark.parametrize("pagination", ["none", "page", "cursor"])
def test_links_are_listed_through_all_pages(sandbox, visiono, pagination):
    sandbox.settings(pagination=pagination, page_size=2)
    made = {visiono.create_permanent_link(f"Damage {n}")["id"] for n in range(5)}
    found = [link["id"] for link in visiono.list_permanent_links()]
    assert len(found) == 5
    assert set(found) == made


def test_a_slug_that_is_taken_is_told(visiono):
    visiono.create_permanent_link("a", custom_slug="fleet")
    with pytest.raises(InvalidRequestError, match="already been taken") as caught:
        visiono.create_permanent_link("b", custom_slug="fleet")
    assert list(caught.value.fields) == ["custom_slug"]


@pytest.mark.parametrize(
    "call",
    [
        lambda hook: hook.create_permanent_link(""),
        lambda hook: hook.update_permanent_link("pl_1"),
        lambda hook: hook.update_permanent_link("", is_active=False),
        lambda hook: hook.delete_permanent_link("../photo-requests/1"),
        lambda hook: hook.get_permanent_link(None),
    ],
)
def test_bad_input_makes_no_call(sandbox, visiono, call):
    with pytest.raises(InvalidRequestError):
        call(visiono)
    assert sandbox.calls() == []


@pytest.mark.parametrize(
    "call",
    [
        lambda hook: hook.create_permanent_link("a", colour="red"),
        lambda hook: hook.update_permanent_link("pl_1", colour="red"),
    ],
)
def test_a_field_that_links_do_not_have_makes_no_call(sandbox, visiono, call):
    """A service that ignores what it does not know would take a typing error in silence."""
    with pytest.raises(
        InvalidRequestError, match=r"it has .*custom_slug.*use the hook's request\(\)"
    ) as caught:
        call(visiono)
    assert list(caught.value.fields) == ["colour"]
    assert sandbox.calls() == []


@pytest.mark.parametrize("value", [float("nan"), object()], ids=["nan", "object"])
def test_a_value_that_json_cannot_carry_is_refused(sandbox, visiono, value):
    with pytest.raises(InvalidRequestError):
        visiono.create_permanent_link("a", tags=[value])
    assert sandbox.calls() == []
