"""What is the case when a block runs, and what must be the case when it has run."""

from __future__ import annotations

import importlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import requests
from conftest import connect

from airflow_provider_visio.assets import visiono as visiono_assets
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook

from .stage import Stage

SCENES: dict[str, Callable[[Stage], Iterator[None]]] = {}


def scene(play: Callable[[Stage], Iterator[None]]) -> Callable[[Stage], Iterator[None]]:
    SCENES[play.__name__] = play
    return play


@scene
def everybody_answers(stage: Stage) -> Iterator[None]:
    """The scene of a block that names none."""
    stage.sandbox.person("submit", open_after=5, photo_every=5)
    yield
    assert {run.state for run in stage.runs.values()} <= {"success"}


@scene
def two_workspaces(stage: Stage) -> Iterator[None]:
    connect(stage.monkeypatch, "visiono_eu", stage.sandbox.visiono_url, stage.sandbox.visiono_key)
    yield
    assert set(stage.states().values()) == {"success"}
    assert len(stage.asked()) == 2


@scene
def a_submitted_request(stage: Stage) -> Iterator[None]:
    stage.given["request_id"] = stage.submitted()
    yield


@scene
def a_link_to_close(stage: Stage) -> Iterator[None]:
    hook = VisionoHook()
    stage.conf["link_id"] = hook.create_permanent_link("Please photograph the meter.")["id"]
    yield
    assert set(stage.states().values()) == {"success"}
    assert not hook.get_permanent_link(stage.conf["link_id"])["is_active"]


@scene
def a_started_export(stage: Stage) -> Iterator[None]:
    hook = VizdomHook()
    dashboard = next(hook.list_dashboards())
    stage.given["export_id"] = hook.create_export(dashboard["id"], "pdf")["id"]
    yield


@scene
def nobody_answers(stage: Stage) -> Iterator[None]:
    stage.sandbox.person("never")
    yield
    assert set(stage.states().values()) == {"success"}
    assert [request["status"] for request in stage.asked()] == ["deleted", "deleted"]


@scene
def a_wrong_key(stage: Stage) -> Iterator[None]:
    connect(stage.monkeypatch, "visiono_default", stage.sandbox.visiono_url, "vsk_live_wrong")
    yield
    # There are retries left, and none is taken.
    assert stage.states() == {"photos": "failed", "report": "upstream_failed"}
    (photos,) = [
        ti for run in stage.runs.values() for ti in run.get_task_instances() if ti.task_id == "photos"
    ]
    assert (photos.try_number, photos.max_tries) == (1, 5)


@scene
def an_export_hangs(stage: Stage) -> Iterator[None]:
    stage.sandbox.settings(export_outcome="stuck")
    stage.later(1190, lambda: stage.sandbox.settings(export_outcome="file"))
    yield
    assert stage.states() == {"report": "success"}
    assert stage.sandbox.count("vizdom", "POST /exports") == 2
    assert len(stage.stored(".pdf")) == 1


@scene
def a_week_of_reports(stage: Stage) -> Iterator[None]:
    yield
    assert set(stage.states().values()) == {"success"}
    (run,) = stage.runs.values()
    week = f"reports/{run.run_after.strftime('%G-W%V')}"
    names = stage.stored()
    assert {name.rpartition("/")[0] for name in names} == {week}
    assert sorted(name.rpartition(".")[2] for name in names) == ["csv", "json", "json", "pdf"]


HOUR = 3600.0
TOKEN = "Bearer token-of-the-gateway"


def posts(stage: Stage) -> list[Any]:
    """Return what the chat was sent."""
    return [json.loads(sent.body) for sent in stage.gateway.received]


def texts(stage: Stage) -> list[Any]:
    """Return what the gateway was sent, each time with its token."""
    assert all(sent.headers.get("authorization") == TOKEN for sent in stage.gateway.received)
    return posts(stage)


def connect_http(stage: Stage, conn_id: str, **extra: str) -> None:
    value = {"conn_type": "http", "host": stage.gateway.url, "extra": extra}
    stage.monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))


def gateway(stage: Stage) -> None:
    connect_http(stage, "sms_gateway", Authorization=TOKEN)


def chat(stage: Stage) -> None:
    connect_http(stage, "chat")


