"""A webhook ends a wait long before the next poll, and a forged one changes nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from dev.polling import wait_for
from dev.run_watcher import RunWatcher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.sandbox import Sandbox
    from dev.stack import Stack

DAG_ID = "visiono_webhook_wait"
# A connection of its own: the polls of `visiono_default` would slow down for the other tests.
CONN_ID = "visiono_hooked"
INBOX = f"/variables/visio_webhooks_{CONN_ID}"
SUBMITTED = "photo_request.submitted"
TIMEOUT = 180
# The DAG's poll looks every 600 s.
SOON = 60


class Hooked:
    """A connection that takes webhooks, and what the sandbox sends to it."""

    def __init__(self, sandbox: Sandbox, stack: Stack) -> None:
        self._sandbox = sandbox
        self._api = stack.api

    def request(self) -> str:
        (request_id,) = self._sandbox.control("POST", "/photo-requests", {"count": 1})
        return str(request_id)

    def submit(self, request_id: str) -> None:
        self._sandbox.control("POST", f"/photo-requests/{request_id}/submit", {})

    def answer(self, request_id: str) -> int:
        """Return what the API server answers to the delivery about a request."""

        def look() -> int | None:
            deliveries = self._sandbox.control("GET", "/deliveries")
            attempts = [
                attempt for one in deliveries if request_id in one["body"] for attempt in one["attempts"]
            ]
            return attempts[0]["status"] if attempts else None

        return wait_for(f"the delivery about {request_id}", look, timeout=TIMEOUT, every=0.5)

    def inbox(self) -> Any:
        found = self._api.find(INBOX)
        return found and found["value"]

    def looks_at(self, request_id: str) -> int:
        path = f"/photo-requests/{request_id}"
        calls = self._sandbox.control("GET", "/calls")
        return sum(call["method"] == "GET" and call["path"].endswith(path) for call in calls)


@pytest.fixture(scope="module")
def hooked(sandbox: Sandbox, stack: Stack) -> Iterator[Hooked]:
    sandbox.control("PATCH", "/settings", {"webhook_gateway": stack.url})
    secret = sandbox.create_webhook(f"https://hooks.example.com/visio/webhooks/{CONN_ID}", (SUBMITTED,))
    fields = sandbox.connections()["visiono_default"]
    stack.add_connections({CONN_ID: {**fields, "extra": {"webhook_secret": secret}}})
    yield Hooked(sandbox, stack)
    sandbox.control("PATCH", "/settings", {"webhook_gateway": None})


def test_a_webhook_ends_a_wait_before_the_next_poll(hooked: Hooked, stack: Stack) -> None:
    # The first delivery creates the inbox: one that is not there is looked for twice a minute only.
    first = hooked.request()
    hooked.submit(first)
    assert hooked.answer(first) == requests.codes.accepted
    assert f"photo_request:{first}" in hooked.inbox()

    request_id = hooked.request()
    stack.wait_for_dag(DAG_ID)
    run = RunWatcher(stack.api, DAG_ID, stack.api.trigger(DAG_ID, {"request_id": request_id}))

    def waits() -> bool:
        run.look()
        # The task looks once, and the poll once when the wait begins.
        return run.has_waited and hooked.looks_at(request_id) == 2

    wait_for("the wait to begin", waits, timeout=TIMEOUT, every=1)
    hooked.submit(request_id)
    submitted = time.monotonic()
    assert hooked.answer(request_id) == requests.codes.accepted

    def ended() -> bool:
        run.look()
        return run.ended

    wait_for("the end of the wait", ended, timeout=TIMEOUT, every=0.5)
    assert time.monotonic() - submitted < SOON
    assert run.state == "success"
    assert run.histories["wait", -1].states[-1] == "success"


def test_a_forged_webhook_changes_nothing(hooked: Hooked, sandbox: Sandbox) -> None:
    first = hooked.request()
    hooked.submit(first)
    assert hooked.answer(first) == requests.codes.accepted
    before = hooked.inbox()

    sandbox.add_fault(service="webhooks", kind="wrong_secret")
    forged = hooked.request()
    hooked.submit(forged)
    assert hooked.answer(forged) == requests.codes.unauthorized
    assert hooked.inbox() == before
