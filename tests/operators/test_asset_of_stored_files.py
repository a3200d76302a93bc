"""Stored files as an event of an asset."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Asset
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_visio.exceptions import InvalidRequestError, TransferError
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook
from airflow_provider_visio.operators.visiono import (
    VisionoCreatePhotoRequestOperator,
    VisionoDownloadPermanentLinkPhotosOperator,
    VisionoDownloadPhotosOperator,
)
from airflow_provider_visio.operators.vizdom import (
    VizdomDownloadExportOperator,
    VizdomExportDashboardOperator,
)

CLAIMS = Asset("claims")


def submitted(sandbox: Any) -> str:
    request_id = VisionoHook().create_photo_request("Photograph it", items=["Front", "Plate"])["id"]
    sandbox.act(request_id, "submit")
    return request_id


def link(sandbox: Any) -> str:
    found = VisionoHook().create_permanent_link("Photograph the van")["id"]
    sandbox.control("POST", f"/permanent-links/{found}/submit", {"photos": 2})
    return found


def export(sandbox: Any) -> str:
    found = VizdomHook().create_export("dash_abc123", "pdf")["id"]
    sandbox.advance(60)
    return found


@pytest.fixture
def run(sandbox, run_task):
    """Return a function that runs a task, and returns its output and the extra of its asset's event."""

    def run(operator: Any) -> tuple[Any, Any]:
        task = run_task(operator)
        events = task.context["outlet_events"] = OutletEventAccessors()
        try:
            output = task.run()
        finally:
            run.extra = json.loads(json.dumps(events[CLAIMS].extra))
        return output, run.extra

    return run


OPERATORS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "create": lambda sandbox, to: VisionoCreatePhotoRequestOperator(
        instructions="x", items=["Front", "Plate"], **to
    ),
    "download": lambda sandbox, to: VisionoDownloadPhotosOperator(request_id=submitted(sandbox), **to),
    "link": lambda sandbox, to: VisionoDownloadPermanentLinkPhotosOperator(link_id=link(sandbox), **to),
    "export": lambda sandbox, to: VizdomExportDashboardOperator(dashboard_id="dash_abc123", **to),
    "download export": lambda sandbox, to: VizdomDownloadExportOperator(export_id=export(sandbox), **to),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_the_event_has_the_manifest_and_the_id(sandbox, run, tmp_path: Path, name):
    sandbox.person("submit", open_after=5, photo_every=5)
    operator = OPERATORS[name](sandbox, {"task_id": "t", "destination": str(tmp_path), "asset": CLAIMS})
    assert operator.outlets == [CLAIMS]
    _, extra = run(operator)
    (manifest,) = extra["manifests"]
    kept = json.loads(Path(manifest["path"].removeprefix("file://")).read_text())
    assert manifest == {
        "id": kept["id"],
        "path": kept["path"],
        "uri": kept["uri"],
        "files": len(kept["files"]),
        "failed": 0,
    }
    assert extra["ids"] == [kept["id"]]
    assert manifest["files"] > 0


@pytest.mark.parametrize("name", OPERATORS)
def test_without_an_asset_there_is_no_event(sandbox, run, tmp_path: Path, name):
    sandbox.person("submit", open_after=5, photo_every=5)
    operator = OPERATORS[name](sandbox, {"task_id": "t", "destination": str(tmp_path)})
    assert (operator.outlets, run(operator)[1]) == ([], {})


def test_several_requests_are_one_event(sandbox, run, tmp_path: Path):
    ids = [submitted(sandbox), submitted(sandbox)]
    _, extra = run(
        VisionoDownloadPhotosOperator(
            task_id="t", request_id=ids, destination=str(tmp_path), asset=CLAIMS, outlets=[Asset("other")]
        )
    )
    assert extra["ids"] == [one["id"] for one in extra["manifests"]] == ids


def test_a_file_that_could_not_be_fetched_is_counted(sandbox, run, tmp_path: Path):
    request_id = submitted(sandbox)
    sandbox.fault("storage", "status", status=403)
    operator = VisionoDownloadPhotosOperator(
        task_id="t",
        request_id=request_id,
        destination=str(tmp_path),
        asset=CLAIMS,
        on_file_error="proceed",
        retries=0,
    )
    _, extra = run(operator)
    assert [(one["files"], one["failed"]) for one in extra["manifests"]] == [(0, 2)]
    operator.on_file_error = "fail"
    with pytest.raises(TransferError):
        run(operator)


def test_other_outlets_stay_and_the_asset_is_one_of_them_once():
    other = Asset("other")
    how: dict[str, Any] = {"task_id": "t", "request_id": "req_1", "destination": "/out", "asset": CLAIMS}
    assert VisionoDownloadPhotosOperator(**how, outlets=[other]).outlets == [other, CLAIMS]
    assert VisionoDownloadPhotosOperator(**how, outlets=[CLAIMS]).outlets == [CLAIMS]
    assert VisionoDownloadPhotosOperator(**how, outlets=other).outlets == [other, CLAIMS]


def test_an_asset_without_a_destination_or_of_another_kind_is_refused():
    with pytest.raises(InvalidRequestError, match="destination"):
        VisionoCreatePhotoRequestOperator(task_id="t", instructions="x", asset=CLAIMS)
    with pytest.raises(InvalidRequestError, match="give an Asset"):
        VisionoDownloadPhotosOperator(
            task_id="t",
            request_id="req_1",
            destination="/out",
            asset="claims",  # type: ignore[arg-type]
        )


@pytest.mark.parametrize("declared", [False, True])
def test_a_mapped_task_warns_if_the_dag_does_not_declare_the_asset(
    sandbox, run_dag, tmp_path: Path, capfd, declared
):
    ids = [submitted(sandbox), submitted(sandbox)]
    outlets: dict[str, Any] = {"outlets": [CLAIMS]} if declared else {}
    with DAG("mapped_with_asset", schedule=None, start_date=None) as dag:
        VisionoDownloadPhotosOperator.partial(
            task_id="t", destination=str(tmp_path), asset=CLAIMS, **outlets
        ).expand(request_id=ids)
    assert run_dag(dag).state == "success"
    assert capfd.readouterr().out.count("Airflow may not record") == (0 if declared else 2)
