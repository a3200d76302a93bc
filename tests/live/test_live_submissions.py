"""A run for each submission: the example, under a real scheduler, triggerer and API server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dev.checkout import EXAMPLE_DAGS
from dev.polling import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from dev.sandbox import Sandbox
    from dev.stack import Stack

EXAMPLE = EXAMPLE_DAGS / "visiono_on_submission.py"
PUBLISH, EACH, STORED = "live_publish_submissions", "live_on_submission", "live_stored_photos"
SUBMITTED, SUBMISSION = "visiono_submitted_visiono_default", "visiono_submission_visiono_default"
# A DAG that the stored photos start. The events of a run with a partition key have that key.
CONSUMER = f"""

with DAG(dag_id="{STORED}", schedule=PartitionedAssetTimetable(assets=photos), is_paused_upon_creation=False):

    @task
    def reported(triggering_asset_events=None):
        return [event.extra for event in triggering_asset_events[photos]]

    reported()
"""
TIMEOUT = 180


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


class Workspace:
    """People who submit, and the runs that come of it."""

    def __init__(self, sandbox: Sandbox, stack: Stack) -> None:
        self._sandbox = sandbox
        self._api = stack.api

    def submit(self) -> str:
        """Have somebody submit photos for a request that was created outside Airflow."""
        (request_id,) = self._sandbox.control("POST", "/photo-requests", {"count": 1})
        self._sandbox.control("POST", f"/photo-requests/{request_id}/submit", {})
        return str(request_id)

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        return self._api.every(f"/dags/{dag_id}/dagRuns", "dag_runs")

    def runs_for(self, request_id: str) -> list[dict[str, Any]]:
        return [run for run in self.runs(EACH) if run["partition_key"] == request_id]

    def wait_for_run(self, request_id: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            return next(
                (run for run in self.runs_for(request_id) if run["state"] in ("success", "failed")), None
            )

        return wait_for(f"a run for {request_id}", ended, timeout=TIMEOUT, every=1)

    def wait_until_published(self, number: int) -> list[dict[str, Any]]:
        """Return the runs of the publishing DAG, once so many have ended and no other goes on."""

        def look() -> list[dict[str, Any]] | None:
            runs = self.runs(PUBLISH)
            return runs if len(runs) >= number and all(run["end_date"] for run in runs) else None

        return wait_for("the publishing DAG", look, timeout=TIMEOUT, every=1)

    def asset_id(self, name: str) -> int:
        assets = self._api.every("/assets", "assets", name_pattern=name)
        return next(int(asset["id"]) for asset in assets if asset["name"] == name)

    def report_again(self, request_id: str) -> None:
        extra = {"payload": {"request_ids": [request_id]}}
        body = {"asset_id": self.asset_id(SUBMITTED), "extra": extra}
        self._api.call("POST", "/assets/events", body=body)

    def is_watched(self) -> bool:
        """Return whether the first look of the watch is over."""
        path = f"/assets/{self.asset_id(SUBMITTED)}/state-store"
        return any(not one["value"]["is_new"] for one in self._api.every(path, "asset_state_store"))


@pytest.fixture(scope="module")
def workspace(sandbox: Sandbox, stack: Stack, written_dags: Path, output: Path) -> Workspace:
    text = EXAMPLE.read_text()
    for old, new in {
        '"visiono_publish_submissions"': f'"{PUBLISH}"',
        '"visiono_on_submission"': f'"{EACH}"',
        "catchup=False,": "catchup=False, is_paused_upon_creation=False,",
        "file:///tmp/visio": f"file://{output / EACH}",
        "from airflow.sdk import DAG": "from airflow.sdk import Asset, PartitionedAssetTimetable, DAG",
        "submitted = ": 'photos = Asset("live_stored_photos")\nsubmitted = ',
        'destination="{{ params.destination }}"': 'destination="{{ params.destination }}", asset=photos',
    }.items():
        text = changed(text, old, new)
    (written_dags / f"{EACH}.py").write_text(text + CONSUMER)
    for dag_id in (PUBLISH, EACH, STORED):
        stack.wait_for_dag(dag_id)
    found = Workspace(sandbox, stack)
    wait_for("the watch's first look", found.is_watched, timeout=TIMEOUT, every=1)
    return found


def test_each_submission_starts_one_run_with_its_id_as_key(
    workspace: Workspace, stack: Stack, output: Path
) -> None:
    ids = [workspace.submit() for _ in range(3)]
    runs = [workspace.wait_for_run(found) for found in ids]
    assert {run["state"] for run in runs} == {"success"}
    assert [len(workspace.runs_for(found)) for found in ids] == [1, 1, 1]
    for found in ids:
        assert (output / EACH / found / "manifest.json").exists()

    # The stored files are an event of their own asset.
    def reported_ids() -> set[str] | None:
        reported = [
            one
            for run in workspace.runs(STORED)
            if run["state"] == "success"
            for one in stack.api.xcom(STORED, run["dag_run_id"], "reported")
        ]
        manifests = [manifest for extra in reported for manifest in extra["manifests"]]
        assert all(manifest["path"].endswith("/manifest.json") for manifest in manifests)
        return (
            {i for extra in reported for i in extra["ids"]}
            if {*ids} <= {i for e in reported for i in e["ids"]}
            else None
        )

    wait_for("the events of the stored photos", reported_ids, timeout=TIMEOUT, every=1)


def test_a_submission_that_is_reported_again_starts_no_other_run(workspace: Workspace, stack: Stack) -> None:
    request_id = workspace.submit()
    workspace.wait_for_run(request_id)
    before = workspace.wait_until_published(1)
    workspace.report_again(request_id)
    after = workspace.wait_until_published(len(before) + 1)
    (again,) = [run for run in after if run["dag_run_id"] not in {one["dag_run_id"] for one in before}]
    (task,) = stack.api.task_instances(PUBLISH, again["dag_run_id"])
    assert task["state"] == "skipped"

    # Nor does it when somebody clears the task that has published it.
    first = next(run for run in before if request_id in published(stack, run))
    body = {"dry_run": False, "dag_run_id": first["dag_run_id"], "only_failed": False}
    stack.api.call("POST", f"/dags/{PUBLISH}/clearTaskInstances", body=body)

    def cleared() -> bool:
        (task,) = stack.api.task_instances(PUBLISH, first["dag_run_id"])
        return task["try_number"] == 2 and task["state"] == "skipped"

    wait_for("the cleared task", cleared, timeout=TIMEOUT, every=1)
    last = workspace.submit()
    workspace.wait_for_run(last)
    assert len(workspace.runs_for(request_id)) == 1


def published(stack: Stack, run: dict[str, Any]) -> list[str]:
    (task,) = stack.api.task_instances(PUBLISH, run["dag_run_id"])
    if task["state"] != "success":
        return []
    found: list[str] = stack.api.xcom(PUBLISH, run["dag_run_id"], "publish")["ids"]
    return found


def test_a_submission_while_no_triggerer_runs_starts_one_run(workspace: Workspace, stack: Stack) -> None:
    stack.kill("triggerer")
    meanwhile = workspace.submit()
    stack.start("triggerer")
    assert workspace.wait_for_run(meanwhile)["state"] == "success"
    assert len(workspace.runs_for(meanwhile)) == 1
