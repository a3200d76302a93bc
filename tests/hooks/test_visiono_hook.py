"""Every call of the Visiono hook, against the sandbox."""

from __future__ import annotations

import datetime as dt

import pytest
from api.local_server import Answer

from airflow_provider_visio.exceptions import (
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    UnexpectedReplyError,
)
from airflow_provider_visio.hooks.visiono import VisionoHook


def test_the_service_s_health(visiono):
    assert visiono.get_status() == {"status": "ok"}


@pytest.mark.parametrize(("plan", "mails"), [("paid", True), ("free", False)])
def test_usage_and_plan(sandbox, visiono, plan, mails):
    sandbox.settings(plan=plan)
    stats = visiono.get_stats()
    assert stats["plan"]["email_enabled"] is mails
    assert stats["usage"]["is_lifetime_quota"] is not mails
    assert (stats["usage"]["billing_period_start"] is None) is not mails


@pytest.mark.parametrize("meta", [True, False])
@pytest.mark.parametrize("style", ["req", "pr"])
def test_a_request_has_the_given_fields(sandbox, visiono, style, meta):
    sandbox.settings(request_id_style=style, meta=meta)
    made = visiono.create_photo_request(
        "Größe & 日本: the car",
        recipient_email="mary@example.com",
        send_email=True,
        expires_in_hours=dt.timedelta(hours=36),
        items=["Front", {"instructions": "Back", "is_required": False}],
        require_gps=True,
        allow_submitter_notes=True,
        internal_notes="For claim 5",
        metadata={"ticket": 5, "who": {"name": "Zoë"}},
    )
    (kept,) = sandbox.control("GET", "/photo-requests")
    assert made["id"] == kept["id"]
    assert made["id"].startswith(f"{style}_")
    assert made["status"] == "pending"
    assert made["request_url"] == kept["request_url"]
    assert made["metadata"] == {"ticket": 5, "who": {"name": "Zoë"}}
    assert [(i["instructions"], i["is_required"]) for i in kept["items"]] == [
        ("Front", True),
        ("Back", False),
    ]
    assert kept["expires_at"] - kept["created_at"] == 36 * 3600
    wanted = {
        "instructions": "Größe & 日本: the car",
        "recipient_email": "mary@example.com",
        "send_email": True,
        "require_gps": True,
        "allow_submitter_notes": True,
        "internal_notes": "For claim 5",
    }
    assert kept.items() >= wanted.items()
    assert [mail["to"] for mail in sandbox.control("GET", "/emails")] == ["mary@example.com"]


def test_a_request_needs_no_more_than_a_sentence(sandbox, visiono):
    made = visiono.create_photo_request("A photo of the car")
    assert sandbox.count("visiono", "POST /photo-requests") == 1
    assert sandbox.control("GET", "/photo-requests")[0]["instructions"] == "A photo of the car"
    assert made["items"] == []


def test_bad_input_makes_no_call(sandbox, visiono):
    with pytest.raises(InvalidRequestError):
        visiono.create_photo_request(" ")
    with pytest.raises(InvalidRequestError):
        visiono.create_photo_request("x", recipient_email="mary")
    with pytest.raises(InvalidRequestError):
        visiono.get_photo_request("")
    assert sandbox.calls() == []


def test_the_service_s_own_refusal_has_its_fields(visiono):
    with pytest.raises(InvalidRequestError) as caught:
        visiono.create_photo_request("x", expires_in_hours=100_000)
    assert caught.value.status == 422
    assert caught.value.fields == {
        "expires_in_hours": ["The expires in hours field must not be greater than 8760."]
    }
    assert "expires_in_hours: The expires in hours field must not be greater than 8760." in str(caught.value)


@pytest.mark.parametrize(
    "mail",
    [
        {"recipient_email": "mary@example.com"},
        {"recipient_email": "mary@example.com", "send_email": True},
        {"send_email": False},
    ],
)
def test_the_free_plan_says_to_share_the_link_yourself(sandbox, visiono, mail):
    sandbox.settings(plan="free")
    with pytest.raises(InvalidRequestError) as caught:
        visiono.create_photo_request("A photo", **mail)
    assert set(caught.value.fields) == set(mail)
    for part in (
        "leave out recipient_email and send_email",
        "share the request_url of the result yourself",
        "upgrade",
    ):
        assert part in str(caught.value)
    assert "mary" not in str(caught.value)


def test_the_free_plan_makes_requests_without_mail(sandbox, visiono):
    sandbox.settings(plan="free")
    assert visiono.create_photo_request("A photo")["request_url"].startswith("http")


def test_one_request_by_its_id_or_code(visiono):
    made = visiono.create_photo_request("A photo")
    assert visiono.get_photo_request(made["id"]) == made
    assert visiono.get_photo_request(made["unique_code"]) == made


def test_a_request_that_is_not_there_says_so(visiono):
    with pytest.raises(NotFoundError) as caught:
        visiono.get_photo_request("req_never")
    assert caught.value.status == 404
    for part in ("GET /photo-requests/req_never", "Check the id", "connection visiono_default"):
        assert part in str(caught.value)


