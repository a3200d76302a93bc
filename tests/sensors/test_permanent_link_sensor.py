"""Waiting for submissions on a permanent link: three modes, one decision; and fetching what has come."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from tasks.conftest import needs_store

from airflow_provider_visio.api.one_time_queries import small
from airflow_provider_visio.exceptions import (
    InvalidRequestError,
    NotFoundError,
    PhotoRequestFailedError,
    VisioProviderError,
    WaitTimeoutError,
)
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.operators.visiono import VisionoDownloadPermanentLinkPhotosOperator
from airflow_provider_visio.sensors.visiono import VisionoPermanentLinkSensor
from airflow_provider_visio.submissions import Cursor, decide_link, new_submissions

MODES = [{}, {"mode": "poke"}, {"mode": "reschedule"}]
MODE_IDS = ["deferred", "poke", "reschedule"]
modes = pytest.mark.parametrize("mode", MODES, ids=MODE_IDS)

NOON = "2026-06-01T12:00:00Z"
AT_NOON = 1_780_315_200.0


@pytest.fixture
def link(sandbox) -> str:
    return VisionoHook().create_permanent_link("Photograph the van", items=["Front"])["id"]


def submit(sandbox: Any, link: str, value: str | None = None) -> str:
    body = {"photos": 1, "unique_field_value": value, "full_name": "Ann Driver"}
    return sandbox.control("POST", f"/permanent-links/{link}/submit", body)["id"]


def wait(link: Any, **more: Any) -> VisionoPermanentLinkSensor:
    return VisionoPermanentLinkSensor(**{"task_id": "wait", "link_id": link, "timeout": 600, **more})


def one(number: int, submitted_at: str | None = NOON, value: str | None = None) -> dict[str, Any]:
    return {"id": f"pls_{number}", "submitted_at": submitted_at, "unique_value": value, "photos": 1}


@pytest.mark.parametrize(
    ("entry", "time", "photos"),
    [
        ({"submitted_at": NOON, "photos": [{}, {}]}, NOON, 2),
        ({"created_at": NOON}, NOON, 0),
        ({"photos": [{"submitted_at": "x"}, {"submitted_at": NOON}]}, NOON, 2),
        ({"submitted_at": "yesterday", "photos": "two"}, None, 0),
        ({}, None, 0),
    ],
)
def test_what_is_read_of_a_submission(entry, time, photos):
    found = small({"id": 7, "full_name": "Ann", "unique_field_value": 12, **entry})
    assert found == {"id": "7", "submitted_at": time, "unique_value": "12", "photos": photos}


def test_what_is_new_since_a_moment():
    early, late = one(1, "2026-06-01T11:59:59Z"), one(3, "2026-06-01T14:00:01+02:00", "B-1")
    found = [late, one(2), early, one(4, None)]
    assert [entry["id"] for entry in new_submissions(found, AT_NOON)] == ["pls_2", "pls_3"]
    # Services tell whole seconds.
    assert [entry["id"] for entry in new_submissions(found, AT_NOON + 0.9)] == ["pls_2", "pls_3"]
    assert [entry["id"] for entry in new_submissions(found, AT_NOON + 1)] == ["pls_3"]
    assert [entry["id"] for entry in new_submissions(found, 0, " B-1 ")] == ["pls_3"]
    assert new_submissions(found, 0, "B") == []


@pytest.mark.parametrize(
    ("count", "state", "now", "outcome"),
    [
        (0, None, 5, "wait"),
        (1, {}, 5, "wait"),
        (2, {}, 5, "done"),
        (2, {}, 10, "done"),  # what has come by the deadline counts before it
        (1, {}, 10, "timeout"),
        (1, {"gone": True}, 5, "trouble"),
        (2, {"gone": True}, 5, "done"),
    ],
)
def test_whether_a_wait_is_over(count, state, now, outcome):
    found = [one(number) for number in range(count)]
    verdict = decide_link("sl_1", state, found, needed=2, now=now, deadline=10)
    assert verdict.outcome == outcome
    assert [*verdict.arrived, *verdict.waiting] == ["sl_1"]


LATER = AT_NOON + 30 * 86400


def take(cursor: Cursor, submissions: list[Any], now: float = LATER, **more: Any) -> list[str]:
    return cursor.take(submissions, now=now, **more)


def test_a_cursor_tells_of_each_once_and_stays_small():
    cursor = Cursor(AT_NOON)
    assert take(cursor, [one(1), one(2)]) == ["pls_1", "pls_2"]
    assert take(cursor, [one(1), one(2), one(3)]) == ["pls_3"]
    # One that is listed late, though it came before.
    assert take(cursor, [one(1), one(4, "2026-06-01T12:00:00Z"), one(5, "2026-06-01T12:30:00Z")]) == [
        "pls_4",
        "pls_5",
    ]
    again = Cursor.from_json(json.loads(json.dumps(cursor.as_json())))
    assert take(again, [one(number) for number in range(1, 6)]) == []
    assert take(again, [one(9, "2026-06-03T12:00:00Z")]) == ["pls_9"]
    assert list(again.as_json()["seen"]) == ["pls_9"]
    assert take(again, [one(1), one(9, "2026-06-03T12:00:00Z")]) == []
    # A list that lacks some for a while does not bring them up again.
    assert take(again, []) == take(again, [one(9, "2026-06-03T12:00:00Z")]) == []


def test_a_submission_that_is_dated_in_the_future_hides_none_that_come_before_it():
    cursor = Cursor(AT_NOON)
    ahead = one(1, "2031-01-01T00:00:00Z")
    assert take(cursor, [ahead], AT_NOON + 10) == ["pls_1"]
    assert take(cursor, [ahead, one(2, "2026-06-01T12:00:30Z")], AT_NOON + 60) == ["pls_2"]
    assert take(cursor, [ahead, one(2, "2026-06-01T12:00:30Z")], AT_NOON + 86400) == []


def test_what_a_list_lacks_that_could_not_be_read_to_its_end_is_told_of_later():
    cursor, early, late = Cursor(AT_NOON), one(1), one(2, "2026-06-01T18:00:00Z")
    assert take(cursor, [late], whole=False) == ["pls_2"]
    assert take(cursor, [late, early]) == ["pls_1"]
    assert take(cursor, [late, early]) == []


def test_what_a_broken_off_first_list_lacks_was_there_before_as_well():
    cursor = Cursor.at_start(None, AT_NOON + 10)
    before, after = one(1, "2026-06-01T11:59:00Z"), one(2, "2026-06-01T11:59:30Z")
    assert take(cursor, [], whole=False) == []
    again = Cursor.from_json(json.loads(json.dumps(cursor.as_json())))
    assert take(again, [before]) == []
    again = Cursor.from_json(json.loads(json.dumps(again.as_json())))
    assert take(again, [before, after]) == ["pls_2"]


@pytest.mark.parametrize(
    "value", [None, 7, [], {}, {"since": True, "seen": {}}, {"since": 1}, {"since": 1, "seen": {"a": "b"}}]
)
def test_what_is_no_cursor(value):
    assert Cursor.from_json(value) is None


@pytest.fixture
def between(monkeypatch, run_task):
    """Run a sensor with something happening, once, after its first look, whichever mode it is in."""

    def run(task: Any, event: Any) -> Any:
        events = [event]

        def once() -> None:
            if events:
                events.pop()()

        monkeypatch.setattr("airflow.sdk.bases.sensor.time.sleep", lambda _: once())
        return task.run(meanwhile=once)

    return run


@modes
def test_it_ends_with_the_submissions_of_its_wait(sandbox, run_task, between, link, mode, clock):
    submit(sandbox, link)
    clock.sleep(60)
    task, found = run_task(wait(link, **mode)), []
    result = between(task, lambda: found.append(submit(sandbox, link, "B-1")))
    assert result["link_id"] == link
    assert [entry["id"] for entry in result["submissions"]] == found
    assert (result["count"], result["submissions"][0]["photos"]) == (1, 1)
    assert result["submissions"][0]["unique_value"] == "B-1"
    assert "Ann" not in json.dumps(result)
    if not mode:
        (event,) = task.events
        assert (event["outcome"], event["arrived"]) == ("done", [link])
        assert "B-1" not in json.dumps(event)


@modes
def test_since_takes_what_was_there_before(sandbox, run_task, link, mode, clock):
    made = VisionoHook().get_permanent_link(link)["created_at"]
    first = submit(sandbox, link)
    clock.sleep(3600)
    task = run_task(wait(link, since=made, **mode))
    assert [entry["id"] for entry in task.run()["submissions"]] == [first]
    assert not task.deferrals


@modes
def test_of_some_value_only_and_as_many_as_are_wanted(sandbox, run_task, between, link, mode, clock):
    submit(sandbox, link, "B-1")
    submit(sandbox, link, "B-2")
    clock.sleep(60)

    def others() -> None:
        clock.sleep(30)
        submit(sandbox, link, "B-1")

    task = run_task(wait(link, since=0, unique_value="B-1", min_submissions=2, **mode))
    result = between(task, others)
    assert [entry["unique_value"] for entry in result["submissions"]] == ["B-1", "B-1"]


@modes
def test_a_timeout_says_how_many_have_come(sandbox, run_task, link, mode, clock):
    timeout = {"poke_interval": 0.01, "timeout": 0.02} if mode.get("mode") == "poke" else {"timeout": 90}
    submit(sandbox, link)
    clock.sleep(60)
    with pytest.raises(
        WaitTimeoutError, match=rf"1 of 2 .*{link} by the wait's deadline.*clear the task"
    ) as error:
        run_task(wait(link, since=0, min_submissions=2, **mode, **timeout)).run()
    assert error.value.waiting == [link]


@modes
def test_a_link_that_is_not_there_fails_the_wait(sandbox, run_task, mode):
    with pytest.raises(NotFoundError, match="permanent-links"):
        run_task(wait("sl_unknown", **mode)).run()


def test_a_link_that_is_deleted_meanwhile_ends_a_deferred_wait(sandbox, run_task, link, clock):
    task = run_task(wait(link))
    before = clock.now()
    with pytest.raises(NotFoundError):
        task.run(meanwhile=lambda: VisionoHook().delete_permanent_link(link))
    assert clock.now() - before < 120


def test_soft_fail_skips(sandbox, run_task, link):
    with pytest.raises(AirflowSkipException):
        run_task(wait(link, soft_fail=True, timeout=90)).run()


@needs_store
def test_a_retry_waits_from_when_the_task_first_looked_and_a_cleared_task_anew(
    sandbox, run_task, link, clock
):
    task = run_task(wait(link, timeout=30))
    with pytest.raises(WaitTimeoutError):
        task.run()
    came = submit(sandbox, link)
    clock.sleep(60)
    again = run_task(wait(link), task)
    assert [entry["id"] for entry in again.run()["submissions"]] == [came]
    anew = run_task(wait(link, timeout=30), again, cleared=True)
    with pytest.raises(WaitTimeoutError):
        anew.run()


def test_a_deferred_wait_keeps_its_moment_without_a_store(sandbox, run_task, link, clock):
    task = run_task(wait(link), store=None)
    found: list[str] = []

    def meanwhile() -> None:
        found.append(submit(sandbox, link))
        clock.sleep(120)

    assert [entry["id"] for entry in task.run(meanwhile)["submissions"]] == found


def test_a_rescheduled_wait_keeps_its_moment_without_a_store(sandbox, run_task, link, clock):
    task = run_task(wait(link, mode="reschedule", poke_interval=60), store=None)
    found: list[str] = []

    def meanwhile() -> None:
        if not found:
            found.append(submit(sandbox, link))
            clock.sleep(60)

    result = task.run(meanwhile)
    assert [entry["id"] for entry in result["submissions"]] == found


def test_many_pages_are_all_read(sandbox, run_task, link, clock):
    ids = [
        sandbox.control("POST", f"/permanent-links/{link}/submit", {"photos": 0})["id"] for _ in range(201)
    ]
    clock.sleep(60)
    result = run_task(wait(link, since=0, min_submissions=201)).run()
    assert sorted(entry["id"] for entry in result["submissions"]) == sorted(ids)
    assert sandbox.count("visiono", "GET /permanent-links/{id}/submissions") == 3


@pytest.mark.parametrize(
    "more",
    [
        {"link_id": ""},
        {"link_id": "a/b"},
        {"link_id": ["sl_1", "sl_2"]},
        {"min_submissions": 0},
        {"min_submissions": True},
        {"since": "yesterday"},
        {"since": "2026-06-01T12:00:00"},
        {"poke_interval": timedelta(0)},
    ],
)
def test_what_is_known_to_be_wrong_fails_when_the_dag_is_parsed(more):
    with pytest.raises(InvalidRequestError):
        wait(**{"link": "sl_1", **more}) if "link_id" not in more else wait(more["link_id"])


def test_what_it_waited_for_is_fetched(sandbox, run_task, link, tmp_path: Path, clock):
    submit(sandbox, link)
    submit(sandbox, link, "B-1")
    clock.sleep(60)
    found = run_task(wait(link, since=0, unique_value="B-1")).run()
    download = VisionoDownloadPermanentLinkPhotosOperator(
        task_id="d", link_id=found, submission_ids=found, destination=str(tmp_path)
    )
    task = run_task(download)
    stored = task.run()
    assert stored["id"] == link
    assert len(stored["files"]) == 1
    assert len(list(tmp_path.rglob("*.jpg"))) == 1
    assert task.xcom["visio_link"]
    everything = VisionoDownloadPermanentLinkPhotosOperator(
        task_id="d", link_id=link, destination=str(tmp_path)
    )
    assert len(run_task(everything).run()["files"]) == 2
    # What was stored is not fetched again.
    assert sandbox.count("storage", "GET /photos/{name}") == 2


def test_a_download_that_breaks_off_leaves_no_half_of_a_file(sandbox, run_task, link, tmp_path: Path):
    for _ in range(2):
        submit(sandbox, link)
    sandbox.fault("storage", "truncate", skip=1)
    download = VisionoDownloadPermanentLinkPhotosOperator(
        task_id="d", link_id=link, destination=str(tmp_path)
    )
    task = run_task(download)
    with pytest.raises(VisioProviderError):
        task.run()
    (manifest,) = tmp_path.rglob("manifest.json")
    assert json.loads(manifest.read_text())["complete"] is False
    sandbox.clear_faults()
    assert len(run_task(download, task).run()["files"]) == 2


def test_a_download_never_succeeds_with_nothing(sandbox, run_task, link, tmp_path: Path):
    download = VisionoDownloadPermanentLinkPhotosOperator(
        task_id="d", link_id=link, destination=str(tmp_path)
    )
    with pytest.raises(PhotoRequestFailedError, match="has no photos yet"):
        run_task(download).run()
    with pytest.raises(InvalidRequestError):
        VisionoDownloadPermanentLinkPhotosOperator(
            task_id="d", link_id=link, submission_ids=[], destination=str(tmp_path)
        )
