"""Each of Visiono's two sources alone: what one of them does not name is not there."""

import pytest

from .conftest import start, stop
from .test_evidence import PLUGIN, SEED

SHARED = {
    "GET /photo-requests",
    "POST /photo-requests",
    "GET /photo-requests/{id}",
    "DELETE /photo-requests/{id}",
}
ASSUMED = {f"GET /permanent-links/{{id}}/{part}" for part in ("submissions", "download-urls", "qrcode")}
EVERYTHING = SEED | PLUGIN | ASSUMED
SPOKEN = {"both": EVERYTHING, "reference": SEED, "plugin": PLUGIN | SHARED}
NO_ROUTE = "The route {} could not be found."


@pytest.mark.parametrize("dialect", SPOKEN)
def test_only_the_calls_that_the_source_names_are_there(sandbox, dialect):
    sandbox.settings(dialect=dialect, visiono_per_minute=1000)
    for call in sorted(EVERYTHING):
        method, path = call.replace("{id}", "none").split(" ")
        reply = sandbox.visiono(method, path, {} if method in ("POST", "PUT", "PATCH") else None)
        absent = reply.status_code == 404 and reply.json() == {"message": NO_ROUTE.format(path.lstrip("/"))}
        assert absent is (call not in SPOKEN[dialect]), (call, reply.status_code, reply.text)


@pytest.mark.parametrize(
    ("dialect", "method", "path", "status", "allow"),
    [
        ("reference", "PUT", "/permanent-links/x", 405, "DELETE, GET, PATCH"),
        ("reference", "PATCH", "/smart-links/x", 404, None),
        ("plugin", "PATCH", "/smart-links/x", 405, "DELETE, GET, PUT"),
        ("plugin", "PUT", "/permanent-links/x", 404, None),
    ],
)
def test_methods_of_the_other_source_are_refused(sandbox, dialect, method, path, status, allow):
    sandbox.settings(dialect=dialect)
    reply = sandbox.visiono(method, path, {})
    assert (reply.status_code, reply.headers.get("allow")) == (status, allow)


def test_a_missing_route_is_counted_as_unknown_and_needs_no_key(sandbox):
    sandbox.settings(dialect="reference")
    assert sandbox.visiono("GET", "/webhooks", key=None).status_code == 404
    assert sandbox.control("GET", "/counters")["visiono"] == {"GET (unknown)": 1}


