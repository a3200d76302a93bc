"""A file is whole or absent, the manifest lists the files that are stored, and a re-run fetches the rest."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import resource
import secrets
import traceback
import tracemalloc
from pathlib import Path
from typing import ClassVar

import fsspec
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from api.local_server import DROP, Answer, LocalServer
from fsspec.implementations.memory import MemoryFileSystem
from hooks.recipient import send_photo, submit
from PIL import Image

from airflow_provider_visio.api.client import Client
from airflow_provider_visio.api.config import ServiceConfig
from airflow_provider_visio.api.download import Download
from airflow_provider_visio.api.visiono import VISIONO
from airflow_provider_visio.exceptions import (
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    PhotoRequestFailedError,
    RateLimitedError,
    TransferError,
)
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook
from airflow_provider_visio.storage.destination import destination_problem, folder_at, safe_name
from airflow_provider_visio.storage.manifest import MANIFEST, ManifestWriter, summary
from airflow_provider_visio.storage.remote_file import RemoteFile
from airflow_provider_visio.storage.store_folder import StoreFolder
from airflow_provider_visio.storage.transfer import Job, store

FETCH = "GET /photos/{name}"
SIGNATURE = secrets.token_hex(16)
FILE_IN_OUTPUT = {"path", "uri", "bytes", "sha256", "mime_type", "check", "item"}


def stored(destination):
    """Every file below a destination, by its path there; also those that are hidden."""
    root = ObjectStoragePath(destination)
    return {path.removeprefix(f"{root.path}/"): root.fs.cat_file(path) for path in root.fs.find(root.path)}


def photo_names(destination):
    return sorted(name for name in stored(destination) if not name.endswith(MANIFEST))


def manifest_of(destination, job_id):
    """Return the manifest of a job, after a check that each file it lists is stored with its bytes."""
    files = stored(destination)
    manifest = json.loads(files[f"{job_id}/{MANIFEST}"])
    for entry in manifest["files"]:
        content = files[entry["path"].removeprefix(f"{destination}/")]
        assert (entry["bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    return manifest


@pytest.fixture
def hook(sandbox):
    return VisionoHook()


@pytest.fixture
def submitted(sandbox, hook):
    """A request with three photos."""
    made = hook.create_photo_request("The car", items=["Front", "Back", "Left side"], metadata={"ticket": 5})
    submit(sandbox, made)
    return made["id"]


def test_photos_are_stored_with_a_manifest(sandbox, hook, submitted, destination, clock):
    manifest = hook.download_photos(submitted, destination)
    files = stored(destination)
    assert len(files) == 4
    assert json.loads(files[f"{submitted}/{MANIFEST}"]) == manifest
    assert manifest["service"] == "Visiono"
    assert manifest["id"] == submitted
    assert manifest["path"] == f"{destination}/{submitted}/{MANIFEST}"
    assert manifest["about"]["status"] == "submitted"
    assert manifest["about"]["metadata"] == {"ticket": 5}
    assert manifest["written_at"].startswith("20")
    assert manifest["complete"] is True
    assert manifest["failed"] == []
    assert [entry["item"] for entry in manifest["files"]] == ["Front", "Back", "Left side"]
    for entry, photo in zip(manifest["files"], hook.list_photos(submitted), strict=True):
        content = files[entry["path"].removeprefix(f"{destination}/")]
        assert entry["bytes"] == len(content)
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["mime_type"] == "image/jpeg"
        assert entry["check"] == "ok"
        assert not {"check_note", "declared_type"} & set(entry)
        assert entry["path"].endswith(".jpg")
        with fsspec.open(entry["uri"]) as other_tool:
            assert other_tool.read() == content
        assert entry["key"] == photo["id"]
        assert {name: entry[name] for name in ("item_id", "gps", "submitted_at", "taken_at")} == {
            name: photo[name] for name in ("item_id", "gps", "submitted_at", "taken_at")
        }
        assert Image.open(io.BytesIO(content)).format == "JPEG"
    assert clock.pauses == []


@pytest.mark.parametrize("dialect", [True, False])
def test_both_dialects_store_the_same_photos(sandbox, hook, submitted, destination, dialect):
    sandbox.settings(photos_in_request=dialect)
    manifest = hook.download_photos(submitted, destination)
    assert [entry["mime_type"] for entry in manifest["files"]] == ["image/jpeg"] * 3
    assert [entry["item"] for entry in manifest["files"]] == ["Front", "Back", "Left side"]


def test_the_manifest_has_no_signed_link_and_no_address(sandbox, hook, destination):
    made = hook.create_photo_request("The car", recipient_email="mary@example.com", send_email=True)
    submit(sandbox, made)
    text = json.dumps(hook.download_photos(made["id"], destination))
    assert "signature" not in text
    assert "mary@example.com" not in text
    assert sandbox.visiono_key not in text


def test_what_xcom_gets_is_small_and_without_a_person(hook, submitted, destination):
    short = summary(hook.download_photos(submitted, destination))
    assert set(short) == {"id", "manifest", "files", "failed"}
    assert set(short["files"][0]) == {*FILE_IN_OUTPUT, "gps", "taken_at"}


def test_the_output_can_do_without_places_and_times(hook, submitted, destination):
    manifest = hook.download_photos(submitted, destination)
    assert set(summary(manifest, photo_details=False)["files"][0]) == FILE_IN_OUTPUT
    assert {"gps", "taken_at"} <= set(manifest["files"][0])


def test_a_destination_may_be_a_path_object_or_a_plain_path(hook, submitted, tmp_path):
    first = hook.download_photos(submitted, ObjectStoragePath(f"file://{tmp_path}/a"))
    second = hook.download_photos(submitted, f"{tmp_path}/b")
    assert Path(first["path"].removeprefix("file://")).is_file()
    assert second["path"] == f"file://{tmp_path}/b/{submitted}/{MANIFEST}"


def test_a_request_without_photos_is_no_success(hook, destination):
    request_id = hook.create_photo_request("The car")["id"]
    with pytest.raises(PhotoRequestFailedError, match=f"{request_id} has no photos: its status is 'pending'"):
        hook.download_photos(request_id, destination)
    assert stored(destination) == {}


def test_a_request_that_is_not_there_leaves_nothing(hook, destination):
    with pytest.raises(NotFoundError):
        hook.download_photos("req_never", destination)
    assert stored(destination) == {}


@pytest.mark.parametrize("form", ["pdf", "png", "csv"])
def test_an_export_is_stored_with_a_manifest(sandbox, destination, form):
    vizdom = VizdomHook()
    export = vizdom.create_export("dash_abc123", form)["id"]
    sandbox.advance(60)
    manifest = vizdom.download_export(export, destination)
    (entry,) = manifest["files"]
    assert entry["path"] == f"{destination}/{export}/dash_abc123-{export}.{form}"
    assert len(stored(destination)[entry["path"].removeprefix(f"{destination}/")]) == entry["bytes"]
    assert manifest["about"]["dashboard_id"] == "dash_abc123"
    vizdom.download_export(export, destination)
    assert sandbox.count("storage", "GET /exports/{name}") == 1


def test_the_key_never_goes_to_the_storage_host(sandbox, hook, submitted, destination):
    hook.download_photos(submitted, destination)
    calls = sandbox.calls()
    assert [call["key_sent"] for call in calls if call["service"] == "storage"] == [False] * 3
    assert all(call["key_sent"] for call in calls if call["service"] == "visiono")


def test_no_log_line_has_the_key_or_a_signature(sandbox, hook, submitted, destination, caplog):
    caplog.set_level(logging.DEBUG)
    sandbox.fault("storage", "status", status=500, times=1)
    sandbox.fault("storage", "status", status=403, times=1)
    hook.download_photos(submitted, destination)
    assert "Stored" in caplog.text
    assert sandbox.visiono_key not in caplog.text
    assert "signature=" not in caplog.text


PASSING = {
    "truncated": {"kind": "truncate"},
    "html": {"kind": "html", "status": 200},
    "XML error": {"kind": "body", "body": "<?xml version='1.0'?><Error><Code>SlowDown</Code></Error>"},
    "JSON error": {"kind": "body", "body": '{"error": "slow down"}'},
    "empty": {"kind": "empty", "status": 200},
    "dropped before": {"kind": "drop_before"},
    "dropped after": {"kind": "drop_after"},
    "500": {"kind": "status", "status": 500},
    "503": {"kind": "rate_limit"},
    "429": {"kind": "status", "status": 429},
    "403": {"kind": "status", "status": 403},
    "404": {"kind": "status", "status": 404},
    "410": {"kind": "status", "status": 410},
}
#: How often a file is tried; the same document twice is the host's last word.
TRIES = {name: 2 if name in {"html", "XML error", "JSON error", "empty"} else 4 for name in PASSING}
LAPSED = {"403", "404", "410"}


@pytest.mark.parametrize("fault", PASSING)
def test_trouble_that_passes_is_overcome(sandbox, hook, submitted, destination, clock, fault):
    sandbox.fault("storage", skip=1, times=1, **PASSING[fault])
    assert len(hook.download_photos(submitted, destination)["files"]) == 3
    assert sandbox.count("storage", FETCH) == 4
    assert len(clock.pauses) == 1
    assert len(stored(destination)) == 4
    minted = sandbox.count("visiono", "GET /photo-requests/{id}/download-urls")
    assert minted == (2 if fault in LAPSED else 1)


@pytest.mark.parametrize("fault", PASSING)
def test_trouble_that_stays_leaves_no_broken_file(sandbox, hook, submitted, destination, fault):
    sandbox.fault("storage", skip=1, times=None, **PASSING[fault])
    with pytest.raises(TransferError) as caught:
        hook.download_photos(submitted, destination)
    (name,) = photo_names(destination)
    assert name.startswith(f"{submitted}/Front-")
    assert "1 of 3 files are stored and stay; run the task again for the rest" in str(caught.value)
    assert f"({TRIES[fault]} tries)" in str(caught.value)
    assert "signature" not in str(caught.value)
    assert caught.value.status == (int(fault) if fault.isdigit() else None)
    manifest = manifest_of(destination, submitted)
    assert manifest["complete"] is False
    assert [entry["item"] for entry in manifest["files"]] == ["Front"]
    assert [entry["item"] for entry in manifest["failed"]] == ["Back", "Left side"]
    assert manifest["failed"] == caught.value.failed


@pytest.mark.parametrize("fault", PASSING)
def test_where_no_file_can_be_fetched_the_manifest_names_all(sandbox, hook, submitted, destination, fault):
    sandbox.fault("storage", times=None, **PASSING[fault])
    with pytest.raises(TransferError, match="0 of 3 files are stored"):
        hook.download_photos(submitted, destination)
    assert photo_names(destination) == []
    manifest = manifest_of(destination, submitted)
    assert (manifest["complete"], manifest["files"], len(manifest["failed"])) == (False, [], 3)


@pytest.mark.parametrize("fault", PASSING)
def test_a_task_may_proceed_without_what_cannot_be_fetched(sandbox, hook, submitted, destination, fault):
    failing = hook.list_photos(submitted)[1]["id"]
    sandbox.fault("storage", path=failing, times=None, **PASSING[fault])
    manifest = hook.download_photos(submitted, destination, on_file_error="proceed")
    assert manifest == manifest_of(destination, submitted)
    assert manifest["complete"] is False
    assert [entry["item"] for entry in manifest["files"]] == ["Front", "Left side"]
    (failed,) = summary(manifest)["failed"]
    assert (failed["key"], failed["item"]) == (failing, "Back")
    assert f"({TRIES[fault]} tries)" in failed["reason"]
    assert failed.get("status") == (int(fault) if fault.isdigit() else None)


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (
            Answer(200, b"<!DOCTYPE html><title>Sign in</title><script>x()</script><p>to Visiono</p>"),
            "it is a web page, not a file (2 tries)",
            "Sign in to Visiono",
        ),
        (
            Answer(200, b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Later</Message></Error>"),
            "it is an XML document, not a file (2 tries)",
            "SlowDown Later",
        ),
        (
            Answer(200, b'{"error": "gone"}'),
            "it is a JSON document, not a file (2 tries)",
            '{"error": "gone"}',
        ),
        (Answer(405, b"Not here"), "the file's host answered 405 (1 try)", "Not here"),
        (Answer(200, b""), "it is empty (2 tries)", None),
        (Answer(405, b"\x00\x01\x02"), "the file's host answered 405 (1 try)", None),
    ],
    ids=["page", "XML", "JSON", "refusal", "nothing", "bytes"],
)
def test_a_failure_has_its_reason_and_the_first_words(fetch_from, destination, answer, reason, words):
    with pytest.raises(TransferError) as caught:
        fetch_from(destination, RemoteFile("ps_1", "Front", about={"item": "Front"}), script=[answer])
    (failed,) = caught.value.failed
    assert (failed["key"], failed["item"], failed["reason"]) == ("ps_1", "Front", reason)
    assert failed.get("first_words") == words
    assert f"ps_1 (Front): {reason}" in str(caught.value)
    assert words is None or words in str(caught.value)


def test_the_first_words_have_no_secret(fetch_from, destination):
    page = Answer(
        200, f"<html>mary@example.com key12345 http://x/y?signature={SIGNATURE} bye</html>".encode()
    )
    with pytest.raises(TransferError) as caught:
        fetch_from(destination, RemoteFile("ps_1", "Front"), script=[page])
    for text in (str(caught.value), json.dumps(caught.value.failed), str(stored(destination))):
        assert not any(secret in text for secret in ("mary@", "key12345", SIGNATURE))
    assert caught.value.failed[0]["first_words"].endswith("bye")


def test_the_error_names_the_photo_and_the_connection(sandbox, hook, submitted, destination):
    sandbox.fault("storage", "status", status=500, times=None)
    with pytest.raises(TransferError) as caught:
        hook.download_photos(submitted, destination)
    assert hook.list_photos(submitted)[0]["id"] in str(caught.value)
    assert caught.value.conn_id == "visiono_default"


def test_a_refusal_that_no_new_link_can_change_fails_at_once(sandbox, hook, submitted, destination):
    sandbox.fault("storage", "status", status=405, times=None)
    with pytest.raises(TransferError, match="answered 405"):
        hook.download_photos(submitted, destination)
    assert sandbox.count("storage", FETCH) == 3  # one try for each photo


def test_a_400_may_mean_that_the_link_has_lapsed(sandbox, hook, submitted, destination):
    sandbox.fault("storage", "status", status=400, times=1)
    assert len(hook.download_photos(submitted, destination)["files"]) == 3
    assert sandbox.count("storage", FETCH) == 4


def test_a_400_to_a_new_link_as_well_is_final(sandbox, hook, submitted, destination):
    sandbox.fault("storage", "status", status=400, times=None)
    with pytest.raises(TransferError, match=r"answered 400 \(2 tries\)"):
        hook.download_photos(submitted, destination)
    assert sandbox.count("storage", FETCH) == 4  # each of the others is tried once
    assert sandbox.count("visiono", "GET /photo-requests/{id}/download-urls") == 2


@pytest.mark.parametrize("fault", PASSING)
def test_a_photo_that_fails_keeps_no_other_from_being_stored(sandbox, hook, submitted, destination, fault):
    failing = hook.list_photos(submitted)[1]["id"]
    sandbox.fault("storage", path=failing, times=None, **PASSING[fault])
    with pytest.raises(TransferError, match=rf"{failing} \(Back\): .*\({TRIES[fault]} tries\)") as caught:
        hook.download_photos(submitted, destination)
    assert "2 of 3 files are stored and stay; run the task again for the rest" in str(caught.value)
    assert [name.split("/")[1].split("-")[0] for name in photo_names(destination)] == ["Front", "Left"]
    sandbox.clear_faults()
    before = sandbox.count("storage", FETCH)
    assert len(hook.download_photos(submitted, destination)["files"]) == 3
    assert sandbox.count("storage", FETCH) == before + 1


def test_all_photos_that_fail_are_named_with_their_reasons(sandbox, hook, submitted, destination):
    first, second, third = (photo["id"] for photo in hook.list_photos(submitted))
    sandbox.fault("storage", "status", status=405, path=first, times=None)
    sandbox.fault("storage", "html", status=200, path=third, times=None)
    with pytest.raises(
        TransferError, match=r"2 of 3 files of .* could not .* 1 of 3 files are stored"
    ) as caught:
        hook.download_photos(submitted, destination)
    assert f"{first} (Front): the file's host answered 405 (1 try)" in str(caught.value)
    assert f"{third} (Left side): it is a web page, not a file (2 tries)" in str(caught.value)
    assert second not in str(caught.value)
    assert caught.value.status is None
    assert [entry["key"] for entry in caught.value.failed] == [first, third]
    (name,) = photo_names(destination)
    assert second in name


def test_photos_that_are_refused_to_the_last_use_up_no_calls(sandbox, hook, submitted, destination):
    """Such as by a proxy that lets nobody through to the storage host."""
    sandbox.fault("storage", "status", status=403, times=None)
    with pytest.raises(TransferError, match=r"3 of 3 files of .* could not be fetched") as caught:
        hook.download_photos(submitted, destination)
    assert caught.value.status == 403
    assert sandbox.count("visiono", "GET /photo-requests/{id}/download-urls") == 4
    assert sandbox.count("storage", FETCH) == 6


def test_once_a_photo_has_come_the_next_is_tried_in_full_again(sandbox, hook, submitted, destination):
    first, _, third = (photo["id"] for photo in hook.list_photos(submitted))
    sandbox.fault("storage", "status", status=500, path=first, times=None)
    sandbox.fault("storage", "status", status=500, path=third, times=2)
    with pytest.raises(TransferError, match=rf"{first} \(Front\): .*answered 500 .4 tries.\. 2 of 3 files"):
        hook.download_photos(submitted, destination)
    assert sandbox.count("storage", FETCH) == 4 + 1 + 3


def test_a_rate_limit_while_links_are_minted_ends_it_at_once(sandbox, hook, destination):
    made = hook.create_photo_request("The car", items=[f"View {number}" for number in range(9)])
    submit(sandbox, made)
    photos = hook.list_photos(made["id"])
    sandbox.fault("storage", "status", status=405, path=photos[0]["id"], times=None)
    sandbox.fault("storage", "status", status=403, path=photos[1]["id"], times=None)
    sandbox.fault("visiono", "rate_limit", path="download-urls", skip=1, times=None, retry_after=3600)
    with pytest.raises(RateLimitedError):
        hook.download_photos(made["id"], destination)
    assert sandbox.count("storage", FETCH) <= 3  # the third may be under way
    assert len(photo_names(destination)) <= 1


def test_many_files_that_fail_are_counted(fetch_from, destination):
    files = [RemoteFile(f"ps_{number:02}", "Front") for number in range(65)]
    with pytest.raises(
        TransferError, match=r"65 of 65 files of job could not .*: ps_00: .*; and 15 more\. 0 of 65"
    ) as caught:
        fetch_from(destination, *files, script=[Answer(405)])
    assert [key in str(caught.value) for key in ("ps_49", "ps_50")] == [True, False]
    assert [entry["key"] for entry in caught.value.failed] == [file.key for file in files]
    assert manifest_of(destination, "job")["failed"] == caught.value.failed


def test_a_file_without_a_link_keeps_no_other_from_being_stored(destination):
    with pytest.raises(TransferError, match=r"gives no link for it.* 1 of 2 files are stored") as caught:
        store_from(
            destination,
            [RemoteFile("ps_1", "Front"), RemoteFile("ps_2", "Back")],
            links=lambda: {"ps_2": "http://x"},
            open_link=lambda url: contextlib.nullcontext(Download(200, {}, iter([b"x"]))),
        )
    assert [entry["key"] for entry in caught.value.failed] == ["ps_1"]
    assert photo_names(destination) == ["job/Back-ps_2.bin"]


def test_a_link_that_expires_before_it_is_used_is_minted_again(sandbox, hook, submitted, destination):
    sandbox.settings(photo_link_seconds=60)
    client = hook.get_conn()
    opened = client.open

    def late(url):
        sandbox.advance(61 if sandbox.count("storage", FETCH) == 0 else 0)
        return opened(url)

    client.open = late
    assert len(hook.download_photos(submitted, destination)["files"]) == 3
    assert sandbox.count("visiono", "GET /photo-requests/{id}/download-urls") == 2
    assert sandbox.count("storage", FETCH) == 4


def test_a_request_that_is_deleted_meanwhile(sandbox, hook, submitted, destination):
    client = hook.get_conn()
    opened = client.open

    def too_late(url):
        with contextlib.suppress(AssertionError):
            sandbox.act(submitted, "delete")
        return opened(url)

    client.open = too_late
    with pytest.raises(TransferError, match="gives no link for it; it may have been deleted there"):
        hook.download_photos(submitted, destination)
    assert photo_names(destination) == []
    with pytest.raises(NotFoundError):
        hook.download_photos(submitted, destination)


def test_a_re_run_fetches_nothing_again(sandbox, hook, submitted, destination):
    first = hook.download_photos(submitted, destination)
    before = stored(destination)
    again = hook.download_photos(submitted, destination)
    assert sandbox.count("storage", FETCH) == 3
    assert again["files"] == first["files"]
    assert {n: c for n, c in stored(destination).items() if not n.endswith(MANIFEST)} == {
        n: c for n, c in before.items() if not n.endswith(MANIFEST)
    }


def test_a_re_run_after_a_failure_fetches_only_the_rest(sandbox, hook, submitted, destination):
    sandbox.fault("storage", "status", status=500, skip=2, times=None)
    with pytest.raises(TransferError, match="2 of 3 files"):
        hook.download_photos(submitted, destination)
    sandbox.clear_faults()
    before = sandbox.count("storage", FETCH)
    manifest = hook.download_photos(submitted, destination)
    assert sandbox.count("storage", FETCH) == before + 1
    assert len(stored(destination)) == 4
    for entry in manifest["files"]:
        content = stored(destination)[entry["path"].removeprefix(f"{destination}/")]
        assert (entry["bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def change(destination, name, content):
    path = ObjectStoragePath(f"{destination}/{name}")
    if content is None:
        path.unlink()
    else:
        path.fs.pipe_file(path.path, content)


@pytest.mark.parametrize("damage", ["deleted", "cut", "emptied"])
def test_a_file_of_another_length_is_fetched_again(sandbox, hook, submitted, destination, damage):
    hook.download_photos(submitted, destination)
    name = photo_names(destination)[1]
    good = stored(destination)[name]
    change(destination, name, {"deleted": None, "cut": good[: len(good) // 2], "emptied": b""}[damage])
    hook.download_photos(submitted, destination)
    assert stored(destination)[name] == good
    assert sandbox.count("storage", FETCH) == 4


def test_a_file_that_no_manifest_lists_is_fetched_again(sandbox, hook, submitted, destination):
    first = hook.download_photos(submitted, destination)
    change(destination, f"{submitted}/{MANIFEST}", None)
    change(destination, photo_names(destination)[1], b"of somebody else")
    assert hook.download_photos(submitted, destination)["files"] == first["files"]
    assert sandbox.count("storage", FETCH) == 6
    manifest_of(destination, submitted)


def test_no_stored_byte_is_read_again(sandbox, hook, submitted, destination, monkeypatch):
    hook.download_photos(submitted, destination)
    fs, read = ObjectStoragePath(destination).fs, []
    for name in ("_open", "cat_file"):
        real = getattr(type(fs), name)

        def watched(self, path, *given, real=real, **options):
            read.append(path)
            return real(self, path, *given, **options)

        monkeypatch.setattr(type(fs), name, watched)
    hook.download_photos(submitted, destination)
    assert sandbox.count("storage", FETCH) == 3
    assert [path for path in read if path.endswith(".jpg")] == []


@pytest.mark.parametrize(
    "nonsense",
    [b"", b"{", b"[]", b'{"files": 5}', b'{"files": [{"key": "x"}]}', b'{"files": [null]}', b"\xff\xfe"],
)
def test_a_manifest_that_cannot_be_read_is_as_good_as_none(sandbox, hook, submitted, destination, nonsense):
    hook.download_photos(submitted, destination)
    change(destination, f"{submitted}/{MANIFEST}", nonsense)
    assert len(hook.download_photos(submitted, destination)["files"]) == 3
    assert sandbox.count("storage", FETCH) == 6
    manifest_of(destination, submitted)


def test_an_earlier_manifest_cannot_lead_out_of_the_folder(sandbox, hook, submitted, tmp_path):
    manifest = hook.download_photos(submitted, str(tmp_path / "out"))
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(b"x" * manifest["files"][0]["bytes"])
    manifest["files"][0]["path"] = f"file://{outside}"
    (tmp_path / "out" / submitted / MANIFEST).write_text(json.dumps(manifest))
    again = hook.download_photos(submitted, str(tmp_path / "out"))
    assert Path(again["files"][0]["path"].removeprefix("file://")).parent == tmp_path / "out" / submitted


class Shelf(MemoryFileSystem):
    """A store that can rename, but not over what is there, as some remote ones do."""

    protocol = "shelf"
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("shelf://"))

    def mv(self, path1, path2, **options):
        if self.exists(path2):
            raise FileExistsError(17, "File exists", path2)
        self.store[path2] = self.store.pop(path1)


@pytest.fixture
def shelf():
    fsspec.register_implementation("shelf", Shelf, clobber=True)
    attach("shelf", fs=Shelf())
    Shelf.store.clear()
    return "shelf://box/photos"


@pytest.mark.filterwarnings("ignore:UPath 'shelf'")
def test_a_re_run_works_where_a_rename_does_not_replace(hook, submitted, shelf):
    first = hook.download_photos(submitted, shelf)
    again = hook.download_photos(submitted, shelf)
    assert again["files"] == first["files"]
    assert len(Shelf.store) == 4


@pytest.mark.filterwarnings("ignore:UPath 'shelf'")
@pytest.mark.parametrize("name", [MANIFEST, ".jpg"])
def test_a_rename_that_fails_is_made_up_for_by_the_next_run(hook, submitted, shelf, monkeypatch, name):
    first = hook.download_photos(submitted, shelf)
    del Shelf.store[next(path for path in Shelf.store if path.endswith(".jpg"))]
    move, troubles = Shelf.mv, [OSError("the store went away")]

    def broken(self, path1, path2, **options):
        if path2.endswith(name) and not self.exists(path2) and troubles:
            raise troubles.pop()
        move(self, path1, path2, **options)

    monkeypatch.setattr(Shelf, "mv", broken)
    with pytest.raises(TransferError, match="went away"):
        hook.download_photos(submitted, shelf)
    assert hook.download_photos(submitted, shelf)["files"] == first["files"]
    assert len([path for path in Shelf.store if path.endswith(".jpg")]) == 3


def test_photos_that_came_later_are_added(sandbox, hook, destination):
    made = hook.create_photo_request("The car", items=["Front", "Back"])
    send_photo(made, 0)
    assert len(hook.download_photos(made["id"], destination)["files"]) == 1
    send_photo(made, 1)
    assert len(hook.download_photos(made["id"], destination)["files"]) == 2
    assert sandbox.count("storage", FETCH) == 2


@pytest.mark.parametrize("seconds", [0.0, 0.4, 1.0])
def test_the_manifest_is_written_as_files_arrive_at_most_once_a_second(
    hook, submitted, destination, clock, monkeypatch, seconds
):
    written = []
    write, write_sometimes = StoreFolder.write, ManifestWriter.write_sometimes

    def watched(self, name, content):
        write(self, name, content)
        manifest = manifest_of(destination, submitted)
        written.append((manifest["complete"], len(manifest["files"])))

    def later(self):
        clock.time += seconds
        write_sometimes(self)

    monkeypatch.setattr(StoreFolder, "write", watched)
    monkeypatch.setattr(ManifestWriter, "write_sometimes", later)
    hook.download_photos(submitted, destination)
    on_the_way = {0.0: [1], 0.4: [1], 1.0: [1, 2, 3]}[seconds]
    assert written == [*((False, number) for number in on_the_way), (True, 3)]


def test_no_final_name_before_the_last_byte(sandbox, hook, submitted, destination):
    seen = []
    client = hook.get_conn()
    opened = client.open

    @contextlib.contextmanager
    def watching(url):
        with opened(url) as download:

            def chunks():
                for chunk in download.chunks:
                    seen.append([n for n in stored(destination) if n.endswith(".jpg")])
                    yield chunk

            yield Download(download.status, download.headers, chunks())

    client.open = watching
    hook.download_photos(submitted, destination)
    assert [len(names) for names in seen] == sorted(len(names) for names in seen)
    assert len(seen[0]) == 0
    assert len(seen[-1]) == 2


def test_a_worker_that_is_stopped_leaves_no_broken_file(sandbox, hook, submitted, destination):
    client = hook.get_conn()
    opened = client.open

    @contextlib.contextmanager
    def stopped(url):
        with opened(url) as download:

            def chunks():
                yield next(download.chunks)[:100]
                raise KeyboardInterrupt

            yield Download(download.status, download.headers, chunks())

    client.open = stopped
    with pytest.raises(KeyboardInterrupt):
        hook.download_photos(submitted, destination)
    assert stored(destination) == {}


def test_a_large_photo_takes_little_memory(sandbox, hook, tmp_path):
    made = hook.create_photo_request("The car", items=["Front"])["id"]
    sandbox.act(made, "upload", item=0, bytes=64 * 2**20)
    hook.get_status()
    tracemalloc.start()
    try:
        manifest = hook.download_photos(made, str(tmp_path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert manifest["files"][0]["bytes"] == 64 * 2**20
    assert peak < 8 * 2**20


def store_from(destination, files, **more):
    return store(
        files, folder_at(destination, "job"), Job("Visiono", "my_visiono", "job", {}), parallel=1, **more
    )


@pytest.fixture
def fetch_from():
    """Store files from small servers, without the service's API in between."""
    servers: list[LocalServer] = []
    config = ServiceConfig(VISIONO, "my_visiono", "http://127.0.0.1:1", "key12345")
    client = Client(config, lambda: config)

    def fetch(destination, *files, script=None, link=None, **more):
        server = LocalServer(*(script or [Answer(200, b"some bytes")]))
        servers.append(server)
        return store_from(
            destination,
            list(files),
            links=lambda: {
                file.key: link or f"{server.url}/{n}?signature={SIGNATURE}" for n, file in enumerate(files)
            },
            open_link=client.open,
            **more,
        )

    yield fetch
    client.close()
    for server in servers:
        server.close()


