"""Airflow's lineage shows each stored file once as an output, and what it comes from as the input."""

from __future__ import annotations

import sys

import pytest
from airflow.providers.common.compat import sdk
from airflow.sdk import Asset, ObjectStoragePath
from hooks.recipient import submit

from airflow_provider_visio.assets.openlineage import convert_asset_to_openlineage
from airflow_provider_visio.assets.visiono import photo_request_submission
from airflow_provider_visio.exceptions import TransferError
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook
from airflow_provider_visio.operators.visiono import VisionoDownloadPhotosOperator
from airflow_provider_visio.storage.lineage import object_uri

REQUESTS = "visiono://visiono_default/photo-requests"


class Collected:
    """What a new process of the task has collected."""

    def __init__(self) -> None:
        self.restart()

    def restart(self):
        self.collector = sdk.HookLineageCollector()

    def _uris(self, infos):
        assert {info.count for info in infos} <= {1}
        return [info.asset.uri for info in infos]

    @property
    def inputs(self):
        return self._uris(self.collector.collected_assets.inputs)

    @property
    def outputs(self):
        return self._uris(self.collector.collected_assets.outputs)


@pytest.fixture
def collected(monkeypatch):
    found = Collected()
    # Airflow's own paths ask the second.
    for module in (sdk, sys.modules[type(found.collector).__module__]):
        monkeypatch.setattr(module, "get_hook_lineage_collector", lambda: found.collector)
    return found


@pytest.fixture
def hook(sandbox):
    return VisionoHook()


def ask(sandbox, hook, number=3):
    made = hook.create_photo_request("The car", items=[f"Part {n}" for n in range(number)])
    submit(sandbox, made)
    return made["id"]


def in_asset(uri):
    """Return a URI as an asset has it."""
    return Asset(uri=uri).uri


def uris(manifest):
    return [in_asset(file["uri"]) for file in manifest["files"]]


def test_a_request_s_photos(sandbox, hook, destination, collected):
    request_id = ask(sandbox, hook)
    manifest = hook.download_photos(request_id, destination)
    assert len(uris(manifest)) == 3
    assert collected.outputs == uris(manifest)
    assert collected.inputs == [f"{REQUESTS}/{request_id}"]


def test_a_second_run_has_all_files_as_outputs_and_reads_nothing(sandbox, hook, destination, collected):
    request_id = ask(sandbox, hook)
    manifest = hook.download_photos(request_id, destination)
    collected.restart()
    hook.download_photos(request_id, destination)
    assert collected.outputs == uris(manifest)
    assert collected.inputs == [f"{REQUESTS}/{request_id}"]


def test_a_photo_that_fails_leaves_the_others(sandbox, hook, destination, collected):
    request_id = ask(sandbox, hook)
    sandbox.fault("storage", "status", status=500, skip=1)
    with pytest.raises(TransferError):
        hook.download_photos(request_id, destination)
    assert len(collected.outputs) == 1
    assert collected.inputs == [f"{REQUESTS}/{request_id}"]


def test_nothing_that_is_stored_is_no_lineage(sandbox, hook, destination, collected):
    request_id = ask(sandbox, hook)
    sandbox.fault("storage", "status", status=500)
    with pytest.raises(TransferError):
        hook.download_photos(request_id, destination)
    assert collected.outputs == collected.inputs == []


def test_an_export_comes_from_its_dashboard(sandbox, destination, collected):
    hook = VizdomHook()
    export = hook.create_export("dash_abc123", "pdf")
    sandbox.advance(60)
    manifest = hook.download_export(export["id"], destination)
    assert collected.outputs == uris(manifest)
    assert collected.inputs == ["vizdom://vizdom_default/dashboards/dash_abc123"]


