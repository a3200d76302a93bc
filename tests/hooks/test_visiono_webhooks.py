"""Webhook endpoints through the hook."""

from __future__ import annotations

import pytest
from api.local_server import Answer

from airflow_provider_visio.exceptions import (
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    ServiceError,
    UnexpectedReplyError,
)
from airflow_provider_visio.hooks.visiono import VisionoHook

URL = "https://hooks.example.com/visiono"
EVENTS = ["photo_request.submitted", "photo_request.expired"]


def test_create_read_update_test_and_delete_an_endpoint(sandbox, visiono):
    made = visiono.create_webhook(URL, EVENTS)
    assert (made["url"], made["events"], made["is_active"]) == (URL, EVENTS, True)
    assert made["secret"].startswith("whsec_")

    without = {name: value for name, value in made.items() if name != "secret"}
    assert visiono.get_webhook(made["id"]) == without
    assert list(visiono.list_webhooks()) == [without]

    changed = visiono.update_webhook(made["id"], url=f"{URL}/2", events=EVENTS[:1], is_active=False)
    assert changed == {**without, "url": f"{URL}/2", "events": EVENTS[:1], "is_active": False}
    assert visiono.get_webhook(made["id"]) == changed

    assert visiono.test_webhook(made["id"])["delivered"] is True
    assert [sent["url"] for sent in sandbox.control("GET", "/deliveries")] == [f"{URL}/2"]

    assert visiono.delete_webhook(made["id"]) is None
    with pytest.raises(NotFoundError, match="Webhook not found"):
        visiono.get_webhook(made["id"])
    assert list(visiono.list_webhooks()) == []


def test_a_test_may_be_answered_without_a_word(serve, connection):
    server = serve(Answer(202))
    assert VisionoHook(connection("my_visiono", server.url, "key12345")).test_webhook("wh_1") is None


def test_an_endpoint_that_is_made_must_come_back(serve, connection):
    hook = VisionoHook(connection("my_visiono", serve(Answer(201)).url, "key12345"))
    with pytest.raises(UnexpectedReplyError) as caught:
        hook.create_webhook(URL, EVENTS)
    assert caught.value.ambiguous


def test_endpoints_are_listed_through_all_pages(sandbox, visiono):
    sandbox.settings(page_size=2)
    made = [visiono.create_webhook(f"{URL}/{n}", EVENTS)["id"] for n in range(5)]
    assert sorted(one["id"] for one in visiono.list_webhooks()) == sorted(made)
    assert len(list(visiono.list_webhooks(limit=3))) == 3


def test_list_webhook_events(visiono):
    assert set(EVENTS) < set(visiono.list_webhook_events())


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (["a.b", "c"], ["a.b", "c"]),
        ([{"name": "a", "description": "x"}, {"event": "b"}], ["a", "b"]),
        ({"events": ["a"]}, ["a"]),
        ({"a": "something happens", "b": "something else does"}, ["a", "b"]),
        ([], []),
    ],
)
def test_events_are_read_in_each_likely_shape(serve, connection, data, names):
    server = serve(Answer(200, {"data": data}))
    assert VisionoHook(connection("my_visiono", server.url, "key12345")).list_webhook_events() == names


@pytest.mark.parametrize("data", [None, "a", [5], [{"id": 1}], {"events": "a"}])
def test_something_else_is_not_a_list_of_events(serve, connection, data):
    server = serve(Answer(200, {"data": data}))
    with pytest.raises(UnexpectedReplyError, match="event names"):
        VisionoHook(connection("my_visiono", server.url, "key12345")).list_webhook_events()


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com",
        "ftp://hooks.example.com",
        "hooks.example.com",
        "",
        None,
        "https://",
        "https://localhost/x",
        "https://LOCALHOST./x",
        "https://hooks.localhost",
        "https://intranet/x",
        "https://build.internal/x",
        "https://127.0.0.1/x",
        "https://10.1.2.3",
        "https://192.168.1.1:8443",
        "https://172.16.0.1",
        "https://169.254.169.254/latest",
        "https://[::1]/x",
        "https://[fd00::1]/x",
        "https://hooks.example.com/a b",
    ],
)
def test_an_address_that_the_service_cannot_reach_makes_no_call(sandbox, visiono, url):
    for call in (
        lambda: visiono.create_webhook(url, EVENTS),
        lambda: visiono.update_webhook("wh_1", url=url),
    ):
        with pytest.raises(InvalidRequestError, match=r"https://|public internet") as caught:
            call()
        assert list(caught.value.fields) == ["url"]
    assert sandbox.calls() == []


@pytest.mark.parametrize("url", ["https://8.8.8.8/x", "https://hooks.example.com:8443/x?y=1"])
def test_a_public_address_is_sent_as_it_is(sandbox, visiono, url):
    assert visiono.create_webhook(url, EVENTS)["url"] == url


@pytest.mark.parametrize(
    "events", [[], None, "photo_request.submitted", {"a": 1}, [""], ["a b"], [5], [None]]
)
def test_events_that_cannot_be_make_no_call(sandbox, visiono, events):
    for call in (
        lambda: visiono.create_webhook(URL, events),
        lambda: visiono.update_webhook("w", events=events),
    ):
        with pytest.raises(InvalidRequestError) as caught:
            call()
        assert list(caught.value.fields) == ["events"]
    assert sandbox.calls() == []


