"""Whatever a storage host does: final names hold whole files, what is good stays, and the next try completes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from airflow.sdk import ObjectStoragePath
from hooks.recipient import picture
from tasks.raw_server import RawServer, chunked, reply
from tasks.ten_photos import COUNT, ITEMS, TenPhotos, answer, before_each_fetch

from airflow_provider_visio.exceptions import TransferError
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook
from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator
from airflow_provider_visio.operators.vizdom import VizdomDownloadExportOperator

MAX_TRIES = 4


# What the sandbox's storage does by itself.
CANNED: dict[str, dict[str, Any]] = {
    "body closed early": {"kind": "truncate"},
    "a page with 200": {"kind": "html", "status": 200},
    "an empty body": {"kind": "empty", "status": 200},
    "an XML error with 200": {"kind": "body", "body": "<?xml version='1.0'?><Error><Code>SlowDown</Code></Error>"},
    "a JSON error with 200": {"kind": "body", "body": '{"error": {"code": "slow_down"}}'},
    "hung up before": {"kind": "drop_before"},
    "hung up after": {"kind": "drop_after"},
    "part of a file": {"kind": "status", "status": 206},
    "403": {"kind": "status", "status": 403},
    "404": {"kind": "status", "status": 404},
    "410": {"kind": "status", "status": 410},
    "429": {"kind": "status", "status": 429},
    "500": {"kind": "status", "status": 500},
    "503": {"kind": "rate_limit"},
}  # fmt: skip
# What another host does with a good file, to which it redirects.
RAW: dict[str, Callable[[bytes, str], bytes]] = {
    "length too great": lambda content, kind: reply(content, kind, declared=len(content) + 50),
    "chunks cut within one": lambda content, kind: chunked(content, kind)[:-60],
    "chunks cut between two": lambda content, kind: chunked(content, kind, ended=False),
    "packed, and broken": lambda content, kind: reply(b"\x1f\x8b\x08\x00no", kind, "Content-Encoding: gzip"),
    "a status line and no more": lambda content, kind: b"HTTP/1.1 200",
}
LAPSED = {"403", "404", "410"}
# No other try would get anything else.
FINAL = {"part of a file"}
# The same twice is the host's last word.
DOCUMENTS = {
    "a page with 200",
    "an empty body",
    "an XML error with 200",
    "a JSON error with 200",
    "packed, and broken",
    "a status line and no more",
}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
# What came is a file, as far as HTTP can tell. By media type, check and extension.
ODD: dict[str, tuple[bytes, str, str, str]] = {
    "cut, with a length that fits": (reply(picture(99)[:-50]), "image/jpeg", "damaged", ".jpg"),
    "a length that is too small": (reply(picture(99), declared=400), "image/jpeg", "damaged", ".jpg"),
    "cut, without a length": (reply(picture(99)[:-50], declared=-1), "image/jpeg", "damaged", ".jpg"),
    "text that says it is a JPEG": (reply(b"hello", "Content-Type: image/jpeg"), "image/jpeg", "damaged", ".jpg"),
    "another type": (reply(PNG, "Content-Type: image/jpeg"), "image/png", "damaged", ".png"),
}  # fmt: skip
PASSING = [*(name for name in CANNED if name not in FINAL), *RAW]


@pytest.fixture
def photos(sandbox: Any, destination: str) -> TenPhotos:
    return TenPhotos(sandbox, destination)


@pytest.fixture
def storage_does(sandbox: Any) -> Iterator[Callable[..., None]]:
    """Return a function that has the storage host do one of the above."""
    servers: list[RawServer] = []

    def do(name: str, content: bytes = picture(99), kind: str = "image/jpeg", **when: Any) -> None:
        if name in CANNED:
            sandbox.fault("storage", **CANNED[name], **when)
        else:
            servers.append(RawServer(RAW[name](content, f"Content-Type: {kind}")))
            sandbox.fault("storage", "redirect", location=servers[-1].url, **when)

    yield do
    for server in servers:
        server.close()


@pytest.mark.parametrize("fault", PASSING)
def test_what_happens_once_is_overcome(photos, run_task, storage_does, fault):
    storage_does(fault, skip=2, times=1)
    run_task(photos.operator).run()
    assert photos.minted() == (2 if fault in LAPSED else 1)
    assert photos.fetched() == COUNT + 1
    photos.check(COUNT)


@pytest.mark.parametrize("fault", [*CANNED, *RAW])
def test_what_goes_on_leaves_what_was_good_and_the_next_try_completes(
    sandbox, photos, run_task, storage_does, fault
):
    storage_does(fault, skip=2, times=None)
    task = run_task(photos.operator)
    with pytest.raises(
        TransferError, match=r"2 of 10 files are stored and stay; run the task again"
    ) as caught:
        task.run()
    assert caught.value.status == (int(fault) if fault.isdigit() else 206 if fault in FINAL else None)
    assert [entry["key"] for entry in caught.value.failed] == photos.ids[2:]
    tries = 1 if fault in FINAL else 2 if fault in DOCUMENTS else MAX_TRIES
    assert photos.minted() == (MAX_TRIES if fault in LAPSED else 1)
    # Once one has failed in all tries, each of the others is tried once.
    assert photos.fetched() == COUNT + tries - 1
    photos.check(2)
    sandbox.clear_faults()
    run_task(photos.operator, task).run()
    assert photos.fetched() == COUNT - 2
    photos.check(COUNT)


@pytest.mark.parametrize("odd", ODD)
def test_what_only_looks_odd_is_stored_at_once_and_marked(sandbox, photos, run_task, odd):
    answer, mime_type, check, extension = ODD[odd]
    server = RawServer(answer)
    sandbox.fault("storage", "redirect", location=server.url, path=photos.ids[2], times=None)
    output = run_task(photos.operator).run()
    server.close()
    assert photos.fetched() == COUNT
    assert [file["check"] for file in output["files"]] == ["ok", "ok", check, *["ok"] * (COUNT - 3)]
    (entry,) = (
        entry for entry in json.loads(photos.content()["manifest.json"])["files"] if "check_note" in entry
    )
    assert (entry["mime_type"], entry["path"].endswith(extension)) == (mime_type, True)
    assert entry.get("declared_type") == (None if mime_type == "image/jpeg" else "image/jpeg")
    content = photos.content()[entry["path"].rsplit("/", 1)[-1]]
    assert answer.startswith(content, answer.index(b"\r\n\r\n") + 4)
    assert (entry["bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    run_task(photos.operator).run()
    assert photos.fetched() == 0


@pytest.mark.parametrize("number", [1, COUNT])
def test_a_link_that_has_expired_is_minted_once_more(sandbox, photos, run_task, monkeypatch, number):
    sandbox.settings(photo_link_seconds=60)
    before_each_fetch(monkeypatch, lambda count: sandbox.advance(61) if count == number else None)
    run_task(photos.operator).run()
    assert photos.minted() == 2
    assert photos.fetched() == COUNT + 1
    photos.check(COUNT)


@pytest.mark.parametrize("number", [1, COUNT])
def test_links_that_expire_each_time_come_to_an_end(sandbox, photos, run_task, monkeypatch, number):
    sandbox.settings(photo_link_seconds=60)
    before_each_fetch(monkeypatch, lambda count: sandbox.advance(61) if count >= number else None)
    task = run_task(photos.operator)
    with pytest.raises(TransferError, match="answered 403") as caught:
        task.run()
    assert caught.value.status == 403
    assert photos.minted() == MAX_TRIES
    assert (
        photos.fetched() == COUNT - 1 + MAX_TRIES
    )  # with number 1, each photo after the first is tried once
    photos.check(number - 1)
    sandbox.settings(photo_link_seconds=3600)
    run_task(photos.operator, task).run()
    assert photos.fetched() == COUNT - number + 1
    photos.check(COUNT)


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize("fault", ["body closed early", "403", "chunks cut between two"])
def test_the_next_try_of_a_task_that_has_asked_only_fetches_the_rest(
    sandbox, run_task, later, storage_does, tmp_path, deferrable, fault
):
    operator = VisionoCreatePhotoRequestOperator(
        task_id="ask",
        instructions="The car",
        items=ITEMS,
        destination=f"file://{tmp_path}/out",
        deferrable=deferrable,
    )
    pictures = [picture(seed) for seed in range(COUNT)]

    def submit() -> None:
        (found,) = sandbox.control("GET", "/photo-requests")
        answer(sandbox, VisionoHook().get_photo_request(found["id"]), pictures)

    storage_does(fault, skip=6, times=None)
    later(30, submit)
    task = run_task(operator)
    with pytest.raises(TransferError, match="6 of 10 files are stored and stay"):
        task.run()
    assert len(task.deferrals) == deferrable
    (request,) = sandbox.control("GET", "/photo-requests")
    photos = TenPhotos(sandbox, operator.destination, pictures, request["id"])
    photos.check(6)
    sandbox.clear_faults()
    output = run_task(operator, task).run()
    assert sandbox.count("visiono", "POST /photo-requests") == 0
    assert photos.fetched() == COUNT - 6
    photos.check(COUNT)
    assert output["id"] == request["id"]
    assert len(output["photos"]["files"]) == COUNT


@pytest.mark.parametrize("fault", [*CANNED, *RAW])
def test_an_export_s_file_is_whole_or_absent(sandbox, run_task, destination, storage_does, fault):
    export_id = VizdomHook().create_export("dash_abc123", "pdf")["id"]
    sandbox.advance(60)
    link = VizdomHook().get_export(export_id)["download_url"]
    good = requests.get(link, timeout=10).content
    operator = VizdomDownloadExportOperator(task_id="d", export_id=export_id, destination=destination)
    folder = ObjectStoragePath(f"{destination}/{export_id}")
    storage_does(fault, good, "application/pdf", times=None)
    task = run_task(operator)
    with pytest.raises(TransferError, match="Run the task again to try once more"):
        task.run()
    assert [path.rsplit("/", 1)[-1] for path in folder.fs.find(folder.path)] == ["manifest.json"]
    sandbox.clear_faults()
    output = run_task(operator, task).run()
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert manifest["files"][0]["sha256"] == output["files"][0]["sha256"]
    assert ObjectStoragePath(manifest["files"][0]["path"]).read_bytes() == good
    assert len(folder.fs.find(folder.path)) == 2
