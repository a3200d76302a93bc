"""The keys of what each task puts out, as later tasks read them from XCom."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tasks.conftest import Task

from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook
from airflow_provider_visio.operators import visiono, vizdom
from airflow_provider_visio.sensors.visiono import VisionoPermanentLinkSensor, VisionoPhotoRequestSensor
from airflow_provider_visio.sensors.vizdom import VizdomExportSensor

REQUEST = {
    *("id", "status", "request_url", "unique_code", "numeric_code", "code_entry_url"),
    *("created_at", "expires_at"),
}
LINK = {"id", "request_url", "unique_code", "custom_slug", "is_active", "created_at"}
EXPORT = {"id", "dashboard_id", "format", "status", "created_at"}
FILE = {"path", "uri", "bytes", "sha256", "mime_type", "check"}
WAITED = {"id", "arrived[]", "ended", "waiting"}


def under(name: str, keys: set[str]) -> set[str]:
    return {f"{name}.{key}" for key in keys}


FILES = {"id", "manifest", "failed", *under("files[]", FILE)}
PHOTOS = FILES | under("files[]", {"item", "gps.latitude", "gps.longitude", "taken_at"})


def shape(found: Any, path: str = "") -> Iterator[str]:
    """Return the path to each value; of a list, to the values of its first item."""
    if isinstance(found, dict) and found:
        for key, value in found.items():
            yield from shape(value, f"{path}.{key}" if path else key)
    elif isinstance(found, list) and found:
        yield from shape(found[0], f"{path}[]")
    else:
        yield path


def out(operator: Any) -> set[str]:
    return set(shape(Task(operator).run()))


@pytest.fixture
def submitted(sandbox: Any) -> str:
    request_id = VisionoHook().create_photo_request("Photograph it", items=["Front"])["id"]
    sandbox.act(request_id, "submit")
    return request_id


@pytest.fixture
def link(sandbox: Any) -> str:
    link_id = VisionoHook().create_permanent_link("Photograph it", items=["Front"])["id"]
    sandbox.control("POST", f"/permanent-links/{link_id}/submit", {"photos": 1})
    return link_id


@pytest.fixture
def exported(sandbox: Any) -> str:
    sandbox.settings(export_seconds=0)
    return VizdomHook().create_export("dash_abc123", "pdf")["id"]


def test_a_photo_request(sandbox):
    create = partial(visiono.VisionoCreatePhotoRequestOperator, task_id="t", instructions="It")
    assert out(create()) == REQUEST


def test_a_photo_request_with_its_photos(sandbox, tmp_path: Path):
    sandbox.person("submit", open_after=1, photo_every=1)
    create = visiono.VisionoCreatePhotoRequestOperator(
        task_id="t", instructions="It", items=["Front"], destination=str(tmp_path)
    )
    assert out(create) == REQUEST | under("photos", PHOTOS)


def test_a_batch(sandbox):
    batch = visiono.VisionoCreatePhotoRequestBatchOperator(
        task_id="t", requests=[{"instructions": "a"}, {"instructions": "b" * 20_000}], on_item_error="report"
    )
    assert out(batch) == {
        *("ids[]", "requests[].index", "requests[].id", "requests[].request_url"),
        *("failed[].index", "failed[].reason"),
    }


def test_stored_photos(submitted, tmp_path: Path):
    download = partial(
        visiono.VisionoDownloadPhotosOperator, task_id="t", destination=str(tmp_path), request_id=submitted
    )
    assert out(download()) == PHOTOS


def test_photos_of_a_link(link, tmp_path: Path):
    download = visiono.VisionoDownloadPermanentLinkPhotosOperator(
        task_id="t", link_id=link, destination=str(tmp_path)
    )
    assert out(download) == PHOTOS


def test_what_is_deleted(submitted, link):
    assert out(visiono.VisionoDeletePhotoRequestOperator(task_id="t", request_id=submitted)) == {
        "id",
        "deleted",
    }
    assert out(visiono.VisionoDeletePermanentLinkOperator(task_id="t", link_id=link)) == {"id", "deleted"}


def test_a_link(sandbox):
    create = visiono.VisionoCreatePermanentLinkOperator(task_id="t", instructions="It", custom_slug="van")
    assert out(create) == LINK
    link = next(VisionoHook().list_permanent_links())["id"]
    update = visiono.VisionoUpdatePermanentLinkOperator(
        task_id="t", link_id=link, changes={"is_active": False}
    )
    assert out(update) == LINK


def test_usage(sandbox):
    assert out(visiono.VisionoGetStatsOperator(task_id="t")) >= {"photos_left", "plan.email_enabled"}
    quota = visiono.VisionoQuotaShortCircuitOperator(task_id="t", at_least=1)
    assert out(quota) == {"photos_left", "at_least"}


def test_an_export(sandbox, tmp_path: Path):
    export = partial(vizdom.VizdomExportDashboardOperator, task_id="t", dashboard_id="dash_abc123")
    assert out(export(wait_for_completion=False)) == EXPORT
    stored = {"manifest", "failed", *under("file", FILE), *under("files[]", FILE)}
    assert out(export(destination=str(tmp_path))) == EXPORT | stored


def test_a_stored_export(exported, tmp_path: Path):
    download = vizdom.VizdomDownloadExportOperator(task_id="t", export_id=exported, destination=str(tmp_path))
    assert out(download) == FILES


def test_a_workspace(sandbox):
    board = vizdom.VizdomCreateDashboardOperator(task_id="t", name="Claims")
    assert out(board) == {"id", "name", "created_at"}
    source = vizdom.VizdomCreateDataSourceOperator(
        task_id="t",
        name="Claims",
        source_type="postgresql",
        settings={"host": "db", "database": "shop", "username": "bi", "password": "pw-12345"},
    )
    assert out(source) == {"id", "name", "type", "status", "created_at"}
    made = next(VizdomHook().list_data_sources())["id"]
    check = vizdom.VizdomTestDataSourceOperator(task_id="t", data_source_id=made)
    assert out(check) == {"id", "success", "message"}
    invite = vizdom.VizdomInviteMemberOperator(task_id="t", email="new@example.com")
    assert out(invite) == {"id", "role", "invited"}


@pytest.mark.parametrize("many", [False, True], ids=["one", "a list"])
def test_waits(submitted, exported, many):
    waited = WAITED - {"id"} if many else WAITED
    given = [submitted] if many else submitted
    assert out(VisionoPhotoRequestSensor(task_id="t", request_id=given)) == waited
    assert out(VizdomExportSensor(task_id="t", export_id=[exported] if many else exported)) == waited


def test_submissions(link):
    sensor = VisionoPermanentLinkSensor(task_id="t", link_id=link, since="2020-01-01T00:00:00Z")
    assert out(sensor) == {
        *("link_id", "count", "submissions[].id", "submissions[].submitted_at"),
        *("submissions[].unique_value", "submissions[].photos"),
    }