@scene
def answers_a_text(stage: Stage) -> Iterator[None]:
    stage.sandbox.settings(plan="free")
    stage.sandbox.person("submit", open_after=HOUR, photo_every=60)
    gateway(stage)
    stage.conf["phone"] = "+39123"
    yield
    assert set(stage.states().values()) == {"success"}
    (request,) = stage.asked()
    assert texts(stage) == [
        {"to": "+39123", "text": f"Please take the photos here: {request['request_url']}"}
    ]
    assert len(stage.stored(".jpg")) == 2


@scene
def posts_to_a_chat(stage: Stage) -> Iterator[None]:
    chat(stage)
    yield
    assert set(stage.states().values()) == {"success"}
    (request,) = stage.asked()
    assert posts(stage) == [{"text": f"Photos, please: {request['request_url']}"}]
    assert stage.gateway.received[0].path == "/services/T000/B000/XXXX"


@scene
def answers_on_the_second_day(stage: Stage) -> Iterator[None]:
    stage.sandbox.person("submit", open_after=30 * HOUR, photo_every=60)
    gateway(stage)
    yield
    assert set(stage.states().values()) == {"success"}
    first, second = texts(stage)
    assert first["text"].startswith("Please photograph")
    assert second["text"].startswith("We still need")
    # Nobody is asked twice: both lead to the one request.
    (request,) = stage.asked()
    assert first["text"].endswith(f" {request['request_url']}")
    assert second["text"].endswith(f" {request['request_url']}")
    assert len(stage.stored(".jpg")) == 1


@scene
def answers_at_once(stage: Stage) -> Iterator[None]:
    stage.sandbox.person("submit", open_after=HOUR, photo_every=60)
    gateway(stage)
    yield
    assert {name for name, state in stage.states().items() if state != "success"} == {"remind"}
    assert stage.states()["remind"] == "skipped"
    assert len(texts(stage)) == 1
    assert len(stage.stored(".jpg")) == 1


def customers(stage: Stage, *rows: tuple[str, str, str | None]) -> None:
    """Have a database with these customers, all of whom answer within two hours."""
    stage.sandbox.person("submit", open_after=HOUR, photo_every=60)
    file = stage.folder / "customers.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE customers (id, name, photo)")
        database.executemany("INSERT INTO customers VALUES (?, ?, ?)", rows)
    stage.conf["database"] = str(file)


@scene
def a_table_of_customers(stage: Stage) -> Iterator[None]:
    customers(stage, ("K-1", "Ada", None), ("K-2", "Bea", "there"), ("K-3", "Cem", None))
    yield
    assert set(stage.states().values()) == {"success"}
    assert {request["metadata"]["customer"] for request in stage.asked()} == {"K-1", "K-3"}
    assert len(stage.stored(".jpg")) == 2


@scene
def nobody_in_the_table(stage: Stage) -> Iterator[None]:
    customers(stage, ("K-2", "Bea", "there"))
    yield
    assert stage.states()["photos"] == "skipped"
    assert set(stage.states().values()) == {"success", "skipped"}


@scene
def one_is_refused(stage: Stage) -> Iterator[None]:
    """One of those whom a mapped task asks."""
    stage.sandbox.person("submit", open_after=HOUR, photo_every=60)
    body = {"error": {"code": "validation_error", "message": "The given data was invalid."}}
    stage.sandbox.fault("visiono", "status", status=422, body=body, method="POST", times=1, skip=1)
    yield
    (refused,) = {name for name, state in stage.states().items() if state != "success"}
    assert refused.startswith("ask[")


@scene
def one_row_is_refused(stage: Stage) -> Iterator[None]:
    customers(stage, ("K-1", "Ada", None), ("K-2", "Bea", None), ("K-3", "Cem", None))
    yield from one_is_refused(stage)
    assert len(stage.stored(".jpg")) == 2


@scene
def a_warehouse(stage: Stage) -> Iterator[None]:
    value = {
        "conn_type": "postgres",
        "host": "db",
        "schema": "dwh",
        "login": "reader",
        "password": "s3cret-4711",
    }
    stage.monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(value))
    yield
    assert set(stage.states().values()) == {"success"}
    (source,) = VizdomHook().list_data_sources()
    assert source["name"] == "Warehouse"


@scene
def a_colleague(stage: Stage) -> Iterator[None]:
    stage.monkeypatch.setenv("AIRFLOW_VAR_COLLEAGUE", "colleague@example.com")
    yield
    assert set(stage.states().values()) == {"success"}
    assert stage.sandbox.count("vizdom", "POST /invites") == 1