def names(manifest):
    return [entry["path"].rsplit("/", 1)[-1] for entry in manifest["files"]]


@pytest.mark.parametrize(
    ("title", "key", "name"),
    [
        ("Front", "ps_1", "Front-ps_1.bin"),
        ("The whole car, from the front!", "ps_1", "The-whole-car-from-the-front-ps_1.bin"),
        ("Größe: café", "ps_1", "Groe-cafe-ps_1.bin"),
        ("../../etc/passwd", "ps_1", "etc-passwd-ps_1.bin"),
        ('a/b\\c:d*e?f"g<h>i|j', "ps_1", "a-b-c-d-e-f-g-h-i-j-ps_1.bin"),
        (".hidden", "ps_1", "hidden-ps_1.bin"),
        ("line\nbreak\x00", "ps_1", "line-break-ps_1.bin"),
        ("x" * 500, "ps_1", f"{'x' * 50}-ps_1.bin"),
        ("Front", "a-b", "Front-a-b-d44362d6.bin"),
    ],
)
def test_names_are_safe_and_readable(fetch_from, destination, title, key, name):
    assert names(fetch_from(destination, RemoteFile(key, title))) == [name]
    assert set(stored(destination)) == {f"job/{name}", f"job/{MANIFEST}"}


@pytest.mark.parametrize("title", ["", "日本", "...", "///", "🚗", " "])
def test_a_title_with_nothing_to_keep_still_makes_a_name(fetch_from, destination, title):
    (name,) = names(fetch_from(destination, RemoteFile("ps_1", title)))
    assert name.endswith("-ps_1.bin")
    assert name.isascii()
    assert name[0].isalnum()