def test_a_permanent_link(sandbox, hook, destination, collected):
    link = hook.create_permanent_link("The van")["id"]
    sandbox.control("POST", f"/permanent-links/{link}/submit", {"photos": 2})
    manifest = hook.download_permanent_link_photos(link, destination)
    assert collected.outputs == uris(manifest)
    assert collected.inputs == [f"visiono://visiono_default/permanent-links/{link}"]


def download(ids, destination, **more):
    return VisionoDownloadPhotosOperator(task_id="get", request_id=ids, destination=destination, **more)


def root_of(destination):
    """Return the destination as other tools know it."""
    path = ObjectStoragePath(destination)
    return path.fs.unstrip_protocol(path.path.rstrip("/"))


@pytest.mark.parametrize("limit", [4, 2, 1])
def test_more_files_than_airflow_keeps(sandbox, hook, destination, collected, run_task, monkeypatch, limit):
    monkeypatch.setenv("AIRFLOW__LINEAGE__MAX_ASSETS_PER_COLLECTOR", str(limit))
    ids = [ask(sandbox, hook, 2) for _ in range(2)]
    output = run_task(download(ids, destination)).run()
    files = [uri for one in output for uri in uris(one)]
    folders = [in_asset(f"{root_of(destination)}/{request_id}") for request_id in ids]
    if limit == 1:
        # The same twice is one entry.
        (found,) = collected.collector.collected_assets.outputs
        assert found.asset.uri == in_asset(root_of(destination))
        (found,) = collected.collector.collected_assets.inputs
        assert found.asset.uri == REQUESTS
    else:
        assert collected.outputs == (files if limit == 4 else folders)
        assert collected.inputs == [f"{REQUESTS}/{request_id}" for request_id in ids]


def test_a_folder_for_all_stands_for_them(sandbox, hook, destination, collected, run_task, monkeypatch):
    monkeypatch.setenv("AIRFLOW__LINEAGE__MAX_ASSETS_PER_COLLECTOR", "1")
    run_task(download([ask(sandbox, hook), ask(sandbox, hook)], destination, folder="week-3")).run()
    (found,) = collected.collector.collected_assets.outputs
    assert found.asset.uri == in_asset(f"{root_of(destination)}/week-3")


def test_a_deferral_for_the_rate_limit_loses_nothing(sandbox, hook, destination, collected, run_task):
    ids = [ask(sandbox, hook) for _ in range(2)]
    # The list of requests is one call; the links of the first, another.
    sandbox.fault("visiono", "rate_limit", retry_after=1800, times=1, skip=2)
    task = run_task(download(ids, destination))
    output = task.run(meanwhile=collected.restart)
    assert len(task.deferrals) == 1
    assert collected.outputs == [uri for one in output for uri in uris(one)]
    assert collected.inputs == [f"{REQUESTS}/{request_id}" for request_id in ids]


def test_lineage_fails_no_task(sandbox, hook, destination, collected, monkeypatch, caplog):
    def broken(*args, **more):
        raise ValueError("uri cannot exceed 1500 characters")

    monkeypatch.setattr(type(collected.collector), "add_output_asset", broken)
    request_id = ask(sandbox, hook)
    assert hook.download_photos(request_id, destination)["complete"]
    assert f"The lineage of {request_id} could not be recorded" in caplog.text


def test_openlineage_s_name_of_an_object():
    pytest.importorskip("openlineage.client")
    asset = Asset(uri=object_uri("vizdom", "a b", "dashboards", "x/1"))
    assert asset.normalized_uri == "vizdom://a%20b/dashboards/x%2F1"
    dataset = convert_asset_to_openlineage(asset, None)
    assert (dataset.namespace, dataset.name) == ("vizdom://a%20b", "dashboards/x%2F1")


def test_an_asset_of_a_schedule_has_the_namespace_of_its_requests():
    pytest.importorskip("openlineage.client")
    dataset = convert_asset_to_openlineage(photo_request_submission(), None)
    assert (dataset.namespace, dataset.name) == ("visiono://visiono_default", "photo-requests/submission")