SECRET = "5f2b" * 16


def workflow_link(stage: Stage) -> dict[str, Any]:
    """Return a permanent link in workflow mode, whose secret the connection has."""
    box = stage.sandbox
    connect(stage.monkeypatch, "visiono_default", box.visiono_url, box.visiono_key, workflow_secret=SECRET)
    link = VisionoHook().create_permanent_link("Each damage, please.", unique_field_label="Plate")
    back = {"secret": SECRET, "return_url": "https://fleet.example/back"}
    box.control("PUT", f"/permanent-links/{link['id']}/workflow", back)
    return link


@scene
def a_signed_link(stage: Stage) -> Iterator[None]:
    link = workflow_link(stage)
    gateway(stage)
    stage.conf["link"] = link["request_url"]
    yield
    assert set(stage.states().values()) == {"success"}
    url = texts(stage)[0]["text"].removeprefix("Bring it back: ")
    assert requests.get(url, timeout=10).status_code == 200
    assert requests.get(link["request_url"], timeout=10).status_code != 200


def led_back(stage: Stage) -> str:
    """Have the service lead somebody back, to the address that the snippet finds; return the submission's id."""
    link = workflow_link(stage)
    given = {"photos": 2, "unique_field_value": "TN-123", "external_reference": "run-1"}
    came = stage.sandbox.control("POST", f"/permanent-links/{link['id']}/submit", given)
    # A receiver has neither connections nor Airflow's settings.
    for name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]:
        stage.monkeypatch.delenv(name)
    stage.monkeypatch.setenv("WORKFLOW_SECRET", SECRET)
    stage.given["address"] = came["return_url"]
    return came["id"]


@scene
def a_way_back(stage: Stage) -> Iterator[None]:
    came = led_back(stage)
    yield
    assert stage.left["found"]["submission_id"] == came


@scene
def a_bare_address(stage: Stage) -> Iterator[None]:
    led_back(stage)
    stage.given["address"] = "https://fleet.example/back"
    yield
    assert "found" not in stage.left


@scene
def a_doubled_address(stage: Stage) -> Iterator[None]:
    led_back(stage)
    stage.given["address"] += "&cnt=9"
    yield
    assert "found" not in stage.left


@scene
def a_forged_address(stage: Stage) -> Iterator[None]:
    led_back(stage)
    address = stage.given["address"]
    stage.given["address"] = address.replace("cnt=2", "cnt=9")
    assert stage.given["address"] != address
    yield
    assert "found" not in stage.left


@scene
def an_expired_address(stage: Stage) -> Iterator[None]:
    led_back(stage)
    later = time.time() + 1.1 * HOUR
    stage.monkeypatch.setattr(time, "time", lambda: later)
    yield
    assert "found" not in stage.left


@scene
def plenty_is_left(stage: Stage) -> Iterator[None]:
    chat(stage)
    yield
    assert stage.states()["warn"] == "skipped"
    assert stage.states()["ask"] == "success"
    assert posts(stage) == []


@scene
def little_is_left(stage: Stage) -> Iterator[None]:
    stage.sandbox.settings(plan="free")
    stage.submitted()
    chat(stage)
    yield
    assert set(stage.states().values()) == {"success"}
    assert posts(stage) == [{"text": "Visiono: 99 photos are left."}]


@scene
def too_little_is_left(stage: Stage) -> Iterator[None]:
    stage.sandbox.settings(plan="free")
    stage.conf["stop_below"] = 101
    chat(stage)
    yield
    assert stage.states()["ask"] == "skipped"
    assert stage.asked() == []


@scene
def a_driver_comes(stage: Stage) -> Iterator[None]:
    link = VisionoHook().create_permanent_link("Your pallet, please.", unique_field_label="Plate")
    stage.conf["link_id"] = link["id"]
    given = {"photos": 2, "unique_field_value": "TN-123"}
    stage.later(600, lambda: stage.sandbox.control("POST", f"/permanent-links/{link['id']}/submit", given))
    yield
    assert set(stage.states().values()) == {"success"}
    assert stage.output("came" if "came" in stage.states() else "driver")["count"] == 1
    assert len(stage.stored(".jpg")) == (2 if "photos" in stage.states() else 0)


