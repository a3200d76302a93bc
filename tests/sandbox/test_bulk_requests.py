import time

import pytest


def statuses(sandbox) -> list[str]:
    return [one["status"] for one in sandbox.control("GET", "/photo-requests")]


def test_bulk_requests_are_not_counted(sandbox):
    made = sandbox.control("POST", "/photo-requests", {"count": 200})
    assert [one["id"] for one in sandbox.control("GET", "/photo-requests")] == made
    assert sandbox.control("GET", "/counters")["visiono"] == {}
    reply = sandbox.visiono("GET", f"/photo-requests/{made[0]}")
    assert reply.headers["x-ratelimit-remaining"] == "59"
    sandbox.advance(71 * 3600)
    assert set(statuses(sandbox)) == {"pending"}
    sandbox.advance(3600)
    assert set(statuses(sandbox)) == {"expired"}


def test_a_share_is_submitted_in_time(sandbox):
    body = {"count": 100, "share": 0.4, "submit_after": 600, "submit_within": 3600}
    made = sandbox.control("POST", "/photo-requests", body)
    start = sandbox.control("GET", "/time")["now"]
    sandbox.advance(599)
    assert statuses(sandbox).count("submitted") == 0
    sandbox.advance(1800)
    assert 5 < statuses(sandbox).count("submitted") < 35
    sandbox.advance(1801)
    found = sandbox.control("GET", "/photo-requests")
    moments = [one["submitted_at"] - start for one in found if one["status"] == "submitted"]
    assert len(moments) == 40
    assert 600 <= min(moments) < max(moments) <= 4200
    assert [one["id"] for one in found] == made


def test_a_request_that_ended_before_stays_as_it_is(sandbox):
    body = {"count": 1, "submit_within": 10, "submit_after": 60}
    (made,) = sandbox.control("POST", "/photo-requests", body)
    sandbox.act({"id": made}, "cancel")
    sandbox.advance(100)
    assert statuses(sandbox) == ["cancelled"]


def test_five_thousand_are_no_burden(sandbox):
    started = time.monotonic()
    sandbox.control("POST", "/photo-requests", {"count": 5000, "share": 0.01, "submit_within": 0})
    assert time.monotonic() - started < 5
    quickest = 1.0
    for _ in range(5):
        started = time.monotonic()
        reply = sandbox.visiono("GET", "/photo-requests?status=submitted&per_page=100").json()
        quickest = min(quickest, time.monotonic() - started)
        assert reply["meta"]["total"] == 50
    assert quickest < 0.03


@pytest.mark.parametrize("body", [{}, {"count": -1}, {"count": 1, "share": 2}, {"count": 1, "photos": 3}])
def test_bodies_are_read_strictly(sandbox, body):
    assert sandbox.call("control_url", "POST", "/photo-requests", json=body).status_code == 422
