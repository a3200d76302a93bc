from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from tasks.conftest import HAS_STORE

from airflow_provider_visio.exceptions import (
    InvalidRequestError,
    PhotoRequestFailedError,
    ServiceError,
    TransferError,
    WaitTimeoutError,
)
from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator


def create(**more: Any) -> VisionoCreatePhotoRequestOperator:
    return VisionoCreatePhotoRequestOperator(
        **{"task_id": "ask", "instructions": "Photograph the dent", **more}
    )


def test_every_known_field_reaches_the_service(sandbox, run_task):
    output = run_task(
        create(
            recipient_email="driver@example.com",
            send_email=True,
            expires_in_hours=timedelta(hours=23, minutes=30),
            items=["Front", {"instructions": "Plate", "is_required": False}],
            require_gps=True,
            allow_submitter_notes=True,
            internal_notes="claim 7",
            metadata={"claim": "ü7"},
        )
    ).run()
    made = sandbox.control("GET", "/photo-requests")[0]
    assert made["id"] == output["id"]
    assert made["recipient_email"] == "driver@example.com"
    assert made["metadata"]["claim"] == "ü7"
    assert [(i["instructions"], i["is_required"]) for i in made["items"]] == [
        ("Front", True),
        ("Plate", False),
    ]
    assert len(sandbox.control("GET", "/emails")) == 1


def test_output_is_small_and_names_no_person(sandbox, run_task):
    output = run_task(create(recipient_email="driver@example.com")).run()
    assert output["status"] == "pending"
    assert output["request_url"].startswith("http")
    assert "driver@example.com" not in str(output)
    assert set(output) <= {
        "id", "status", "request_url", "unique_code", "numeric_code", "code_entry_url", "created_at", "expires_at",
    }  # fmt: skip


@pytest.mark.parametrize("deferrable", [True, False])
def test_one_task_asks_waits_and_stores(sandbox, run_task, tmp_path: Path, deferrable: bool):
    sandbox.person("submit", open_after=1, photo_every=1)
    task = run_task(create(items=["a", "b"], destination=f"file://{tmp_path}", deferrable=deferrable))
    output = task.run()
    assert output["status"] == "submitted"
    assert len(output["photos"]["files"]) == 2
    assert sorted(p.suffix for p in (tmp_path / output["id"]).iterdir()) == [".jpg", ".jpg", ".json"]
    assert len(task.deferrals) == deferrable
    assert sandbox.count("visiono", "POST /photo-requests") == 1


def test_the_link_is_kept_before_the_task_defers(sandbox, run_task):
    task = run_task(create(wait_for_photos=True))
    with pytest.raises(TaskDeferred):
        task.operator.execute(task.context)
    assert task.xcom["visio_link"].startswith(sandbox.info["url"])


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    ("action", "word"), [("expire", "expired"), ("cancel", "cancelled"), ("delete", "deleted")]
)
def test_a_request_that_ends_otherwise_ends_the_wait(
    sandbox, run_task, deferrable, action, word, monkeypatch
):
    from airflow_provider_visio import clock

    task = run_task(create(wait_for_photos=True, deferrable=deferrable))

    def end_it() -> None:
        open_ones = sandbox.control("GET", "/photo-requests")
        if open_ones and open_ones[0]["status"] == "pending":
            sandbox.act(open_ones[0]["id"], action)

    if not deferrable:
        pause = clock.sleep
        monkeypatch.setattr(clock, "sleep", lambda seconds: (pause(seconds), end_it()))
    # Without a record, only the list shows an end, and it does not show deleted requests.
    advice = "clear the task" if HAS_STORE or action != "delete" else "a retry asks again"
    with pytest.raises(PhotoRequestFailedError, match=f"(?s){word}.*{advice}"):
        task.run(meanwhile=end_it)


