"""Operators at a limit that is used up: for less than a minute in place, for longer the worker is given back."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import requests
from airflow.providers.common.compat.sdk import TaskDeferred
from tasks.streams import ask, many
from tasks.workers import Workers

from airflow_provider_visio import clock as provider_clock
from airflow_provider_visio.api import rate_limit
from airflow_provider_visio.exceptions import NotFoundError, RateLimitedError
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook
from airflow_provider_visio.operators.visiono import (
    VisionoCreatePermanentLinkOperator,
    VisionoCreatePhotoRequestOperator,
    VisionoDeletePhotoRequestOperator,
    VisionoDownloadPhotosOperator,
)
from airflow_provider_visio.operators.vizdom import (
    VizdomCreateDashboardOperator,
    VizdomDownloadExportOperator,
    VizdomExportDashboardOperator,
)
from airflow_provider_visio.sensors.visiono import VisionoPhotoRequestSensor
from airflow_provider_visio.triggers.moment import MomentTrigger

LONG = 1800.0


def create(**more: Any) -> VisionoCreatePhotoRequestOperator:
    return VisionoCreatePhotoRequestOperator(
        **{"task_id": "ask", "instructions": "Photograph the dent", **more}
    )


def used_up(sandbox: Any, seconds: float, *, skip: int = 0, service: str = "visiono", **more: Any) -> None:
    """Have the service refuse one call, after some more, as it does for so long to go."""
    sandbox.fault(service, "rate_limit", retry_after=seconds, times=1, skip=skip, **more)


def moments(task: Any) -> list[MomentTrigger]:
    return [d.trigger for d in task.deferrals if isinstance(d.trigger, MomentTrigger)]


def submitted(sandbox: Any, number: int) -> list[str]:
    ids = ask(number)
    for request_id in ids:
        sandbox.act(request_id, "submit")
    return ids


def made(sandbox: Any) -> int:
    return len(sandbox.control("GET", "/photo-requests"))


def test_less_than_a_minute_is_waited_out_in_place(sandbox, run_task, clock):
    used_up(sandbox, 50, method="POST")
    task = run_task(create())
    before = clock.now()
    assert task.run()["status"] == "pending"
    assert not task.deferrals
    assert 50 <= clock.now() - before <= 60


def test_for_longer_the_worker_is_given_back(sandbox, run_task, clock):
    used_up(sandbox, LONG, method="POST")
    task = run_task(create())
    before = clock.now()
    with pytest.raises(TaskDeferred) as deferral:
        task.operator.execute(task.context)
    assert clock.now() == before, "it holds the worker no longer than it takes to be refused"
    assert isinstance(deferral.value.trigger, MomentTrigger)
    assert LONG <= deferral.value.trigger.moment - before <= 1.15 * LONG


def test_what_it_defers_with_is_plain_json_without_a_secret(sandbox, run_task):
    used_up(sandbox, LONG, method="POST")
    task = run_task(create(recipient_email="driver@example.com", send_email=True))
    with pytest.raises(TaskDeferred) as deferral:
        task.operator.execute(task.context)
    stored = json.dumps([deferral.value.trigger.serialize(), deferral.value.kwargs, str(deferral.value)])
    assert sandbox.visiono_key not in stored
    assert "driver@example.com" not in stored


def test_it_goes_on_when_the_window_opens(sandbox, run_task, clock):
    used_up(sandbox, LONG, method="POST")
    task = run_task(create())
    before = clock.now()
    assert task.run()["status"] == "pending"
    assert len(moments(task)) == 1
    assert LONG <= clock.now() - before <= 1.15 * LONG
    assert made(sandbox) == 1


def test_it_is_given_back_again_while_the_limit_stays_used_up(sandbox, run_task):
    for _ in range(3):
        used_up(sandbox, LONG, method="POST")
    task = run_task(create())
    task.run()
    assert len(moments(task)) == 3
    assert made(sandbox) == 1


def test_it_does_not_go_on_like_that_for_days(sandbox, run_task, clock):
    sandbox.fault("visiono", "rate_limit", retry_after=LONG)
    before = clock.now()
    with pytest.raises(RateLimitedError, match="accepts calls again in about"):
        run_task(create()).run()
    assert 24 * 3600 <= clock.now() - before <= 25 * 3600


@pytest.mark.parametrize("skip", range(4))
def test_asking_waiting_and_storing_breaks_off_anywhere_and_asks_once(
    sandbox, run_task, tmp_path: Path, skip: int
):
    """Calls: the create, the look at the end of the wait (one in the poll, one after it), the photos' links."""
    sandbox.person("submit", open_after=1, photo_every=1)
    # The poll keeps out of it: it steps back by itself.
    used_up(sandbox, LONG, skip=skip)
    task = run_task(create(items=["a", "b"], destination=f"file://{tmp_path}"))
    output = task.run()
    assert output["status"] == "submitted"
    assert len(output["photos"]["files"]) == 2
    assert made(sandbox) == 1
    assert sandbox.count("storage", "GET /photos/{name}") == 2


