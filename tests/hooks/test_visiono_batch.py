"""Many photo requests in one call."""

from __future__ import annotations

import datetime as dt

import pytest
from api.local_server import Answer

from airflow_provider_visio.exceptions import (
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    UnexpectedReplyError,
)
from airflow_provider_visio.hooks.visiono import VisionoHook


def test_a_batch_keeps_the_given_order(sandbox, visiono):
    asked = [{"instructions": f"Car {n}", "items": ["Front"], "metadata": {"n": n}} for n in range(10)]
    asked[3] |= {"expires_in_hours": dt.timedelta(hours=36), "recipient_email": "mary@example.com"}
    made = visiono.create_photo_requests(asked)
    assert [one["metadata"] for one in made] == [{"n": n} for n in range(10)]
    assert [one["items"][0]["instructions"] for one in made] == ["Front"] * 10
    kept = {one["id"]: one for one in sandbox.control("GET", "/photo-requests")}
    assert set(kept) == {one["id"] for one in made}
    third = kept[made[3]["id"]]
    assert third["expires_at"] - third["created_at"] == 36 * 3600
    assert third["recipient_email"] == "mary@example.com"
    assert sandbox.counters()["visiono"] == {"POST /photo-requests/batch": 1}


@pytest.mark.parametrize("requests", [[], [{"instructions": "a"}] * 11, {"instructions": "a"}, "a", None, 5])
def test_none_or_too_many_make_no_call(sandbox, visiono, requests):
    with pytest.raises(InvalidRequestError) as caught:
        visiono.create_photo_requests(requests)
    assert list(caught.value.fields) == ["requests"]
    assert sandbox.calls() == []


@pytest.mark.parametrize(
    ("bad", "field", "why"),
    [
        ({"instructions": ""}, "requests.1.instructions", "what to photograph"),
        ({"instructions": "a", "recipient_email": "mary"}, "requests.1.recipient_email", "not an e-mail"),
        ({"instructions": "a", "items": [""]}, "requests.1.items", "each item"),
        ({"instructions": "a", "expires_in_hours": 0}, "requests.1.expires_in_hours", "one hour"),
        ({"instructions": "a", "colour": "red"}, "requests.1", "has no colour; it has instructions, recip"),
        ({"items": ["a"]}, "requests.1", "needs instructions"),
        ("a", "requests.1", "give a dict, not str"),
        (None, "requests.1", "give a dict"),
    ],
)
def test_a_bad_one_is_named_by_its_place(sandbox, visiono, bad, field, why):
    with pytest.raises(InvalidRequestError, match=why) as caught:
        visiono.create_photo_requests([{"instructions": "a"}, bad, {"instructions": ""}])
    assert list(caught.value.fields) == [field]
    assert str(caught.value).startswith(field)
    assert sandbox.calls() == []


def test_the_service_s_own_refusal_names_the_place_too(sandbox, visiono):
    with pytest.raises(InvalidRequestError) as caught:
        visiono.create_photo_requests(
            [{"instructions": "a"}, {"instructions": "b", "expires_in_hours": 99999}]
        )
    assert list(caught.value.fields) == ["photo_requests.1.expires_in_hours"]
    assert sandbox.control("GET", "/photo-requests") == []


def test_a_lost_reply_asks_nobody_twice(sandbox, visiono):
    sandbox.fault("visiono", "drop_after", method="POST", times=1)
    with pytest.raises(ConnectionFailedError) as caught:
        visiono.create_photo_requests([{"instructions": "a"}])
    assert caught.value.ambiguous
    assert sandbox.count("visiono", "POST /photo-requests/batch") == 1


ONE, TWO = {"id": "pr_1"}, {"id": 2}


@pytest.mark.parametrize("data", [[ONE, TWO], {"photo_requests": [ONE, TWO]}, {"items": [ONE, TWO]}])
def test_the_reply_is_read_in_each_likely_shape(serve, connection, data):
    hook = VisionoHook(connection("my_visiono", serve(Answer(201, {"data": data})).url, "key12345"))
    made = hook.create_photo_requests([{"instructions": "a"}, {"instructions": "b"}])
    assert [one["id"] for one in made] == ["pr_1", "2"]


@pytest.mark.parametrize(
    "data", [None, {}, [], [ONE], [ONE, TWO, ONE], [ONE, {}], [ONE, {"id": ""}], [ONE, "x"], "x"]
)
def test_a_reply_that_lacks_one_may_have_made_it(serve, connection, data):
    server = serve(Answer(201, {"data": data}))
    hook = VisionoHook(connection("my_visiono", server.url, "key12345"))
    with pytest.raises(UnexpectedReplyError, match="without one of the 2") as caught:
        hook.create_photo_requests([{"instructions": "a"}, {"instructions": "b"}])
    assert caught.value.ambiguous
    assert len(server.received) == 1


@pytest.mark.parametrize("status", [404, 405])
def test_a_service_without_batches_is_told(serve, connection, status):
    """Laravel answers 405 where a path would be an id to other methods."""
    server = serve(Answer(status, {"message": "The POST method is not supported."}))
    hook = VisionoHook(connection("my_visiono", server.url, "key12345"))
    with pytest.raises(NotFoundError, match="This service may not have the call") as caught:
        hook.create_photo_requests([{"instructions": "a"}])
    assert caught.value.status == status
    assert not caught.value.ambiguous
