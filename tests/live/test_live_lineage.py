"""What OpenLineage's events say of tasks that store files: each file once, and what it comes from."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
import requests

from dev.airflow_and_sandbox import airflow_and_sandbox
from dev.checkout import WORK
from dev.polling import wait_for
from dev.run_watcher import RunWatcher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.sandbox import Sandbox

DAG_ID = "lineage"
DAGS = Path(__file__).with_name("lineage")
TIMEOUT = 180
PHOTOS = "visiono://visiono_default"
DASHBOARDS = "vizdom://vizdom_default"


def post(sandbox: Sandbox, path: str, **body: Any) -> str:
    reply = requests.post(
        f"{sandbox.info['visiono_url']}{path}",
        json={"instructions": "Photograph the van", **body},
        headers={"X-API-Key": sandbox.info["visiono_key"]},
        timeout=10,
    )
    assert reply.ok, reply.text
    found: str = reply.json()["data"]["id"]
    return found


def submitted_request(sandbox: Sandbox) -> str:
    slots = [{"instructions": name} for name in ("Front", "Back", "Left")]
    request_id = post(sandbox, "/photo-requests", photo_slots=slots)
    sandbox.control("POST", f"/photo-requests/{request_id}/submit")
    return request_id


class Lineage:
    """A finished run, and its events."""

    def __init__(self, run: RunWatcher, conf: dict[str, str], events: Path, create: str) -> None:
        self.states = {task["task_id"]: task["state"] for task in run.tasks}
        self.deferred = {
            key[0]
            for key, history in run.histories.items()
            if "deferred" in history.states or history.triggers
        }
        self.conf = conf
        self.create = create
        self._events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for line in events.read_text().splitlines():
            event = json.loads(line)
            self._events[event["job"]["name"]].append(event)

    def last(self, task_id: str) -> dict[str, Any]:
        """Return the event that ends a task."""
        (event,) = [
            event
            for event in self._events[f"{DAG_ID}.{task_id}"]
            if event["eventType"] in {"COMPLETE", "FAIL", "ABORT"}
        ]
        return event

    def inputs(self, task_id: str) -> list[tuple[str, str]]:
        return [(one["namespace"], one["name"]) for one in self.last(task_id)["inputs"]]

    def outputs(self, task_id: str) -> list[str]:
        found = self.last(task_id)["outputs"]
        assert {one["namespace"] for one in found} == {"file"}
        return [unquote(one["name"]) for one in found]

    def stored(self, folder: str) -> list[str]:
        paths = Path(self.conf["destination"], folder).rglob("*")
        return sorted(str(path) for path in paths if path.is_file() and path.name != "manifest.json")


@pytest.fixture(scope="module")
def lineage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lineage]:
    home = tmp_path_factory.mktemp("lineage")
    events = home / "events.jsonl"
    transport = {"type": "file", "log_file_path": str(events), "append": True}
    config = {"openlineage": {"transport": json.dumps(transport), "namespace": "tests"}}
    person = {"behaviour": "submit", "open_after": 1, "photo_every": 0.5}
    with airflow_and_sandbox(home, DAGS, person=person, cache=WORK, config=config) as (sandbox, stack):
        link = post(sandbox, "/permanent-links")
        sandbox.control("POST", f"/permanent-links/{link}/submit", {"photos": 2})
        request, broken = submitted_request(sandbox), submitted_request(sandbox)
        photo = sandbox.control("GET", f"/photo-requests/{broken}")["photos"][1]["id"]
        sandbox.add_fault(service="storage", kind="status", status=404, path=photo, times=None)
        conf = {"destination": str(home / "out"), "link": link, "request": request, "broken": broken}
        stack.wait_for_dag(DAG_ID)
        run = RunWatcher(stack.api, DAG_ID, stack.api.trigger(DAG_ID, conf))

        def ended() -> bool:
            run.look()
            return run.ended

        wait_for("the end of the run", ended, timeout=TIMEOUT, every=0.5)

        def all_events() -> int:
            kinds = [json.loads(line)["eventType"] for line in events.read_text().splitlines()]
            # The run has an event of its own.
            return sum(kind in {"COMPLETE", "FAIL"} for kind in kinds) >= len(run.tasks) + 1

        wait_for("the events", all_events, timeout=60, every=0.5)
        create = stack.api.xcom(DAG_ID, run.run_id, "create")["id"]
        yield Lineage(run, conf, events, create)


def test_all_tasks_but_one_succeed(lineage: Lineage) -> None:
    assert {task for task, state in lineage.states.items() if state != "success"} == {"broken"}
    assert {"create", "export"} <= lineage.deferred


@pytest.mark.parametrize(
    ("task", "folder", "files"),
    [
        ("create", "create", 2),
        ("again", "create", 2),
        ("download", "download", 3),
        ("export", "export", 1),
        ("link", "link", 2),
    ],
)
def test_the_outputs_are_the_stored_files(lineage: Lineage, task: str, folder: str, files: int) -> None:
    assert len(lineage.stored(folder)) == files
    assert sorted(lineage.outputs(task)) == lineage.stored(folder)
    assert lineage.last(task)["eventType"] == "COMPLETE"


def test_the_input_is_what_they_come_from(lineage: Lineage) -> None:
    request = [(PHOTOS, f"photo-requests/{lineage.create}")]
    assert lineage.inputs("create") == lineage.inputs("again") == request
    assert lineage.inputs("download") == [(PHOTOS, f"photo-requests/{lineage.conf['request']}")]
    assert lineage.inputs("export") == [(DASHBOARDS, "dashboards/dash_abc123")]
    assert lineage.inputs("link") == [(PHOTOS, f"permanent-links/{lineage.conf['link']}")]


def test_a_task_that_fails_shows_what_it_has_stored(lineage: Lineage) -> None:
    assert lineage.last("broken")["eventType"] == "FAIL"
    assert len(lineage.stored("broken")) == 2
    assert sorted(lineage.outputs("broken")) == lineage.stored("broken")
    assert lineage.inputs("broken") == [(PHOTOS, f"photo-requests/{lineage.conf['broken']}")]
