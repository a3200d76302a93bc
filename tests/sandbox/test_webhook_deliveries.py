"""Deliveries of webhooks to a server in the test, on a clock that stands still."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

import pytest
import requests

from dev.polling import wait_for

from .conftest import Sandbox, start, stop

EVENTS = [
    "photo_request.created",
    "photo_request.first_viewed",
    "photo_request.submitted",
    "photo_request.expired",
    "photo_submission.created",
]
OF_REFERENCE = {"X-Webhook-Signature", "X-Webhook-ID", "X-Webhook-Timestamp"}
OF_PLUGIN = {"X-Visiono-Signature", "X-Visiono-Event", "X-Visiono-Delivery", "X-Visiono-Tenant-Id"}


@dataclass
class Received:
    """One call that arrived, whole."""

    path: str
    headers: dict[str, str]
    content: bytes

    @property
    def event(self) -> str:
        return json.loads(self.content)["event"]

    @property
    def data(self) -> dict:
        return json.loads(self.content)["data"]


@dataclass
class Receiver:
    """An HTTP server that answers with the statuses of `answers`, then with 204; `hold` keeps its answers back."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    received: "Queue[Received]" = field(default_factory=Queue)
    free: threading.Event = field(default_factory=threading.Event)

    def next(self) -> Received:
        return self.received.get(timeout=20)

    def events(self, count: int) -> list[str]:
        return [self.next().event for _ in range(count)]


def handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.received.put(Received(self.path, dict(self.headers), content))
            receiver.free.wait(30)
            self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.free.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(receiver))
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield receiver
    receiver.free.set()
    server.shutdown()
    server.server_close()
    serving.join()


@pytest.fixture
def hook(sandbox: Sandbox, receiver: Receiver) -> dict:
    sandbox.settings(webhook_gateway=receiver.url)
    return add_hook(sandbox)


def add_hook(sandbox: Sandbox, path: str = "/visiono?of=test", events: list[str] = EVENTS) -> dict:
    reply = sandbox.visiono(
        "POST", "/webhooks", {"url": f"https://hooks.example.com{path}", "events": events}
    )
    assert reply.status_code == 201, reply.text
    return reply.json()["data"]


def order(sandbox: Sandbox, kind: str, **more) -> None:
    sandbox.control("POST", "/faults", {"service": "webhooks", "kind": kind, **more})


def records(sandbox: Sandbox, until: Callable[[list[dict]], bool]) -> list[dict]:
    """The record of deliveries once it fulfils the condition."""

    def look() -> list[dict] | None:
        found = sandbox.control("GET", "/deliveries")
        return found if until(found) else None

    return wait_for("the deliveries", look, timeout=20, every=0.01)


def settled(found: list[dict]) -> bool:
    return all(one["state"] != "sending" for one in found)


def statuses(delivery: dict) -> list[int | None]:
    return [attempt["status"] for attempt in delivery["attempts"]]