@pytest.mark.parametrize(
    "keys",
    [
        ("a/b", "a-b", "a b"),
        ("..", ".", "..."),
        ("日", "本"),
        ("x" * 300, "x" * 301),
        ("a", "a."),
        ("é", "e"),
        ("a-b", "a_b"),
    ],
)
def test_two_ids_stay_two_files(fetch_from, destination, keys):
    found = names(fetch_from(destination, *(RemoteFile(key, "Front") for key in keys)))
    assert len(set(found)) == len(keys)
    assert all(len(name) < 200 and "/" not in name for name in found)
    assert len(stored(destination)) == len(keys) + 1


@pytest.mark.parametrize(
    "photos", [{"b": "a-a", "a-b": "a"}, {"a-b": "a", "b": "a-a"}, {"c": "a-b", "b-c": "a", "a-b-c": ""}]
)
def test_an_id_that_a_title_seems_to_go_on_in_stays_a_file_of_its_own(fetch_from, destination, photos):
    found = names(fetch_from(destination, *(RemoteFile(key, title) for key, title in photos.items())))
    assert len(set(found)) == len(photos)
    assert len(stored(destination)) == len(photos) + 1


@pytest.mark.parametrize("request_id", ["req_abc123", "a-b", "A.b_c-1", "x" * 120])
def test_a_folder_is_called_as_its_request(tmp_path, request_id):
    assert Path(folder_at(str(tmp_path), request_id).path).name == request_id


