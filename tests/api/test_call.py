"""A request as data: ids, query and body."""

from __future__ import annotations

import json

import pytest

from airflow_provider_visio.api.call import Call, call
from airflow_provider_visio.api.plain_values import check_id
from airflow_provider_visio.exceptions import InvalidRequestError


@pytest.mark.parametrize("good", ["req_abc123", "dash-1", "a.b", "809530", "~x", "_"])
def test_an_id_goes_into_the_path_as_it_is(good):
    made = call("GET", "/photo-requests/{request_id}/download-urls", request_id=good)
    assert made.path == f"/photo-requests/{good}/download-urls"
    assert made.route == "/photo-requests/{request_id}/download-urls"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        " ",
        ".",
        "..",
        "../webhooks",
        "a/b",
        "a b",
        "a?b=c",
        "a#b",
        "a%2Fb",
        "a\n",
        "é",
        "日本",
        None,
        5,
        ["a"],
    ],
)
def test_what_is_no_id_is_refused_before_any_call(bad):
    with pytest.raises(InvalidRequestError) as caught:
        call("GET", "/photo-requests/{request_id}", request_id=bad)
    assert list(caught.value.fields) == ["request_id"]
    assert "give the id that the service returned" in str(caught.value)


def test_the_name_of_a_refused_id_is_in_the_error():
    with pytest.raises(InvalidRequestError, match="link_id: 'a b' is not an id"):
        check_id("a b", "link_id")


def test_a_query_is_encoded_and_absent_values_are_left_out():
    made = call(
        "GET",
        "/photo-requests",
        params={
            "after": "2026-01-01T00:00:00+00:00",
            "q": "Zoë & Co/é",
            "n": 5,
            "yes": True,
            "no": False,
            "x": None,
        },
    )
    assert made.url("https://api.visio.now/v1/") == (
        "https://api.visio.now/v1/photo-requests"
        "?after=2026-01-01T00%3A00%3A00%2B00%3A00&q=Zo%C3%AB+%26+Co%2F%C3%A9&n=5&yes=true&no=false"
    )


def test_a_call_without_parameters_has_no_question_mark():
    assert call("GET", "/status").url("https://x.test/v1") == "https://x.test/v1/status"


def test_a_body_is_utf8_json():
    content = call("POST", "/photo-requests", body={"instructions": "Größe 日本 🚗"}).content()
    assert "Größe 日本 🚗".encode() in content
    assert json.loads(content) == {"instructions": "Größe 日本 🚗"}


def test_a_call_without_a_body_sends_none():
    assert call("GET", "/status").content() is None


def test_text_that_utf8_cannot_carry_is_refused_as_input():
    # Lone surrogates come from file names (os.fsdecode) and pass json.dumps.
    with pytest.raises(InvalidRequestError):
        call("POST", "/photo-requests", body={"instructions": "photo \udcff"}).content()


def test_parameters_can_be_added_to_a_call():
    more = call("GET", "/photo-requests", params={"per_page": 5}).with_params(page=2)
    assert more.params == {"per_page": 5, "page": 2}


@pytest.mark.parametrize(
    ("method", "repeatable"),
    [("GET", True), ("HEAD", True), ("DELETE", True), ("POST", False), ("PATCH", False), ("PUT", False)],
)
def test_only_calls_that_do_nothing_twice_are_repeatable(method, repeatable):
    assert Call(method, "/x", "/x").repeatable is repeatable