def test_which_events_there_are_is_the_service_s_to_say(sandbox, visiono):
    with pytest.raises(InvalidRequestError) as caught:
        visiono.create_webhook(URL, ["photo_request.of_next_year"])
    assert caught.value.status == 422
    assert sandbox.count("visiono", "POST /webhooks") == 1


@pytest.mark.parametrize("changes", [{}, {"colour": "red"}, {"secret": "x"}, {"is_active": "yes"}])
def test_changes_that_cannot_be_make_no_call(sandbox, visiono, changes):
    with pytest.raises(InvalidRequestError):
        visiono.update_webhook("wh_1", **changes)
    assert sandbox.calls() == []


def test_the_secret_is_masked_in_logs(visiono):
    from airflow.sdk._shared.secrets_masker import redact

    secret = visiono.create_webhook(URL, EVENTS)["secret"]
    assert secret not in redact(f"made with {secret}")


def test_the_secret_is_masked_although_the_reply_is_broken(serve, connection):
    from airflow.sdk._shared.secrets_masker import redact

    server = serve(Answer(201, {"data": {"secret": "my-own-secret-0815", "url": URL}}))
    with pytest.raises(UnexpectedReplyError) as caught:
        VisionoHook(connection("my_visiono", server.url, "key12345")).create_webhook(URL, EVENTS)
    assert "0815" not in str(caught.value)
    assert "0815" not in redact("my-own-secret-0815")


def test_a_secret_in_the_list_is_masked_in_logs(serve, connection):
    from airflow.sdk._shared.secrets_masker import redact

    server = serve(
        Answer(200, {"data": [{"id": "w-1", "secret": "my-listed-secret-0815"}], "meta": {"total": 1}})
    )
    hook = VisionoHook(connection("my_visiono", server.url, "key12345"))
    assert [one["id"] for one in hook.list_webhooks()] == ["w-1"]
    assert "0815" not in redact("my-listed-secret-0815")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, {"message": "Cannot keep whsec_0815abc now"}),
        Answer(422, {"message": "no", "errors": {"secret": ["whsec_0815abc is in use"]}}),
    ],
)
def test_no_error_has_a_secret(serve, connection, answer):
    server = serve(answer)
    with pytest.raises((ServiceError, InvalidRequestError)) as caught:
        VisionoHook(connection("my_visiono", server.url, "key12345")).create_webhook(URL, EVENTS)
    assert "***" in str(caught.value)
    assert "0815" not in f"{caught.value} {getattr(caught.value, 'fields', '')}"


def test_a_lost_reply_is_not_sent_again(sandbox, visiono):
    sandbox.fault("visiono", "drop_after", method="POST", times=1)
    with pytest.raises(ConnectionFailedError) as caught:
        visiono.create_webhook(URL, EVENTS)
    assert caught.value.ambiguous
    assert sandbox.count("visiono", "POST /webhooks") == 1


def test_a_scope_that_the_key_lacks_is_told(sandbox, visiono):
    sandbox.settings(visiono_scopes=["webhooks:read"])
    assert list(visiono.list_webhooks()) == []
    with pytest.raises(PermissionDeniedError, match="needs the scope webhooks:write: see API Keys"):
        visiono.create_webhook(URL, EVENTS)


RECEIVER = "https://airflow.example.com/visio/webhooks/visiono_default"


def test_an_endpoint_is_created_once(sandbox, visiono, caplog):
    caplog.set_level("INFO")
    made = visiono.ensure_webhook(RECEIVER)
    assert (made["url"], made["created"]) == (RECEIVER, True)
    assert made["secret"].startswith("whsec_")
    assert {"photo_request.submitted", "photo_submission.created"} <= set(
        visiono.get_webhook(made["id"])["events"]
    )
    assert visiono.ensure_webhook(RECEIVER) == {"id": made["id"], "url": RECEIVER, "created": False}
    assert len(list(visiono.list_webhooks())) == 1
    assert "store it as the extra `webhook_secret` of the connection 'visiono_default'" in caplog.text
    assert "If it is lost, delete the endpoint" in caplog.text
    assert made["secret"] not in caplog.text


def test_another_address_is_another_endpoint(sandbox, visiono):
    first = visiono.ensure_webhook(RECEIVER)
    assert visiono.ensure_webhook(f"{RECEIVER}_2")["id"] != first["id"]


def test_an_endpoint_that_is_off_or_lacks_an_event_is_changed(sandbox, visiono):
    made = visiono.create_webhook(RECEIVER, ["photo_request.first_viewed"])
    visiono.update_webhook(made["id"], is_active=False)
    found = visiono.ensure_webhook(RECEIVER, events=EVENTS)
    assert (found["id"], found["created"]) == (made["id"], False)
    changed = visiono.get_webhook(made["id"])
    assert (changed["is_active"], changed["events"]) == (True, ["photo_request.first_viewed", *EVENTS])
    sandbox.control("DELETE", "/counters")
    visiono.ensure_webhook(RECEIVER, events=EVENTS[:1])
    assert sum(sandbox.counters()["visiono"].values()) == 1


@pytest.mark.parametrize(
    ("url", "events"), [("http://example.com/x", None), ("https://10.0.0.1/x", None), (RECEIVER, [])]
)
def test_an_endpoint_that_could_not_be_created_is_not_looked_for(sandbox, visiono, url, events):
    with pytest.raises(InvalidRequestError):
        visiono.ensure_webhook(url, events)
    assert sandbox.calls() == []