@pytest.mark.parametrize("other", ["a-", "_a", "-a", "a.", "a~", "~a"])
def test_two_requests_whose_ids_differ_in_a_sign_have_two_folders(tmp_path, other):
    assert folder_at(str(tmp_path), other).path != folder_at(str(tmp_path), "a").path


def test_two_requests_whose_ids_differ_in_their_end_have_two_folders(tmp_path):
    assert folder_at(str(tmp_path), "x" * 130).path != folder_at(str(tmp_path), "x" * 131).path


@pytest.mark.parametrize("name", ["..", ".", "a/b", "", "日本", "x" * 500, "a\nb", "-rf", "..\\.."])
def test_a_folder_s_name_is_one_safe_step(tmp_path, name):
    folder = Path(folder_at(str(tmp_path), name).path)
    assert folder.parent == tmp_path
    assert folder.name[0].isalnum()
    assert len(folder.name) <= 120


def test_a_name_never_grows_past_its_limit():
    assert len(safe_name("ä" * 500 + "b" * 500, limit=20)) <= 20


@pytest.mark.parametrize("declared", [None, "image/jpeg", "application/octet-stream"])
def test_a_web_page_is_never_stored(fetch_from, destination, declared):
    page = Answer(200, b"<!DOCTYPE html><html>Sign in</html>", {"Content-Type": "text/html"})
    with pytest.raises(TransferError):
        fetch_from(destination, RemoteFile("ps_1", "Front", declared), script=[page])
    assert photo_names(destination) == []


