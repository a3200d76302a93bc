"""Each operator, sensor and trigger makes the calls for which docs/contract.md names it, and no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from conftest import Sandbox
from contract.callers import CLASSES, named

from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook
from dev.contract.documents import every_operation
from tasks.conftest import needs_store
from tasks.streams import ask, fire

WORDS = {"instructions": "Photograph the van"}
LONG_AGO = "2026-01-01T00:00:00Z"


@dataclass
class World:
    """
    Where something of one class is run.

    :param make: makes one of that class.
    :param run_task: makes a task of it.
    :param folder: where to store files.
    """

    make: Callable[..., Any]
    run_task: Callable[..., Any]
    sandbox: Sandbox
    monkeypatch: pytest.MonkeyPatch
    folder: str

    def run(self, earlier: Any = None, **fields: Any) -> Any:
        """Run a task, or one that was cleared, and return it."""
        task = self.run_task(self.make(**fields), earlier, cleared=earlier is not None)
        task.output = task.run()
        return task

    def loses_a_reply(self) -> None:
        self.sandbox.fault("visiono", "drop_after", method="POST", times=1)

    def submitted(self, number: int) -> list[str]:
        ids = ask(number)
        for found in ids:
            self.sandbox.act(found, "submit")
        return ids

    def link(self) -> str:
        """Return a permanent link through which something came."""
        link = VisionoHook().create_permanent_link(**WORDS)["id"]
        self.sandbox.control("POST", f"/permanent-links/{link}/submit", {"photos": 1})
        return link

    def export(self) -> str:
        """Return an export that is ready."""
        export = VizdomHook().create_export("dash_abc123", "pdf")["id"]
        self.sandbox.advance(60)
        return export


RUNS: dict[str, Callable[[World], object]] = {}


def runs(name: str) -> Callable[[Callable[[World], object]], None]:
    return lambda play: RUNS.update({name: play})


@runs("VisionoCreatePhotoRequestOperator")
def create_photo_request(world: World) -> None:
    world.sandbox.person("submit", open_after=5, photo_every=5)
    world.loses_a_reply()
    world.run(**WORDS, destination=world.folder)
    killed = world.run_task(world.make(**WORDS, wait_for_photos=True, cancel_on_kill=True))
    with pytest.raises(TaskDeferred):
        killed.operator.execute(killed.context)
    killed.operator.on_kill()


@runs("VisionoCreatePhotoRequestBatchOperator")
def create_photo_requests(world: World) -> None:
    eleven = [{"instructions": f"Meter {n}"} for n in range(11)]
    first = world.run(requests=eleven, batch=True)
    world.run(first, requests=eleven, batch=True, on_existing="replace")
    listed = VisionoHook.list_photo_requests

    def without_metadata(self: VisionoHook, **how: Any) -> Any:
        return ({name: one[name] for name in one if name != "metadata"} for one in listed(self, **how))

    world.monkeypatch.setattr(VisionoHook, "list_photo_requests", without_metadata)
    world.loses_a_reply()
    world.run(requests=eleven[:1])


@runs("VisionoPhotoRequestSensor")
def wait_for_photo_requests(world: World) -> None:
    ids = world.submitted(5)
    world.run(request_id=ids)
    world.run(request_id=ids[0])


@runs("VisionoPhotoRequestTrigger")
def poll_photo_requests(world: World) -> None:
    ids = world.submitted(5)
    fire(world.make(ids, min_dwell=0))
    fire(world.make(ids[:1], min_dwell=0))
    world.monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", lambda **_: {"r": {"t": "failed"}})
    killed = world.make(ask(1), cancel_on_kill=True)
    killed._task_instance = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1)
    asyncio.run(killed.on_kill())


@runs("VisionoCreatePermanentLinkOperator")
def create_link(world: World) -> None:
    world.loses_a_reply()
    made = world.run(**WORDS)
    changed = world.run(made, instructions="Photograph the car")
    world.run(changed, **WORDS, on_existing="replace")


@runs("VisionoDeletePhotoRequestOperator")
def delete_request(world: World) -> None:
    world.run(request_id=[*ask(1), "req_nobody"], ignore_missing=True)


@runs("VisionoDeletePermanentLinkOperator")
def delete_link(world: World) -> None:
    for link in (world.link(), "sl_nobody"):
        world.run(link_id=link, ignore_missing=True)


@runs("VisionoPermanentLinkTrigger")
def poll_link(world: World) -> None:
    fire(world.make(world.link(), since=LONG_AGO, once=True, min_dwell=0))


@runs("VisionoPhotoRequestSubmittedTrigger")
def poll_submitted_requests(world: World) -> None:
    world.submitted(1)

    async def first() -> None:
        fired = world.make(since=LONG_AGO).run()
        await anext(fired)
        await fired.aclose()

    asyncio.run(asyncio.wait_for(first(), 30))


@runs("VizdomCreateDataSourceOperator")
def create_data_source(world: World) -> None:
    fields = {"name": "Sales", "source_type": "bigquery", "settings": {"project": "sales"}}
    world.run(world.run(**fields), **fields, on_existing="replace")


@runs("VizdomTestDataSourceOperator")
def check_data_source(world: World) -> None:
    made = VizdomHook().create_data_source("Sales", "bigquery", {"project": "sales"})
    world.run(data_source_id=made["id"])


RUNS |= {
    "VisionoGetStatsOperator": lambda world: world.run(),
    "VisionoQuotaShortCircuitOperator": lambda world: world.run(at_least=1),
    # A few are asked for singly, more are read from the list.
    "VisionoDownloadPhotosOperator": lambda world: [
        world.run(request_id=world.submitted(number), destination=world.folder) for number in (1, 4)
    ],
    "VisionoUpdatePermanentLinkOperator": lambda world: world.run(
        link_id=world.link(), changes={"tags": ["fleet"]}
    ),
    "VisionoDownloadPermanentLinkPhotosOperator": lambda world: world.run(
        link_id=world.link(), destination=world.folder
    ),
    "VisionoPermanentLinkSensor": lambda world: world.run(link_id=world.link(), since=LONG_AGO),
    "VizdomCreateDashboardOperator": lambda world: world.run(name="Claims"),
    "VizdomExportDashboardOperator": lambda world: world.run(dashboard_id="dash_abc123"),
    "VizdomExportSensor": lambda world: world.run(export_id=world.export()),
    "VizdomExportTrigger": lambda world: fire(world.make([world.export()], min_dwell=0)),
    "VizdomDownloadExportOperator": lambda world: world.run(
        export_id=world.export(), destination=world.folder
    ),
    "VizdomInviteMemberOperator": lambda world: world.run(email="new@example.com"),
}


# It sends none: it works with Airflow's own events.
WITHOUT_CALLS = {"VisionoPublishSubmissionsOperator"}


@needs_store
@pytest.mark.parametrize("name", [name for name in CLASSES if name not in WITHOUT_CALLS])
def test_the_calls_for_which_the_documents_name_it(
    sandbox, run_task, monkeypatch, recorded, tmp_path: Path, name
):
    make = CLASSES[name] if name.endswith("Trigger") else partial(CLASSES[name], task_id="t")
    RUNS[name](World(make, run_task, sandbox, monkeypatch, str(tmp_path)))
    made = {call for who, call in recorded if who == name}
    assert made
    assert made == {call for who, call in named() if who == name and "/smart-links" not in call}


def test_a_link_s_other_name_is_called_by_the_same():
    said = {one.name: one.about["x-operator"] for one in every_operation()}
    twins = {
        name: name.replace("/smart-links", "/permanent-links").replace("PUT", "PATCH")
        for name in said
        if "/smart-links" in name
    }
    assert len(twins) == 8
    assert {name: said[name] for name in twins} == {name: said[twin] for name, twin in twins.items()}