def signature(secret: str, content: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def test_a_delivery_arrives_as_it_is_recorded(sandbox, receiver, hook):
    asked = sandbox.ask(metadata={"claim": "4"})
    got = receiver.next()
    (delivery,) = records(sandbox, settled)
    assert got.path == "/visiono?of=test"
    assert got.content.decode() == delivery["body"]
    assert delivery["headers"].items() <= got.headers.items()
    assert delivery["headers"].keys() == {"Content-Type"} | OF_REFERENCE | OF_PLUGIN
    assert got.headers["Content-Type"] == "application/json"
    for name in ("X-Webhook-Signature", "X-Visiono-Signature"):
        assert got.headers[name] == signature(hook["secret"], got.content)
    assert got.headers["X-Webhook-ID"] == delivery["webhook"] == hook["id"]
    assert got.headers["X-Visiono-Event"] == got.event == delivery["event"] == "photo_request.created"
    assert got.data["photo_request"]["id"] == got.data["id"] == asked["id"]
    assert got.data["photo_request"]["metadata"] == {"claim": "4"}
    assert (delivery["state"], statuses(delivery), delivery["next_at"]) == ("delivered", [204], None)


def test_the_timestamp_is_of_the_callers_clock(sandbox, receiver, hook):
    sandbox.advance(500_000)
    sandbox.ask()
    assert int(receiver.next().headers["X-Webhook-Timestamp"]) == pytest.approx(time.time(), abs=30)
    sandbox.settings(caller_clock="virtual")
    sandbox.ask()
    now = sandbox.control("GET", "/time")["now"]
    assert int(receiver.next().headers["X-Webhook-Timestamp"]) == int(now)


def test_the_timestamp_can_be_signed_too(sandbox, receiver, hook):
    sandbox.settings(webhook_signs="timestamp")
    sandbox.ask()
    got = receiver.next()
    signed = got.headers["X-Webhook-Timestamp"].encode() + b"." + got.content
    assert got.headers["X-Webhook-Signature"] == signature(hook["secret"], signed)
    assert got.headers["X-Visiono-Signature"] == signature(hook["secret"], got.content)


def test_the_test_event_is_sent(sandbox, receiver, hook):
    reply = sandbox.visiono("POST", f"/webhooks/{hook['id']}/test")
    got = receiver.next()
    assert got.event == "webhook.test"
    assert got.headers["X-Visiono-Delivery"] == reply.json()["data"]["id"]


def test_only_subscribed_and_active_endpoints_receive(sandbox, receiver, hook):
    add_hook(sandbox, "/submitted", ["photo_request.submitted"])
    asked = sandbox.ask()
    assert receiver.next().path == "/visiono?of=test"
    sandbox.visiono("PATCH", f"/webhooks/{hook['id']}", {"is_active": False})
    sandbox.act(asked, "submit", fill=False)
    assert receiver.next().path == "/submitted"
    assert len(sandbox.control("GET", "/deliveries")) == 2


def test_without_a_gateway_nothing_is_sent(sandbox, receiver):
    add_hook(sandbox)
    sandbox.ask()
    (delivery,) = sandbox.control("GET", "/deliveries")
    assert (delivery["state"], delivery["attempts"], delivery["next_at"]) == ("recorded", [], None)
    sandbox.settings(webhook_gateway=receiver.url)
    sandbox.ask()
    receiver.next()
    assert [one["state"] for one in records(sandbox, settled)] == ["recorded", "delivered"]
    assert receiver.received.empty()


def test_three_attempts_on_the_virtual_clock(sandbox, receiver, hook):
    receiver.answers = [500, 302, 404]
    sandbox.ask()
    first = receiver.next()
    (delivery,) = records(sandbox, settled)
    begun = sandbox.control("GET", "/time")["now"]
    assert (delivery["state"], delivery["next_at"]) == ("waiting", pytest.approx(begun + 60))
    sandbox.advance(59)
    assert statuses(sandbox.control("GET", "/deliveries")[0]) == [500]
    sandbox.advance(1)
    second = receiver.next()
    (delivery,) = records(sandbox, settled)
    assert (delivery["state"], delivery["next_at"]) == ("waiting", pytest.approx(begun + 360))
    sandbox.advance(300)
    third = receiver.next()
    (delivery,) = records(sandbox, settled)
    assert (delivery["state"], statuses(delivery), delivery["next_at"]) == ("failed", [500, 302, 404], None)
    assert [one["at"] - begun for one in delivery["attempts"]] == pytest.approx([0, 60, 360])
    assert first.content == second.content == third.content
    assert len({one.headers["X-Visiono-Delivery"] for one in (first, second, third)}) == 1
    sandbox.advance(10_000)
    assert settled(sandbox.control("GET", "/deliveries"))
    assert receiver.received.empty()


def test_a_later_attempt_can_succeed(sandbox, receiver, hook):
    receiver.answers = [503]
    sandbox.ask()
    records(sandbox, settled)
    sandbox.advance(60)
    (delivery,) = records(sandbox, settled)
    assert (delivery["state"], statuses(delivery)) == ("delivered", [503, 204])


def test_the_waits_can_be_set(sandbox, receiver, hook):
    sandbox.settings(webhook_retry_seconds=[])
    receiver.answers = [503]
    sandbox.ask()
    assert [one["state"] for one in records(sandbox, settled)] == ["failed"]


def test_a_gateway_that_is_down_is_tried_again(sandbox, receiver, hook):
    sandbox.settings(webhook_gateway="http://127.0.0.1:1")
    sandbox.ask()
    (delivery,) = records(sandbox, settled)
    assert delivery["state"] == "waiting"
    assert delivery["attempts"][0]["error"].startswith("ConnectError")
    sandbox.settings(webhook_gateway=receiver.url)
    sandbox.advance(60)
    assert receiver.next().event == "photo_request.created"


def test_calls_do_not_wait_for_an_endpoint(sandbox, receiver, hook):
    receiver.free.clear()
    for _ in range(30):
        sandbox.ask()
    assert {one["state"] for one in sandbox.control("GET", "/deliveries")} == {"sending"}
    receiver.free.set()
    assert receiver.events(30) == ["photo_request.created"] * 30
    assert {one["state"] for one in records(sandbox, settled)} == {"delivered"}


def test_a_reset_stops_deliveries(sandbox, receiver, hook):
    """Those that are under way, those that wait for their turn (20 are sent at once), and late ones."""
    order(sandbox, "late", seconds=5)
    receiver.free.clear()
    for _ in range(26):
        sandbox.ask()
    assert receiver.events(20) == ["photo_request.created"] * 20
    sandbox.control("POST", "/reset")
    assert sandbox.control("GET", "/deliveries") == []
    receiver.free.set()
    sandbox.advance(1000)
    sandbox.settings(webhook_gateway=receiver.url)
    add_hook(sandbox, "/after")
    sandbox.ask()
    assert receiver.next().path == "/after"


def test_the_sandbox_ends_while_an_endpoint_does_not_answer(tmp_path, receiver):
    options = ("--visiono-key", "vsk_live_test", "--webhook-gateway", receiver.url)
    process, sandbox = start(tmp_path, *options, "--webhook-signs", "timestamp")
    try:
        assert sandbox.control("GET", "/settings")["webhook_signs"] == "timestamp"
        add_hook(sandbox)
        receiver.free.clear()
        sandbox.ask()
        receiver.next()
    finally:
        assert stop(process) == 0


class TestFaults:
    def test_twice(self, sandbox, receiver, hook):
        order(sandbox, "twice")
        sandbox.ask()
        one, two = receiver.next(), receiver.next()
        assert (one.content, one.headers) == (two.content, two.headers)
        (delivery,) = records(sandbox, settled)
        assert (delivery["state"], statuses(delivery), delivery["fault"]) == ("delivered", [204, 204], 1)

    def test_late(self, sandbox, receiver, hook):
        order(sandbox, "late", seconds=120)
        sandbox.ask()
        (delivery,) = sandbox.control("GET", "/deliveries")
        assert delivery["state"] == "waiting"
        assert delivery["next_at"] == pytest.approx(delivery["at"] + 120)
        sandbox.advance(119)
        assert sandbox.control("GET", "/deliveries") == [delivery]
        sandbox.advance(1)
        assert receiver.next().event == "photo_request.created"

    def test_out_of_order(self, sandbox, receiver, hook):
        order(sandbox, "out_of_order")
        asked = sandbox.ask()
        assert sandbox.control("GET", "/deliveries")[0]["state"] == "waiting"
        sandbox.act(asked, "open")
        assert receiver.events(2) == ["photo_request.first_viewed", "photo_request.created"]

    def test_another_endpoints_delivery_does_not_count_as_the_next(self, sandbox, receiver, hook):
        add_hook(sandbox, "/other", ["photo_request.first_viewed"])
        order(sandbox, "out_of_order", path="^/visiono$", times=2)
        sandbox.act(sandbox.ask(), "open")
        assert receiver.next().path == "/other"
        found = records(sandbox, settled)
        assert sorted(one["state"] for one in found) == ["delivered", "waiting", "waiting"]

    def test_wrong_secret(self, sandbox, receiver, hook):
        order(sandbox, "wrong_secret")
        sandbox.ask()
        got = receiver.next()
        right = signature(hook["secret"], got.content)
        assert got.headers["X-Webhook-Signature"] == got.headers["X-Visiono-Signature"] != right
        sandbox.ask()
        got = receiver.next()
        assert got.headers["X-Visiono-Signature"] == signature(hook["secret"], got.content)

    def test_never(self, sandbox, receiver, hook):
        order(sandbox, "never", event="photo_request.first_viewed")
        asked = sandbox.ask()
        sandbox.act(asked, "open")
        sandbox.act(asked, "submit", fill=False)
        assert sorted(receiver.events(2)) == ["photo_request.created", "photo_request.submitted"]
        states = [one["state"] for one in records(sandbox, settled)]
        assert states == ["delivered", "never", "delivered"]

    @pytest.mark.parametrize(("service", "kind"), [("webhooks", "status"), ("visiono", "twice")])
    def test_kinds_belong_to_a_service(self, sandbox, service, kind):
        reply = sandbox.call("control_url", "POST", "/faults", json={"service": service, "kind": kind})
        assert reply.status_code == 422
        assert "webhooks" in reply.json()["error"]


class TestPayloads:
    """Shapes of the documentation and of the plugin, at the virtual moment of the event."""

    @pytest.fixture
    def bodies(self, sandbox) -> Callable[[], list[dict]]:
        add_hook(sandbox)
        return lambda: [json.loads(one["body"]) for one in sandbox.control("GET", "/deliveries")]

    def test_the_plugins(self, sandbox, bodies):
        sandbox.settings(dialect="plugin")
        asked = sandbox.ask(metadata={"a": 1}, items=[{"instructions": "Front"}])
        sandbox.act(asked, "submit")
        created, viewed, photo, submitted = (one["data"] for one in bodies())
        base = {"id": asked["id"], "unique_code": asked["unique_code"], "metadata": {"a": 1}}
        mail = {name: asked[name] for name in ("recipient_email", "request_url")}
        expiry = asked["expires_at"].replace("+00:00", "Z")
        assert created == {"photo_request": {**base, "status": "pending", **mail, "expires_at": expiry}}
        assert viewed == {"photo_request": {**base, "status": "pending"}}
        assert photo["photo_request"] == {**base, "status": "in_progress"}
        assert photo["submission"].keys() == {
            *("id", "item_id", "file_size_kb", "mime_type"),
            *("has_gps_data", "gps_latitude", "gps_longitude", "submitted_at"),
        }
        assert photo["submission"]["submitted_at"].endswith("Z")
        at = submitted["photo_request"].pop("submitted_at")
        assert at.endswith("Z")
        assert submitted == {"photo_request": {**base, "status": "submitted", "submissions_count": 1}}
        (*_, last) = sandbox.control("GET", "/deliveries")
        assert last["headers"].keys() == {"Content-Type"} | OF_PLUGIN

    def test_the_documentations(self, sandbox, bodies):
        sandbox.settings(dialect="reference")
        asked = sandbox.ask(photo_slots=[{"instructions": "Front"}])
        sandbox.act(asked, "submit")
        created, viewed, submitted = bodies()
        base = {"id": asked["id"], "type": "one_time", "instructions": "Show the dent"}
        assert created["data"] == viewed["data"] == {**base, "photos": []}
        (photo,) = submitted["data"].pop("photos")
        assert submitted["data"] == base
        assert (photo.keys(), photo["slot_instructions"]) == (
            {"id", "url", "slot_instructions", "metadata"},
            "Front",
        )
        assert photo["metadata"].keys() == {"gps_lat", "gps_lng", "captured_at"}
        assert requests.get(photo["url"], timeout=10).status_code == 200
        (*_, last) = sandbox.control("GET", "/deliveries")
        assert last["headers"].keys() == {"Content-Type"} | OF_REFERENCE

    @pytest.mark.parametrize("dialect", ["reference", "plugin"])
    def test_of_a_permanent_link(self, sandbox, bodies, dialect):
        made = sandbox.visiono("POST", "/permanent-links", {"instructions": "Show the car"}).json()["data"]
        sandbox.settings(dialect=dialect)
        body = {"photos": 2, "unique_field_value": "TN 1"}
        sent = sandbox.control("POST", f"/permanent-links/{made['id']}/submit", body)
        ((event, data),) = ((one["event"], one["data"]) for one in bodies())
        assert event == "photo_submission.created"
        if dialect == "plugin":
            about = {"id": sent["id"], "unique_field_value": "TN 1"}
            nothing = {"external_source": None, "external_reference": None}
            assert data == {"permanent_link_submission": {**about, **nothing}}
        else:
            assert len(data.pop("photos")) == 2
            assert data == {"id": made["id"], "type": "permanent_link", "instructions": "Show the car"}

    def test_events_have_their_own_moment(self, sandbox, bodies):
        person = {"behaviour": "submit", "open_after": 100, "photo_every": 50, "photos": 1}
        sandbox.control("PUT", "/person", person)
        one = sandbox.ask()
        sandbox.control("PUT", "/person", {"behaviour": "manual"})
        other = sandbox.ask(expires_in_hours=1)
        start_of = {made["id"]: moment(made["created_at"]) for made in (one, other)}
        sandbox.advance(10_000)
        after = [
            (body["event"], round(moment(body["timestamp"]) - start_of[body["data"]["id"]]))
            for body in bodies()
        ]
        assert after == [
            ("photo_request.created", 0),
            ("photo_request.created", 0),
            ("photo_request.first_viewed", 100),
            ("photo_submission.created", 150),
            ("photo_request.submitted", 150),
            ("photo_request.expired", 3600),
        ]
        expired = bodies()[-1]["data"]
        assert (expired["id"], expired["photo_request"]["status"]) == (other["id"], "expired")


def moment(text: str) -> float:
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()
