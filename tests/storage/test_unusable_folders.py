"""A disk that is full, a folder that nobody may write to, that vanishes, or that becomes a file."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem
from hooks.recipient import picture
from tasks.children import child
from tasks.raw_server import RawServer, reply
from tasks.ten_photos import COUNT, TenPhotos, before_each_fetch

from airflow_provider_visio.exceptions import TransferError

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

PAGE = 4096


class Disk:
    """A small disk of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def change(self, *options: str) -> None:
        subprocess.run(["mount", "-o", ",".join(("remount", *options)), self.place], check=True, timeout=10)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place],
        check=False,
        capture_output=True,
        timeout=10,
    )
    if made.returncode:
        pytest.skip("only root can make a disk; a limit on the size of files stands for it below")
    yield Disk(place)
    subprocess.run(["umount", "-l", place], check=True, timeout=10)


@pytest.mark.parametrize("number", [0, 2, COUNT - 1])
def test_a_full_disk(sandbox, run_task, disk, number):
    pictures = [picture(seed) for seed in range(COUNT)]
    pictures[number] += bytes(300_000)  # as phones put something behind a picture
    photos = TenPhotos(sandbox, f"file://{disk.place}/out", pictures)
    disk.change("size=200k")
    task = run_task(photos.operator)
    with pytest.raises(TransferError, match=f"the disk is full; make room. {number} of 10 files are stored"):
        task.run()
    photos.check(number)
    photos.fetched()
    disk.change("size=2m")
    run_task(photos.operator, task).run()
    assert photos.fetched() == COUNT - number
    photos.check(COUNT)


def test_a_disk_that_is_full_at_the_manifest(sandbox, run_task, disk):
    """The manifest that is there stays, and is true."""
    photos = TenPhotos(sandbox, f"file://{disk.place}/out")
    assert all(len(content) < PAGE for content in photos.pictures)
    # Ten photos, and one manifest that takes a page; a second, next to the first, has no room.
    disk.change(f"size={(COUNT + 1) * PAGE}")
    task = run_task(photos.operator)
    with pytest.raises(TransferError, match=r"the disk is full; make room. 10 of 10 files are stored"):
        task.run()
    photos.check(COUNT, listed=1)
    photos.fetched()
    disk.change("size=1m")
    run_task(photos.operator, task).run()
    assert photos.fetched() == COUNT - 1
    photos.check(COUNT)


def test_a_full_disk_as_a_limit_on_the_size_of_files(sandbox, run_task, clock, tmp_path):
    pictures = [picture(seed) for seed in range(COUNT)]
    pictures[2] += bytes(20_000)
    photos = TenPhotos(sandbox, f"file://{tmp_path}/out", pictures)

    def run(_: Any) -> Any:
        clock.sandbox = None
        resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, resource.RLIM_INFINITY))
        return run_task(photos.operator).run()

    with child(run) as running:
        error = running.error()
    assert "the disk is full; make room" in error
    assert "2 of 10 files are stored and stay" in error
    photos.check(2)
    photos.fetched()
    run_task(photos.operator).run()
    assert photos.fetched() == COUNT - 2
    photos.check(COUNT)


def test_a_full_temporary_folder_on_the_way_to_an_object_store(sandbox, run_task, disk, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(disk.place))
    MemoryFileSystem.store.clear()
    attach("memory", fs=MemoryFileSystem())
    pictures = [picture(seed) for seed in range(COUNT)]
    pictures[2] += bytes(20_000)
    photos = TenPhotos(sandbox, "memory://out/photos", pictures)
    disk.change("size=16k")
    with pytest.raises(
        TransferError, match=rf"Cannot store at {disk.place}: the disk is full.* 2 of 10 files"
    ):
        run_task(photos.operator).run()
    photos.check(2)
    assert list(disk.place.iterdir()) == []
    photos.fetched()
    disk.change("size=1m")
    run_task(photos.operator).run()
    assert photos.fetched() == COUNT - 2
    photos.check(COUNT)
    MemoryFileSystem.store.clear()


def test_a_disk_that_becomes_read_only(sandbox, run_task, disk, monkeypatch):
    photos = TenPhotos(sandbox, f"file://{disk.place}/out")
    before_each_fetch(monkeypatch, lambda count: disk.change("ro") if count == 4 else None)
    with pytest.raises(TransferError, match=r"may not write there.* 3 of 10 files are stored and stay"):
        run_task(photos.operator).run()
    photos.check(3, listed=1)  # as it was written within the last second
    disk.change("rw")
    photos.fetched()
    run_task(photos.operator).run()
    assert photos.fetched() == COUNT - 1
    photos.check(COUNT)


def test_a_folder_that_nobody_may_write_to(sandbox, run_task, clock, tmp_path):
    photos = TenPhotos(sandbox, f"file://{tmp_path}/out")
    folder = Path(photos.folder.path)
    folder.mkdir(parents=True)
    folder.chmod(0o555)

    def run(_: Any) -> Any:
        clock.sandbox = None
        if os.getuid() == 0:
            # Root may write anywhere: another may not, though he may come here, and read.
            for place in (tmp_path, *tmp_path.parents):
                assert place.stat().st_mode & 0o005 == 0o005 or place.chmod(0o755) is None
            os.setresuid(65534, 65534, 0)
        return run_task(photos.operator).run()

    with child(run) as running:
        assert "this worker may not write there" in running.error()
    photos.check(0)
    folder.chmod(0o755)
    run_task(photos.operator).run()
    photos.check(COUNT)


