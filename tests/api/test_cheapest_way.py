"""Which way of looking takes the fewest calls, from what the list turned out to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_visio.api.arrived_list import FORGET, FORGET_REFUSAL, ListBehavior

NOW = 1767225600.0


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
    lists = ListBehavior(refused_at=NOW)
    assert not lists.may_filter
    lists.forget(NOW + FORGET)
    assert lists.may_filter


def test_a_list_that_does_not_filter_is_read_whole():
    lists = ListBehavior()
    lists.ignore(NOW)
    assert not lists.may_filter
    lists.forget(NOW + FORGET)
    assert lists.may_filter
