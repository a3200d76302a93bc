"""A 429 is waited out, for as long as the connection allows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_visio.api import visiono as api
from airflow_provider_visio.api import vizdom as vizdom_api
from airflow_provider_visio.exceptions import PermissionDeniedError, RateLimitedError
from api.local_server import Answer

GET = api.get_status()
POST = api.create_photo_request("A photo of the car")


def test_the_real_limit_is_waited_out(driver, sandbox, visiono, clock):
    sandbox.settings(visiono_per_minute=2)
    for _ in range(3):
        assert driver.send(visiono, GET)["data"] == {"status": "ok"}
    assert sandbox.counters()["refused_429"]["visiono"] == 1
    assert len(clock.pauses) == 1
    assert 1 <= clock.pauses[0] <= 62


def test_a_post_that_was_refused_is_sent_again(driver, sandbox, visiono, clock):
    sandbox.fault("visiono", "rate_limit", method="POST", retry_after=7, times=2)
    driver.send(visiono, POST)
    assert sandbox.count("visiono", "POST /photo-requests") == 3
    assert len(sandbox.control("GET", "/photo-requests")) == 1
    assert [7 <= pause <= 8 for pause in clock.pauses] == [True, True]


def test_retry_after_comes_before_the_reset(driver, sandbox, visiono, clock):
    sandbox.fault("visiono", "rate_limit", retry_after=5, reset=clock.now() + 50, times=1)
    driver.send(visiono, GET)
    assert 5 <= clock.pauses[0] <= 6


def test_the_reset_is_waited_for(driver, sandbox, visiono, clock):
    sandbox.fault("visiono", "rate_limit", reset=clock.now() + 50, times=1)
    driver.send(visiono, GET)
    assert 49 <= clock.pauses[0] <= 52


@pytest.mark.parametrize("reset", ["1609459200", "99999999999", "nan", "soon"])
def test_a_nonsense_reset_means_growing_waits(driver, sandbox, visiono, clock, reset):
    sandbox.fault("visiono", "rate_limit", reset=reset, times=4)
    driver.send(visiono, GET)
    assert [low <= pause <= 2 * low for pause, low in zip(clock.pauses, [1, 2, 4, 8], strict=True)] == [
        True
    ] * 4


def test_a_service_without_rate_headers_means_growing_waits(driver, sandbox, vizdom, clock):
    sandbox.fault("vizdom", "rate_limit", times=3)
    list(driver.items(vizdom, vizdom_api.list_dashboards()))
    assert [low <= pause <= 2 * low for pause, low in zip(clock.pauses, [1, 2, 4], strict=True)] == [True] * 3


def test_many_tasks_do_not_come_back_as_one(driver, sandbox, visiono, clock):
    for _ in range(8):
        sandbox.fault("visiono", "rate_limit", retry_after=5, times=1)
        driver.send(visiono, GET)
    assert len({round(pause, 3) for pause in clock.pauses}) > 1


def test_a_wait_longer_than_allowed_fails_at_once(driver, sandbox, visiono, clock):
    sandbox.fault("visiono", "rate_limit", retry_after=600, times=None)
    with pytest.raises(RateLimitedError) as caught:
        driver.send(visiono, GET)
    assert caught.value.retry_after == 600
    assert caught.value.status == 429
    assert not caught.value.ambiguous
    for part in ("accepts calls again in about 600 s", "rate_limit_wait", "connection visiono_default"):
        assert part in str(caught.value)
    assert clock.pauses == []
    assert sandbox.count("visiono", "GET /status") == 1


def test_the_waits_together_stay_inside_what_is_allowed(driver, sandbox, visiono, clock):
    sandbox.fault("visiono", "rate_limit", retry_after=10, times=None)
    with pytest.raises(RateLimitedError) as caught:
        driver.send(replace(visiono, rate_limit_wait=35.0), GET)
    assert caught.value.retry_after == 10
    assert 20 <= sum(clock.pauses) <= 35
    assert sandbox.count("visiono", "GET /status") in {3, 4}


def test_no_wait_allowed_means_none(driver, sandbox, visiono, clock):
    sandbox.fault("visiono", "rate_limit", retry_after=1, times=None)
    with pytest.raises(RateLimitedError):
        driver.send(replace(visiono, rate_limit_wait=0.0), POST)
    assert clock.pauses == []
    assert sandbox.count("visiono", "POST /photo-requests") == 1


def test_a_limit_does_not_use_up_the_attempts(driver, sandbox, visiono):
    sandbox.fault("visiono", "rate_limit", retry_after=1, times=6)
    assert driver.send(replace(visiono, max_attempts=1), GET)["data"] == {"status": "ok"}


def test_a_used_up_quota_keeps_no_other_call_waiting(driver, serve, config_at, clock):
    used_up = Answer(429, {"message": "Your monthly photo quota is used up."}, {"Retry-After": "3000"})
    server = serve(used_up, Answer(200, {"data": {"status": "ok"}}))
    config = config_at(server.url, limits=((60.0, 60), (3600.0, 1000)))
    with pytest.raises(PermissionDeniedError):
        driver.send(config, POST)
    assert driver.send(config, GET)["data"] == {"status": "ok"}
    assert clock.pauses == []