def test_the_reference_s_style(sandbox):
    sandbox.settings(dialect="reference")
    made = sandbox.ask(photo_slots=[{"instructions": "Front"}])
    assert made["id"].startswith("req_")
    assert made["created_at"].endswith("Z")
    assert made["request_url"].startswith(f"{sandbox.info['url']}/p/")
    sandbox.act(made, "submit")
    reply = sandbox.visiono("GET", f"/photo-requests/{made['id']}")
    assert reply.json()["meta"]["request_id"].startswith("req_")
    names = {name.lower() for name in reply.headers if name.lower().startswith("x-ratelimit")}
    assert names == {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"}
    (photo,) = reply.json()["data"]["photos"]
    assert photo["id"].startswith("photo_")
    assert photo["slot_instructions"] == "Front"
    assert set(photo["metadata"]) == {"captured_at", "gps_lat", "gps_lng"}
    assert sandbox.session.get(photo["url"], timeout=20).headers["content-type"] == "image/jpeg"


def test_the_reference_knows_ids_only_and_no_filters(sandbox):
    made = sandbox.ask()
    sandbox.settings(dialect="reference")
    assert sandbox.visiono("GET", f"/photo-requests/{made['unique_code']}").status_code == 404
    assert [one["id"] for one in sandbox.get("/photo-requests?status=submitted")] == [made["id"]]
    assert sandbox.visiono("GET", "/photo-requests?status=nonsense").status_code == 200


def test_the_plugin_s_style(sandbox):
    sandbox.settings(dialect="plugin")
    made = sandbox.ask(items=[{"instructions": "Front", "is_required": True}])
    assert (made["id"], made["items"][0]["id"][:4]) == ("pr_1", "pri_")
    assert made["created_at"].endswith("+00:00")
    sandbox.act(made, "submit")
    reply = sandbox.visiono("GET", f"/photo-requests/{made['unique_code']}")
    assert set(reply.json()) == {"data"}
    assert "photos" not in reply.json()["data"]
    names = {name.lower() for name in reply.headers if name.lower().startswith("x-ratelimit")}
    assert names == {"x-ratelimit-limit", "x-ratelimit-remaining"}
    urls = sandbox.visiono("GET", "/photo-requests/pr_1/download-urls").json()
    assert urls["meta"] == {"urls_valid_for": "24 hours", "expires_in_seconds": 86400}
    assert urls["data"]["submissions"][0]["id"].startswith("ps_")
    assert set(sandbox.visiono("GET", "/photo-requests").json()) == {"data", "links"}
    link = sandbox.visiono("POST", "/smart-links", {"instructions": "x"}).json()["data"]
    assert link["id"] == "sl_1"
    assert sandbox.visiono("PUT", "/smart-links/sl_1", {"tags": ["a"]}).json()["data"]["tags"] == ["a"]


def test_a_request_s_items_have_each_source_s_name(sandbox):
    for dialect, name, other in (("reference", "photo_slots", "items"), ("plugin", "items", "photo_slots")):
        sandbox.settings(dialect=dialect)
        made = sandbox.ask(**{name: [{"instructions": "Front"}]})
        assert [item["instructions"] for item in made["items"]] == ["Front"]
        for body in ({other: []}, {name: [], other: []}):
            reply = sandbox.visiono("POST", "/photo-requests", {"instructions": "x", **body})
            told = (reply.json().get("errors") or reply.json()["error"]["details"])[other]
            assert told == [f"The {other.replace('_', ' ')} field is prohibited."]


def test_too_many_items_on_a_free_plan_are_named_as_they_were_sent(sandbox):
    sandbox.settings(plan="free")
    for name in ("items", "photo_slots"):
        body = {"instructions": "x", name: [{"instructions": "Front"}] * 6}
        reply = sandbox.visiono("POST", "/photo-requests", body)
        assert list(reply.json()["error"]["details"]) == [name]


def test_delete_in_the_plugin_s_dialect_cancels(sandbox):
    sandbox.settings(dialect="plugin")
    made = sandbox.ask()
    for _ in range(2):
        assert sandbox.visiono("DELETE", f"/photo-requests/{made['id']}").status_code == 204
        assert sandbox.status(made) == "cancelled"
    assert sandbox.page("GET", f"/p/{made['unique_code']}").status_code == 410
    assert sandbox.kinds() == ["request_created", "request_cancelled"]


def test_delete_in_the_plugin_s_dialect_keeps_a_submitted_request(sandbox):
    sandbox.settings(dialect="plugin")
    made = sandbox.ask()
    sandbox.act(made, "submit")
    assert sandbox.visiono("DELETE", f"/photo-requests/{made['id']}").status_code == 204
    assert sandbox.status(made) == "submitted"
    assert sandbox.session.get(sandbox.photos(made)[0]["download_url"]).status_code == 200


def test_the_plugin_s_errors_are_flat(sandbox):
    sandbox.settings(dialect="plugin")
    reply = sandbox.visiono("POST", "/photo-requests", {"instructions": "x", "colour": 1})
    words = {"colour": ["The colour field is prohibited."]}
    assert (reply.status_code, reply.json()) == (
        422,
        {"message": "The given data was invalid.", "errors": words},
    )
    invalid = sandbox.visiono("POST", "/photo-requests", {}).json()
    assert list(invalid["errors"]) == ["instructions"]
    bad = sandbox.visiono("POST", "/photo-requests", data="{", headers={"Content-Type": "application/json"})
    assert (bad.status_code, bad.json()) == (400, {"message": "The request body is not valid JSON."})


def test_a_429_of_the_plugin_has_no_reset(sandbox):
    sandbox.settings(dialect="plugin", visiono_per_minute=0)
    by_limit = sandbox.visiono("GET", "/photo-requests")
    sandbox.control("POST", "/faults", {"service": "visiono", "kind": "rate_limit"})
    by_fault = sandbox.visiono("GET", "/photo-requests")
    for reply in (by_limit, by_fault):
        assert (reply.status_code, reply.headers["x-ratelimit-remaining"]) == (429, "0")
        assert "x-ratelimit-reset" not in reply.headers


def test_a_setting_by_name_goes_before_the_dialect(sandbox):
    sandbox.settings(list_filters=True)
    sandbox.settings(dialect="reference", photos_in_request=False)
    sandbox.ask()
    assert sandbox.get("/photo-requests?status=submitted") == []
    assert "photos" not in sandbox.get("/photo-requests")[0]


def test_a_dialect_leaves_nothing_behind(sandbox):
    before = sandbox.control("GET", "/settings")
    sandbox.settings(dialect="plugin")
    sandbox.settings(dialect="reference")
    assert sandbox.control("GET", "/settings")["request_id_style"] == "req"
    sandbox.settings(dialect="both")
    assert sandbox.control("GET", "/settings") == before


def test_vizdom_has_no_dialects(sandbox):
    sandbox.settings(dialect="plugin")
    assert sandbox.vizdom("GET", "/dashboards").status_code == 200
    reply = sandbox.vizdom("POST", "/exports", {})
    assert reply.json()["error"]["code"]


def test_dialect_on_the_command_line(tmp_path):
    process, sandbox = start(tmp_path, "--dialect", "plugin", "--visiono-key", "k")
    try:
        assert sandbox.info["dialect"] == "plugin"
        assert sandbox.visiono("GET", "/status", key="k").status_code == 404
        sandbox.control("POST", "/reset")
        assert sandbox.visiono("GET", "/smart-links", key="k").status_code == 200
    finally:
        stop(process)
