"""Photos and exports in S3, Google Cloud Storage and Azure Blob: store, store again, resume, refuse."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from conftest import Sandbox
from hooks.recipient import picture, submit

from airflow_provider_visio.exceptions import TransferError
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook
from airflow_provider_visio.operators.visiono import VisionoDownloadPhotosOperator

from .conftest import Store, forget

pytestmark = pytest.mark.stores

COUNT = 6


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def request_id(sandbox: Sandbox) -> str:
    """A submitted request of six photos."""
    request = VisionoHook().create_photo_request("The car", items=[f"View {n}" for n in range(1, COUNT + 1)])
    submit(sandbox, request)
    sandbox.control("DELETE", "/counters")
    return str(request["id"])


def photos(store: Store) -> dict[str, bytes]:
    return {key: content for key, content in store.content().items() if key.endswith(".jpg")}


def download(request_id: str, destination: str) -> dict[str, Any]:
    """Download as another process does, which remembers nothing of the store."""
    forget()
    return dict(VisionoHook().download_photos(request_id, destination))


def fetched(sandbox: Sandbox) -> int:
    """Return how many photos were fetched from the service since the last time."""
    count = sandbox.count("storage", "GET /photos/{name}")
    sandbox.control("DELETE", "/counters")
    return count


def check(store: Store, request_id: str, manifest: dict[str, Any]) -> None:
    """All six photos are in the bucket as they were sent, and the stored manifest agrees."""
    content = store.content()
    folder = f"claims/{request_id}"
    assert json.loads(content.pop(f"{folder}/manifest.json")) == manifest
    assert sorted(map(digest, content.values())) == sorted(digest(picture(n)) for n in range(COUNT))
    for file in manifest["files"]:
        stored = content[f"{folder}/{file['path'].rsplit('/', 1)[-1]}"]
        assert file["path"].startswith(f"{store.url}/{request_id}/")
        assert (file["bytes"], file["sha256"]) == (len(stored), digest(stored))
    assert len(manifest["files"]) == len(content) == COUNT


def test_photos_are_stored(sandbox: Sandbox, store: Store, request_id: str) -> None:
    manifest = download(request_id, store.url)
    check(store, request_id, manifest)
    assert fetched(sandbox) == COUNT


def test_an_operator_stores_photos(store: Store, request_id: str, run_task: Any) -> None:
    operator = VisionoDownloadPhotosOperator(
        task_id="download", request_id=request_id, destination=f"{store.url}/a-run"
    )
    output = run_task(operator).run()
    names = {path.rsplit("/", 1)[-1] for path in store.content()}
    assert {file["path"].rsplit("/", 1)[-1] for file in output["files"]} | {"manifest.json"} == names
    manifest = json.loads(ObjectStoragePath(output["manifest"]).read_bytes())
    assert [file["path"] for file in manifest["files"]] == [file["path"] for file in output["files"]]


@pytest.mark.parametrize("form", ["pdf", "csv"])
def test_an_export_is_stored(sandbox: Sandbox, store: Store, form: str) -> None:
    hook = VizdomHook()
    export = hook.create_export("dash_abc123", form)["id"]
    sandbox.advance(60)
    manifest = hook.download_export(export, store.url)
    content = store.content()
    assert json.loads(content.pop(f"claims/{export}/manifest.json")) == manifest
    assert [digest(stored) for stored in content.values()] == [file["sha256"] for file in manifest["files"]]


def test_a_second_run_fetches_nothing(sandbox: Sandbox, store: Store, request_id: str) -> None:
    first = download(request_id, store.url)
    fetched(sandbox)
    second = download(request_id, store.url)
    check(store, request_id, second)
    assert second["files"] == first["files"]
    assert fetched(sandbox) == 0


def test_a_second_run_reads_no_photo_back(store: Store, request_id: str) -> None:
    download(request_id, store.url)
    store.gate.open()
    download(request_id, store.url)
    assert [call for call in store.gate.calls if store.kind.reads.search(call) and ".jpg" in call] == []


def test_a_run_that_the_store_breaks_is_resumed(sandbox: Sandbox, store: Store, request_id: str) -> None:
    photo, sent = itertools.count(), dict[str, int]()

    def refuses(call: str, status: int) -> bool:
        # As where a policy changes after three photos.
        return call.startswith(("PUT", "POST")) and ".jpg" in call and sent.setdefault(call, next(photo)) >= 3

    store.gate.refuses = refuses
    with pytest.raises(TransferError, match="of 6 files are stored and stay"):
        download(request_id, store.url)
    store.gate.open()
    fetched(sandbox)
    there = photos(store)
    assert 0 < len(there) <= 3
    check(store, request_id, download(request_id, store.url))
    assert fetched(sandbox) == COUNT - len(there)


def test_a_run_whose_photos_cannot_be_fetched_is_resumed(
    sandbox: Sandbox, store: Store, request_id: str
) -> None:
    lost = [photo["id"] for photo in VisionoHook().list_photos(request_id)][2:4]
    for photo in lost:
        sandbox.fault("storage", "status", status=500, path=photo)
    with pytest.raises(TransferError, match="4 of 6 files are stored and stay"):
        download(request_id, store.url)
    sandbox.clear_faults()
    fetched(sandbox)
    assert len(photos(store)) == 4
    check(store, request_id, download(request_id, store.url))
    assert fetched(sandbox) == 2


def test_no_bucket_is_created(store: Store, request_id: str) -> None:
    destination = store.url.replace(store.bucket, "no-such-bucket")
    with pytest.raises(TransferError) as caught:
        download(request_id, destination)
    assert f"Cannot store at {destination}/{request_id}: the bucket does not exist" in str(caught.value)
    assert not store.plain.exists("no-such-bucket")


def test_photos_are_stored_without_a_connection(
    store: Store, request_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in store.kind.environment(store.gate.url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AIRFLOW_CONN_MY_STORE")
    manifest = download(request_id, store.uri)
    assert len(photos(store)) == COUNT
    assert manifest["path"] == f"{store.uri}/{request_id}/manifest.json"


def test_a_uri_carries_no_connection(store: Store, request_id: str) -> None:
    manifest = download(request_id, store.url)
    for file in manifest["files"]:
        assert file["uri"] == f"{store.uri}/{request_id}/{file['path'].rsplit('/', 1)[-1]}"
        assert digest(store.plain.cat_file(file["uri"])) == file["sha256"]


class TestARoleThatMayNotList:
    """A role with only the rights that docs/production.md calls needed."""

    @pytest.fixture(autouse=True)
    def role(self, store: Store) -> None:
        store.gate.refuses = store.kind.may_not_list

    def test_photos_are_stored_and_fetched_once(
        self, sandbox: Sandbox, store: Store, request_id: str
    ) -> None:
        check(store, request_id, download(request_id, store.url))
        assert fetched(sandbox) == COUNT
        check(store, request_id, download(request_id, store.url))
        assert fetched(sandbox) == 0

    def test_a_run_is_resumed(self, sandbox: Sandbox, store: Store, request_id: str) -> None:
        lost = VisionoHook().list_photos(request_id)
        photo = next(iter(lost))["id"]
        sandbox.fault("storage", "status", status=500, path=photo)
        with pytest.raises(TransferError, match="5 of 6 files are stored and stay"):
            download(request_id, store.url)
        sandbox.clear_faults()
        fetched(sandbox)
        check(store, request_id, download(request_id, store.url))
        assert fetched(sandbox) == 1