@pytest.mark.parametrize("reply", ["empty", "body"])
def test_a_request_is_deleted(sandbox, visiono, reply):
    sandbox.settings(delete_reply=reply)
    made = visiono.create_photo_request("A photo")
    assert visiono.delete_photo_request(made["id"]) is None
    with pytest.raises(NotFoundError):
        visiono.get_photo_request(made["id"])
    with pytest.raises(NotFoundError):
        visiono.delete_photo_request(made["id"])


def test_a_list_is_an_iterator_over_all_pages(sandbox, visiono):
    sandbox.settings(page_size=2)
    made = [visiono.create_photo_request(f"Photo {n}")["id"] for n in range(5)]
    requests = visiono.list_photo_requests()
    assert iter(requests) is requests
    assert [request["id"] for request in requests] == made[::-1]
    assert [request["id"] for request in visiono.list_photo_requests(limit=3)] == made[:1:-1]


def test_a_list_is_filtered(sandbox, visiono):
    early, late = visiono.create_photo_request("a")["id"], None
    sandbox.advance(3600)
    middle = sandbox.control("GET", "/time")["now"] - 1800
    late = visiono.create_photo_request("b")["id"]
    sandbox.act(early, "cancel")
    moment = dt.datetime.fromtimestamp(middle, dt.timezone(dt.timedelta(hours=5, minutes=30)))

    def ids(**filters):
        return [request["id"] for request in visiono.list_photo_requests(**filters)]

    assert ids(status="cancelled") == [early]
    assert ids(created_after=moment) == [late]
    assert ids(created_before=moment.isoformat()) == [early]
    assert ids(created_after=moment, status="cancelled") == []


def test_a_time_without_a_zone_makes_no_call(sandbox, visiono):
    with pytest.raises(InvalidRequestError, match="no time zone"):
        visiono.list_photo_requests(created_after=dt.datetime(2026, 1, 1))  # noqa: DTZ001
    assert sandbox.calls() == []


def test_a_scope_that_the_key_lacks_is_told(sandbox, visiono):
    sandbox.settings(visiono_scopes=["photo_requests:read"])
    with pytest.raises(PermissionDeniedError, match="lacks the scope photo_requests:write"):
        visiono.create_photo_request("A photo")


def test_any_other_call_can_be_made(visiono):
    assert visiono.request("get", "status") == {"status": "ok"}
    made = visiono.request("POST", "/photo-requests/batch", body={"photo_requests": [{"instructions": "a"}]})
    found = visiono.request("GET", "/photo-requests", params={"per_page": 5, "status": None})
    assert [one["id"] for one in found] == [one["id"] for one in made]


def test_a_path_with_braces_is_sent_as_it_is(visiono):
    with pytest.raises(NotFoundError):
        visiono.request("GET", "/no/{such}/path")


@pytest.mark.parametrize(
    "data", [{}, {"status": "pending"}, {"id": None}, {"id": ""}, {"id": True}, [], None, "x"]
)
def test_a_reply_without_an_id_is_not_a_request(serve, connection, data):
    server = serve(Answer(201, {"data": data, "meta": {"request_id": "req_9"}}))
    hook = VisionoHook(connection("my_visiono", server.url, "key12345"))
    with pytest.raises(UnexpectedReplyError) as caught:
        hook.create_photo_request("A photo")
    assert caught.value.ambiguous
    assert len(server.received) == 1


def test_unknown_fields_are_kept(serve, connection):
    server = serve(Answer(200, {"data": {"id": "req_1", "colour": {"of": "car"}}}))
    hook = VisionoHook(connection("my_visiono", server.url, "key12345"))
    assert hook.get_photo_request("req_1") == {"id": "req_1", "colour": {"of": "car"}}


def test_a_lost_reply_asks_nobody_twice(sandbox, visiono):
    sandbox.fault("visiono", "drop_after", method="POST", times=1)
    with pytest.raises(ConnectionFailedError) as caught:
        visiono.create_photo_request("A photo", recipient_email="mary@example.com", send_email=True)
    assert caught.value.ambiguous
    assert len(sandbox.control("GET", "/emails")) == 1
    assert "mary" not in str(caught.value)


def test_judging_asks_and_decides(sandbox, visiono, clock):
    a, b = (visiono.create_photo_request(n)["id"] for n in "ab")
    sandbox.act(a, "submit")
    verdict, states = visiono.judge([a, b], deadline=clock.now() + 60)
    assert (verdict.outcome, verdict.arrived, verdict.waiting) == ("wait", (a,), (b,))
    assert states[b]["request_url"].startswith("http")
    assert visiono.judge([a, b], deadline=clock.now())[0].outcome == "timeout"
    assert visiono.judge([a])[0].outcome == "done"
    sandbox.act(b, "delete")
    assert visiono.judge([a, b])[0].ended == {b: "deleted"}


def test_a_request_that_expired_by_itself_is_judged_so(sandbox, visiono, clock):
    made = visiono.create_photo_request("A photo", expires_in_hours=1)["id"]
    clock.sleep(3700)
    assert visiono.judge([made])[0].ended == {made: "expired"}
