"""The inbox: what a triggerer learns from it, whatever was lost in between."""

from __future__ import annotations

import json

import pytest

from airflow_provider_visio.webhooks.inbox import MOST_IDS, Inbox

EMPTY = Inbox("first", 1.0)


def filled(*ids: str) -> Inbox:
    inbox = EMPTY
    for one in ids:
        inbox = inbox.after([one], 2.0)
    return inbox


def test_what_is_stored_is_read_again():
    inbox = filled("photo_request:a", "permanent_link:b")
    assert Inbox.from_text(inbox.as_text()) == inbox
    assert json.loads(inbox.as_text()) == {
        "changed": inbox.changed,
        "at": 2.0,
        "ids": ["permanent_link:b", "photo_request:a"],
    }


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[]",
        "1",
        "{}",
        '{"changed": "a", "at": "x", "ids": []}',
        '{"changed": "a", "at": NaN, "ids": []}',
        '{"changed": "a", "at": 1, "ids": "abc"}',
        '{"changed": "a", "at": 1796083200000, "ids": []}',
        "[" * 100_000,
    ],
)
def test_a_variable_that_is_not_an_inbox(text):
    assert Inbox.from_text(text) is None


def test_only_text_is_an_id():
    assert Inbox.from_text('{"changed": 7, "at": 1, "ids": ["a", 1, null]}') == Inbox("7", 1.0, ("a",))


def test_each_delivery_renews_the_token():
    once = EMPTY.after(["a"], 2.0)
    again = once.after(["a"], 2.0)
    assert len({EMPTY.changed, once.changed, again.changed}) == 3


def test_a_delivery_without_ids_only_says_that_webhooks_arrive():
    inbox = filled("a")
    after = inbox.after([], 9.0)
    assert (after.changed, after.at, after.ids) == (inbox.changed, 9.0, inbox.ids)
    assert after.since(inbox) == (set(), False)


def test_it_keeps_the_newest():
    inbox = filled(*map(str, range(250)))
    assert len(inbox.ids) == MOST_IDS
    assert inbox.ids[0] == "249"


@pytest.mark.parametrize("before", [0, 1, 50, 99, 100, 180])
@pytest.mark.parametrize("new", [1, 2, 50])
def test_what_is_new(before, new):
    earlier = filled(*(f"old{n}" for n in range(before)))
    later = earlier
    for n in range(new):
        later = later.after([f"new{n}"], 3.0)
    assert later.since(earlier) == ({f"new{n}" for n in range(new)}, False)


def test_an_id_that_is_named_again_is_new():
    earlier = filled("a", "b")
    assert earlier.after(["a"], 3.0).since(earlier) == ({"a"}, False)
    assert earlier.after(["b"], 3.0).since(earlier) == ({"b"}, False)


def test_nothing_is_new_without_a_change():
    inbox = filled("a")
    assert inbox.since(inbox) == (set(), False)


def test_the_first_look_takes_all_for_new():
    assert filled("a", "b").since(None) == ({"a", "b"}, False)


@pytest.mark.parametrize("before", [0, 1, 100])
def test_more_than_fit_may_have_been_named(before):
    earlier = filled(*(f"old{n}" for n in range(before)))
    later = earlier
    for n in range(150):
        later = later.after([f"new{n}"], 3.0)
    named, more = later.since(earlier)
    assert more
    assert named == {f"new{n}" for n in range(50, 150)}


def test_a_lost_write_still_says_that_something_has_changed():
    """Two API servers that read the same inbox: one write is lost, after the triggerer has read it or before."""
    earlier = filled("x")
    lost, kept = earlier.after(["a"], 3.0), earlier.after(["b"], 3.0)
    named, more = kept.since(lost)
    assert "b" in named
    assert more
    assert kept.since(earlier) == ({"b"}, False)


def test_a_relay_that_keeps_no_earlier_ids():
    earlier, later = Inbox("1", 1.0, ("a",)), Inbox("2", 2.0, ("b",))
    named, more = later.since(earlier)
    assert (named, more) == ({"b"}, True)
    assert Inbox("2", 2.0, ("a",)).since(earlier)[1]
