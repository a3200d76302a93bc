"""What a good reply, and each bad one, is read as."""

from __future__ import annotations

import json
import signal
from dataclasses import replace

import pytest

from airflow_provider_visio.api.call import Reply, call
from airflow_provider_visio.api.config import ServiceConfig
from airflow_provider_visio.api.reply import read_reply
from airflow_provider_visio.api.retry import History, decide
from airflow_provider_visio.api.visiono import VISIONO
from airflow_provider_visio.api.vizdom import VIZDOM
from airflow_provider_visio.exceptions import (
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ServiceError,
    UnexpectedReplyError,
    VisioProviderError,
)

SITE = ServiceConfig(VISIONO, "my_visiono", "https://api.visio.now/v1", "vsk_live_secret_1")
GET = call("GET", "/photo-requests/{request_id}", request_id="req_abc123")
POST = call("POST", "/photo-requests", body={"instructions": "x"})
DELETE = call("DELETE", "/photo-requests/{request_id}", request_id="req_abc123")


def reply(status, body=b"", **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


def failure(request, answer, config=SITE) -> VisioProviderError:
    with pytest.raises(VisioProviderError) as caught:
        read_reply(request, answer, config, now=0.0)
    return caught.value


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"data": {"id": "a"}, "meta": {"request_id": "r"}}, ({"id": "a"}, {"request_id": "r"}, {})),
        ({"data": [1], "meta": {"total": 1}, "links": {"next": None}}, ([1], {"total": 1}, {"next": None})),
        ({"data": {"id": "a"}}, ({"id": "a"}, {}, {})),
        ({"data": {"id": "a"}, "meta": None, "links": None}, ({"id": "a"}, {}, {})),
        ({"data": {"id": "a"}, "meta": [], "links": "x"}, ({"id": "a"}, {}, {})),
        ({"data": None}, (None, {}, {})),
        ({"id": "a"}, ({"id": "a"}, {}, {})),
        ([{"id": "a"}], ([{"id": "a"}], {}, {})),
        ({}, ({}, {}, {})),
    ],
)
def test_an_envelope_is_read_with_whatever_is_left_out(body, expected):
    data, meta, links = expected
    assert read_reply(GET, reply(200, body), SITE, now=0.0) == {"data": data, "meta": meta, "links": links}


@pytest.mark.parametrize("status", [200, 201, 202, 203])
def test_any_success_status_will_do(status):
    assert read_reply(GET, reply(status, {"data": {"id": "a"}}), SITE, now=0.0)["data"] == {"id": "a"}


@pytest.mark.parametrize(
    "answer", [reply(204), reply(200), reply(202, b" \n"), reply(200, {"data": {"id": "a"}})]
)
def test_a_deletion_may_be_answered_with_or_without_a_body(answer):
    read_reply(DELETE, answer, SITE, now=0.0)


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        (b"", "an empty body"),
        (b"<!DOCTYPE html><html><head><title>Login \n page</title>", 'an HTML page titled "Login page"'),
        (b"\n  <html><body>hi", "an HTML page"),
        (b'{"data": {"id": "req_', "JSON that is cut off or broken"),
        (b'[{"id": 1}, ', "JSON that is cut off or broken"),
        (b"OK", "2 bytes that are not JSON"),
        (b'"just text"', "instead of JSON"),
        (b"\xff\xfe\x00\x01", "4 bytes that are not JSON"),
    ],
)
def test_a_good_status_with_a_bad_body_is_unexpected(body, seen):
    error = failure(GET, reply(200, body))
    assert type(error) is UnexpectedReplyError
    assert seen in str(error)
    assert "Host is the API's base URL" in str(error)
    assert not error.ambiguous


