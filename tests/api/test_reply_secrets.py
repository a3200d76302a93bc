"""What a service echoes must not reach a log: the key, signed links, people's addresses."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus

import pytest

from airflow_provider_visio.api.call import Reply, call
from airflow_provider_visio.api.config import ServiceConfig
from airflow_provider_visio.api.reply import error_from, read_reply
from airflow_provider_visio.api.visiono import VISIONO
from airflow_provider_visio.exceptions import InvalidRequestError, VisioProviderError

KEY = "vsk_live_secret_1"
MAIL = "mary.o-neil+photos@mail.example.co.uk"
LINK = "https://storage.test/photos/a.jpg?expires=1&signature=abcdef"
SITE = ServiceConfig(VISIONO, "my_visiono", "https://api.visio.now/v1", KEY)
GET = call("GET", "/photo-requests")
POST = call("POST", "/photo-requests")


def text_of(status, body, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return str(error_from(POST, Reply(status, headers, content), SITE, now=0.0))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500])
@pytest.mark.parametrize("secret", [KEY, MAIL, LINK, f"Bearer {KEY}", f"<{MAIL}>", f'"{LINK}"'])
@pytest.mark.parametrize(
    "shape",
    [
        lambda s: {"message": f"No good: {s}."},
        lambda s: {"error": {"message": f"No good: {s}", "details": {"a": [s]}}},
        lambda s: {"message": "No.", "errors": {"recipient_email": [f"{s} is bad", s]}},
        lambda s: {"message": {"input": s}},
        lambda s: {"error": s},
    ],
)
def test_an_echoed_secret_is_taken_out(status, secret, shape):
    text = text_of(status, shape(secret))
    assert KEY not in text
    assert MAIL not in text
    assert "signature" not in text


def test_an_echoed_secret_is_taken_out_of_the_fields_too():
    body = {"message": "No.", "errors": {"recipient_email": [f"{MAIL} is bad, {KEY}"]}}
    error = error_from(POST, Reply(422, {}, json.dumps(body).encode()), SITE, now=0.0)
    assert isinstance(error, InvalidRequestError)
    assert error.fields == {"recipient_email": ["<address> is bad, ***"]}


def test_the_rest_of_the_words_stays():
    assert "The address <address> is not deliverable" in text_of(
        422, {"message": f"The address {MAIL} is not deliverable"}
    )
    assert "See https://storage.test/photos/a.jpg?..." in text_of(422, {"message": f"See {LINK}"})


@pytest.mark.parametrize(("secret", "telling"), [(KEY, "vsk_live"), ("mary@example.com", "mary@")])
def test_a_secret_at_the_cut_of_a_long_message_is_taken_out(secret, telling):
    for before in range(470, 510):
        assert telling not in text_of(500, {"message": "x" * before + " " + secret + " tail" * 50})


@pytest.mark.parametrize("secret", [KEY, MAIL, LINK])
def test_a_secret_in_the_title_of_an_html_page_is_taken_out(secret):
    text = text_of(502, f"<html><title>Blocked {secret}</title></html>".encode())
    assert "Blocked" in text
    assert secret not in text


@pytest.mark.parametrize(("secret", "telling"), [(KEY, "vsk_live"), ("mary@example.com", "mary@")])
def test_a_secret_at_the_cut_of_a_long_title_is_taken_out(secret, telling):
    for before in range(50, 90):
        page = f"<html><title>{'x' * before} {secret} tail</title></html>"
        assert telling not in text_of(502, page.encode())


def test_a_secret_in_the_name_of_a_field_is_taken_out():
    text = text_of(422, {"message": "No.", "errors": {f"recipients.{MAIL}": ["is bad"], KEY: ["x"]}})
    assert MAIL not in text
    assert KEY not in text


@pytest.mark.parametrize("as_written", [str, quote, quote_plus, lambda key: json.dumps(key)[1:-1]])
def test_a_key_that_is_written_otherwise_is_taken_out(as_written):
    key = 'vzd+"core"/=='
    config = ServiceConfig(VISIONO, "my_visiono", "https://api.visio.now/v1", key)
    body = {"message": f"No good: {as_written(key)}."}
    text = str(error_from(POST, Reply(401, {}, json.dumps(body).encode()), config, now=0.0))
    assert "No good: ***." in text
    assert "core" not in text


@pytest.mark.parametrize("address", [quote(MAIL), "o'neil@mail.example", quote("o'neil+x@mail.example")])
def test_an_address_that_is_written_otherwise_is_taken_out(address):
    assert "'<address>' is bad" in text_of(422, {"message": f"No good: '{address}' is bad"})


@pytest.mark.parametrize(
    "words",
    [
        r'{"url": "https:\/\/storage.test\/a.jpg?expires=1&signature=abcdef"}',
        "Resource /photos/a.jpg?expires=1&signature=abcdef",
        "canonical query: X-Amz-Expires=60&X-Amz-Security-Token=abcdef&X-Amz-Signature=abcdef",
        "sv=2024&sig=abcdef%3D",
    ],
)
def test_the_signature_of_a_link_that_is_no_url_is_taken_out(words):
    assert "abcdef" not in text_of(422, {"message": words})


def test_a_password_in_a_redirect_is_taken_out():
    assert "pass" not in text_of(302, b"", location="https://user:pass@login.test/")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"meta": {"request_id": KEY}}, {}),
        ({}, {"x-request-id": f"for {KEY}"}),
        ({}, {"x-request-id": "x" * 95 + KEY}),
    ],
)
def test_an_id_of_a_call_has_no_key(body, headers):
    error = error_from(POST, Reply(500, headers, json.dumps(body).encode()), SITE, now=0.0)
    assert error.request_id
    assert "vsk_l" not in f"{error} {error.request_id}"


@pytest.mark.parametrize(
    "body", [rb'{"message": "cut \ud83d"}', rb'{"message": "No.", "errors": {"\udc00": ["\ud83d"]}}']
)
def test_words_cut_in_the_middle_of_an_emoji_can_be_logged(body):
    error = error_from(POST, Reply(422, {}, body), SITE, now=0.0)
    assert isinstance(error, InvalidRequestError)
    assert "\ufffd".encode() in f"{error} {error.fields}".encode()


def data_of(data):
    return read_reply(GET, Reply(200, {}, json.dumps({"data": data}).encode()), SITE, now=0.0)["data"]


@pytest.mark.parametrize(
    ("told", "passed_on"),
    [
        ({"status": KEY}, {"status": "***"}),
        ([{"url": f"https://x.test/?key={KEY}"}], [{"url": "https://x.test/?key=***"}]),
        ({"metadata": {KEY: [KEY, 5, None]}}, {"metadata": {"***": ["***", 5, None]}}),
        ({"notes": "cut \ud83d"}, {"notes": "cut \ufffd"}),
        ({"notes": "whole \U0001f697, é"}, {"notes": "whole \U0001f697, é"}),
    ],
)
def test_data_has_no_key_and_can_be_written(told, passed_on):
    assert data_of(told) == passed_on


def test_a_short_key_does_not_spoil_the_data():
    config = ServiceConfig(VISIONO, "my_visiono", "https://api.visio.now/v1", "test")
    reply = Reply(200, {}, b'{"data": {"id": "req_test_1"}}')
    assert read_reply(GET, reply, config, now=0.0)["data"] == {"id": "req_test_1"}


@pytest.mark.parametrize("name", ["workflow_secret", "webhook_secret"])
def test_a_connection_s_other_secrets_are_taken_out_as_well(name):
    secret = "5f2b/+ " * 5 + "x"
    config = ServiceConfig(VISIONO, "my_visiono", "https://api.visio.now/v1", KEY, extra={name: secret})
    told = json.dumps({"message": f"No {KEY}, {secret}, {quote(secret)}", "errors": {"a": [secret]}}).encode()
    error = error_from(POST, Reply(422, {}, told), config, now=0.0)
    assert "No ***, ***, ***" in str(error)
    assert error.fields == {"a": ["***"]}
    assert secret not in repr(config)
    data = Reply(200, {}, json.dumps({"data": [{"notes": f"a {secret}"}]}).encode())
    assert read_reply(GET, data, config, now=0.0)["data"] == [{"notes": "a ***"}]


@pytest.mark.parametrize("status", [200, 302, 400, 404, 429, 500])
def test_half_a_surrogate_pair_in_a_header_can_be_written_to_a_log(status):
    reply = Reply(status, {"x-request-id": "a\udc00b"}, b"<html>")
    with pytest.raises(VisioProviderError) as caught:
        read_reply(GET, reply, SITE, now=0.0)
    assert str(caught.value).encode()
    assert caught.value.request_id == "a?b"
