"""The options of an export, and its files where they are odd or several."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from tasks.conftest import needs_store

from airflow_provider_visio.exceptions import InvalidRequestError, VisioProviderError
from airflow_provider_visio.hooks.vizdom import VizdomHook
from airflow_provider_visio.operators.vizdom import (
    VizdomDownloadExportOperator,
    VizdomExportDashboardOperator,
)

RECORD = "visio_intent"


def export(**more: Any) -> VizdomExportDashboardOperator:
    return VizdomExportDashboardOperator(**{"task_id": "export", "dashboard_id": "dash_abc123", **more})


def wait_of(task: Any) -> Any:
    """Run a task until it waits, and return its trigger."""
    with pytest.raises(TaskDeferred) as caught:
        task.operator.execute(task.context)
    return caught.value.trigger


# Files that are odd, and several


def test_a_zip_of_several_csvs_is_stored_as_what_it_is(sandbox, run_task, tmp_path: Path):
    sandbox.settings(export_outcome="zip")
    file = run_task(export(export_format="csv", destination=str(tmp_path))).run()["file"]
    assert (file["mime_type"], Path(file["path"]).suffix) == ("application/zip", ".zip")
    with zipfile.ZipFile(io.BytesIO(Path(file["path"].removeprefix("file://")).read_bytes())) as archive:
        assert "Services.csv" in archive.namelist()


def test_a_csv_without_rows_is_stored(sandbox, run_task, tmp_path: Path):
    sandbox.settings(export_outcome="no_rows")
    file = run_task(export(export_format="csv", destination=str(tmp_path))).run()["file"]
    assert (file["mime_type"], Path(file["path"]).suffix) == ("text/csv", ".csv")
    assert Path(file["path"].removeprefix("file://")).read_text() == (
        "Week of,Subscriptions,Services,Marketplace,Total\n"
    )


@pytest.mark.parametrize("wanted", ["csv", "pdf"])
def test_several_files_are_all_stored(sandbox, run_task, tmp_path: Path, wanted):
    sandbox.settings(export_outcome="several")
    output = run_task(export(export_format=wanted, destination=str(tmp_path))).run()
    assert output["file"] == output["files"][0]
    names = [Path(file["path"]).name for file in output["files"]]
    for name, column in zip(names, ["Subscriptions", "Services", "Marketplace"], strict=True):
        assert name.startswith(f"{column}-")
        assert name.endswith(f".{wanted}")
    manifest = json.loads(Path(output["manifest"].removeprefix("file://")).read_text())
    assert [file["key"] for file in manifest["files"]] == [f"{output['id']}-{n}" for n in (1, 2, 3)]


def test_several_files_are_stored_by_the_download_too(sandbox, run_task, tmp_path: Path):
    sandbox.settings(export_outcome="several", export_seconds=0)
    made = VizdomHook().create_export("dash_abc123", "csv")["id"]
    download = VizdomDownloadExportOperator(task_id="d", export_id=made, destination=str(tmp_path))
    assert len(run_task(download).run()["files"]) == 3


# Options


OPTIONS = {"filters": {"region": "{{ 'no' ~ 'rth' }}"}, "timezone": "Europe/Rome"}


def test_options_are_templated_and_sent(sandbox, run_task):
    operator = export(options=OPTIONS)
    operator.render_template_fields({})
    run_task(operator).run()
    (one,) = sandbox.control("GET", "/exports")
    assert one["options"] == {"filters": {"region": "north"}, "timezone": "Europe/Rome"}


@pytest.mark.parametrize("options", [None, {}])
def test_no_options_ask_for_what_a_task_without_them_asks_for(sandbox, run_task, options):
    task = run_task(export())
    wait_of(task)
    before = task.store[RECORD]["intent"] if task.store is not None else None
    task = run_task(export(options=options), task)
    task.run()
    assert before is None or task.store[RECORD]["intent"] == before
    assert [one["options"] for one in sandbox.control("GET", "/exports")][:1] == [{}]


@needs_store
def test_changed_options_count_as_changed_input(sandbox, run_task):
    first, second = ({"filters": {"region": region}} for region in ("north", "south"))
    task = run_task(export(options=first))
    (made,) = wait_of(task).ids
    assert run_task(export(options=second), task).run()["id"] == made
    task = run_task(export(options=first))
    task.map_index = 3
    wait_of(task)
    again = run_task(export(options=second), task)
    again.map_index = 3
    with pytest.raises(VisioProviderError, match="the mapped list may have changed"):
        again.run()
    assert sandbox.count("vizdom", "POST /exports") == 2


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"format": "png"}, "options: 'format' is given by export_format; leave it out here"),
        ({"dashboard_id": "{{ x }}"}, "options: 'dashboard_id' is given by dashboard_id"),
        ("timezone=UTC", "options: give a dict by the service's names, not 'timezone=UTC'"),
        ([1], "options: give a dict"),
        ({1: "x"}, "options: give a dict"),
    ],
)
def test_options_that_cannot_be_sent_fail_when_the_dag_is_parsed(options, advice):
    with pytest.raises(InvalidRequestError, match=advice):
        export(options=options)


@pytest.mark.parametrize("rendered", ["format", [1], None, "None", {"format": "png"}, {"zone": {1, 2}}])
def test_options_that_cannot_be_sent_start_nothing(sandbox, run_task, rendered):
    operator = export(options="{{ params.options }}")
    operator.options = rendered
    with pytest.raises(InvalidRequestError):
        run_task(operator).run()
    assert sandbox.calls() == []


def test_an_option_that_the_service_does_not_know_says_which(sandbox, run_task):
    with pytest.raises(InvalidRequestError, match="Field 'zone' is not known"):
        run_task(export(options={"zone": "UTC"})).run()
