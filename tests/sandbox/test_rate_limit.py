import time

import pytest


def test_minute_window(sandbox):
    for n in range(60):
        reply = sandbox.visiono("GET", "/status")
        assert reply.status_code == 200
        assert reply.headers["x-ratelimit-limit"] == "60"
        assert reply.headers["x-ratelimit-remaining"] == str(59 - n)
    refused = sandbox.visiono("GET", "/status")
    assert (refused.status_code, refused.json()) == (429, {"message": "Too Many Attempts."})
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert "retry-after" not in refused.headers
    assert 58 <= int(refused.headers["x-ratelimit-reset"]) - time.time() <= 62
    assert sandbox.control("GET", "/counters")["refused_429"] == {"visiono": 1, "vizdom": 0}
    sandbox.advance(59)
    assert sandbox.visiono("GET", "/status").status_code == 429
    sandbox.advance(1)
    assert sandbox.visiono("GET", "/status").headers["x-ratelimit-remaining"] == "59"


def test_hour_window_does_not_count_refusals(sandbox):
    sandbox.settings(visiono_per_minute=3, visiono_per_hour=5, retry_after_header=True)
    statuses = [sandbox.visiono("GET", "/status").status_code for _ in range(6)]
    assert statuses == [200, 200, 200, 429, 429, 429]
    sandbox.advance(60)
    statuses = [sandbox.visiono("GET", "/status").status_code for _ in range(2)]
    refused = sandbox.visiono("GET", "/status")
    assert (statuses, refused.status_code) == ([200, 200], 429)
    assert refused.headers["x-ratelimit-limit"] == "5"
    assert refused.headers["retry-after"] == str(3600 - 60)
    sandbox.advance(3600 - 60)
    assert sandbox.visiono("GET", "/status").status_code == 200


def test_reset_header_is_in_real_time(sandbox):
    sandbox.settings(visiono_per_minute=1, retry_after_header=True)
    sandbox.advance(1_000_000)
    sandbox.visiono("GET", "/status")
    refused = sandbox.visiono("GET", "/status")
    assert 58 <= int(refused.headers["x-ratelimit-reset"]) - time.time() <= 62
    sandbox.control("POST", "/time", {"speed": 60})
    # A minute passes in a second now.
    reset = sandbox.visiono("GET", "/status").headers["x-ratelimit-reset"]
    assert int(reset) - time.time() <= 2


def test_reset_header_can_be_in_virtual_time(sandbox):
    sandbox.settings(visiono_per_minute=1, retry_after_header=True, caller_clock="virtual")
    sandbox.advance(1_000_000)
    sandbox.control("POST", "/time", {"speed": 60})
    now = sandbox.control("GET", "/time")["now"]
    sandbox.visiono("GET", "/status")
    refused = sandbox.visiono("GET", "/status")
    assert refused.status_code == 429
    assert 58 <= int(refused.headers["x-ratelimit-reset"]) - now <= 70
    assert 40 <= int(refused.headers["retry-after"]) <= 60
    sandbox.control("POST", "/faults", {"service": "visiono", "kind": "rate_limit"})
    assert int(sandbox.visiono("GET", "/status").headers["x-ratelimit-reset"]) >= now + 60


def test_rate_headers_can_be_switched_off(sandbox):
    sandbox.settings(rate_headers=False)
    assert not [name for name in sandbox.visiono("GET", "/status").headers if "rate" in name.lower()]


def test_wrong_keys_cost_nothing(sandbox):
    sandbox.visiono("GET", "/status", key="wrong")
    assert sandbox.visiono("GET", "/status").headers["x-ratelimit-remaining"] == "59"


def test_vizdom_limits_each_key_and_sends_no_headers(sandbox):
    sandbox.settings(vizdom_per_minute=2)
    sandbox.control("PUT", "/keys", {"vizdom": ["one", "two"]})
    replies = [sandbox.vizdom("GET", "/dashboards", key="one") for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert replies[2].json()["error"]["code"] == "rate_limited"
    assert not [name for name in replies[2].headers if "rate" in name.lower() or "retry" in name.lower()]
    assert sandbox.vizdom("GET", "/dashboards", key="two").status_code == 200
    sandbox.advance(60)
    assert sandbox.vizdom("GET", "/dashboards", key="one").status_code == 200


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"recipient_email": "a@example.com"}, ["recipient_email"]),
        ({"send_email": False}, ["send_email"]),
        ({"recipient_email": "a@example.com", "send_email": True}, ["recipient_email", "send_email"]),
    ],
)
def test_free_plan_refuses_email_in_the_flat_shape(sandbox, body, fields):
    sandbox.settings(plan="free")
    reply = sandbox.visiono("POST", "/photo-requests", {"instructions": "x", **body})
    assert reply.status_code == 422
    error = reply.json()
    assert list(error) == ["message", "errors"]
    assert error["message"].startswith(f"The {fields[0].replace('_', ' ')} field is prohibited.")
    assert list(error["errors"]) == fields
    assert "upgrade" in error["errors"][fields[0]][0]


def test_free_plan_still_has_the_nested_shape_for_the_rest(sandbox):
    sandbox.settings(plan="free")
    assert "error" in sandbox.visiono("POST", "/photo-requests", {"instructions": ""}).json()
    items = [{"instructions": str(n)} for n in range(6)]
    reply = sandbox.visiono("POST", "/photo-requests", {"instructions": "x", "items": items})
    assert list(reply.json()["error"]["details"]) == ["items"]


def test_free_plan_has_a_hundred_photos_for_life(sandbox):
    sandbox.settings(plan="free")
    stats = sandbox.get("/stats")
    assert stats["plan"]["email_enabled"] is False
    assert stats["usage"]["is_lifetime_quota"] is True
    assert stats["usage"]["billing_period_start"] is stats["usage"]["billing_period_end"] is None
    sandbox.control(
        "PUT", "/person", {"behaviour": "submit", "photos": 50, "photo_every": 0, "open_after": 0}
    )
    first, second = sandbox.ask(), sandbox.ask()
    assert [sandbox.status(one) for one in (first, second)] == ["submitted", "submitted"]
    assert sandbox.get("/stats")["usage"]["photos_used"] == 100
    reply = sandbox.visiono("POST", "/photo-requests", {"instructions": "One more"})
    assert (reply.status_code, list(reply.json())) == (403, ["message"])
    sandbox.visiono("DELETE", f"/photo-requests/{first['id']}")
    assert sandbox.get("/stats")["usage"]["photos_used"] == 100


def test_free_plan_has_no_permanent_links(sandbox):
    kept = sandbox.visiono("POST", "/permanent-links", {"instructions": "x"}).json()["data"]
    sandbox.settings(plan="free")
    for path in ("/permanent-links", "/smart-links"):
        reply = sandbox.visiono("POST", path, {"instructions": "x"})
        assert (reply.status_code, list(reply.json())) == (403, ["message"])
        assert "free plan" in reply.json()["message"]
    assert [link["id"] for link in sandbox.get("/permanent-links")] == [kept["id"]]
