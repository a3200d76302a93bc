"""Which way of looking takes the fewest calls, from what the list turned out to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_visio.api.photo_request_poller import (
    FEW,
    FORGET,
    FORGET_REFUSAL,
    ListBehavior,
    choose_strategy,
)

NOW = 1767225600.0


@pytest.mark.parametrize(
    ("waiting", "known", "way"),
    [
        (0, {}, "singly"),
        (FEW, {}, "singly"),
        (FEW, {"filters": True, "totals": True}, "singly"),
        (FEW + 1, {}, "filtered"),
        (5000, {}, "filtered"),
        (5000, {"filters": True, "totals": True}, "filtered"),
        (5000, {"filters": True, "totals": True, "filtered_pages": 400, "walk_pages": 2}, "filtered"),
        # Without a count, all pages of the filtered list must be read.
        (1000, {"filters": True, "totals": False}, "filtered"),
        (1000, {"filters": True, "totals": False, "filtered_pages": 10}, "filtered"),
        (1000, {"filters": True, "totals": False, "filtered_pages": 11}, "walk"),
        (1000, {"filters": True, "totals": False, "filtered_pages": 11, "walk_pages": 30}, "filtered"),
        (10, {"filters": True, "totals": False, "filtered_pages": 11, "walk_pages": 30}, "singly"),
        (1000, {"filters": False}, "walk"),
        (1000, {"filters": False, "walk_pages": 999}, "walk"),
        (1000, {"filters": False, "walk_pages": 1001}, "singly"),
        (20, {"filters": False, "walk_pages": 20}, "walk"),
        (20, {"filters": False, "walk_pages": 21}, "singly"),
        (5000, {"refused_at": NOW}, "singly"),
        (5000, {"refused_at": 0.0, "filters": True, "totals": True}, "singly"),
    ],
)
def test_the_way_that_takes_the_fewest_calls(waiting, known, way):
    assert choose_strategy(waiting, ListBehavior(**known)) == way


@pytest.mark.parametrize(
    ("known", "later", "left"),
    [
        ({"refused_at": NOW}, 0, {"refused_at": NOW}),
        ({"refused_at": NOW}, FORGET_REFUSAL - 1, {"refused_at": NOW}),
        ({"refused_at": NOW}, FORGET_REFUSAL, {}),
        ({"refused_at": NOW}, -1, {}),
        ({"filters": False, "unfiltered_at": NOW, "since": False, "totals": False}, FORGET - 1, None),
        ({"filters": False, "unfiltered_at": NOW, "since": False, "totals": False}, FORGET, {}),
        ({"filters": False, "unfiltered_at": NOW}, -86400, {}),
        ({"filters": True, "totals": True, "since": True}, 10 * FORGET, None),
    ],
)
def test_a_list_that_did_not_serve_gets_another_chance(known, later, left):
    lists = ListBehavior(**known)
    lists.forget(NOW + later)
    expected = ListBehavior(**(known if left is None else left))
    # When it was found not to filter means nothing once that is forgotten.
    assert replace(lists, unfiltered_at=0.0) == replace(expected, unfiltered_at=0.0)


@pytest.mark.parametrize(
    ("seen", "filter_by", "filters"),
    [
        ([], "submitted", True),
        (["submitted"], "submitted", True),
        (["submitted", "submitted"], "submitted", True),
        # Another word than the one filtered by: whether that can be filtered by is to be found out anew.
        (["completed"], "completed", None),
        (["completed", "completed"], "completed", None),
        # No filter lets both through.
        (["submitted", "completed"], "submitted", False),
        (["completed", "submitted"], "completed", False),
    ],
)
def test_the_word_to_filter_by_is_the_one_that_was_seen(seen, filter_by, filters):
    lists = ListBehavior(filters=True, totals=True)
    for word in seen:
        lists.saw_arrived_as(word, NOW)
    assert (lists.word, lists.filters) == (filter_by, filters)


def test_a_refused_list_is_not_asked():
    lists = ListBehavior()
    lists.refuse(NOW)
    assert choose_strategy(100, lists) == "singly"
    lists.forget(NOW + FORGET)
    assert choose_strategy(100, lists) == "filtered"


def test_a_list_that_does_not_filter_is_read_whole():
    lists = ListBehavior()
    lists.ignore(NOW)
    assert choose_strategy(100, lists) == "walk"
    lists.forget(NOW + FORGET)
    assert choose_strategy(100, lists) == "filtered"