@pytest.fixture
def photos(sandbox: Any, tmp_path: Path) -> TenPhotos:
    return TenPhotos(sandbox, f"file://{tmp_path}/out")


def once(number: int, action: Callable[[], Any]) -> Callable[[int], Any]:
    return lambda count: action() if count == number else None


@pytest.mark.parametrize("number", [4, COUNT])
def test_a_folder_that_is_removed_between_two_photos(photos, run_task, monkeypatch, number):
    before_each_fetch(monkeypatch, once(number, lambda: shutil.rmtree(photos.folder.path)))
    with pytest.raises(TransferError, match=r"No such file.* 0 of 10 files are stored"):
        run_task(photos.operator).run()
    assert number <= photos.fetched() <= number + 1  # one may be under way
    photos.check(0)
    run_task(photos.operator).run()
    assert photos.fetched() == COUNT
    photos.check(COUNT)


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_a_folder_that_is_emptied_between_two_photos(sandbox, run_task, monkeypatch, tmp_path, scheme):
    MemoryFileSystem.store.clear()
    attach("memory", fs=MemoryFileSystem())
    photos = TenPhotos(sandbox, f"file://{tmp_path}/out" if scheme == "file" else "memory://out/photos")

    def empty() -> None:
        for name in photos.content():
            (photos.folder / name).unlink()

    before_each_fetch(monkeypatch, once(4, empty))
    with pytest.raises(TransferError, match=r"3 files in .* were removed .* 7 of 10 files are stored"):
        run_task(photos.operator).run()
    assert photos.fetched() == COUNT
    photos.check(range(3, COUNT))
    run_task(photos.operator).run()
    assert photos.fetched() == 3
    photos.check(COUNT)
    MemoryFileSystem.store.clear()


def test_a_folder_that_becomes_a_file(photos, run_task, monkeypatch):
    folder = Path(photos.folder.path)

    def replace() -> None:
        shutil.rmtree(folder)
        folder.write_text("mine")

    before_each_fetch(monkeypatch, once(4, replace))
    with pytest.raises(TransferError, match=r"is a file, not a folder.* 0 of 10 files are stored"):
        run_task(photos.operator).run()
    with pytest.raises(TransferError, match=r"is a file, not a folder.* 0 of 10 files are stored"):
        run_task(photos.operator).run()
    assert folder.read_text() == "mine"
    folder.unlink()
    photos.fetched()
    run_task(photos.operator).run()
    assert photos.fetched() == COUNT
    photos.check(COUNT)


@pytest.fixture
def changed(sandbox: Any, photos: TenPhotos) -> Iterator[Callable[[int, bytes], None]]:
    """Return a function by which the service has other bytes for a photo from now on."""
    servers: list[RawServer] = []

    def change(number: int, content: bytes) -> None:
        servers.append(RawServer(reply(content, "Content-Type: image/jpeg")))
        sandbox.fault("storage", "redirect", location=servers[-1].url, path=photos.ids[number], times=None)

    yield change
    for server in servers:
        server.close()


def test_the_manifest_tells_of_the_bytes_that_are_stored_not_of_those_that_would_come(
    sandbox, photos, run_task, changed
):
    sandbox.fault("storage", "status", status=500, skip=3, times=None)
    with pytest.raises(TransferError):
        run_task(photos.operator).run()
    sandbox.clear_faults()
    changed(1, picture(50))
    changed(5, picture(51))
    run_task(photos.operator).run()
    photos.pictures[5] = picture(51)
    photos.check(COUNT)


def test_a_photo_that_is_fetched_again_with_other_bytes_changes_the_manifest(photos, run_task, changed):
    run_task(photos.operator).run()
    photos.file(1).unlink()
    changed(1, picture(50))
    run_task(photos.operator).run()
    photos.pictures[1] = picture(50)
    photos.check(COUNT)


def test_no_manifest_is_left_that_tells_of_a_file_that_is_no_more(sandbox, photos, run_task, changed):
    run_task(photos.operator).run()
    photos.file(1).unlink()
    photos.file(4).unlink()
    changed(1, picture(50))
    sandbox.fault("storage", "status", status=500, path=photos.ids[4], times=None)
    with pytest.raises(TransferError):
        run_task(photos.operator).run()
    photos.pictures[1] = picture(50)
    photos.check(set(range(COUNT)) - {4})
    sandbox.clear_faults()
    photos.fetched()
    run_task(photos.operator).run()
    assert photos.fetched() == 1
    photos.check(COUNT)


def test_a_photo_that_was_submitted_anew_is_fetched_anew(photos, run_task, changed):
    run_task(photos.operator).run()
    path = Path(photos.folder.path) / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"][1]["submitted_at"] = "2001-01-01T00:00:00Z"
    path.write_text(json.dumps(manifest))
    photos.fetched()
    changed(1, picture(50))
    run_task(photos.operator).run()
    assert photos.fetched() == 1
    photos.pictures[1] = picture(50)
    photos.check(COUNT)
