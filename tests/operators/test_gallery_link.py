"""The button for the gallery: only where it leads to something."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_visio.exceptions import TransferError
from airflow_provider_visio.operators.visiono import (
    VisionoCreatePhotoRequestOperator,
    VisionoDownloadPhotosOperator,
)
from operators.test_asset_of_stored_files import OPERATORS, submitted


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch, sandbox: Any) -> None:
    monkeypatch.setenv("AIRFLOW__VISIO__GALLERY", "True")
    sandbox.person("submit", open_after=5, photo_every=5)


def button(task: Any) -> str:
    return task.buttons["Photos"] if "Photos" in task.buttons else task.buttons["Files"]


@pytest.mark.parametrize("name", OPERATORS)
def test_a_task_that_stored_files_has_it(sandbox, on, run_task, tmp_path, name):
    task = run_task(OPERATORS[name](sandbox, {"task_id": "store", "destination": str(tmp_path)}))
    before: list[str] = []
    task.run(lambda: before.append(button(task)))
    assert button(task) == "dags/claims/runs/manual__1/tasks/store/plugin/visio_gallery"
    assert set(before) <= {""}  # while the task waits, there is nothing to see
    assert ("Files" in task.buttons) == ("export" in name)


def test_a_task_that_defers_in_the_middle_has_none_yet(sandbox, on, run_task, tmp_path):
    ids = [submitted(sandbox), submitted(sandbox)]
    sandbox.fault("visiono", "rate_limit", path=ids[1], times=1, retry_after=90)
    task = run_task(VisionoDownloadPhotosOperator(task_id="store", request_id=ids, destination=str(tmp_path)))
    before: list[str] = []
    task.run(lambda: before.append(button(task)))
    assert before == [""]
    assert button(task)


def test_its_parts_are_quoted_and_a_mapped_task_has_its_index(sandbox, on, run_task, tmp_path):
    task = run_task(OPERATORS["create"](sandbox, {"task_id": "store", "destination": str(tmp_path)}))
    task.run_id, task.map_index = "manual__2026-12-01T00:00:00+00:00/x", 3
    task.run()
    assert button(task) == (
        "dags/claims/runs/manual__2026-12-01T00%3A00%3A00%2B00%3A00%2Fx/tasks/store/mapped/3/plugin/visio_gallery"
    )


def test_without_the_gallery_there_is_none(sandbox, on, run_task, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__VISIO__GALLERY", "False")
    task = run_task(OPERATORS["download"](sandbox, {"task_id": "store", "destination": str(tmp_path)}))
    task.run()
    assert button(task) == ""


def test_without_files_or_an_output_there_is_none(sandbox, on, run_task, tmp_path):
    only_asks = run_task(VisionoCreatePhotoRequestOperator(task_id="ask", instructions="x"))
    only_asks.run()
    assert button(only_asks) == ""
    how: dict[str, Any] = {"task_id": "t", "destination": str(tmp_path), "retries": 0}
    keeps_no_output = run_task(
        VisionoDownloadPhotosOperator(request_id=submitted(sandbox), do_xcom_push=False, **how)
    )
    keeps_no_output.run()
    assert button(keeps_no_output) == ""
    ids = [submitted(sandbox), submitted(sandbox)]
    sandbox.fault("storage", "status", status=403)
    stores_none = run_task(VisionoDownloadPhotosOperator(request_id=ids, on_file_error="proceed", **how))
    stores_none.run()
    assert button(stores_none) == ""
    fails = run_task(VisionoDownloadPhotosOperator(request_id=ids, **how))
    with pytest.raises(TransferError):
        fails.run()
    fails._ended()
    assert button(fails) == ""