def test_a_post_with_a_bad_body_may_have_been_done():
    error = failure(POST, reply(201, b"<html>"))
    assert type(error) is UnexpectedReplyError
    assert error.ambiguous
    assert "may or may not have done it" in str(error)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, UnexpectedReplyError),
        (302, UnexpectedReplyError),
        (304, UnexpectedReplyError),
        (307, UnexpectedReplyError),
        (308, UnexpectedReplyError),
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (402, PermissionDeniedError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (405, InvalidRequestError),
        (408, ServiceError),
        (409, InvalidRequestError),
        (410, NotFoundError),
        (413, InvalidRequestError),
        (415, InvalidRequestError),
        (418, InvalidRequestError),
        (422, InvalidRequestError),
        (425, ServiceError),
        (429, RateLimitedError),
        (451, InvalidRequestError),
        (500, ServiceError),
        (502, ServiceError),
        (503, ServiceError),
        (504, ServiceError),
        (599, ServiceError),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html><title>Oops</title></html>", b'{"message": "Oops"}', b'{"err'])
def test_each_status_has_its_error_whatever_the_body(status, kind, body):
    if body.startswith(b"<") and kind not in {ServiceError, RateLimitedError}:
        kind = UnexpectedReplyError  # a gateway's page says nothing of the key, the right or the id
    error = failure(GET, reply(status, body, x_request_id="req_77"))
    assert type(error) is kind
    assert error.status == status
    assert error.request_id == "req_77"
    assert error.conn_id == "my_visiono"
    for part in ("Visiono", str(status), "GET /photo-requests/req_abc123", "req_77", "connection my_visiono"):
        assert part in str(error)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 409, 410, 413, 422, 451])
@pytest.mark.parametrize(
    "answer",
    [
        reply(0, b"<html><title>Access denied</title></html>"),
        reply(0, b"\xef\xbb\xbf <!DOCTYPE html><html>"),
        reply(0, b"Access denied", content_type="text/html; charset=utf-8"),
        reply(0, b'<?xml version="1.0"?><Error/>'),
    ],
)
def test_a_page_is_never_the_service_s_word(status, answer):
    error = failure(GET, replace(answer, status=status))
    assert (type(error), error.status) == (UnexpectedReplyError, status)
    assert "no proxy answers in its place" in str(error)
    resent = [
        decide(
            failure(one, replace(answer, status=status)), one, History(), max_attempts=5, rate_limit_wait=9
        )
        for one in (GET, DELETE, POST)
    ]
    assert [one is not None and not one.reload for one in resent] == [True, True, False]
    assert not failure(POST, replace(answer, status=status)).ambiguous


def test_json_under_a_wrong_media_type_is_the_service_s_word():
    error = failure(GET, reply(403, {"message": "Forbidden"}, content_type="text/html"))
    assert type(error) is PermissionDeniedError


def test_a_page_with_429_is_a_limit_that_a_gateway_has_set():
    error = failure(POST, reply(429, b"<html><title>Slow down</title>", retry_after="7"))
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == 7
    assert 'an HTML page titled "Slow down"' in str(error)


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504])
@pytest.mark.parametrize("call_", [GET, POST])
def test_a_fault_carries_how_long_the_service_asks_to_wait(status, call_):
    asked = failure(call_, reply(status, {"message": "Back soon"}, retry_after="20"))
    assert isinstance(asked, ServiceError)
    assert asked.retry_after == 20
    # Every reply has the header of the rate limit, which is not about the fault.
    assert failure(call_, reply(status, x_ratelimit_reset="60")).retry_after == 0


@pytest.mark.parametrize(
    ("status", "ambiguous"),
    [
        (500, True),
        (503, True),
        (408, True),
        (400, False),
        (401, False),
        (404, False),
        (422, False),
        (429, False),
    ],
)
def test_a_post_is_ambiguous_only_when_the_service_may_have_acted(status, ambiguous):
    error = failure(POST, reply(status, {"message": "Oops"}))
    assert error.ambiguous is ambiguous
    assert ("may or may not have done it" in str(error)) is ambiguous


SHAPES = {
    "reference": {
        "error": {
            "code": "validation_error",
            "message": "The given data was invalid.",
            "details": {"instructions": ["The instructions field is required."], "items": ["Too many."]},
        },
        "meta": {"request_id": "req_abc"},
    },
    "laravel": {
        "message": "The given data was invalid.",
        "errors": {"instructions": ["The instructions field is required."], "items": "Too many."},
        "meta": {"request_id": "req_abc"},
    },
}


@pytest.mark.parametrize("shape", SHAPES)
def test_both_error_shapes_of_the_reference_are_read(shape):
    error = failure(POST, reply(422, SHAPES[shape]))
    assert type(error) is InvalidRequestError
    assert error.fields == {"instructions": ["The instructions field is required."], "items": ["Too many."]}
    assert error.request_id == "req_abc"
    for part in (
        "The given data was invalid.",
        "instructions: The instructions field is required.",
        "req_abc",
    ):
        assert part in str(error)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"message": "Unauthenticated."}, "Unauthenticated."),
        ({"message": "Server Error", "exception": "ErrorException", "trace": []}, "Server Error"),
        ({"error": {"code": "not_found", "message": "No such dashboard."}}, "No such dashboard."),
        ({"error": {"code": "not_found"}}, "not_found"),
        ({"error": "invalid_token"}, "invalid_token"),
        ({"message": {"en": "Größe"}}, "Größe"),
        ({"message": "two\n lines"}, "two lines"),
    ],
)
def test_the_service_s_own_words_are_in_the_text(body, said):
    assert said in str(failure(GET, reply(404, body)))


