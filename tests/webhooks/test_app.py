"""The receiver: what it answers, what it writes down, and what it does not say."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

import pytest

from airflow_provider_visio.webhooks import app as module
from airflow_provider_visio.webhooks.inbox import Inbox, record_delivery
from webhooks.deliveries import SCHEMES, body_of, sign

KEY = "visio_webhooks_visiono_hooks"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_delivery_is_written_down(post, stored, clock, caplog, scheme):
    caplog.set_level(logging.INFO, module.__name__)
    reply = post(scheme=scheme)
    assert (reply.status_code, reply.text) == (202, "Recorded.\n")
    inbox = Inbox.from_text(stored()[KEY])
    assert (inbox.at, inbox.ids) == (clock.now(), ("photo_request:req_1",))
    assert [record.message for record in caplog.records if record.name == module.__name__] == [
        f"Webhook of connection visiono_hooks, signature {scheme}: photo_request.submitted photo_request:req_1"
    ]


def test_deliveries_are_kept_newest_first(post, stored):
    tokens = set()
    for n in range(3):
        post(body_of("photo_request.submitted", photo_request={"id": f"req_{n}"}))
        tokens.add(json.loads(stored()[KEY])["changed"])
    assert json.loads(stored()[KEY])["ids"] == [f"photo_request:req_{n}" for n in (2, 1, 0)]
    assert len(tokens) == 3


@pytest.mark.parametrize("event", ["photo_request.created", "photo_request.first_viewed"])
def test_an_event_that_ends_no_wait_says_only_when_it_came(post, stored, clock, event):
    post()
    before = json.loads(stored()[KEY])
    clock.sleep(100)
    assert post(body_of(event, id="req_2")).status_code == 200
    assert json.loads(stored()[KEY]) == {**before, "at": clock.now()}


@pytest.mark.parametrize("event", ["webhook.test", "photo_request.archived"])
def test_an_unknown_event_is_taken_and_nothing_is_done(post, stored, event):
    """A refusal would make the service send it again."""
    assert post(body_of(event, id="req_1")).status_code == 200
    assert stored() == {}


@pytest.mark.parametrize("body", [b"photo", b"", b"[1]", b"\xff"])
def test_an_authentic_body_that_is_no_json(post, stored, body):
    reply = post(body)
    assert (reply.status_code, reply.text) == (400, "The body is not a JSON object.\n")
    assert stored() == {}


def test_a_large_body(post, stored):
    most = body_of("photo_request.submitted", id="req_1", note="x" * 2**20)
    assert post(most).status_code == 413
    assert post(most[: 2**20 + 1]).status_code == 413
    assert post(b"x" * 2**20, headers=[]).status_code == 401
    assert stored() == {}


def strangers(connection: Any, monkeypatch: Any) -> dict[str, str]:
    """Connections that take no webhook, by what is the matter with them."""
    url, key = "https://api.visio.now/v1", "vsk_live_1"
    monkeypatch.setenv("AIRFLOW_CONN_VISIONO_BROKEN", "{")
    return {
        "unknown": "visiono_nobody",
        "odd": "a%0Ab%20c%2e",
        "no secret": connection("visiono_bare", url, key),
        "empty secret": connection("visiono_empty", url, key, webhook_secret=" "),
        "masked secret": connection("visiono_masked", url, key, webhook_secret="***"),
        "unusable scheme": connection(
            "visiono_odd", url, key, webhook_secret="whsec_1", webhook_signature="md5"
        ),
        "broken": "visiono_broken",
    }


def test_who_is_not_authentic_learns_nothing(post, stored, connection, monkeypatch):
    replies = [post(to=conn_id) for conn_id in strangers(connection, monkeypatch).values()]
    for conn_id, secret in [("visiono_bare", ""), ("visiono_empty", " "), ("visiono_masked", "***")]:
        replies.append(post(to=conn_id, secret=secret))
    replies += [post(secret="whsec_wrong"), post(headers=[]), post(b"photo", secret="whsec_wrong")]
    seen = {(reply.status_code, reply.content, tuple(sorted(reply.headers.items()))) for reply in replies}
    assert seen == {
        (
            401,
            b"The delivery is not authentic.\n",
            (("content-length", "31"), ("content-type", "text/plain; charset=utf-8")),
        )
    }
    assert stored() == {}


def test_the_log_says_which_connection_cannot_be_used_and_why(post, connection, monkeypatch, caplog):
    for conn_id in strangers(connection, monkeypatch).values():
        post(to=conn_id)
    refused = [message for message in caplog.messages if message.startswith("Webhooks of connection")]
    assert refused[0].startswith("Webhooks of connection 'visiono_masked' are refused: webhook_secret is ***")
    assert refused[1] == (
        "Webhooks of connection 'visiono_odd' are refused: webhook_signature must be visiono or webhook-body or "
        "webhook-timestamp."
    )


def test_a_pinned_scheme(post, connection, stored, receiver):
    url, key = "https://api.visio.now/v1", "vsk_live_1"
    pinned = connection(
        "visiono_pinned",
        url,
        key,
        webhook_secret="whsec_0123456789abcdef",
        webhook_signature="webhook-timestamp",
    )
    assert [post(scheme=scheme, to=pinned).status_code for scheme in SCHEMES] == [401, 401, 202]


def test_a_stale_delivery(post, stored, clock):
    body = body_of("photo_request.submitted", id="req_1")
    headers = sign(body, "webhook-timestamp", clock.now())
    clock.sleep(299)
    assert post(body, headers=headers).status_code == 202
    clock.sleep(3)
    assert post(body, headers=headers).status_code == 401


def test_a_database_that_is_away(post, monkeypatch, caplog):
    def broken(*args: Any) -> None:
        raise RuntimeError("the database is away")

    monkeypatch.setattr(module, "record_delivery", broken)
    assert post().status_code == 503
    assert "Cannot write the webhook inbox of connection visiono_hooks." in caplog.text


def test_nothing_of_a_body_is_logged(post, caplog):
    caplog.set_level(logging.DEBUG)
    private = {
        "recipient_email": "ann@example.com",
        "request_url": "https://visio.now/r/Secret1",
        "id": "req_1",
    }
    post(body_of("photo_request.submitted", **private, photo_request=private))
    post(body_of("ann@example.com", **private))
    post(json.dumps(private).encode())
    post(json.dumps(private).encode(), secret="whsec_wrong")
    assert len(caplog.messages) >= 3
    for text in ("ann@example.com", "Secret1", "whsec_", "sha256"):
        assert text not in caplog.text


def test_deliveries_at_the_same_time_lose_no_id(stored, clock):
    threads = [
        threading.Thread(
            target=record_delivery, args=("visiono_hooks", [f"photo_request:req_{n}"], clock.now())
        )
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(json.loads(stored()[KEY])["ids"]) == {f"photo_request:req_{n}" for n in range(20)}


def test_an_inbox_that_another_api_server_creates_meanwhile(stored, clock, monkeypatch):
    """Both find none, and both insert it."""
    from sqlalchemy.orm import Session

    scalar, others = (
        Session.scalar,
        [lambda: record_delivery("visiono_hooks", ["photo_request:theirs"], clock.now())],
    )

    def found_none(self: Any, *args: Any, **more: Any) -> Any:
        found = scalar(self, *args, **more)
        if others:
            other = others.pop()
            thread = threading.Thread(target=other)
            monkeypatch.setattr("airflow_provider_visio.webhooks.inbox._writing", threading.Lock())
            thread.start()
            thread.join()
        return found

    monkeypatch.setattr(Session, "scalar", found_none)
    record_delivery("visiono_hooks", ["photo_request:ours"], clock.now())
    assert json.loads(stored()[KEY])["ids"] == ["photo_request:ours", "photo_request:theirs"]


@pytest.mark.parametrize("text", ["", "photos", '{"changed": 1}'])
def test_a_variable_that_is_not_an_inbox_is_written_again(post, stored, text):
    from airflow.models.variable import Variable

    Variable.set(KEY, text)
    assert post().status_code == 202
    assert json.loads(stored()[KEY])["ids"] == ["photo_request:req_1"]
