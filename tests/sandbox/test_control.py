import pytest


def test_health(sandbox):
    assert sandbox.control("GET", "/health") == {"ok": True}


@pytest.mark.parametrize("path", ["", "/"])
def test_index(sandbox, path):
    calls = {f"{one['method']} {one['path']}": one for one in sandbox.control("GET", path)}
    assert {"GET /control", "POST /control/photo-requests/{id}/{action}", "DELETE /control/faults"} <= set(
        calls
    )
    assert all(one["does"].endswith(".") for one in calls.values())
    assert calls["PUT /control/person"]["body"][:2] == ["behaviour", "open_after"]
    assert calls["POST /control/faults/{number}/let-go"]["body"] == ["drop"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/fault", 404), ("PUT", "/reset", 405)])
def test_a_call_that_does_not_exist_points_to_the_index(sandbox, method, path, status):
    reply = sandbox.call("control_url", method, path)
    text = f"There is no {method} /control{path}. GET /control lists the calls."
    assert (reply.status_code, reply.json()) == (status, {"error": text})


@pytest.mark.parametrize(
    ("method", "path", "body", "allowed"),
    [
        (
            "PUT",
            "/person",
            {"mood": "good"},
            "behaviour, open_after, photo_every, photos, pictures, gps, notes",
        ),
        ("PATCH", "/settings", {"mood": 1}, "dialect, plan, visiono_per_minute"),
        (
            "POST",
            "/faults",
            {"service": "visiono", "kind": "empty", "mood": 1},
            "service, kind, method, path",
        ),
        ("POST", "/time", {"mood": 1}, "advance, speed"),
        ("PUT", "/keys", {"mood": []}, "visiono, vizdom, vizdom_roles"),
        ("POST", "/photo-requests", {"count": 1, "mood": 1}, "count, share, submit_after"),
    ],
)
def test_an_unknown_field_is_named_with_the_allowed_ones(sandbox, method, path, body, allowed):
    reply = sandbox.call("control_url", method, path, json=body)
    assert reply.status_code == 422
    assert reply.json()["error"].startswith(f"unknown field 'mood'. Allowed: {allowed}")


def test_a_wrong_value_is_named_with_the_allowed_ones(sandbox):
    reply = sandbox.call("control_url", "PUT", "/person", json={"behaviour": "shy", "gps": "yes"})
    assert reply.json()["error"] == (
        "behaviour: Input should be 'manual', 'submit', 'partial', 'never' or 'expire'; "
        "gps: Input should be a valid boolean"
    )


def test_a_body_without_its_content_type_says_what_to_send(sandbox):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = sandbox.call("control_url", "PUT", "/person", data='{"gps": true}', headers=headers)
    assert reply.status_code == 422
    assert "Content-Type: application/json" in reply.json()["error"]


def test_settings(sandbox):
    before = sandbox.control("GET", "/settings")
    assert (before["visiono_per_minute"], before["plan"], before["pagination"]) == (60, "paid", "page")
    after = sandbox.control("PATCH", "/settings", {"page_size": 5, "photo_link_seconds": 10})
    assert after == {**before, "page_size": 5, "photo_link_seconds": 10.0}


@pytest.mark.parametrize("changes", [{"nonsense": 1}, {"plan": "gold"}, {"page_size": 0}, {"meta": "yes"}])
def test_bad_settings_change_nothing(sandbox, changes):
    before = sandbox.control("GET", "/settings")
    reply = sandbox.call("control_url", "PATCH", "/settings", json={"list_order": "oldest", **changes})
    assert reply.status_code == 422
    assert next(iter(changes)) in reply.json()["error"]
    assert sandbox.control("GET", "/settings") == before


def test_reset_forgets_everything(sandbox):
    sandbox.settings(plan="free")
    sandbox.control("PUT", "/keys", {"visiono": ["other"]})
    sandbox.control("PUT", "/person", {"behaviour": "never"})
    sandbox.control("POST", "/faults", {"service": "visiono", "kind": "empty"})
    sandbox.vizdom("POST", "/exports", {"dashboard_id": "dash_abc123", "format": "csv"})
    sandbox.advance(10_000_000)
    late = sandbox.control("GET", "/time")["now"]
    sandbox.control("POST", "/reset")
    assert sandbox.control("GET", "/settings")["plan"] == "paid"
    assert sandbox.control("GET", "/time")["now"] < late
    for path in ("/faults", "/calls", "/events", "/photo-requests", "/exports", "/emails", "/deliveries"):
        assert sandbox.control("GET", path) == []
    assert sandbox.visiono("GET", "/status").status_code == 200


def test_keys_rotate(sandbox):
    sandbox.control("PUT", "/keys", {"visiono": ["vsk_live_test", "second"]})
    assert sandbox.visiono("GET", "/status", key="second").status_code == 200
    sandbox.control("PUT", "/keys", {"visiono": ["second"]})
    assert sandbox.visiono("GET", "/status").status_code == 401
    assert sandbox.vizdom("GET", "/dashboards").status_code == 200
    sandbox.control("PUT", "/keys", {"vizdom": []})
    assert sandbox.vizdom("GET", "/dashboards").status_code == 401


def test_a_key_is_switched_off_and_on_again(sandbox):
    key = {"key": "vsk_live_test"}
    assert sandbox.control("POST", "/keys/visiono/deactivate", key) == key
    assert sandbox.visiono("GET", "/status").status_code == 401
    assert sandbox.control("POST", "/keys/visiono/activate", key) == key
    assert sandbox.visiono("GET", "/status").status_code == 200


@pytest.mark.parametrize(("service", "key"), [("visiono", "vsk_live_test"), ("vizdom", "vzd_test")])
def test_a_regenerated_key_replaces_the_old_one_at_once(sandbox, service, key):
    new = sandbox.control("POST", f"/keys/{service}/regenerate", {"key": key})["key"]
    assert new != key
    assert new.startswith(key.removesuffix("test"))
    call, path = (sandbox.visiono, "/status") if service == "visiono" else (sandbox.vizdom, "/dashboards")
    assert (call("GET", path, key=key).status_code, call("GET", path, key=new).status_code) == (401, 200)


def test_a_regenerated_inactive_key_is_inactive(sandbox):
    sandbox.control("POST", "/keys/visiono/deactivate", {"key": "vsk_live_test"})
    new = sandbox.control("POST", "/keys/visiono/regenerate", {"key": "vsk_live_test"})["key"]
    assert sandbox.visiono("GET", "/status", key=new).status_code == 401
    sandbox.control("POST", "/keys/visiono/activate", {"key": new})
    assert sandbox.visiono("GET", "/status", key=new).status_code == 200


def test_an_unknown_key(sandbox):
    reply = sandbox.call("control_url", "POST", "/keys/visiono/activate", json={"key": "other"})
    assert reply.status_code == 404


def test_clock(sandbox):
    start = sandbox.control("GET", "/time")
    assert start["speed"] == 0
    sandbox.advance(90)
    assert sandbox.control("GET", "/time")["now"] == pytest.approx(start["now"] + 90)
    assert sandbox.control("POST", "/time", {"speed": 1000})["speed"] == 1000
    first = sandbox.control("GET", "/time")["now"]
    assert sandbox.control("GET", "/time")["now"] > first
    assert sandbox.call("control_url", "POST", "/time", json={"advance": -1}).status_code == 422


def test_counters_and_calls(sandbox):
    made = sandbox.ask()
    for _ in range(2):
        sandbox.status(made)
    sandbox.visiono("GET", "/nowhere")
    sandbox.vizdom("GET", "/dashboards", key=None)
    counters = sandbox.control("GET", "/counters")
    assert counters["visiono"] == {
        "POST /photo-requests": 1,
        "GET /photo-requests/{id}": 2,
        "GET (unknown)": 1,
    }
    assert counters["vizdom"] == {"GET /dashboards": 1}
    calls = sandbox.control("GET", "/calls?after=1")
    assert [call["n"] for call in calls] == [2, 3, 4, 5]
    assert calls[0]["path"] == f"/photo-requests/{made['id']}"
    assert calls[0]["route"] == "/photo-requests/{id}"
    assert [call["status"] for call in calls] == [200, 200, 404, 401]
    assert [call["key_sent"] for call in calls] == [True, True, True, False]
    assert sandbox.control("DELETE", "/counters")["visiono"] == {}
    assert len(sandbox.control("GET", "/calls")) == 5


def test_events_after_a_number(sandbox):
    made = sandbox.ask()
    sandbox.act(made, "submit")
    events = sandbox.control("GET", "/events")
    assert sandbox.control("GET", f"/events?after={events[1]['n']}") == events[2:]
    assert all({"n", "at", "kind", "id", "text"} <= set(event) for event in events)
    assert sandbox.kinds()[0] == "request_created"
    assert sandbox.kinds()[-1] == "request_submitted"


def test_bodies_are_read_strictly(sandbox):
    for method, path, body in (
        ("POST", "/time", {"forward": 1}),
        ("PUT", "/keys", {"visiono": "one"}),
        ("PUT", "/keys", {"stripe": []}),
    ):
        assert sandbox.call("control_url", method, path, json=body).status_code == 422