def test_a_file_cut_by_the_network_is_never_stored(fetch_from, destination):
    with pytest.raises(TransferError, match="stopped sending"):
        fetch_from(destination, RemoteFile("ps_1", "Front"), script=[Answer(200, b"half", declared=8)])
    assert photo_names(destination) == []


def test_a_compressed_file_is_stored_as_it_was_meant(fetch_from, destination):
    import gzip

    packed = Answer(
        200, gzip.compress(b"a,b\n1,2\n" * 100), {"Content-Encoding": "gzip", "Content-Type": "text/csv"}
    )
    manifest = fetch_from(destination, RemoteFile("exp_1", "dash", "text/csv"), script=[packed])
    assert manifest["files"][0]["bytes"] == 800
    assert stored(destination)[f"job/{names(manifest)[0]}"] == b"a,b\n1,2\n" * 100


@pytest.mark.parametrize(
    "answer", [Answer(206, b"part"), Answer(204), Answer(304), Answer(302)], ids=lambda a: str(a.status)
)
def test_only_200_is_a_file(fetch_from, destination, answer):
    with pytest.raises(TransferError, match=f"answered {answer.status}"):
        fetch_from(destination, RemoteFile("ps_1", "Front"), script=[answer])
    assert photo_names(destination) == []


@pytest.mark.parametrize("link", ["ftp://x/y", "/relative", "http://host:port/x?signature=y"])
def test_a_link_that_cannot_be_followed_is_the_service_s_fault(fetch_from, destination, link):
    with pytest.raises(TransferError, match="link to a file that is not an http") as caught:
        fetch_from(destination, RemoteFile("ps_1", "Front"), link=link)
    assert "Cannot store" not in str(caught.value)
    assert "signature" not in str(caught.value)