def test_a_blocking_wait_looks_when_the_request_expires(sandbox, run_task, clock):
    task = run_task(create(expires_in_hours=1, deferrable=False, poke_interval=20_000, wait_for_photos=True))
    started = clock.now()
    with pytest.raises(PhotoRequestFailedError, match="expired"):
        task.run()
    assert 3600 <= clock.now() - started < 3600 + 310


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_timeout_says_that_the_link_still_works(sandbox, run_task, deferrable: bool):
    task = run_task(
        create(wait_for_photos=True, timeout=timedelta(minutes=3), poke_interval=50, deferrable=deferrable)
    )
    with pytest.raises(WaitTimeoutError, match="Nothing was cancelled: the link still works") as error:
        task.run()
    assert error.value.waiting == [sandbox.control("GET", "/photo-requests")[0]["id"]]


def test_a_server_fault_before_the_work_says_that_nothing_was_made(sandbox, run_task):
    sandbox.fault("visiono", "status", status=503, method="POST")
    with pytest.raises(
        ServiceError, match=r"answered 503.*so it was not created; the next try creates it"
    ) as error:
        run_task(create()).run()
    assert "may or may not" not in str(error.value)
    assert sandbox.count("visiono", "POST /photo-requests") == 1


def test_the_free_plan_is_told_to_share_the_link_itself(sandbox, run_task):
    sandbox.settings(plan="free")
    with pytest.raises(InvalidRequestError, match="share the request_url") as error:
        run_task(create(recipient_email="driver@example.com", send_email=True)).run()
    assert "recipient_email" in error.value.fields
    assert "driver@example.com" not in str(error.value)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"instructions": ""}, "instructions: it is empty"),
        ({"instructions": "   "}, "instructions: it is empty"),
        ({"recipient_email": "not an address"}, "recipient_email: this is not an e-mail address"),
        ({"expires_in_hours": 0}, "expires_in_hours: give at least one hour"),
        ({"expires_in_hours": 1.5}, "expires_in_hours: give whole hours or a timedelta"),
        ({"expires_in_hours": timedelta(0)}, "at least one hour"),
        ({"items": "Front"}, "items: give a list"),
        ({"items": [""]}, "each item needs instructions"),
        ({"items": [{"instruction": "Front"}]}, "an item has instructions and is_required, not instruction"),
        ({"metadata": "claim"}, "metadata: give a dict"),
        ({"metadata": {"when": timedelta(1)}}, "values that JSON cannot carry"),
        ({"destination": "photos/here"}, "relative path"),
        ({"destination": "s3:/bucket/x"}, "two slashes"),
        ({"destination": "https://example.com/x"}, "web address"),
        ({"destination": "s3://b/x", "wait_for_photos": False}, "leave wait_for_photos out"),
        ({"timeout": -1}, "timeout: give seconds or a timedelta above zero"),
        ({"poke_interval": "soon"}, "poke_interval: give seconds"),
    ],
)
def test_what_is_known_to_be_wrong_fails_when_the_dag_is_parsed(wrong, says):
    with pytest.raises(InvalidRequestError, match=says) as error:
        create(**wrong)
    assert error.value.fields


def test_templates_are_left_for_run_time():
    create(
        instructions="{{ params.words }}",
        recipient_email="{{ params.to }}",
        expires_in_hours="{{ params.hours }}",
        destination="{{ params.destination }}",
    )


def test_rendered_values_are_checked_before_anything_is_asked_for(sandbox, run_task):
    operator = create(destination="{{ params.destination }}")
    operator.destination = "nowhere"
    with pytest.raises(InvalidRequestError, match="relative path"):
        run_task(operator).run()
    assert sandbox.count("visiono", "POST /photo-requests") == 0


def test_rendered_hours_are_read_as_a_number(sandbox, run_task):
    operator = create(expires_in_hours="{{ params.hours }}")
    operator.expires_in_hours = "24"
    assert run_task(operator).run()["expires_at"]


@pytest.mark.parametrize(
    ("destination", "says"),
    [("nosuch://bucket/x", "Install the provider"), ("/proc/nowhere", "cannot be stored at /proc")],
)
def test_nobody_is_asked_for_photos_that_could_not_be_stored(sandbox, run_task, destination, says):
    with pytest.raises(TransferError, match=says):
        run_task(create(destination=destination)).run()
    assert sandbox.count("visiono", "POST /photo-requests") == 0
