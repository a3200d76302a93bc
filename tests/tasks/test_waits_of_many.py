"""One wait over a list: all, a number or a share of it, and what the deadline does. All modes end alike."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_visio.exceptions import (
    AuthenticationError,
    InvalidRequestError,
    PhotoRequestFailedError,
    ServiceError,
    WaitTimeoutError,
)
from airflow_provider_visio.operators.visiono import VisionoDownloadPhotosOperator
from airflow_provider_visio.sensors.visiono import VisionoPhotoRequestSensor
from tasks.streams import ask, many

DEADLINE = 300.0


def sensor(request_id: Any, **more: Any) -> VisionoPhotoRequestSensor:
    return VisionoPhotoRequestSensor(
        **{
            "task_id": "wait",
            "request_id": request_id,
            "poke_interval": 30,
            "timeout": DEADLINE,
            "deferrable": None,
            **more,
        }
    )


@pytest.fixture(params=["poke", "reschedule", "deferred"])
def wait(request, sandbox, clock, run_task, monkeypatch):
    """Run a sensor in one of the modes, on the clock of the tests."""
    mode = {} if request.param == "deferred" else {"mode": request.param}
    monkeypatch.setattr(
        "airflow.sdk.bases.sensor.time", SimpleNamespace(sleep=clock.sleep, monotonic=clock.now)
    )

    def run(request_id: Any, **more: Any) -> Any:
        operator = sensor(request_id, **mode, **more)

        def on_another_worker() -> None:
            operator.__dict__.pop("_wait", None)

        return run_task(operator).run(meanwhile=on_another_worker)

    return run


@pytest.fixture
def at(later, sandbox):
    """Have something happen to requests at a moment."""

    def happen(seconds: float, action: str, *ids: str) -> None:
        for request_id in ids:
            later(seconds, lambda request_id=request_id: sandbox.act(request_id, action))

    return happen


def result(arrived: list[str], waiting: list[str], ended: dict[str, str] | None = None) -> dict[str, Any]:
    return {"arrived": arrived, "ended": ended or {}, "waiting": waiting}


def test_all_must_arrive_unless_told_otherwise(wait, at):
    a, b, c = ids = ask(3)
    at(40, "submit", c, a)
    at(100, "submit", b)
    assert wait(ids) == result([a, b, c], [])


def test_a_number_of_them(wait, at):
    a, b, c, d, e = ids = ask(5)
    at(40, "submit", d)
    at(100, "submit", b)
    at(250, "submit", a)
    assert wait(ids, min_submitted=2) == result([b, d], [a, c, e])


@pytest.mark.parametrize(
    ("count", "share", "needed"), [(5, 0.8, 4), (100, 0.07, 7), (3, 1.0, 3), (3, 0.01, 1)]
)
def test_a_share_of_them(wait, at, sandbox, count, share, needed):
    ids = many(sandbox, count)
    at(40, "submit", *ids[: needed - 1])
    at(200, "submit", ids[needed - 1])
    assert wait(ids, min_submitted=share) == result(ids[:needed], ids[needed:])


@pytest.mark.parametrize("share", [0.1, 0.8, 1.0, 1])
def test_any_share_of_one_is_one(wait, at, share):
    (only,) = ask(1)
    at(40, "submit", only)
    assert wait([only], min_submitted=share) == result([only], [])


def test_enough_from_the_start_is_no_wait(wait, sandbox, clock):
    a, b, c = ids = ask(3)
    sandbox.act(b, "submit")
    before = clock.now()
    assert wait(ids, min_submitted=1) == result([b], [a, c])
    assert clock.now() == before


def test_too_few_at_the_deadline_fail(wait, at):
    a, b, c = ids = ask(3)
    at(40, "submit", a)
    with pytest.raises(
        WaitTimeoutError, match=rf"No photos for {b}, {c} .*2 of 3 were needed.*1 arrived"
    ) as e:
        wait(ids, min_submitted=2)
    assert e.value.waiting == [b, c]


@pytest.mark.parametrize("needed", [None, 2, 0.9])
def test_too_few_at_the_deadline_proceed_if_asked_to(wait, at, clock, needed):
    a, b, c = ids = ask(3)
    at(40, "submit", b)
    before = clock.now()
    assert wait(ids, min_submitted=needed, on_deadline="proceed") == result([b], [a, c])
    assert DEADLINE <= clock.now() - before <= DEADLINE + 60


def test_enough_before_the_deadline_proceed_at_once(wait, at, clock):
    a, b, c = ids = ask(3)
    at(40, "submit", b, c)
    before = clock.now()
    assert wait(ids, min_submitted=2, on_deadline="proceed") == result([b, c], [a])
    assert clock.now() - before < 120


def test_with_nothing_it_proceeds_too(wait):
    ids = ask(2)
    assert wait(ids, on_deadline="proceed") == result([], ids)


def test_when_nothing_more_can_come_it_proceeds_before_the_deadline(wait, at, clock):
    a, b, c = ids = ask(3)
    at(40, "submit", b)
    at(45, "cancel", a)
    at(100, "expire", c)
    before = clock.now()
    assert wait(ids, on_deadline="proceed") == result([b], [], {a: "cancelled", c: "expired"})
    assert clock.now() - before < 200


ENDS = pytest.mark.parametrize(
    ("action", "word"), [("expire", "expired"), ("cancel", "cancelled"), ("delete", "deleted")]
)


@ENDS
def test_one_that_ends_otherwise_fails_a_wait_for_all(wait, at, action, word):
    a, b, _ = ids = ask(3)
    at(20, "submit", a)
    at(40, action, b)
    with pytest.raises(PhotoRequestFailedError, match=rf"{b} .*{word}.*1 arrived, 1 still open"):
        wait(ids)


@ENDS
def test_one_that_ends_otherwise_does_not_matter_where_enough_others_come(wait, at, action, word):
    a, b, c = ids = ask(3)
    at(40, action, b)
    at(100, "submit", a, c)
    assert wait(ids, min_submitted=2) == result([a, c], [], {b: word})


@ENDS
def test_a_number_that_can_no_longer_be_reached_fails_at_once(wait, at, clock, action, word):
    a, b, _ = ids = ask(3)
    at(40, action, a, b)
    before = clock.now()
    with pytest.raises(PhotoRequestFailedError, match=r"So 2 of 3 can no longer arrive"):
        wait(ids, min_submitted=2)
    assert clock.now() - before < 120


def test_more_wanted_than_are_known_at_run_time_are_refused(wait, sandbox, run_task):
    operator_output = SimpleNamespace(resolve=lambda: None)
    operator = sensor(operator_output, min_submitted=4)
    operator.request_id = [{"id": i} for i in ask(3)]
    with pytest.raises(InvalidRequestError, match="4 can never arrive, because there are 3"):
        run_task(operator).run()


@pytest.mark.parametrize("come", [3, 1, 0])
def test_with_fewer_asked_than_wanted_it_proceeds_with_what_comes(wait, at, clock, come):
    ids = ask(3)
    at(40, "submit", *ids[:come])
    before = clock.now()
    assert wait(ids, min_submitted=4, on_deadline="proceed") == result(ids[:come], ids[come:])
    assert (clock.now() - before < 120) == (come == 3)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"min_submitted": 0}, "min_submitted: give a whole number from 1, or a share"),
        ({"min_submitted": -1}, "min_submitted: give a whole number"),
        ({"min_submitted": True}, "min_submitted: give a whole number"),
        ({"min_submitted": 1.5}, "min_submitted: give a whole number"),
        ({"min_submitted": 0.0}, "min_submitted: give a whole number"),
        ({"min_submitted": float("nan")}, "min_submitted: give a whole number"),
        ({"min_submitted": "80%"}, "min_submitted: give a whole number"),
        ({"min_submitted": 4}, "4 can never arrive, because there are 3"),
        ({"on_deadline": "skip"}, "on_deadline: give 'fail' or 'proceed', not 'skip'"),
        ({"on_deadline": None}, "on_deadline: give 'fail' or 'proceed'"),
    ],
)
def test_what_cannot_be_fails_when_the_dag_is_parsed(wrong, says):
    with pytest.raises(InvalidRequestError, match=says) as error:
        # The same id twice is one request.
        sensor(["req_1", "req_2", "req_3", "req_3"], **wrong)
    assert list(error.value.fields) == [next(iter(wrong))]


@pytest.mark.parametrize("empty", [[], (), [[]]], ids=repr)
@pytest.mark.parametrize("on_deadline", ["fail", "proceed"])
@pytest.mark.parametrize("mode", [{}, {"mode": "poke"}, {"mode": "reschedule"}], ids=str)
def test_a_list_that_turns_out_to_be_empty_is_refused(sandbox, run_task, mode, on_deadline, empty):
    operator = sensor("{{ x }}", on_deadline=on_deadline, **mode)
    operator.request_id = empty
    with pytest.raises(InvalidRequestError, match=r"holds no id; give an id"):
        run_task(operator).run()
    assert sandbox.calls() == []


def test_what_proceeds_is_not_skipped_by_soft_fail(wait, at):
    a, b = ids = ask(2)
    at(40, "submit", a)
    assert wait(ids, on_deadline="proceed", soft_fail=True) == result([a], [b])


def test_what_does_not_proceed_is_skipped_by_soft_fail(wait, at):
    a, _ = ids = ask(2)
    at(40, "submit", a)
    with pytest.raises(AirflowSkipException):
        wait(ids, soft_fail=True)


def test_a_key_that_is_refused_does_not_proceed(wait, sandbox, later):
    ids = ask(2)
    later(40, lambda: sandbox.keys(visiono=["another"]))
    with pytest.raises(AuthenticationError, match="401"):
        wait(ids, on_deadline="proceed")


def test_what_arrived_can_be_downloaded(wait, at, run_task, tmp_path: Path):
    a, _, c = ids = ask(3)
    at(40, "submit", a, c)
    operator = VisionoDownloadPhotosOperator(
        task_id="download", request_id=wait(ids, min_submitted=0.6), destination=str(tmp_path)
    )
    assert [stored["id"] for stored in run_task(operator).run()] == [a, c]
    assert {path.name for path in tmp_path.iterdir()} == {a, c}


def test_photos_that_come_just_before_the_deadline_count(wait, at):
    a, b = ids = ask(2)
    at(290, "submit", a)
    assert wait(ids, on_deadline="proceed", poke_interval=200) == result([a], [b])


def test_an_outage_at_the_deadline_does_not_fail_what_proceeds(wait, sandbox, later, request):
    a, b = ids = ask(2)
    sandbox.act(a, "submit")
    later(270, lambda: sandbox.fault("visiono", "status", status=503, times=None))
    if "reschedule" in request.node.name:
        # Each look is a process of its own, which does not know what came before: that is not "nothing came".
        with pytest.raises(ServiceError):
            wait(ids, on_deadline="proceed")
    else:
        assert wait(ids, on_deadline="proceed") == result([a], [b])


def test_photos_that_came_while_no_triggerer_ran_count(sandbox, run_task, clock):
    a, b = ids = ask(2)

    def down() -> None:
        for request_id in ids:
            sandbox.act(request_id, "submit")
        clock.sleep(7300)

    sensor = VisionoPhotoRequestSensor(task_id="w", request_id=ids, on_deadline="proceed", timeout=7200)
    assert run_task(sensor).run(meanwhile=down)["arrived"] == [a, b]