def test_a_photo_without_a_link_says_so(destination):
    with pytest.raises(TransferError, match="ps_1: the service gives no link for it"):
        store_from(
            destination,
            [RemoteFile("ps_1", "Front")],
            links=dict,
            open_link=lambda url: contextlib.nullcontext(Download(200, {}, iter([b"x"]))),
        )


def test_a_storage_host_that_is_gone_is_told(fetch_from, destination):
    with pytest.raises(TransferError) as caught:
        fetch_from(destination, RemoteFile("ps_1", "Front"), link="http://127.0.0.1:9/x?signature=y")
    assert "http://127.0.0.1:9" in str(caught.value)
    assert "signature" not in str(caught.value)


def shown(error):
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("script", [[DROP], [Answer(500)], [Answer(200, b"half", declared=8)]])
def test_no_traceback_shows_a_signature(fetch_from, destination, script):
    with pytest.raises(TransferError) as caught:
        fetch_from(destination, RemoteFile("ps_1", "Front"), script=script)
    assert SIGNATURE not in shown(caught.value)


def test_no_traceback_shows_the_signature_for_a_host_that_is_gone(fetch_from, destination):
    with pytest.raises(TransferError) as caught:
        fetch_from(
            destination, RemoteFile("ps_1", "Front"), link=f"http://127.0.0.1:9/x?signature={SIGNATURE}"
        )
    assert SIGNATURE not in shown(caught.value)


