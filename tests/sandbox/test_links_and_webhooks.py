import hashlib
import hmac
import json

import pytest

LINK = {
    "instructions": "Inspect the vehicle",
    "custom_slug": "fleet-inspection",
    "unique_field_label": "License Plate",
    "tags": ["fleet"],
    "items": [{"instructions": "Front"}],
}

OF_THE_DOCUMENTATION = {"X-Webhook-Signature", "X-Webhook-ID", "X-Webhook-Timestamp"}
OF_THE_PLUGIN = {"X-Visiono-Signature", "X-Visiono-Delivery", "X-Visiono-Event", "X-Visiono-Tenant-Id"}


def create(sandbox, path="/permanent-links", **changes):
    reply = sandbox.visiono("POST", path, {**LINK, **changes})
    assert reply.status_code == 201, reply.text
    return reply.json()["data"]


@pytest.mark.parametrize("path", ["/permanent-links", "/smart-links"])
def test_life_of_a_link(sandbox, path):
    made = create(sandbox, path)
    assert made["id"].startswith("sl_")
    assert made["is_active"] is True
    assert made["request_url"].endswith("/p/fleet-inspection")
    assert made["items"][0]["id"].startswith("pri_")
    assert sandbox.get(f"{path}/{made['id']}") == made
    assert sandbox.visiono("GET", path).json()["data"] == [made]
    verb = "PATCH" if path == "/permanent-links" else "PUT"
    changed = sandbox.visiono(verb, f"{path}/{made['id']}", {"is_active": False, "tags": []}).json()["data"]
    assert changed == {**made, "is_active": False, "tags": []}
    wrong = sandbox.visiono("PUT" if verb == "PATCH" else "PATCH", f"{path}/{made['id']}", {})
    assert wrong.status_code == 405
    assert sandbox.visiono("DELETE", f"{path}/{made['id']}").status_code == 204
    # The reference deletes, the plugin archives.
    assert sandbox.visiono("GET", f"{path}/{made['id']}").status_code == (404 if verb == "PATCH" else 200)


def test_slugs(sandbox):
    made = create(sandbox)
    taken = sandbox.visiono("POST", "/permanent-links", LINK)
    assert taken.json()["error"]["details"] == {"custom_slug": ["The custom slug has already been taken."]}
    for slug in ("ab", "UPPER", "with space", "x" * 31, ""):
        assert sandbox.visiono("POST", "/permanent-links", {**LINK, "custom_slug": slug}).status_code == 422
    reply = sandbox.visiono("PATCH", f"/permanent-links/{made['id']}", {"custom_slug": "new-name"})
    assert reply.json()["data"]["request_url"].endswith("/p/new-name")
    for slug in ("fleet-inspection", "new-name", made["unique_code"]):
        assert sandbox.page("GET", f"/p/{slug}").status_code == 200


def test_link_filters(sandbox):
    one, two = create(sandbox), create(sandbox, custom_slug="other", tags=[])
    sandbox.visiono("PATCH", f"/permanent-links/{two['id']}", {"is_active": False})
    by = {
        query: sandbox.visiono("GET", f"/smart-links?{query}").json()["data"]
        for query in ("is_active=1", "tags=fleet")
    }
    assert [[link["id"] for link in found] for found in by.values()] == [[one["id"]], [one["id"]]]


def test_link_submissions(sandbox):
    made = create(sandbox)
    body = {"unique_field_value": "AB 123", "photos": 2}
    sent = sandbox.control("POST", f"/permanent-links/{made['id']}/submit", body)
    assert sent["id"].startswith("pls_")
    for path in ("/permanent-links", "/smart-links"):
        (listed,) = sandbox.get(f"{path}/{made['id']}/submissions")
        assert (listed["id"], listed["unique_field_value"], len(listed["photos"])) == (
            sent["id"],
            "AB 123",
            2,
        )
        photos = sandbox.get(f"{path}/{made['id']}/download-urls")["submissions"]
        assert {photo["permanent_link_submission_id"] for photo in photos} == {sent["id"]}
        assert sandbox.session.get(photos[0]["download_url"]).status_code == 200
        assert sandbox.get(f"{path}/{made['id']}/qrcode")["qrcode_url"].endswith(f"{made['unique_code']}.png")


