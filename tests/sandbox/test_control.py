import pytest


def test_health(sandbox):
    assert sandbox.control("GET", "/health") == {"ok": True}


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
def test_a_key_is_made_anew_and_the_old_one_is_dead_at_once(sandbox, service, key):
    new = sandbox.control("POST", f"/keys/{service}/regenerate", {"key": key})["key"]
    assert new != key
    assert new.startswith(key.removesuffix("test"))
    call, path = (sandbox.visiono, "/status") if service == "visiono" else (sandbox.vizdom, "/dashboards")
    assert (call("GET", path, key=key).status_code, call("GET", path, key=new).status_code) == (401, 200)


def test_an_inactive_key_stays_so_when_it_is_made_anew(sandbox):
    sandbox.control("POST", "/keys/visiono/deactivate", {"key": "vsk_live_test"})
    new = sandbox.control("POST", "/keys/visiono/regenerate", {"key": "vsk_live_test"})["key"]
    assert sandbox.visiono("GET", "/status", key=new).status_code == 401
    sandbox.control("POST", "/keys/visiono/activate", {"key": new})
    assert sandbox.visiono("GET", "/status", key=new).status_code == 200


def test_a_key_that_is_none(sandbox):
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