def test_no_traceback_of_an_open_link_shows_its_signature():
    config = ServiceConfig(VISIONO, "my_visiono", "http://127.0.0.1:1", "key12345")
    client = Client(config, lambda: config)
    link = f"http://127.0.0.1:9/x?signature={SIGNATURE}"
    with pytest.raises(ConnectionFailedError) as caught, client.open(link):
        pass
    client.close()
    assert SIGNATURE not in shown(caught.value)


@pytest.mark.parametrize("place", ["a regular file", "below a regular file"])
def test_a_destination_that_is_a_file_says_so(hook, submitted, tmp_path, sandbox, place):
    (tmp_path / "plain").write_text("mine")
    target = tmp_path / "plain" if place == "a regular file" else tmp_path / "plain" / "deeper"
    with pytest.raises(TransferError, match="is a file, not a folder; change the destination"):
        hook.download_photos(submitted, str(target))
    assert (tmp_path / "plain").read_text() == "mine"
    assert sandbox.count("storage", FETCH) == 0


def test_a_destination_that_nobody_may_write_says_so(hook, submitted, sandbox):
    # /proc refuses new entries even to root.
    with pytest.raises(TransferError, match="Cannot store at /proc"):
        hook.download_photos(submitted, "/proc/photos")
    assert sandbox.count("storage", FETCH) == 0