def test_the_origin_of_a_submission_is_kept(sandbox):
    made = create(sandbox)
    told = {"full_name": "Ada", "external_source": "crm", "external_reference": "4"}
    hook = {"url": "https://hooks.example.com/", "events": ["photo_submission.created"]}
    sandbox.visiono("POST", "/webhooks", hook)
    sent = sandbox.control("POST", f"/permanent-links/{made['id']}/submit", told)
    assert (sent["photos"], sent["return_url"]) == (1, None)
    (listed,) = sandbox.get(f"/permanent-links/{made['id']}/submissions")
    assert told.items() <= listed.items()
    (delivery,) = sandbox.control("GET", "/deliveries")
    in_hook = json.loads(delivery["body"])["data"]["permanent_link_submission"]
    assert (in_hook["external_source"], in_hook["external_reference"]) == ("crm", "4")
    assert sandbox.get("/stats")["usage"]["photos_used"] == 1


def test_an_inactive_link_takes_no_submission(sandbox):
    made = create(sandbox)
    sandbox.visiono("PATCH", f"/permanent-links/{made['id']}", {"is_active": False})
    reply = sandbox.call("control_url", "POST", f"/permanent-links/{made['id']}/submit", json={})
    assert reply.status_code == 409


def test_life_of_a_webhook(sandbox):
    body = {"url": "https://hooks.example.com/visiono", "events": ["photo_request.submitted"]}
    reply = sandbox.visiono("POST", "/webhooks", body)
    assert reply.status_code == 201
    made = reply.json()["data"]
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert sandbox.get(f"/webhooks/{made['id']}") == made
    assert sandbox.visiono("GET", "/webhooks").json()["data"] == [made]
    assert "photo_request.created" in sandbox.get("/webhooks/events")
    sandbox.act(sandbox.ask(), "submit")
    assert sandbox.visiono("POST", f"/webhooks/{made['id']}/test").status_code == 200
    submitted, test = sandbox.control("GET", "/deliveries")
    assert (submitted["event"], test["event"]) == ("photo_request.submitted", "webhook.test")
    sent = json.loads(submitted["body"])
    assert sent["data"]["photo_request"]["submissions_count"] == 3
    digest = hmac.new(secret.encode(), submitted["body"].encode(), hashlib.sha256).hexdigest()
    assert submitted["headers"]["X-Visiono-Signature"] == f"sha256={digest}"
    assert submitted["headers"].keys() - {"Content-Type"} == OF_THE_DOCUMENTATION | OF_THE_PLUGIN
    changed = sandbox.visiono("PATCH", f"/webhooks/{made['id']}", {"is_active": False}).json()["data"]
    assert changed == {**made, "is_active": False}
    sandbox.act(sandbox.ask(), "submit")
    assert len(sandbox.control("GET", "/deliveries")) == 2
    assert sandbox.visiono("DELETE", f"/webhooks/{made['id']}").status_code == 204
    assert sandbox.visiono("GET", f"/webhooks/{made['id']}").status_code == 404


@pytest.mark.parametrize(
    "url", ["http://hooks.example.com/", "https://localhost/", "https://10.1.2.3/", "https://[x/", "x"]
)
def test_webhooks_need_a_public_https_address(sandbox, url):
    reply = sandbox.visiono("POST", "/webhooks", {"url": url, "events": ["photo_request.created"]})
    assert list(reply.json()["error"]["details"]) == ["url"]


def test_webhooks_know_their_events(sandbox):
    reply = sandbox.visiono("POST", "/webhooks", {"url": "https://hooks.example.com/", "events": ["x"]})
    assert list(reply.json()["error"]["details"]) == ["events.0"]