@scene
def the_asset_is_updated(stage: Stage) -> Iterator[None]:
    """There is no scheduler to start it: it runs without an event, and its watcher is looked at by itself."""
    yield
    assert set(stage.states().values()) == {"skipped"}
    (dag,) = stage.dags
    (asset,) = dag.timetable.asset_condition.objects
    (watcher,) = asset.watchers
    assert type(watcher.trigger).__name__ == "VisionoPermanentLinkTrigger"
    event = SimpleNamespace(extra={"payload": {"submissions": ["s1", "s2"]}})
    assert dag.get_task("new").python_callable({asset: [event, event]}) == ["s1", "s2"]


@scene
def the_workspace_is_watched(stage: Stage) -> Iterator[None]:
    """There is no scheduler to start it, and so no event."""
    yield
    assert stage.states() == {"handle": "success"}
    (dag,) = stage.dags
    (asset,) = dag.timetable.asset_condition.objects
    (watcher,) = asset.watchers
    assert type(watcher.trigger).__name__ == "VisionoPhotoRequestSubmittedTrigger"
    assert stage.output("handle") == []


def submitted_by(stage: Stage, *ids: str) -> None:
    """Have the DAGs of a block run for these submissions: there is no scheduler to start them."""
    # The operators take the real one, also if no test has imported them yet.
    importlib.import_module("airflow_provider_visio.operators.visiono")
    stage.monkeypatch.setattr(visiono_assets, "submitted_ids", lambda context: list(ids))


@scene
def a_run_for_submissions(stage: Stage) -> Iterator[None]:
    ids = [stage.submitted(), stage.submitted()]
    submitted_by(stage, *ids)
    yield
    assert set(stage.states().values()) == {"success"}
    assert {name.split("/")[1] for name in stage.stored(".jpg")} == set(ids)


@scene
def runs_for_each_submission(stage: Stage) -> Iterator[None]:
    submitted_by(stage, "req_1")
    yield
    states = {ti.task_id: str(ti.state) for run in stage.runs.values() for ti in run.get_task_instances()}
    assert states == {"publish": "skipped", "handle": "success"}


@scene
def stored_files_are_an_event(stage: Stage) -> Iterator[None]:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session

    stage.sandbox.person("submit", open_after=5, photo_every=5)
    yield
    assert {run.state for run in stage.runs.values()} == {"success"}
    with create_session() as session:
        (event,) = session.query(AssetEvent).filter_by(source_dag_id="ask_for_damage").all()
        (manifest,) = event.extra["manifests"]
    assert manifest["path"].startswith("s3://claims/")
    event = SimpleNamespace(extra={"manifests": [manifest]})
    (assess,) = (dag.get_task("assess") for dag in stage.dags if dag.dag_id == "assess_damage")
    assess.python_callable({"damage": [event]})


@scene
def a_relay(stage: Stage) -> Iterator[None]:
    """What it writes is what the triggerer reads."""
    from airflow.api_fastapi.core_api.datamodels.variables import VariableBody
    from webhooks.deliveries import SECRET, body_of, sign

    from airflow_provider_visio.webhooks.inbox import Inbox, variable_of

    stored: dict[str, str] = {}

    def get(session: Any, url: str, timeout: float) -> Any:
        found = stored.get(url.rpartition("/")[2])
        return SimpleNamespace(ok=found is not None, json=lambda: {"value": found})

    def write(session: Any, url: str, json: Any, timeout: float) -> Any:
        assert session.headers["Authorization"] == "Bearer token"
        given = VariableBody.model_validate(json)
        stored[given.key] = given.value
        return SimpleNamespace(ok=True)

    stage.monkeypatch.setattr(requests.Session, "get", get)
    stage.monkeypatch.setattr(requests.Session, "patch", write)
    stage.monkeypatch.setattr(requests.Session, "post", write)
    yield
    ask = ("https://airflow.internal/api/v2", "token")
    for number in (1, 2):
        body = body_of("photo_request.submitted", photo_request={"id": f"req_{number}"})
        headers = {name.lower(): value for name, value in sign(body, "visiono", 0)}
        assert stage.left["relay"](body, headers, "whsec_other", *ask) == 401
        assert stage.left["relay"](body, headers, SECRET, *ask) == 202
    inbox = Inbox.from_text(stored[variable_of("visiono_default")])
    assert inbox
    assert inbox.ids == ("photo_request:req_2", "photo_request:req_1")
    assert abs(inbox.at - time.time()) < 600
    body = body_of("photo_request.created")
    assert stage.left["relay"](body, {n.lower(): v for n, v in sign(body, "visiono", 0)}, SECRET, *ask) == 200