def link() -> VisionoCreatePermanentLinkOperator:
    return VisionoCreatePermanentLinkOperator(task_id="link", instructions="Photograph the meter")


def board() -> VizdomCreateDashboardOperator:
    return VizdomCreateDashboardOperator(task_id="board", name="Sales of the north")


@pytest.mark.parametrize(
    ("operator", "service", "skip", "listed"),
    [
        (create, "visiono", 0, lambda: VisionoHook().list_photo_requests()),
        (link, "visiono", 0, lambda: VisionoHook().list_permanent_links()),
        # The first reading tells what was there before.
        (
            board,
            "vizdom",
            1,
            lambda: (one for one in VizdomHook().list_dashboards() if "north" in one["name"]),
        ),
    ],
    ids=["a photo request", "a permanent link", "a dashboard"],
)
@pytest.mark.parametrize("store", [True, None], ids=["with a store", "without"])
def test_what_was_made_by_a_call_whose_reply_was_lost_is_found_after_the_pause(
    sandbox, run_task, operator, service, skip, listed, store
):
    sandbox.fault(service, "drop_after", method="POST", times=1)
    used_up(sandbox, LONG, service=service, method="GET", skip=skip)
    task = run_task(operator(), store=store)
    output = task.run()
    assert len(moments(task)) == 1
    assert [one["id"] for one in listed()] == [output["id"]]


def test_our_own_budget_asks_nobody_twice_either(sandbox, run_task, connection):
    connection("visiono_default", sandbox.visiono_url, sandbox.visiono_key, calls_per_hour=3)
    for _ in range(2):
        VisionoHook().get_status()
    sandbox.fault("visiono", "drop_after", method="POST", times=1)
    task = run_task(create(), store=None)
    task.run()
    assert len(moments(task)) == 1
    assert made(sandbox) == 1


@pytest.mark.parametrize("store", [True, None], ids=["with a store", "without"])
def test_an_export_that_is_ready_at_once_is_started_once(sandbox, run_task, monkeypatch, store):
    real = VizdomHook.create_export
    monkeypatch.setattr(VizdomHook, "create_export", lambda *given: {**real(*given), "status": "completed"})
    used_up(sandbox, LONG, service="vizdom", method="GET")
    task = run_task(VizdomExportDashboardOperator(task_id="e", dashboard_id="dash_abc123"), store=store)
    task.run()
    assert len(moments(task)) == 1
    assert len(sandbox.control("GET", "/exports")) == 1


def test_after_the_wait_it_is_given_back_too(sandbox, run_task, tmp_path: Path):
    sandbox.person("submit", open_after=1, photo_every=1)
    task = run_task(create(destination=f"file://{tmp_path}"))
    used_up(sandbox, LONG, path="download-urls")
    assert task.run()["photos"]["files"]
    assert len(moments(task)) == 1
    assert made(sandbox) == 1


def test_an_export_is_started_once(sandbox, run_task, tmp_path: Path):
    for method in ("POST", "GET"):
        used_up(sandbox, LONG, service="vizdom", method=method)
    task = run_task(
        VizdomExportDashboardOperator(task_id="e", dashboard_id="dash_abc123", destination=str(tmp_path))
    )
    assert task.run()["status"] == "completed"
    assert len(sandbox.control("GET", "/exports")) == 1
    assert len(moments(task)) == 1


def test_an_export_s_download_goes_on(sandbox, run_task, tmp_path: Path):
    export_id = VizdomHook().create_export("dash_abc123", "pdf")["id"]
    sandbox.advance(10)
    used_up(sandbox, LONG, service="vizdom")
    task = run_task(VizdomDownloadExportOperator(task_id="d", export_id=export_id, destination=str(tmp_path)))
    assert task.run()["files"]
    assert len(moments(task)) == 1


def test_a_link_is_made_once(sandbox, run_task):
    used_up(sandbox, LONG)
    task = run_task(VisionoCreatePermanentLinkOperator(task_id="l", instructions="Photograph the meter"))
    assert task.run()["id"]
    assert len(moments(task)) == 1
    assert sandbox.count("visiono", "POST /permanent-links") == 2  # the first was refused


