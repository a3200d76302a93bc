"""Each mode of each sensor, and that all modes end alike."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)
from airflow.sdk import DAG
from tasks.conftest import needs_store

from airflow_provider_visio.exceptions import (
    AuthenticationError,
    ExportFailedError,
    InvalidRequestError,
    PhotoRequestFailedError,
    ServiceError,
    WaitTimeoutError,
)
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook
from airflow_provider_visio.sensors.visiono import VisionoPhotoRequestSensor
from airflow_provider_visio.sensors.vizdom import VizdomExportSensor

MODES = [{"mode": "poke"}, {"mode": "reschedule"}, {"deferrable": True}]
each_mode = pytest.mark.parametrize("mode", MODES, ids=["poke", "reschedule", "deferred"])


@pytest.fixture
def request_id(sandbox) -> str:
    return VisionoHook().create_photo_request("Photograph the meter")["id"]


def photos(request_id: Any, **more: Any) -> VisionoPhotoRequestSensor:
    return VisionoPhotoRequestSensor(
        **{"task_id": "wait", "request_id": request_id, "poke_interval": 30, **more}
    )


def export(export_id: Any, **more: Any) -> VizdomExportSensor:
    return VizdomExportSensor(**{"task_id": "wait", "export_id": export_id, **more})


@pytest.fixture
def between(monkeypatch, run_task):
    """Run a sensor with something happening, once, after its first look, whichever mode it is in."""

    def run(sensor: Any, event: Any) -> Any:
        events = [event]

        def once() -> None:
            if events:
                events.pop()()

        monkeypatch.setattr("airflow.sdk.bases.sensor.time.sleep", lambda _: once())
        return run_task(sensor).run(meanwhile=once)

    return run


@each_mode
def test_submitted_photos_end_the_wait(sandbox, request_id, between, mode):
    result = between(photos(request_id, **mode), lambda: sandbox.act(request_id, "submit"))
    assert result == {"id": request_id, "arrived": [request_id], "ended": {}, "waiting": []}


@each_mode
def test_photos_that_are_there_already_need_no_wait(sandbox, request_id, run_task, mode):
    sandbox.act(request_id, "submit")
    task = run_task(photos(request_id, **mode))
    assert task.run()["arrived"] == [request_id]
    assert not task.deferrals
    assert not task.reschedules


@each_mode
@pytest.mark.parametrize(
    ("action", "word"), [("expire", "expired"), ("cancel", "cancelled"), ("delete", "deleted")]
)
def test_a_request_that_ends_otherwise_fails_the_wait(sandbox, request_id, between, mode, action, word):
    with pytest.raises(PhotoRequestFailedError, match=f"(?s){request_id} .*{word}.*visiono_default"):
        between(photos(request_id, **mode), lambda: sandbox.act(request_id, action))


@each_mode
@pytest.mark.parametrize("action", ["expire", "cancel", "delete"])
def test_soft_fail_skips_in_every_mode(sandbox, request_id, run_task, mode, action):
    sandbox.act(request_id, action)
    with pytest.raises(AirflowSkipException, match=request_id):
        run_task(photos(request_id, soft_fail=True, **mode)).run()


def test_soft_fail_skips_after_a_deferral(sandbox, request_id, run_task):
    with pytest.raises(AirflowSkipException):
        run_task(photos(request_id, soft_fail=True)).run(meanwhile=lambda: sandbox.act(request_id, "expire"))


@each_mode
def test_a_timeout_is_final_and_says_what_to_do(sandbox, request_id, run_task, mode):
    timeout = {"poke_interval": 0.01, "timeout": 0.02} if mode.get("mode") == "poke" else {"timeout": 90}
    with pytest.raises(WaitTimeoutError, match=r"link still works.*A retry does not ask again") as error:
        run_task(photos(request_id, **mode, **timeout)).run()
    assert isinstance(error.value, AirflowSensorTimeout), "Airflow does not retry these"
    assert error.value.waiting == [request_id]


@needs_store
@each_mode
def test_a_retry_does_not_start_the_clock_again_and_a_clear_does(
    sandbox, request_id, run_task, clock, monkeypatch, mode
):
    class KilledError(Exception):
        """The worker is lost."""

    def kill(*_: Any) -> None:
        raise KilledError

    def wait() -> VisionoPhotoRequestSensor:
        return photos(request_id, timeout=3600, **mode)

    first = run_task(wait())
    with monkeypatch.context() as patch:
        patch.setattr("airflow.sdk.bases.sensor.time.sleep", kill)
        with pytest.raises(KilledError):
            first.run(meanwhile=kill)
    clock.sleep(3700)
    again, late = run_task(wait(), first), clock.now()
    with pytest.raises(WaitTimeoutError):
        again.run()
    assert clock.now() - late < 20
    cleared = run_task(wait(), again, cleared=True)
    monkeypatch.setattr("airflow.sdk.bases.sensor.time.sleep", lambda _: sandbox.act(request_id, "submit"))
    assert cleared.run(meanwhile=lambda: sandbox.act(request_id, "submit"))["arrived"] == [request_id]


def test_execution_timeout_ends_a_deferred_wait_in_our_words(sandbox, request_id, run_task, clock):
    task = run_task(photos(request_id, execution_timeout=timedelta(minutes=10), timeout=3600))
    started = clock.now()
    with pytest.raises(WaitTimeoutError, match=request_id):
        task.run()
    assert 590 <= clock.now() - started < 600  # before Airflow's own
    assert task.events[0]["outcome"] == "timeout"


@pytest.mark.parametrize("store", [True, None], ids=["with a store", "without"])
@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_execution_timeout_ends_the_other_modes_alike(
    sandbox, request_id, run_task, clock, monkeypatch, mode, store
):
    monkeypatch.setattr("airflow.sdk.bases.sensor.time.sleep", clock.sleep)
    wait = photos(request_id, mode=mode, execution_timeout=timedelta(minutes=10), timeout=3600)
    task, started = run_task(wait, store=store), clock.now()
    with pytest.raises(WaitTimeoutError, match=request_id):
        task.run()
    assert 590 <= clock.now() - started < 630


@pytest.mark.parametrize(
    ("more", "error"),
    [({}, WaitTimeoutError), ({"soft_fail": True}, AirflowSkipException)],
    ids=["fails", "skips"],
)
def test_airflow_s_bare_timeout_between_two_looks_is_put_into_our_words(
    request_id, run_task, monkeypatch, more, error
):
    def over(seconds: float) -> None:
        raise AirflowTaskTimeout

    monkeypatch.setattr("airflow.sdk.bases.sensor.time.sleep", over)
    with pytest.raises(error, match=f"{request_id}.*clear the task"):
        run_task(photos(request_id, mode="poke", execution_timeout=timedelta(minutes=10), **more)).run()


def test_airflow_s_bare_timeout_goes_on_with_what_has_come(request_id, run_task, monkeypatch):
    def over(seconds: float) -> None:
        raise AirflowTaskTimeout

    monkeypatch.setattr("airflow.sdk.bases.sensor.time.sleep", over)
    wait = photos([request_id], mode="poke", execution_timeout=timedelta(minutes=10), on_deadline="proceed")
    assert run_task(wait).run() == {"arrived": [], "ended": {}, "waiting": [request_id]}


@each_mode
def test_a_timeout_skips_softly(sandbox, request_id, run_task, mode):
    timeout = {"poke_interval": 0.01, "timeout": 0.02} if mode.get("mode") == "poke" else {"timeout": 90}
    with pytest.raises(AirflowSkipException):
        run_task(photos(request_id, soft_fail=True, **mode, **timeout)).run()


def says(request_id: str, status: str) -> dict[str, Any]:
    reply = json.dumps({"data": {"id": request_id, "status": status}})
    return {"service": "visiono", "kind": "body", "body": reply, "content_type": "application/json"}


@each_mode
@pytest.mark.parametrize(
    "word", ["Under-Review", "refused"]
)  # "refused" is a phase, and no word of the service's
def test_an_unknown_status_keeps_waiting(sandbox, request_id, between, mode, word):
    sandbox.fault(**says(request_id, word), times=3)
    assert between(photos(request_id, **mode), lambda: sandbox.act(request_id, "submit"))["arrived"] == [
        request_id
    ]


@pytest.mark.parametrize("mode", [{"mode": "poke"}, {"deferrable": True}], ids=["poke", "deferred"])
def test_an_unknown_status_is_warned_of_once_in_a_process(sandbox, request_id, between, mode, caplog):
    sandbox.fault(**says(request_id, "Under-Review"), times=4)
    with caplog.at_level(logging.WARNING):
        between(photos(request_id, **mode), lambda: sandbox.act(request_id, "submit"))
    told_by = [r.name for r in caplog.records if "Under-Review" in r.getMessage()]
    # A deferred wait looks once on the worker before it goes to the triggerer.
    assert sorted(told_by) == sorted(set(told_by))
    assert told_by


@each_mode
def test_a_key_revoked_while_waiting_says_so(sandbox, request_id, between, mode):
    with pytest.raises(AuthenticationError, match=r"Password.*revoked") as error:
        between(photos(request_id, **mode), lambda: sandbox.keys(visiono=["another"]))
    assert sandbox.visiono_key not in str(error.value)


@each_mode
def test_a_key_that_was_rotated_is_read_again(sandbox, request_id, between, mode, connection):
    def rotate() -> None:
        sandbox.keys(visiono=["vsk_live_new"])
        connection("visiono_default", sandbox.visiono_url, "vsk_live_new")
        sandbox.act(request_id, "submit")

    assert between(photos(request_id, **mode), rotate)["arrived"] == [request_id]


@each_mode
def test_four_failures_in_a_row_are_borne(sandbox, request_id, between, mode):
    def trouble() -> None:
        sandbox.fault("visiono", "status", status=503, method="GET", times=4)
        sandbox.act(request_id, "submit")

    assert between(photos(request_id, **mode), trouble)["arrived"] == [request_id]


@each_mode
def test_a_service_that_stays_down_fails_the_wait(sandbox, request_id, between, mode):
    with pytest.raises(ServiceError, match="503"):
        between(photos(request_id, **mode), lambda: sandbox.fault("visiono", "status", status=503))


@each_mode
def test_an_unknown_id_is_a_request_that_is_not_there(sandbox, run_task, mode):
    with pytest.raises(
        PhotoRequestFailedError, match=r"req_nobody.*never was this workspace's; check the id"
    ):
        run_task(photos("req_nobody", **mode)).run()


@each_mode
def test_a_list_waits_for_all(sandbox, between, mode):
    ids = [VisionoHook().create_photo_request(f"meter {n}")["id"] for n in range(8)]
    for request_id in ids[:5]:
        sandbox.act(request_id, "submit")

    def rest() -> None:
        for request_id in ids[5:]:
            sandbox.act(request_id, "submit")

    result = between(photos([{"id": i} for i in ids], **mode), rest)
    assert sorted(result["arrived"]) == sorted(ids)
    assert "id" not in result


def test_naming_a_mode_means_that_mode():
    assert photos("req_1").deferrable
    assert not photos("req_1", mode="poke").deferrable
    assert photos("req_1", mode="poke", deferrable=True).deferrable
    assert not photos("req_1", deferrable=False).deferrable


@pytest.mark.parametrize("nothing", ["", None, [], {}, "  ", 4.2, "a/b c", "..", ["req_1", ""]])
def test_no_id_fails_when_the_dag_is_parsed(nothing):
    with pytest.raises(InvalidRequestError, match="request_id"):
        photos(nothing)
    with pytest.raises(InvalidRequestError, match="export_id"):
        export(nothing)


def test_something_that_holds_no_id_says_what_to_give(sandbox, run_task):
    with pytest.raises(InvalidRequestError, match="holds no id; give an id, the output of the task"):
        run_task(photos({"nope": 1})).run()


def test_the_link_is_kept(sandbox, request_id, run_task):
    sandbox.act(request_id, "submit")
    task = run_task(photos(request_id))
    task.run()
    assert task.xcom["visio_link"].startswith(sandbox.info["url"])


@each_mode
def test_an_export_becomes_ready(sandbox, between, mode):
    export_id = VizdomHook().create_export("dash_abc123", "pdf")["id"]
    result = between(export(export_id, **mode), lambda: sandbox.advance(10))
    assert result == {"id": export_id, "arrived": [export_id], "ended": {}, "waiting": []}


@each_mode
def test_a_failing_export_fails_the_wait_with_the_service_s_words(sandbox, between, mode):
    export_id = VizdomHook().create_export("dash_broken", "pdf")["id"]
    with pytest.raises(ExportFailedError, match=f"Export {export_id} failed at Vizdom: .+ Clear the task"):
        between(export(export_id, **mode), lambda: sandbox.advance(10))


@each_mode
def test_a_failing_export_skips_softly(sandbox, between, mode):
    export_id = VizdomHook().create_export("dash_broken", "pdf")["id"]
    with pytest.raises(AirflowSkipException):
        between(export(export_id, soft_fail=True, **mode), lambda: sandbox.advance(10))


@each_mode
def test_an_unknown_export_is_one_that_is_not_there(sandbox, run_task, mode):
    with pytest.raises(ExportFailedError, match="exp_nobody is unknown to Vizdom"):
        run_task(export("exp_nobody", **mode)).run()


@each_mode
def test_a_missing_connection_says_how_to_make_it(sandbox, run_task, mode):
    with pytest.raises(Exception, match=r"'nobody' is not defined.*airflow connections add nobody") as error:
        run_task(photos("req_1", visiono_conn_id="nobody", **mode)).run()
    assert type(error.value).__name__ == "AirflowNotFoundException"


def test_a_mode_from_the_default_args_counts_as_given():
    with DAG("d", schedule=None, default_args={"mode": "reschedule"}):
        sensor = VisionoPhotoRequestSensor(task_id="wait", request_id="req_1")
    assert (sensor.mode, sensor.deferrable) == ("reschedule", False)


@pytest.mark.parametrize("mode", MODES[1:], ids=["reschedule", "deferred"])
def test_a_timeout_names_an_unknown_status_and_what_arrived(sandbox, request_id, run_task, mode):
    other = VisionoHook().create_photo_request("another")["id"]
    sandbox.act(other, "submit")
    sandbox.fault(**says(request_id, "Under-Review"), path=f"/photo-requests/{request_id}$", times=None)
    with pytest.raises(WaitTimeoutError, match=r"unknown to this provider: Under-Review.*1 arrived") as error:
        run_task(photos([request_id, other], timeout=90, **mode)).run()
    assert error.value.waiting == [request_id]


@pytest.mark.parametrize("mode", [{"mode": "poke"}, {"deferrable": True}], ids=["poke", "deferred"])
@pytest.mark.parametrize(
    "fault", [{"kind": "status", "status": 503}, {"kind": "html"}, {"kind": "drop_before"}]
)
def test_an_outage_in_which_a_wait_begins_is_borne(sandbox, request_id, between, mode, fault):
    sandbox.act(request_id, "submit")
    sandbox.fault("visiono", **fault, times=5)  # the attempts of one look

    assert between(photos(request_id, **mode), lambda: None)["arrived"] == [request_id]


def test_a_poke_bears_an_outage_that_a_deferred_wait_bears(sandbox, request_id, between):
    def outage() -> None:
        sandbox.fault("visiono", "status", status=503, times=12)  # more than the attempts of one look
        sandbox.act(request_id, "submit")

    # `between` does nothing at later pauses, so the looks go on until one succeeds.
    assert between(photos(request_id, mode="poke"), outage)["arrived"] == [request_id]
