"""Operators that store files, and the one that deletes a request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from PIL import Image

from airflow_provider_visio.exceptions import (
    AuthenticationError,
    ConnectionFailedError,
    ExportFailedError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    PhotoRequestFailedError,
    ServiceError,
    TransferError,
    WaitTimeoutError,
)
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook
from airflow_provider_visio.operators.visiono import (
    VisionoDeletePhotoRequestOperator,
    VisionoDownloadPhotosOperator,
)
from airflow_provider_visio.operators.vizdom import (
    VizdomDownloadExportOperator,
    VizdomExportDashboardOperator,
)


def submitted(sandbox: Any, **more: Any) -> str:
    request_id = VisionoHook().create_photo_request("Photograph it", items=["Front", "Plate"], **more)["id"]
    sandbox.act(request_id, "submit")
    return request_id


def export(**more: Any) -> VizdomExportDashboardOperator:
    return VizdomExportDashboardOperator(**{"task_id": "export", "dashboard_id": "dash_abc123", **more})


def test_photos_are_stored_with_a_manifest(sandbox, run_task, tmp_path: Path):
    request_id = submitted(sandbox, require_gps=True)
    operator = VisionoDownloadPhotosOperator(
        task_id="download", request_id={"id": request_id}, destination=f"file://{tmp_path}"
    )
    result = run_task(operator).run()
    manifest = json.loads((tmp_path / request_id / "manifest.json").read_text())
    assert result["manifest"] == manifest["path"]
    for file in manifest["files"]:
        assert {"path", "bytes", "sha256", "mime_type", "item", "gps", "submitted_at"} <= set(file)
        with Image.open(file["path"].removeprefix("file://")) as picture:
            picture.verify()
            assert picture.getexif()
    assert "signature" not in json.dumps([result, manifest])
    in_output = {"path", "uri", "bytes", "sha256", "mime_type", "check", "item", "gps", "taken_at"}
    assert [set(file) for file in result["files"]] == [in_output] * 2
    assert result["failed"] == []
    operator.photo_details = False
    assert [set(file) for file in run_task(operator).run()["files"]] == [in_output - {"gps", "taken_at"}] * 2


def test_several_requests_give_a_list(sandbox, run_task, tmp_path: Path):
    ids = [submitted(sandbox), submitted(sandbox)]
    operator = VisionoDownloadPhotosOperator(
        task_id="download", request_id={"arrived": ids, "ended": {}}, destination=str(tmp_path)
    )
    assert [one["id"] for one in run_task(operator).run()] == ids


def download(ids: Any, destination: Path, **more: Any) -> VisionoDownloadPhotosOperator:
    return VisionoDownloadPhotosOperator(task_id="d", request_id=ids, destination=str(destination), **more)


def kept(place: Path) -> set[str]:
    """Return the ids of the requests, or exports, that are stored whole."""
    return {
        manifest.parent.name
        for manifest in place.rglob("manifest.json")
        if json.loads(manifest.read_text())["complete"]
    }


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "status", "status": 404}, NotFoundError),
        ({"kind": "status", "status": 403}, PermissionDeniedError),
        ({"kind": "status", "status": 500}, ServiceError),
        ({"kind": "drop_before"}, ConnectionFailedError),
    ],
    ids=["404", "403", "500", "no reply"],
)
def test_a_request_that_fails_keeps_no_other_from_being_stored(
    sandbox, run_task, tmp_path: Path, fault, error
):
    ids = [submitted(sandbox) for _ in range(3)]
    sandbox.fault("visiono", path=ids[1], **fault)
    task = run_task(download(ids, tmp_path))
    with pytest.raises(error, match=f"1 of 3 photo requests failed: {ids[1]}: .*The other 2 are stored"):
        task.run()
    assert kept(tmp_path) == {ids[0], ids[2]}
    sandbox.clear_faults()
    assert [one["id"] for one in run_task(task.operator, task).run()] == ids


def test_a_photo_of_one_request_keeps_no_other_request_from_being_stored(sandbox, run_task, tmp_path: Path):
    ids = [submitted(sandbox) for _ in range(3)]
    photo = VisionoHook().list_photos(ids[1])[0]["id"]
    sandbox.fault("storage", "html", status=200, path=photo)
    task = run_task(download(ids, tmp_path))
    with pytest.raises(
        TransferError, match=f"1 of 3 photo requests failed: {ids[1]}: .* not be fetched: {photo} "
    ):
        task.run()
    listed = [(one["id"], len(one["files"]), len(one["failed"])) for one in task.xcom["visio_stored"]]
    assert sorted(listed) == sorted([(ids[0], 2, 0), (ids[1], 1, 1), (ids[2], 2, 0)])
    assert kept(tmp_path) == {ids[0], ids[2]}
    manifest = json.loads((tmp_path / ids[1] / "manifest.json").read_text())
    assert ([len(manifest["files"]), len(manifest["failed"])], manifest["complete"]) == ([1, 1], False)
    assert len(list((tmp_path / ids[1]).iterdir())) == 2


def test_a_download_may_proceed_without_what_cannot_be_fetched(sandbox, run_task, tmp_path: Path):
    ids = [
        submitted(sandbox),
        VisionoHook().create_photo_request("x")["id"],
        "req_nobody",
        submitted(sandbox),
    ]
    photo = VisionoHook().list_photos(ids[0])[0]
    sandbox.fault("storage", "html", status=200, path=photo["id"])
    task = run_task(download(ids, tmp_path, on_file_error="proceed"))
    output = task.run()
    assert [one["id"] for one in output] == ids
    assert [len(one["files"]) for one in output] == [1, 0, 0, 2]
    reasons = [[(one["key"], one["item"], one["reason"]) for one in each["failed"]] for each in output]
    assert reasons[0] == [(photo["id"], "Front", "it is a web page, not a file (2 tries)")]
    assert reasons[1][0][:2] == (ids[1], None)
    assert "has no photos" in reasons[1][0][2]
    assert "req_nobody" in reasons[2][0][2]
    assert reasons[3] == []
    assert [output[number]["manifest"] for number in (1, 2)] == [None, None]
    sandbox.clear_faults()
    again = run_task(task.operator, task).run()
    assert [len(one["files"]) for one in again] == [2, 0, 0, 2]


def test_a_request_without_photos_is_not_tried_again_after_a_deferral(sandbox, run_task, tmp_path: Path):
    """Else many of them could use up the rate limit each time, and the task would never end."""
    ids = ["req_nobody", submitted(sandbox), submitted(sandbox)]
    sandbox.fault("visiono", "rate_limit", path=ids[2], times=1, retry_after=90)
    sandbox.control("DELETE", "/counters")
    task = run_task(download(ids, tmp_path, on_file_error="proceed"))
    output = task.run()
    assert len(task.deferrals) == 1
    assert [len(one["files"]) for one in output] == [0, 2, 2]
    assert "req_nobody" in output[0]["failed"][0]["reason"]
    calls = [call["path"] for call in sandbox.calls() if call["service"] == "visiono"]
    assert len([path for path in calls if "req_nobody" in path]) == 1


def test_a_download_of_many_costs_a_call_each_and_list_pages(sandbox, run_task, tmp_path: Path):
    sandbox.person("manual", photos=1)
    ids = [submitted(sandbox) for _ in range(12)]
    sandbox.control("DELETE", "/counters")
    run_task(download(ids, tmp_path)).run()
    assert sandbox.counters()["visiono"] == {
        "GET /photo-requests": 1,
        "GET /photo-requests/{id}/download-urls": 12,
    }
    assert kept(tmp_path) == set(ids)


@pytest.mark.parametrize(
    ("folder", "place"),
    [("week-3/car", "week-3/car"), ("", "."), ("a b/{{ 1 + 1 }}", "a b/{{ 1 + 1 }}"), (".", ".")],
)
def test_a_folder_of_the_author_s_has_a_manifest_for_each_request(
    sandbox, run_task, tmp_path: Path, folder, place
):
    ids = [submitted(sandbox), submitted(sandbox)]
    output = run_task(download(ids, tmp_path, folder=folder)).run()
    found = {path.name for path in (tmp_path / place).iterdir()}
    assert {f"manifest-{request_id}.json" for request_id in ids} <= found
    assert len(found) == 2 + 4
    for one in output:
        manifest = json.loads(Path(one["manifest"].removeprefix("file://")).read_text())
        assert (manifest["id"], len(manifest["files"]), manifest["complete"]) == (one["id"], 2, True)
    sandbox.control("DELETE", "/counters")
    run_task(download(ids, tmp_path, folder=folder)).run()
    assert sandbox.counters()["storage"] == {}


def test_a_photo_and_a_report_may_stand_side_by_side(sandbox, run_task, tmp_path: Path):
    request_id = submitted(sandbox)
    task = run_task(export(destination=str(tmp_path), folder="week-3"))
    output = task.run()
    run_task(download(request_id, tmp_path, folder="week-3")).run()
    names = {path.name for path in (tmp_path / "week-3").iterdir()}
    assert {f"manifest-{request_id}.json", f"manifest-{output['id']}.json"} <= names
    assert len(names) == 2 + 3


WRONG_FOLDERS = {
    "../other": "a '..', which leaves the destination",
    "a/../../b": "a '..'",
    "a\\..\\b": "a '..'",
    "..": "a '..'",
    "/etc": "begins outside the destination",
    "\\share": "begins outside the destination",
    "s3://other/bucket": "begins outside the destination",
    "a\nb": "control characters",
}


@pytest.mark.parametrize("folder", WRONG_FOLDERS)
def test_a_folder_that_leaves_its_place_is_refused_before_any_call(sandbox, run_task, tmp_path: Path, folder):
    with pytest.raises(InvalidRequestError, match=WRONG_FOLDERS[folder]):
        download("req_1", tmp_path, folder=folder)
    rendered = download("req_1", tmp_path, folder="{{ params.folder }}")
    rendered.folder = folder
    with pytest.raises(InvalidRequestError, match=WRONG_FOLDERS[folder]):
        run_task(rendered).run()
    rendered = download("req_1", tmp_path)
    rendered.destination = f"{tmp_path}/a/../../b"
    with pytest.raises(InvalidRequestError, match=r"a '\.\.'"):
        run_task(rendered).run()
    assert sandbox.calls() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"folder": ["week-3"]},
        {"on_file_error": "ignore"},
        {"parallel_downloads": 0},
        {"parallel_downloads": 2.5},
        {"parallel_downloads": True},
    ],
)
def test_a_wrong_storage_parameter_fails_when_the_dag_is_parsed(tmp_path: Path, wrong):
    with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
        download("req_1", tmp_path, **wrong)


def test_requests_that_fail_alike_raise_their_own_error(sandbox, run_task, tmp_path: Path):
    open_ones = [VisionoHook().create_photo_request("x")["id"] for _ in range(2)]
    good = submitted(sandbox)
    with pytest.raises(PhotoRequestFailedError, match="2 of 3 photo requests failed") as caught:
        run_task(download([open_ones[0], good, open_ones[1]], tmp_path)).run()
    assert all(request_id in str(caught.value) for request_id in open_ones)
    assert kept(tmp_path) == {good}


def test_requests_that_fail_differently_raise_a_transfer_error(sandbox, run_task, tmp_path: Path):
    still_open, good = VisionoHook().create_photo_request("x")["id"], submitted(sandbox)
    with pytest.raises(TransferError, match="2 of 3 photo requests failed: req_nobody: ") as caught:
        run_task(download(["req_nobody", still_open, good], tmp_path)).run()
    assert f"{still_open}: " in str(caught.value)
    assert kept(tmp_path) == {good}


def test_a_refused_key_ends_it_at_once(sandbox, run_task, tmp_path: Path):
    ids = [submitted(sandbox) for _ in range(3)]
    sandbox.fault("visiono", "status", status=401, path=ids[1])
    with pytest.raises(AuthenticationError):
        run_task(download(ids, tmp_path)).run()
    assert kept(tmp_path) == {ids[0]}


def test_a_request_that_failed_is_not_tried_again_after_a_deferral(sandbox, run_task, tmp_path: Path):
    """Else requests that fail could use up the rate limit each time, and the task would never end."""
    ids = [submitted(sandbox) for _ in range(3)]
    sandbox.fault("visiono", "status", status=404, path=ids[0])
    sandbox.fault("visiono", "rate_limit", path=ids[2], times=1, retry_after=90)
    sandbox.control("DELETE", "/counters")
    task = run_task(download(ids, tmp_path))
    with pytest.raises(NotFoundError, match=f"1 of 3 photo requests failed: {ids[0]}: ") as caught:
        task.run()
    assert caught.value.status == 404
    assert len(task.deferrals) == 1
    assert kept(tmp_path) == {ids[1], ids[2]}
    assert sandbox.count("visiono", "GET /photo-requests/{id}") == 4


def test_an_export_that_fails_keeps_no_other_from_being_stored(sandbox, run_task, tmp_path: Path):
    ids = [VizdomHook().create_export("dash_abc123", "pdf")["id"] for _ in range(2)]
    sandbox.advance(60)
    operator = VizdomDownloadExportOperator(
        task_id="d", export_id=[ids[0], "exp_nobody", ids[1]], destination=str(tmp_path)
    )
    with pytest.raises(NotFoundError, match="1 of 3 exports failed: exp_nobody: "):
        run_task(operator).run()
    assert kept(tmp_path) == set(ids)


def test_a_failed_download_names_what_is_kept_and_goes_on_from_there(sandbox, run_task, tmp_path: Path):
    request_id = submitted(sandbox)
    sandbox.fault("storage", "status", status=500, skip=1)
    operator = VisionoDownloadPhotosOperator(task_id="d", request_id=request_id, destination=str(tmp_path))
    with pytest.raises(TransferError, match="1 of 2 files are stored and stay; run the task again"):
        run_task(operator).run()
    sandbox.clear_faults()
    sandbox.control("DELETE", "/counters")
    assert len(run_task(operator).run()["files"]) == 2
    assert sandbox.count("storage", "GET /photos/{name}") == 1


@pytest.mark.parametrize(
    ("destination", "says"),
    [
        ("", "destination: it is empty"),
        ("relative/path", "relative path"),
        ("s3:/bucket", "two slashes"),
        ("file://relative", "a local path starts at the root"),
    ],
)
def test_a_malformed_destination_fails_when_the_dag_is_parsed(destination, says):
    with pytest.raises(InvalidRequestError, match=says):
        VisionoDownloadPhotosOperator(task_id="d", request_id="req_1", destination=destination)
    with pytest.raises(InvalidRequestError, match=says):
        VizdomDownloadExportOperator(task_id="d", export_id="exp_1", destination=destination)


def test_a_scheme_that_airflow_does_not_know_names_the_remedy(sandbox, run_task):
    operator = VisionoDownloadPhotosOperator(task_id="d", request_id="req_1", destination="nosuch://bucket/x")
    with pytest.raises(TransferError, match="Install the provider that has this filesystem"):
        run_task(operator).run()


def test_an_unwritable_destination_says_where(sandbox, run_task, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    operator = VisionoDownloadPhotosOperator(
        task_id="d", request_id=submitted(sandbox), destination=str(tmp_path / "file")
    )
    with pytest.raises(
        TransferError, match=r"cannot be stored at .*/file: File exists; change the destination"
    ):
        run_task(operator).run()


def test_deleting_ends_the_link(sandbox, run_task):
    request_id = VisionoHook().create_photo_request("x")["id"]
    operator = VisionoDeletePhotoRequestOperator(task_id="delete", request_id=request_id)
    assert run_task(operator).run() == {"id": request_id, "deleted": True}
    with pytest.raises(NotFoundError, match="Check the id"):
        run_task(operator).run()
    lenient = VisionoDeletePhotoRequestOperator(task_id="d", request_id=[request_id], ignore_missing=True)
    assert run_task(lenient).run() == [{"id": request_id, "deleted": False}]


@pytest.mark.parametrize("total", [0, 3])
def test_a_request_is_missing_also_where_the_list_counts_those_that_are_deleted(sandbox, run_task, total):
    body = {"data": [], "meta": {"total": total}, "links": {"next": None}}
    sandbox.fault("visiono", "body", method="GET", path="^/photo-requests$", status=200, body=body)
    operator = VisionoDeletePhotoRequestOperator(task_id="d", request_id="req_nobody", ignore_missing=True)
    assert run_task(operator).run() == {"id": "req_nobody", "deleted": False}


def test_a_request_that_can_be_read_as_cancelled_counts_as_missing(sandbox, run_task):
    request_id = VisionoHook().create_photo_request("x")["id"]
    sandbox.act(request_id, "cancel")
    sandbox.fault("visiono", "status", status=404, method="DELETE", times=1)
    operator = VisionoDeletePhotoRequestOperator(task_id="d", request_id=request_id, ignore_missing=True)
    assert run_task(operator).run() == {"id": request_id, "deleted": False}


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(("wanted", "suffix"), [("pdf", ".pdf"), ("PNG", ".png"), ("csv", ".csv")])
def test_an_export_is_waited_for_and_stored(sandbox, run_task, tmp_path: Path, deferrable, wanted, suffix):
    task = run_task(export(export_format=wanted, destination=str(tmp_path), deferrable=deferrable))
    output = task.run()
    assert output["status"] == "completed"
    assert output["file"]["path"].endswith(suffix)
    assert (tmp_path / output["id"] / "manifest.json").exists()
    assert len(task.deferrals) == deferrable
    assert "signature" not in json.dumps(output)
    assert sandbox.count("vizdom", "POST /exports") == 1


def test_an_export_can_be_started_only(sandbox, run_task, tmp_path: Path):
    output = run_task(export(wait_for_completion=False)).run()
    assert output["status"] == "pending"
    sandbox.advance(30)
    download = VizdomDownloadExportOperator(task_id="d", export_id=output, destination=str(tmp_path))
    assert run_task(download).run()["files"][0]["mime_type"] == "application/pdf"


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_failed_export_says_why(sandbox, run_task, deferrable):
    with pytest.raises(ExportFailedError, match=r"failed at Vizdom: .+\w\. A retry of this task"):
        run_task(export(dashboard_id="dash_broken", deferrable=deferrable)).run()


@pytest.mark.parametrize("deferrable", [True, False])
def test_an_export_that_takes_too_long_goes_on(sandbox, run_task, deferrable):
    sandbox.settings(export_seconds=10_000)
    with pytest.raises(WaitTimeoutError, match="The export goes on at Vizdom"):
        run_task(export(timeout=60, deferrable=deferrable)).run()


def test_a_file_that_is_not_ready_is_not_fetched(sandbox, run_task, tmp_path: Path):
    export_id = VizdomHook().create_export("dash_abc123", "pdf")["id"]
    with pytest.raises(ExportFailedError, match=r"has no file: its status is 'pending'. Wait for it"):
        run_task(
            VizdomDownloadExportOperator(task_id="d", export_id=export_id, destination=str(tmp_path))
        ).run()


def test_an_unknown_dashboard_says_so(sandbox, run_task):
    with pytest.raises(NotFoundError, match="Dashboard with ID 'dash_nobody' does not exist"):
        run_task(export(dashboard_id="dash_nobody")).run()


@pytest.mark.parametrize(
    "wrong",
    [{"export_format": "docx"}, {"export_format": ""}, {"dashboard_id": " "}, {"dashboard_id": "a/.."}],
)
def test_what_is_known_to_be_wrong_fails_when_the_dag_is_parsed(wrong):
    with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
        export(**wrong)


def test_a_format_that_the_contract_lacks_names_the_setting(sandbox, run_task):
    with pytest.raises(InvalidRequestError, match=r"not one of pdf, png, csv.*contract.formats"):
        run_task(export(export_format="xlsx")).run()
    assert sandbox.count("vizdom", "POST /exports") == 0


def test_the_dashboard_s_link_is_kept_before_the_task_defers(sandbox, run_task, connection):
    connection(
        "vizdom_default",
        sandbox.vizdom_url,
        sandbox.vizdom_key,
        dashboard_url="https://bi.example/{dashboard_id}",
    )
    task = run_task(export())
    with pytest.raises(TaskDeferred):
        task.operator.execute(task.context)
    assert task.xcom["visio_link"] == "https://bi.example/dash_abc123"


def test_photos_that_are_not_there_yet_are_not_a_success(sandbox, run_task, tmp_path: Path):
    request_id = VisionoHook().create_photo_request("x")["id"]
    operator = VisionoDownloadPhotosOperator(task_id="d", request_id=request_id, destination=str(tmp_path))
    with pytest.raises(
        PhotoRequestFailedError, match=r"has no photos: its status is 'pending'. Wait for them"
    ):
        run_task(operator).run()
    sandbox.settings(download_urls=False)
    operator.request_id = submitted(sandbox)
    with pytest.raises(PhotoRequestFailedError, match="look for them in Visiono's dashboard"):
        run_task(operator).run()
    assert not list(tmp_path.iterdir())