def test_a_download_of_several_fetches_each_file_once(sandbox, run_task, tmp_path: Path):
    ids = submitted(sandbox, 3)
    used_up(sandbox, LONG, skip=3)
    task = run_task(VisionoDownloadPhotosOperator(task_id="d", request_id=ids, destination=str(tmp_path)))
    stored = task.run()
    assert [one["id"] for one in stored] == ids
    assert len(moments(task)) == 1
    assert sandbox.count("storage", "GET /photos/{name}") == sum(len(one["files"]) for one in stored)


def test_a_download_of_more_than_an_hour_allows_asks_for_nothing_twice(
    sandbox, connection, run_task, tmp_path: Path
):
    """What was stored before a deferral costs no calls again: else it would never get any further."""
    sandbox.settings(visiono_per_hour=12, rate_headers=False)
    connection("visiono_default", sandbox.visiono_url, sandbox.visiono_key, calls_per_hour=12)
    sandbox.person("manual", photos=1)
    ids = many(sandbox, 14)
    for request_id in ids:
        sandbox.act(request_id, "submit")
    task = run_task(VisionoDownloadPhotosOperator(task_id="d", request_id=ids, destination=str(tmp_path)))
    stored = task.run()
    assert [one["id"] for one in stored] == ids
    assert len(moments(task)) == 1
    counters = sandbox.counters()
    # The second time, three are left: too few for a list.
    assert counters["visiono"] == {
        "GET /photo-requests": 1,
        "GET /photo-requests/{id}": 3,
        "GET /photo-requests/{id}/download-urls": 14,
    }
    assert counters["storage"]["GET /photos/{name}"] == sum(len(one["files"]) for one in stored)


@pytest.mark.parametrize("number", [1, 12])
def test_a_sensor_waits_though_the_creates_before_it_used_up_the_hour(sandbox, connection, run_task, number):
    sandbox.settings(visiono_per_hour=12, rate_headers=False)
    connection("visiono_default", sandbox.visiono_url, sandbox.visiono_key, calls_per_hour=12)
    ids = ask(12)[:number]
    task = run_task(VisionoPhotoRequestSensor(task_id="w", request_id=ids))
    result = task.run(meanwhile=lambda: [sandbox.act(request_id, "submit") for request_id in ids])
    assert result == {"arrived": ids, "ended": {}, "waiting": []}
    assert len(task.deferrals) == 1
    assert sandbox.counters()["refused_429"]["visiono"] == 0


@pytest.mark.parametrize("ignore_missing", [True, False])
def test_a_deletion_of_several_goes_on_with_the_rest(sandbox, run_task, ignore_missing):
    ids = ask(4)
    used_up(sandbox, LONG, method="DELETE", skip=2)
    operator = VisionoDeletePhotoRequestOperator(task_id="d", request_id=ids, ignore_missing=ignore_missing)
    task = run_task(operator)
    assert task.run() == [{"id": i, "deleted": True} for i in ids]
    assert len(moments(task)) == 1
    assert sandbox.count("visiono", "DELETE /photo-requests/{id}") == 5  # one was refused


@pytest.mark.parametrize("skip", [0, 1, 2], ids=["the first", "the second", "the third"])
def test_a_deletion_of_some_that_are_missing_goes_on(sandbox, run_task, skip):
    used_up(sandbox, LONG, method="DELETE", skip=skip)
    ids = ["req_nobody", *ask(1), "req_nowhere"]
    task = run_task(VisionoDeletePhotoRequestOperator(task_id="d", request_id=ids, ignore_missing=True))
    assert [one["deleted"] for one in task.run()] == [False, True, False]
    assert len(moments(task)) == 1


def test_a_deletion_of_many_that_are_missing_costs_a_call_each(sandbox, run_task):
    ids = [f"req_{number}" for number in range(5)]
    run_task(VisionoDeletePhotoRequestOperator(task_id="d", request_id=ids, ignore_missing=True)).run()
    assert len(sandbox.calls()) == 5


@pytest.mark.parametrize(("minutes", "deferred"), [(20, 0), (40, 1)])
def test_it_does_not_wait_for_its_turn_beyond_the_execution_timeout(
    sandbox, run_task, clock, minutes, deferred
):
    sandbox.fault("visiono", "rate_limit", retry_after=LONG, times=None, method="POST")
    task = run_task(create(execution_timeout=timedelta(minutes=minutes)))
    started = clock.now()
    with pytest.raises(RateLimitedError, match="beyond its execution_timeout"):
        task.run()
    assert len(moments(task)) == deferred
    assert clock.now() - started < minutes * 60
    assert made(sandbox) == 0


