"""What a list of requests means, what is left of it, and what a reply to some of them says."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_visio.api.photo_request_fields import check_fields
from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.idempotency.batch_items import (
    by_key,
    dropped,
    groups,
    items_of,
    matched,
    reason_of,
    refused,
)

ANN, BOB, EVE = ({"instructions": f"Hello {name}"} for name in ("Ann", "Bob", "Eve"))


def keys(*requests: dict[str, Any]) -> list[str]:
    return [item.key for item in items_of(requests)]


def made(key: str | None, number: int = 1) -> dict[str, Any]:
    return {"id": f"req_{number}", "metadata": {} if key is None else {"airflow_input": key}}


def test_a_request_is_known_by_what_it_asks_for_not_by_its_place():
    assert keys(ANN, BOB) == keys(BOB, ANN)[::-1]
    assert keys({**ANN, "recipient_email": None}) == keys(ANN)


def test_requests_that_are_alike_are_several():
    first, second, third = keys(ANN, ANN, ANN)
    assert len({first, second, third}) == 3
    assert keys(BOB, ANN, ANN)[1:] == [first, second]


@pytest.mark.parametrize(
    ("planned", "done", "now", "gone", "new"),
    [
        ((), (), (ANN, BOB), (), (ANN, BOB)),
        ((ANN, BOB), (ANN,), (ANN, BOB), (), ()),
        ((ANN, BOB), (ANN,), (BOB, ANN, EVE), (), (EVE,)),
        ((ANN, BOB), (ANN,), (BOB,), (ANN,), ()),
        ((ANN, BOB), (ANN,), (BOB, EVE), (ANN,), (EVE,)),
        ((ANN, BOB), (ANN,), (ANN, EVE), (), (EVE,)),  # nobody has asked Bob
    ],
)
def test_what_is_gone_from_a_list_and_what_is_new(planned, done, now, gone, new):
    found = dropped(items_of(now), keys(*planned), keys(*done))
    assert found == (set(keys(*gone)), set(keys(*new)))


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (1, [1]), (10, [10]), (11, [10, 1]), (25, [10, 10, 5])]
)
def test_ten_go_together(count, sizes):
    items = items_of([ANN] * count)
    found = list(groups(items))
    assert [len(group) for group in found] == sizes
    assert [item for group in found for item in group] == items


def test_which_is_which_in_a_reply():
    items = items_of([ANN, BOB])
    ann, bob = (item.key for item in items)
    for reply, found in [
        ([made(bob, 2), made(ann, 1)], {ann: "req_1", bob: "req_2"}),  # by the tag, whatever the order
        ([made(None, 1), made(None, 2)], {ann: "req_1", bob: "req_2"}),  # by the order, without tags
        ([made(ann, 1)], {ann: "req_1"}),
        ([made(None, 1)], {}),  # nobody can tell
        ([made("somebody's", 1), made(None, 2), made(None, 3)], {}),
        ([{"error": "refused"}, made(bob, 2)], {bob: "req_2"}),
        ([{"id": ""}, {"id": None}, {}], {}),
        ([], {}),
    ]:
        assert {key: one["id"] for key, one in matched(items, reply).items()} == found


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"photo_requests.1.instructions": ["is required"]}, {1: "instructions: is required"}),
        ({"photo_requests[1].items[0].instructions": ["a", "b"]}, {1: "items[0].instructions: a b"}),
        ({"photo_requests.0": ["no"], "photo_requests.2.x": ["y"]}, {0: "it: no", 2: "x: y"}),
        ({"photo_requests.1.a": ["1"], "photo_requests.1.b": ["2"]}, {1: "a: 1; b: 2"}),
        ({"1.instructions": ["is required"]}, {1: "instructions: is required"}),
        ({"photo_requests.7.instructions": ["is required"]}, {}),  # it was not sent
        ({"requests.1.instructions": ["is required"]}, {1: "instructions: is required"}),
        ({"recipient_email": ["is prohibited"]}, {}),
        ({"items.0.instructions": ["is required"]}, {}),  # of which request, it does not say
        ({"photo_slots[0]": ["is required"]}, {}),
        ({"photo_requests": ["must not have more than 10 items"]}, {}),
        ({}, {}),
    ],
)
def test_whom_a_refusal_means(fields, found):
    items = items_of([ANN, BOB, EVE])
    error = InvalidRequestError("refused", fields=fields)
    assert refused(items, error) == {items[index].key: reason for index, reason in found.items()}


def test_a_refusal_of_one_alone_means_that_one_whatever_it_says():
    (item,) = items_of([ANN])
    assert refused([item], InvalidRequestError("Visiono refused.")) == {item.key: "Visiono refused."}
    assert refused([item], InvalidRequestError("no", fields={"items": ["bad"]})) == {item.key: "items: bad"}


def test_a_long_reason_is_cut():
    assert len(reason_of(InvalidRequestError("x" * 5000))) == 200


def test_requests_by_their_key():
    found = by_key([made("a", 1), made("b", 2), made("a", 3), made(None), {"id": "4", "metadata": None}])
    assert {key: [one["id"] for one in ones] for key, ones in found.items()} == {
        "a": ["req_1", "req_3"],
        "b": ["req_2"],
    }


@pytest.mark.parametrize(
    ("request_", "problem"),
    [({}, "instructions"), ({**ANN, "email": "x"}, "has no email"), ({**ANN, 3: 4}, "no 3")],
)
def test_fields_that_no_request_has_are_refused(request_, problem):
    check_fields(ANN)
    with pytest.raises(InvalidRequestError, match=problem):
        check_fields(request_)
