"""Several files at once: each is stored once, links are minted once for all, and a failure of the store ends it."""

from __future__ import annotations

import contextlib
import errno
import json
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Condition, Event, Lock
from typing import Any

import pytest
from tasks.ten_photos import COUNT, ITEMS, TenPhotos

from airflow_provider_visio.api.client import Client
from airflow_provider_visio.api.download import Download
from airflow_provider_visio.exceptions import ServiceError, TransferError
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.operators.visiono import VisionoDownloadPhotosOperator
from airflow_provider_visio.storage import transfer
from airflow_provider_visio.storage.destination import folder_at
from airflow_provider_visio.storage.manifest import MANIFEST
from airflow_provider_visio.storage.remote_file import RemoteFile
from airflow_provider_visio.storage.store_folder import StoreFolder
from airflow_provider_visio.storage.transfer import Job, store

MINT = "GET /photo-requests/{id}/download-urls"


@pytest.fixture(params=[4, 8])
def parallel_downloads(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture
def photos(sandbox: Any, destination: str) -> TenPhotos:
    return TenPhotos(sandbox, destination)


class Meeting:
    """
    The first downloads wait for each other, so that so many are under way at once.

    :param number: how many.
    :param then: called once, when they have met.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, then: Any = lambda: None) -> None:
        self.most = 0
        self._open, self._came, self._number, self._then = 0, 0, number, then
        self._state = Condition()
        opened = Client.open

        @contextlib.contextmanager
        def meeting(client: Client, url: str) -> Iterator[Download]:
            self._arrive()
            try:
                with opened(client, url) as download:
                    yield download
            finally:
                with self._state:
                    self._open -= 1

        monkeypatch.setattr(Client, "open", meeting)

    def _arrive(self) -> None:
        with self._state:
            self._open, self._came = self._open + 1, self._came + 1
            self.most = max(self.most, self._open)
            if self._came == self._number:
                self._then()
            self._state.notify_all()
            assert self._state.wait_for(lambda: self._came >= self._number, 30)


def test_several_files_come_at_once_and_stand_in_the_service_s_order(
    photos, run_task, monkeypatch, parallel_downloads
):
    meeting = Meeting(monkeypatch, parallel_downloads)
    output = run_task(photos.operator).run()
    assert meeting.most == parallel_downloads
    assert [file["item"] for file in output["files"]] == ITEMS
    assert photos.minted() == 1
    assert photos.fetched() == COUNT
    photos.check(COUNT)
    run_task(photos.operator).run()
    assert photos.fetched() == 0


@pytest.mark.parametrize("parallel_downloads", [2])
def test_the_task_s_number_goes_before_the_connection_s(photos, run_task, monkeypatch):
    meeting = Meeting(monkeypatch, 5)
    operator = VisionoDownloadPhotosOperator(
        task_id="download", request_id=photos.id, destination=photos.destination, parallel_downloads=5
    )
    run_task(operator).run()
    assert meeting.most == 5
    photos.check(COUNT)


def test_links_that_have_all_lapsed_are_minted_once_more_for_all(
    sandbox, photos, run_task, monkeypatch, parallel_downloads
):
    sandbox.settings(photo_link_seconds=60)
    Meeting(monkeypatch, parallel_downloads, then=lambda: sandbox.advance(61))
    run_task(photos.operator).run()
    assert photos.minted() == 2
    assert photos.fetched() == COUNT + parallel_downloads
    photos.check(COUNT)


def test_links_that_cannot_be_minted_again_are_asked_for_once(
    sandbox, photos, run_task, monkeypatch, parallel_downloads
):
    task = run_task(photos.operator)
    sandbox.fault("visiono", "status", status=501, path="download-urls", skip=1, times=None)
    sandbox.settings(photo_link_seconds=60)
    Meeting(monkeypatch, parallel_downloads, then=lambda: sandbox.advance(61))
    with pytest.raises(ServiceError):
        task.run()
    assert photos.minted() == 1 + 5  # one call, and its retries
    photos.check(0)
    sandbox.clear_faults()
    run_task(photos.operator, task).run()
    photos.check(COUNT)


def test_all_that_fail_are_named_in_the_service_s_order(sandbox, photos, run_task):
    sandbox.fault("storage", "html", status=200, path=photos.ids[7], times=None)
    sandbox.fault("storage", "status", status=405, path=photos.ids[2], times=None)
    sandbox.fault("storage", "truncate", path=photos.ids[0], times=None)
    sandbox.fault("storage", "status", status=500, path=photos.ids[5], times=1)
    task = run_task(photos.operator)
    with pytest.raises(
        TransferError, match=r"3 of 10 files of .* 7 of 10 files are stored and stay"
    ) as caught:
        task.run()
    assert [entry["key"] for entry in caught.value.failed] == [photos.ids[number] for number in (0, 2, 7)]
    photos.check({1, 3, 4, 5, 6, 8, 9})
    photos.fetched()
    sandbox.clear_faults()
    run_task(photos.operator, task).run()
    assert photos.fetched() == 3
    photos.check(COUNT)


def some_bytes(url: str) -> contextlib.AbstractContextManager[Download]:
    return contextlib.nullcontext(Download(200, {}, iter([url.encode()])))


def store_many(destination: str, number: int, parallel: int, open_link: Any = some_bytes) -> Any:
    files = [RemoteFile(f"f{index}", "File") for index in range(number)]
    job = Job("Visiono", "my_visiono", "job", {})
    links = {file.key: f"http://x/{file.key}" for file in files}
    place = folder_at(destination, "job")
    return store(files, place, job, links=lambda: links, open_link=open_link, parallel=parallel)


def check_listed(destination: str) -> int:
    """Check that the manifest lists all files of the folder, each with its length, and return how many."""
    place = folder_at(destination, "job")
    lengths = {path.rsplit("/", 1)[-1]: place.fs.info(path)["size"] for path in place.fs.find(place.path)}
    del lengths[MANIFEST]
    manifest = json.loads((place / MANIFEST).read_bytes())
    assert {entry["path"].rsplit("/", 1)[-1]: entry["bytes"] for entry in manifest["files"]} == lengths
    return len(lengths)


def test_hundreds_of_files(destination, parallel_downloads):
    manifest = store_many(destination, 300, parallel_downloads)
    assert [entry["key"] for entry in manifest["files"]] == [f"f{number}" for number in range(300)]
    assert check_listed(destination) == 300


def test_a_store_that_fails_ends_it_and_all_that_is_stored_is_listed(
    destination, parallel_downloads, monkeypatch
):
    put, lock, puts, opened = StoreFolder.put, Lock(), [], []

    def failing(self: StoreFolder, part: Path, name: str) -> None:
        with lock:
            if name != MANIFEST:
                puts.append(name)
            failed = len(puts) == 20 and name != MANIFEST
        if failed:
            raise OSError(errno.ENOSPC, "No space left on device", str(part))
        put(self, part, name)

    def open_link(url: str) -> Any:
        opened.append(url)
        return some_bytes(url)

    monkeypatch.setattr(StoreFolder, "put", failing)
    with pytest.raises(TransferError, match=r"the disk is full; make room\. \d+ of 300 files are stored"):
        store_many(destination, 300, parallel_downloads, open_link)
    assert len(opened) < 100
    assert check_listed(destination) >= 19
    assert len(store_many(destination, 300, parallel_downloads)["files"]) == 300


def test_a_file_that_lands_while_the_task_ends_is_listed(destination, monkeypatch):
    reached, ending, put = Event(), Event(), StoreFolder.put

    class Pool(ThreadPoolExecutor):
        def shutdown(self, *given: Any, **options: Any) -> None:
            ending.set()
            super().shutdown(*given, **options)

    def late(self: StoreFolder, part: Path, name: str) -> None:
        if "f1" in name:
            reached.set()
            assert ending.wait(30)
        put(self, part, name)

    def open_link(url: str) -> Any:
        if "f2" in url:
            assert reached.wait(30)
            raise KeyboardInterrupt
        return some_bytes(url)

    monkeypatch.setattr(transfer, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(StoreFolder, "put", late)
    with pytest.raises(KeyboardInterrupt):
        store_many(destination, 3, 3, open_link)
    assert check_listed(destination) == 2


def test_large_photos_take_little_memory(sandbox, tmp_path, parallel_downloads):
    hook = VisionoHook()
    made = hook.create_photo_request("The car", items=[str(number) for number in range(8)])["id"]
    for item in range(8):
        sandbox.act(made, "upload", item=item, bytes=8 * 2**20)
    tracemalloc.start()
    try:
        manifest = hook.download_photos(made, str(tmp_path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(file["bytes"] for file in manifest["files"]) == 8 * 8 * 2**20
    assert peak < 2 * 2**20 * parallel_downloads
