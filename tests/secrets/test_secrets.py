"""No key, signed link or address is in what Airflow keeps, whatever goes wrong; and the search would see it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest

from airflow_provider_visio.webhooks.delivery import NEEDED_EVENTS

if TYPE_CHECKING:
    from search import Hit
    from stage import Stage

# What each task of secrets_hostile must have ended with, or its scene did not take place.
ERRORS = {
    "echo_401": "AuthenticationError",
    "echo_422": "InvalidRequestError",
    "in_uri": "InvalidRequestError",
    "broken_extra": "InvalidRequestError",
    "echo_html": "ServiceError",
    "echo_page": "UnexpectedReplyError",
    "echo_broken": "UnexpectedReplyError",
    "echo_odd": "UnexpectedReplyError",
    "echo_redirect": "UnexpectedReplyError",
    "drop": "ConnectionFailedError",
    "drop_rescheduled": "ConnectionFailedError",
    "drop_delete": "ConnectionFailedError",
    "poll_echo": "PermissionDeniedError",
    "poll_echo_blocking": "PermissionDeniedError",
    "poll_drop_blocking": "ConnectionFailedError",
    "file_403": "TransferError",
    "file_drop": "TransferError",
    "file_page": "TransferError",
    "file_header": "Failed to parse headers",
    "vizdom_echo_401": "AuthenticationError",
    "vizdom_echo_html": "ServiceError",
    "vizdom_export_failed": "ExportFailedError",
    "vizdom_export_drop": "TransferError",
    "vizdom_sensor": "ExportFailedError",
    "vizdom_data_source": "InvalidRequestError",
    "vizdom_invite": "InvalidRequestError",
    "batch": "InvalidRequestError",
    "own_code": "RuntimeError",
    "own_code_downloads": "RuntimeError",
}
# The links that its last task follows.
ODD_LINKS = (
    *("file_redirect", "file_loop", "file_cut"),
    *("file_closed", "file_odd_url", "file_broken_url", "file_no_host"),
)
STATES = {
    "submitted": "success",
    "submitted_blocking": "success",
    "expired": "failed",
    "cancelled": "failed",
    "deleted": "failed",
    "killed": "failed",
    "cleared": "success",
    "timeout": "failed",
    "execution_timeout": "failed",
    "blocking_execution_timeout": "failed",
    "asked": "success",
    "sensor_timeout": "skipped",
    "exported": "success",
    "failed_export": "failed",
}
# What the receiver logs of an authentic delivery: connection, scheme, event and ids.
LOGGED = (
    r"Webhook of connection visiono_(default|drop), signature [a-z-]+: ([a-z_.]+|<not a word>) "
    r"(((photo_request|permanent_link):[\w*]+(, )?)+|\((nothing to look at|unknown event)\))( \[[\w.]+\])?( \w+=\S+)*$"
)
# What must have been searched, among other.
SEARCHED = (
    *(rf"home/logs/{name}\.log" for name in ("api-server", "dag-processor", "scheduler", "triggerer")),
    *(r"home/logs/dag_processor/.*", r"home/logs/dag_id=secrets_people/.*\.trigger\.\d+\.log"),
    *(
        r"temporary/airflow-provider-visio-\d+/.*\.json",
        r"output/.*/manifest\.json",
        r"output/.*\.(jpg|pdf|csv)",
    ),
    *(
        r"database/task_instance\.next_kwargs",
        r"database/log\.extra",
        r"database/connection_test_request\..*",
    ),
    r"api/variables/visio_webhooks_visiono_default",
    *(r"api/connections/visiono_default", r"api/.*/links", r"api/.*/tries", r"api/eventLogs/post_connection"),
)
# Where a planted value must be found.
PLACES = {
    "log": (r"home/logs/dag_id=secrets_planted/.*attempt=1\.log", r"api/.*/logs/1"),
    "xcom": (r"database/xcom\.value", r"api/.*/xcomEntries/note"),
    "trigger": (r"database/trigger\.kwargs", r"database, while tasks wait/trigger\.kwargs"),
    "rendered": (r"database/rendered_task_instance_fields\.rendered_fields", r"api/.*/taskInstances"),
    "state": (r"database/task_state_store\.value", r"api/.*/state-store"),
    "packed": (r"database/serialized_dag\.data_compressed > .*zlib",),
    "file": (r"output/.*/note\.txt",),
    "temporary": (r"temporary/note\.txt",),
}
# An address that its author has put there himself is there, and nowhere else.
RAW = r"home/airflow\.db(-wal|-shm)?"
ANY_DATABASE = r"database(, while tasks wait)?"
OWN = {
    "literal_address": (
        RAW,
        rf"{ANY_DATABASE}/(dag_code\.source_code|serialized_dag\.data(_compressed)?)( > .*)?",
        r"api/dagSources/secrets_literal",
        r"api/dags/secrets_literal/tasks",
    ),
    "conf_address": (
        RAW,
        rf"{ANY_DATABASE}/(dag_run\.conf|log\.extra)",
        r"api/dags/secrets_addresses/dagRuns/[^/]*",
        r"api/eventLogs(/trigger_dag_run)?",
    ),
    "xcom_address": (
        RAW,
        rf"{ANY_DATABASE}/xcom\.value",
        r"api/dags/secrets_addresses/.*/(addresses|rows)/xcomEntries/return_value",
    ),
}


def report(stage: Stage, hits: Iterable[Hit]) -> str:
    return "\n".join([f"kept in {stage.home}", *map(str, hits)])


@pytest.mark.parametrize(("task_id", "error"), ERRORS.items())
def test_the_scene_took_place(stage: Stage, task_id: str, error: str) -> None:
    assert stage.state("secrets_hostile", task_id) == "failed"
    assert error in stage.log("secrets_hostile", task_id)


@pytest.mark.parametrize("scene", ODD_LINKS)
def test_the_odd_link_was_followed(stage: Stage, scene: str) -> None:
    assert f"{scene}: TransferError(" in stage.log("secrets_hostile", "own_code_downloads")


@pytest.mark.parametrize(("task_id", "state"), STATES.items())
def test_people_did_what_they_were_to(stage: Stage, task_id: str, state: str) -> None:
    assert stage.state("secrets_people", task_id) == state


@pytest.mark.parametrize(
    "dag_id",
    [
        *("visio_photos_to_dashboard", "visiono_three_steps", "visiono_fan_out", "visiono_campaign"),
        *("vizdom_weekly_export", "secrets_addresses", "secrets_literal", "secrets_workspace"),
    ],
)
def test_the_rest_succeeded(stage: Stage, dag_id: str) -> None:
    assert stage.runs[dag_id].state == "success"


def test_the_sandbox_misbehaved(stage: Stage) -> None:
    assert [fault["times"] - fault["fired"] for fault in stage.faults] == [0] * 4


def test_a_failed_task_was_tried_again(stage: Stage) -> None:
    tries = {task["task_id"]: task["try_number"] for task in stage.runs["secrets_hostile"].tasks}
    assert tries["echo_401"] == 2


def test_waits_are_left_for_the_search(stage: Stage) -> None:
    assert {stage.state("secrets_left", task_id) for task_id in ("echo_429", "stays")} == {"deferred"}
    assert "Poll failed (1 of 5 in a row)" in (stage.stack.logs / "triggerer.log").read_text()


def test_connections_were_tested(stage: Stage) -> None:
    assert '"status": true' in stage.replies["visiono_default"]
    assert '"status": true' in stage.replies["vizdom_default"]
    assert "answered 401" in stage.replies["visiono_echo_401"]
    assert "gave no reply" in stage.replies["visiono_drop"]
    assert "answered 422" in stage.replies["test on a worker"]


@pytest.mark.parametrize("place", SEARCHED)
def test_it_was_searched(stage: Stage, place: str) -> None:
    assert [name for name, content in stage.seen if content and re.fullmatch(place, name)]


@pytest.mark.parametrize("column", ["connection.password", "connection.extra", "variable.val"])
def test_what_is_secret_is_encrypted(stage: Stage, column: str) -> None:
    values = dict(stage.seen)[f"database/{column}"].splitlines()
    assert values
    # What Fernet makes begins so.
    assert all(value.startswith(b"gAAAAA") for value in values)


@pytest.mark.parametrize("kind", PLACES)
def test_what_is_planted_is_found(stage: Stage, kind: str) -> None:
    hits = stage.found(stage.markers.planted[kind])
    for place in PLACES[kind]:
        assert [hit for hit in hits if re.fullmatch(place, hit.place)], (
            f"not in {place}\n{report(stage, hits)}"
        )


def test_the_receiver_took_bodies_with_what_must_not_be_kept(stage: Stage) -> None:
    planted = {
        "photo_request.created": stage.markers.hook_address,
        "photo_request.submitted": stage.markers.hook_metadata,
    }
    for event, secret in planted.items():
        (delivery,) = [
            one for one in stage.deliveries if one["event"] == event and secret.core in one["body"]
        ]
        assert stage.markers.hook_instructions.core in delivery["body"]
        answer = 202 if event == "photo_request.submitted" else 200
        assert delivery["attempts"][-1]["status"] == answer


def test_the_receiver_answered_odd_deliveries(stage: Stage) -> None:
    answers = {"forged": 401, "no id": 202, "no JSON": 400, "no object": 400, "no event": 200}
    assert stage.odd_deliveries == answers


def test_of_a_webhook_only_the_event_and_ids_are_logged(stage: Stage) -> None:
    log = (stage.stack.logs / "api-server.log").read_text()
    lines = [line for line in log.splitlines() if "Webhook of connection" in line]
    assert len(lines) >= len(NEEDED_EVENTS)
    assert not [line for line in lines if not re.search(LOGGED, line)]


def test_the_inbox_has_ids_only(stage: Stage) -> None:
    reply = json.loads(dict(stage.seen)["api/variables/visio_webhooks_visiono_default"])
    inbox = json.loads(reply["value"])
    assert set(inbox) == {"changed", "at", "ids"}
    assert inbox["ids"]
    assert not [one for one in inbox["ids"] if not re.fullmatch(r"(photo_request|permanent_link):\w+", one)]


def test_no_key_no_link_and_no_address_is_kept(stage: Stage) -> None:
    hits = stage.found(*stage.markers.guarded, stage.endpoint_secret)
    assert not hits, report(stage, hits)


def test_what_tasks_have_done_was_written_down(stage: Stage) -> None:
    logs = [content for name, content in stage.seen if re.match(r"home/logs/dag_id=", name)]
    assert logs
    assert not [content for content in logs if b"could not be written down" in content]


def test_the_workflow_link_was_used(stage: Stage) -> None:
    rendered = dict(stage.seen)["database/rendered_task_instance_fields.rendered_fields"]
    assert b"https://visio.now/ramp" in rendered
    assert b"&sig=***" in rendered


def test_no_signature_that_was_given_out_is_kept(stage: Stage) -> None:
    assert len(stage.signatures) > 50
    hits = stage.found(*stage.signatures)
    assert not hits, report(stage, hits)


@pytest.mark.parametrize("name", OWN)
def test_an_address_stays_where_its_author_put_it(stage: Stage, name: str) -> None:
    hits = stage.found(getattr(stage.markers, name))
    strays = [hit for hit in hits if not any(re.fullmatch(place, hit.place) for place in OWN[name])]
    assert hits, "nobody used it"
    assert not strays, report(stage, strays)


def test_a_key_goes_to_its_own_service_only(stage: Stage) -> None:
    assert len(stage.hostile.files.received) > 10
    assert stage.hostile.keys_at_the_store() == []