@pytest.mark.parametrize(
    "body",
    [
        [],
        [{"message": "in a list"}],
        "text",
        5,
        None,
        {"error": None},
        {"error": {"details": "x"}},
        {"message": "", "errors": ["a"]},
        {"message": None, "errors": None},
        {"message": 5, "errors": {"a": None, "b": {"c": "d"}, "c": [[1], {"x": 1}]}},
        {"meta": {"request_id": {"a": 1}}},
        {"meta": "x"},
    ],
)
@pytest.mark.parametrize("status", [400, 404, 422, 429, 500])
def test_no_strange_error_body_breaks_the_reading(body, status):
    error = failure(GET, reply(status, json.dumps(body).encode()))
    assert error.status == status
    assert f"answered {status}" in str(error)


def test_deeply_nested_json_does_not_break_the_reading():
    assert type(failure(GET, reply(500, b"[" * 100_000))) is ServiceError


def test_a_huge_message_is_cut():
    assert len(str(failure(GET, reply(500, {"message": "x" * 100_000})))) < 1000


def test_a_huge_number_of_field_errors_is_cut():
    errors = {f"items.{n}.instructions": ["The field is required." * 100] for n in range(500)}
    assert len(str(failure(POST, reply(422, {"message": "Invalid.", "errors": errors})))) < 10_000


def test_a_huge_reply_does_not_hold_up_an_event_loop():
    # Milliseconds of processor time, or minutes when a pattern walks it again and again.
    def too_long(*_):
        raise TimeoutError

    body = {"message": "x" * 100_000, "errors": {f"items.{n}": ["x" * 20_000] for n in range(50)}}
    before = signal.signal(signal.SIGVTALRM, too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, 10)
    try:
        failure(POST, reply(422, body))
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "API key in the connection's Password"),
        (403, "scope or role"),
        (404, "Check the id"),
        (410, "gone for good"),
        (500, "try again later"),
    ],
)
def test_the_text_says_what_to_do(status, advice):
    assert advice in str(failure(GET, reply(status, {"message": "Oops"})))


def test_a_refused_e_mail_says_to_share_the_link():
    body = {
        "message": "The recipient email field is prohibited.",
        "errors": {"recipient_email": ["E-mail sending is not available. Please upgrade your plan."]},
    }
    text = str(failure(POST, reply(422, body)))
    assert "share the request_url of the result yourself" in text
    assert "leave out recipient_email and send_email" in text


def test_a_bad_address_on_a_paid_plan_does_not_say_to_share_the_link():
    body = {"message": "Invalid.", "errors": {"recipient_email": ["It must be a valid email address."]}}
    assert "share the request_url" not in str(failure(POST, reply(422, body)))


def test_a_redirect_names_its_target_but_not_its_path():
    error = failure(GET, reply(302, location="https://login.test/path?token=abc"))
    assert "a redirect to https://login.test, which is not followed" in str(error)
    assert "token" not in str(error)
    assert "/path" not in str(error)


def test_each_service_is_called_by_its_name():
    vizdom = ServiceConfig(VIZDOM, "my_vizdom", "https://api.vizdom.ai/v1", "k")
    assert str(failure(GET, reply(500), vizdom)).startswith("Vizdom answered 500")


@pytest.mark.parametrize(
    ("words", "unknown"),
    [
        ("The route v1/photo-requests/batch could not be found.", True),
        ("Photo request not found.", False),
        ("", False),
    ],
)
def test_a_404_says_whether_the_service_has_no_such_call(words, unknown):
    error = failure(GET, reply(404, {"message": words}))
    assert isinstance(error, NotFoundError)
    assert error.unknown_route is unknown


def test_an_error_carries_the_service_s_message_without_secrets():
    error = failure(POST, reply(422, {"message": "No vsk_live_secret_1 here"}))
    assert error.service_message == "No *** here"
    assert failure(GET, reply(500)).service_message == ""
