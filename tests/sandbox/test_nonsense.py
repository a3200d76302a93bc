"""Whatever is sent, the answer has a vendor's shape: never a crash, never the framework's own words."""

import json
import random

import pytest

PATHS = {
    "visiono_url": [
        ("POST", "/photo-requests"),
        ("POST", "/photo-requests/batch"),
        ("POST", "/permanent-links"),
        ("PATCH", "/permanent-links/{link}"),
        ("PUT", "/smart-links/{link}"),
        ("POST", "/webhooks"),
        ("PATCH", "/webhooks/{hook}"),
        ("GET", "/photo-requests"),
        ("GET", "/photo-requests/{junk}"),
        ("GET", "/photo-requests/{junk}/download-urls"),
        ("GET", "/permanent-links"),
        ("DELETE", "/webhooks/{junk}"),
        ("OPTIONS", "/status"),
    ],
    "vizdom_url": [
        ("POST", "/exports"),
        ("GET", "/exports/{junk}"),
        ("GET", "/dashboards/{junk}"),
        ("PUT", "/{junk}"),
    ],
}
NAMES = [
    "instructions",
    "items",
    "photo_slots",
    "metadata",
    "expires_in_hours",
    "recipient_email",
    "send_email",
    "url",
]
NAMES += [
    "custom_slug",
    "tags",
    "events",
    "is_active",
    "dashboard_id",
    "format",
    "photo_requests",
    "is_required",
    "x",
]
TEXTS = [
    "",
    " ",
    "x",
    "a@b.co",
    "fleet",
    "https://example.com/",
    "pdf",
    "dash_abc123",
    "\x00",
    "\u202e",
    "\U0001f697" * 9,
]
TEXTS += ["photo_request.created", "{field}", "%s", "../..", "x" * 6000, "https://[::1", "9" * 40]
JUNK = ["%00", "%2e%2e", "%F0%9F%9A%97", "a%20b", "%ff", "x" * 3000, "'", "{id}", "-1"]


def value(source, depth=0):
    kind = source.randrange(9 if depth < 3 else 6)
    if kind == 0:
        return source.choice([True, False, None])
    if kind == 1:
        return source.choice([0, -1, 1, 24, 2**70, 1.5, -1e300])
    if kind < 6:
        return source.choice(TEXTS)
    if kind == 6:
        return [value(source, depth + 1) for _ in range(source.randrange(4))]
    return body(source, depth + 1)


def body(source, depth=0):
    return {source.choice([*NAMES, *TEXTS]): value(source, depth) for _ in range(source.randrange(6))}


def assert_in_shape(reply, base):
    assert reply.status_code < 500, reply.text
    if reply.status_code == 204:
        return
    answer = reply.json()
    if reply.status_code < 300:
        assert "data" in answer
    elif base == "vizdom_url":
        assert set(answer["error"]) == {"code", "message"}
    else:
        shapes = [{"error"}, {"message"}, {"message", "errors"}]
        assert set(answer) in shapes, answer


@pytest.mark.parametrize("seed", range(3))
def test_nonsense_is_answered_in_shape(sandbox, seed):
    source = random.Random(seed)
    link = sandbox.visiono("POST", "/permanent-links", {"instructions": "x"}).json()["data"]["id"]
    hook = {"url": "https://example.com/", "events": ["photo_request.created"]}
    known = {"link": link, "hook": sandbox.visiono("POST", "/webhooks", hook).json()["data"]["id"]}
    sandbox.settings(visiono_per_minute=10**6, visiono_per_hour=10**6, plan=source.choice(["free", "paid"]))
    headers = {
        "X-API-Key": "vsk_live_test",
        "Authorization": "Bearer vzd_test",
        "Content-Type": "application/json",
    }
    for _ in range(120):
        base = source.choice(list(PATHS))
        method, path = source.choice(PATHS[base])
        path = path.format(junk=source.choice(JUNK), **known)
        query = {
            source.choice(["page", "per_page", "cursor", "status", "created_after", "tags"]): source.choice(
                TEXTS
            )
        }
        content = None if method in ("GET", "DELETE") else json.dumps(body(source))
        reply = sandbox.call(base, method, path, data=content, params=query, headers=headers)
        assert_in_shape(reply, base)
