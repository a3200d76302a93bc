"""Before Airflow 3.3 nothing is kept between tries: a sensor's time counts from each try's own first look."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_provider_visio.exceptions import AuthenticationError, WaitTimeoutError
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.sensors.visiono import VisionoPhotoRequestSensor

MODES = [{"mode": "poke"}, {"mode": "reschedule"}, {"deferrable": True}]
each_mode = pytest.mark.parametrize("mode", MODES, ids=["poke", "reschedule", "deferred"])


@pytest.fixture
def failed(sandbox, run_task, clock, later, monkeypatch):
    """Return a function that gives a first try, of a wait for 200 s at most, that failed after a minute or two."""
    monkeypatch.setattr(
        "airflow.sdk.bases.sensor.time", SimpleNamespace(sleep=clock.sleep, monotonic=clock.now)
    )

    def fail(sensor):
        later(60, lambda: sandbox.fault("visiono", "status", status=401, times=None))
        task = run_task(sensor, store=None)
        with pytest.raises(AuthenticationError):
            task.run()
        sandbox.clear_faults()
        return task

    return fail


def photos(request_id, **more) -> VisionoPhotoRequestSensor:
    return VisionoPhotoRequestSensor(
        task_id="wait", request_id=request_id, poke_interval=30, timeout=200, retries=1, **more
    )


@each_mode
def test_a_retry_has_all_of_its_time_again(sandbox, run_task, failed, later, mode):
    request_id = VisionoHook().create_photo_request("Photograph the meter")["id"]
    sensor = photos(request_id, **mode)
    first = failed(sensor)
    later(170, lambda: sandbox.act(request_id, "submit"))
    assert run_task(sensor, first).run()["arrived"] == [request_id]


@each_mode
def test_a_retry_has_no_more_than_its_time(sandbox, run_task, failed, clock, mode):
    sensor = photos(VisionoHook().create_photo_request("Photograph the meter")["id"], **mode)
    first, since = failed(sensor), clock.now()
    with pytest.raises(WaitTimeoutError):
        run_task(sensor, first).run()
    assert 200 <= clock.now() - since < 240