def test_a_scheme_without_a_filesystem_says_what_to_install(hook, submitted):
    with pytest.raises(TransferError, match=r"apache-airflow-providers-amazon\[s3fs\] for s3://"):
        hook.download_photos(submitted, "s3://bucket/photos")


def test_a_scheme_that_nobody_knows_says_so(hook, submitted):
    with pytest.raises(TransferError, match="nosuch://bucket/photos"):
        hook.download_photos(submitted, "nosuch://bucket/photos")


def test_a_full_disk_says_so_and_leaves_no_broken_file(tmp_path):
    # A limit on the size of a file stands for a full disk.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    try:
        with pytest.raises(TransferError, match="the disk is full; make room"):
            store_from(
                str(tmp_path),
                [RemoteFile("ps_1", "Front")],
                links=lambda: {"ps_1": "http://x"},
                open_link=lambda url: contextlib.nullcontext(Download(200, {}, iter([b"x" * 2**19] * 5))),
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "good",
    [
        "s3://bucket/photos",
        "s3://bucket",
        "s3://aws_conn@bucket/photos",
        "gs://bucket/x",
        "file:///data/photos",
        "FILE:///data",
        "memory://x",
        "/data/photos",
        ObjectStoragePath("file:///data"),
    ],
)
def test_a_good_destination_has_no_problem(good):
    assert destination_problem(good) is None


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (None, "it is empty"),
        ("", "it is empty"),
        ("  ", "it is empty"),
        ("photos", "it is a relative path"),
        ("./photos", "it is a relative path"),
        ("C:\\photos", "it is a relative path"),
        (" s3://bucket/photos", "it begins with a blank; remove it"),
        ("\u00a0/data/photos", "it begins with a blank"),
        ("s3:/bucket/photos", "as in 's3://bucket/photos'"),
        ("file:/data/photos", "the scheme needs two slashes"),
        ("file://data/photos", "'file:///data/photos'"),
        ("https://bucket.s3.amazonaws.com/x", "cannot be written to a web address"),
        ("HTTP://x/y", "cannot be written to a web address"),
        ("s3://", "bucket"),
        ("s3://bucket/a\nb", "it has control characters"),
        ("s3://bucket/../other", "it has a '..', which leaves the place"),
        ("/data/..", "it has a '..'"),
        ("file:///data\\..\\x", "it has a '..'"),
    ],
)
def test_a_destination_that_cannot_be_one_has_a_problem(bad, problem):
    assert problem in destination_problem(bad)


def test_a_bad_destination_makes_no_call(sandbox, hook):
    with pytest.raises(InvalidRequestError, match="relative path") as caught:
        hook.download_photos("req_1", "photos")
    assert list(caught.value.fields) == ["destination"]
    assert sandbox.calls() == []
