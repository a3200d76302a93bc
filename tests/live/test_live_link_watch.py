"""An asset that a permanent link feeds: each submission starts a run, also one that came while no triggerer ran."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from dev.polling import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from dev.sandbox import Sandbox
    from dev.stack import Stack

DAG_ID = "visiono_link_watched"
# The link's id is known only once the sandbox runs, so the file is written then.
DAG_FILE = """
import pendulum
from airflow.sdk import DAG, Asset, AssetWatcher, task
from airflow_provider_visio.triggers.visiono import VisionoPermanentLinkTrigger

watcher = AssetWatcher(
    name="van", trigger=VisionoPermanentLinkTrigger(link_id="{link_id}", poke_interval=2)
)
van = Asset("van", watchers=[watcher])

with DAG(
    "{dag_id}",
    schedule=[van],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=False,  # a watcher starts when its file is parsed while the DAG is not paused
):

    @task
    def told(triggering_asset_events=None):
        events = triggering_asset_events[van]
        return [found for event in events for found in event.extra["payload"]["submissions"]]

    told()
"""
TIMEOUT = 180


class Link:
    """A permanent link of the sandbox, and what the DAG's runs were told of it."""

    def __init__(self, sandbox: Sandbox, stack: Stack) -> None:
        self._sandbox = sandbox
        self._stack = stack
        reply = requests.post(
            f"{sandbox.info['visiono_url']}/permanent-links",
            json={"instructions": "Photograph the van"},
            headers={"X-API-Key": sandbox.info["visiono_key"]},
            timeout=10,
        )
        self.id = reply.json()["data"]["id"]

    def submit(self) -> str:
        found: str = self._sandbox.control("POST", f"/permanent-links/{self.id}/submit", {"photos": 1})["id"]
        return found

    def is_watched(self) -> bool:
        calls: list[dict[str, Any]] = self._sandbox.control("GET", "/calls")
        return any(f"/permanent-links/{self.id}/submissions" in call["path"] for call in calls)

    def told(self) -> list[str]:
        api = self._stack.api
        runs = api.every(f"/dags/{DAG_ID}/dagRuns", "dag_runs")
        ids = [run["dag_run_id"] for run in runs if run["state"] == "success"]
        return [found for run_id in ids for found in api.xcom(DAG_ID, run_id, "told")]

    def wait_until_told(self, *ids: str) -> None:
        wait_for(f"a run for {ids}", lambda: set(ids) <= set(self.told()), timeout=TIMEOUT, every=1)


@pytest.fixture
def link(sandbox: Sandbox, stack: Stack, written_dags: Path) -> Link:
    link = Link(sandbox, stack)
    (written_dags / f"{DAG_ID}.py").write_text(DAG_FILE.format(link_id=link.id, dag_id=DAG_ID))
    stack.wait_for_dag(DAG_ID)
    wait_for("the watcher's first look", link.is_watched, timeout=TIMEOUT, every=1)
    return link


def test_each_submission_starts_a_run(link: Link, stack: Stack) -> None:
    first = link.submit()
    link.wait_until_told(first)

    stack.kill("triggerer")
    meanwhile = link.submit()
    stack.start("triggerer")
    link.wait_until_told(first, meanwhile)

    # One that is told of again, as one right before the loss may be, comes with no other.
    last = link.submit()
    link.wait_until_told(first, meanwhile, last)
    assert set(link.told()) == {first, meanwhile, last}