def test_a_failure_after_the_pause_is_the_task_s(sandbox, run_task):
    ids = ask(2)
    used_up(sandbox, LONG, method="DELETE", skip=1)
    task = run_task(VisionoDeletePhotoRequestOperator(task_id="d", request_id=ids))
    with pytest.raises(NotFoundError):
        task.run(meanwhile=lambda: sandbox.act(ids[1], "delete"))


def test_without_deferring_it_fails_and_says_what_to_do(sandbox, run_task, clock):
    used_up(sandbox, LONG, method="POST")
    before = clock.now()
    with pytest.raises(RateLimitedError) as error:
        run_task(create(deferrable=False)).run()
    for part in ("about 1800 s", "rate_limit_wait", "connection visiono_default"):
        assert part in str(error.value)
    assert error.value.retry_after == LONG
    assert clock.now() == before
    assert made(sandbox) == 0


def test_without_deferring_it_waits_as_long_as_the_connection_says(sandbox, run_task, clock):
    used_up(sandbox, 100, method="POST")
    before = clock.now()
    assert run_task(create(deferrable=False)).run()["id"]
    assert 100 <= clock.now() - before <= 120


def test_calls_of_somebody_else_with_the_same_key_count(sandbox, run_task, clock):
    sandbox.settings(retry_after_header=True)
    for _ in range(60):
        requests.get(f"{sandbox.visiono_url}/status", headers={"X-API-Key": sandbox.visiono_key}, timeout=9)
    task = run_task(create())
    assert task.run()["id"]
    assert not task.deferrals
    assert sandbox.counters()["refused_429"]["visiono"] == 1


@pytest.mark.parametrize("slots", [1, 16, 150])
def test_a_fan_out_finishes_at_the_speed_of_the_limit(sandbox, run_task, clock, monkeypatch, slots):
    """150 creates, 60 a minute: the last 30 can go after two minutes, and none is refused."""
    sandbox.settings(rate_headers=False)  # by its own count alone
    workers = Workers(clock, slots)
    monkeypatch.setattr(provider_clock, "sleep", workers.sleep)
    started = clock.now()
    operators = [create(task_id=f"ask_{n}") for n in range(150)]
    outputs = workers.run(operators, lambda operator: run_task(operator).context)
    assert [output["status"] for output in outputs] == ["pending"] * 150
    assert made(sandbox) == 150
    assert sandbox.counters()["refused_429"]["visiono"] == 0
    assert 119 <= clock.now() - started <= 1.1 * 120
    assert workers.longest_hold <= 60


@pytest.mark.parametrize("slots", [1, 120])
def test_a_pod_for_each_task_knows_of_the_others_by_the_service_alone(
    sandbox, run_task, clock, monkeypatch, tmp_path, slots
):
    """120 creates, each with temporary files of its own: 60 are too many for the first minute, and are refused once."""
    sandbox.settings(caller_clock="virtual")  # the headers' times are the tasks'
    monkeypatch.setattr(rate_limit, "_folder", lambda: Path(mkdtemp(dir=tmp_path)))
    workers = Workers(clock, slots)
    monkeypatch.setattr(provider_clock, "sleep", workers.sleep)
    started = clock.now()
    operators = [create(task_id=f"ask_{n}") for n in range(120)]
    outputs = workers.run(operators, lambda operator: run_task(operator).context)
    assert [output["status"] for output in outputs] == ["pending"] * 120
    assert made(sandbox) == 120
    assert sandbox.counters()["refused_429"]["visiono"] == 60
    assert 59 <= clock.now() - started <= 90


def test_a_read_that_a_503_puts_off_goes_on_when_the_service_is_back(sandbox, run_task, clock, tmp_path):
    (request_id,) = submitted(sandbox, 1)
    sandbox.fault("visiono", "status", status=503, headers={"Retry-After": "900"}, method="GET", times=1)
    download = VisionoDownloadPhotosOperator(
        task_id="download", request_id=request_id, destination=f"file://{tmp_path}"
    )
    task, before = run_task(download), clock.now()
    assert task.run()["id"] == request_id
    assert len(moments(task)) == 1
    assert clock.now() - before >= 900


def test_a_blocking_wait_is_not_held_for_the_connection_s_whole_rate_limit_wait(sandbox):
    operator = create(deferrable=False, wait_for_photos=True)
    assert operator._wait().hook.get_conn().config.rate_limit_wait == 60.0
