"""A photo that is taken again: whatever breaks a run, no manifest lists the old bytes for the new photo."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from tasks.ten_photos import COUNT, Retakes, TenPhotos, before_each_fetch

from airflow_provider_visio.exceptions import TransferError

ALL = set(range(COUNT))
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20) + b"IEND\xaeB`\x82"


@pytest.fixture
def photos(sandbox: Any, run_task: Any, destination: str) -> TenPhotos:
    """Ten photos that are stored."""
    photos = TenPhotos(sandbox, destination)
    run_task(photos.operator).run()
    photos.check(COUNT)
    return photos


@pytest.fixture
def retakes(photos: TenPhotos) -> Iterator[Retakes]:
    retakes = Retakes(photos)
    yield retakes
    retakes.close()


@pytest.fixture
def fails(run_task: Any, photos: TenPhotos) -> Callable[[str], None]:
    def run(words: str) -> None:
        with pytest.raises(TransferError, match=words):
            run_task(photos.operator).run()

    return run


@pytest.fixture
def completes(run_task: Any, photos: TenPhotos, retakes: Retakes) -> Callable[[int], None]:
    """Return a function that runs the task, with a storage host that works, and counts what was fetched."""

    def run(fetched: int) -> None:
        retakes.serve()
        run_task(photos.operator).run()
        photos.check(COUNT)
        assert photos.fetched() == fetched
        run_task(photos.operator).run()
        assert photos.fetched() == 0

    return run


def test_the_old_photo_leaves_the_manifest_where_the_new_one_cannot_be_fetched(
    photos, retakes, fails, completes
):
    before = list(photos.pictures)
    retakes.take(1)
    retakes.serve(but=[1])
    fails("9 of 10 files are stored and stay; run the task again for the rest")
    photos.check(ALL - {1}, outdated={1: before[1]})
    completes(1)


def test_the_old_photo_leaves_the_manifest_before_the_new_bytes_land(
    photos, run_task, retakes, completes, monkeypatch
):
    before = list(photos.pictures)
    retakes.take(1, 4)
    seen = []

    def look(_: int) -> None:
        seen.append(None)
        if len(seen) == 1:
            photos.check(ALL - {1, 4}, outdated={1: before[1], 4: before[4]})

    before_each_fetch(monkeypatch, look)
    run_task(photos.operator).run()
    assert len(seen) == 2
    completes(0)


def test_a_photo_that_is_taken_twice_again(photos, retakes, fails, completes):
    retakes.take(1)
    retakes.serve(but=[1])
    fails("9 of 10 files")
    retakes.change(1, seed=60)
    completes(1)
    retakes.take(1, seed=70)
    retakes.serve(but=[1])
    fails("9 of 10 files")
    completes(1)


def test_one_of_two_new_photos_cannot_be_fetched(photos, retakes, fails, completes):
    before = list(photos.pictures)
    retakes.take(1, 4)
    retakes.serve(but=[4])
    fails("9 of 10 files")
    photos.check(ALL - {4}, outdated={4: before[4]})
    completes(1)


def test_one_file_is_missing_and_another_is_outdated(photos, retakes, fails, completes):
    before = list(photos.pictures)
    retakes.take(5)
    (photos.folder / photos.name(0)).unlink()
    retakes.serve(but=[0, 5])
    fails("8 of 10 files")
    photos.check(ALL - {0, 5}, outdated={5: before[5]})
    retakes.serve(but=[5])
    fails("9 of 10 files")
    photos.check(ALL - {5}, outdated={5: before[5]})
    completes(1)


@pytest.mark.parametrize(("missing", "taken"), [(0, 1), (5, 1), (9, 0)])
def test_a_manifest_never_lists_a_file_that_is_missing(photos, retakes, fails, completes, missing, taken):
    before = list(photos.pictures)
    retakes.take(taken)
    (photos.folder / photos.name(missing)).unlink()
    retakes.serve(but=[missing, taken])
    fails("8 of 10 files")
    photos.check(ALL - {missing, taken}, outdated={taken: before[taken]})
    completes(2)


def test_a_manifest_never_lists_a_file_that_is_missing_and_no_longer_wanted(
    photos, retakes, fails, completes
):
    """Such as a photo that was deleted at the service, too."""
    before = list(photos.pictures)
    path = photos.folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["files"].append({**manifest["files"][0], "key": "gone", "path": f"{photos.folder}/gone.jpg"})
    path.fs.pipe_file(path.path, json.dumps(manifest).encode())
    retakes.take(1)
    retakes.serve(but=[1])
    fails("9 of 10 files")
    photos.check(ALL - {1}, outdated={1: before[1]})
    completes(1)


def test_a_new_photo_of_another_type_takes_the_place_of_the_old_one(
    photos, run_task, retakes, monkeypatch, caplog
):
    retakes.take(1, content=PNG)
    run_task(photos.operator).run()
    assert photos.name(1) not in photos.content()
    assert photos.content()[photos.name(1).replace(".jpg", ".png")] == PNG

    retakes.take(1)

    def refuse(self: Any, path: str, **options: Any) -> None:
        raise PermissionError(13, "Permission denied", path)

    for owner in (MemoryFileSystem, LocalFileSystem):
        monkeypatch.setattr(owner, "rm_file", refuse)
    run_task(photos.operator).run()
    assert ".png, an earlier file, could not be removed: " in caplog.text
    manifest = json.loads(photos.content()["manifest.json"])
    assert manifest["files"][1]["path"].endswith(photos.name(1))
    assert manifest["complete"]


@pytest.mark.parametrize("step", range(1, 5))
def test_a_task_that_dies_between_two_steps(photos, run_task, retakes, completes, monkeypatch, step):
    retakes.take(1, 4)
    steps = iter(range(1, 1000))

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def do(*given: Any, **options: Any) -> Any:
            if next(steps) == step:
                raise KeyboardInterrupt
            return real(*given, **options)

        return do

    with monkeypatch.context() as patched:
        for owner, name in (
            (MemoryFileSystem, "put_file"),
            (MemoryFileSystem, "rm_file"),
            (LocalFileSystem, "rm_file"),
            (Path, "replace"),
        ):
            patched.setattr(owner, name, dying(getattr(owner, name)))
        with pytest.raises(KeyboardInterrupt):
            run_task(photos.operator).run()
    listed = json.loads(photos.content()["manifest.json"])["files"]
    for entry in listed:
        content = photos.content()[entry["path"].rsplit("/", 1)[-1]]
        # The second step is the first new photo's; until then the earlier manifest is there.
        assert step == 1 or entry["sha256"] == hashlib.sha256(content).hexdigest()
    retakes.serve()
    run_task(photos.operator).run()
    photos.check(COUNT)


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that has manifests be unreadable so many times from now on."""
    read, left = MemoryFileSystem.cat_file, [0]

    def reading(self: Any, path: str, **options: Any) -> Any:
        if path.endswith("manifest.json") and left[0]:
            left[0] -= 1
            raise OSError("come again")
        return read(self, path, **options)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", reading)
    return lambda times: left.__setitem__(0, times)


@pytest.mark.parametrize("destination", ["memory"], indirect=True)
def test_a_manifest_that_cannot_be_read_for_a_moment(photos, retakes, fails, completes, unreadable):
    retakes.take(1)
    unreadable(1)
    fails("come again.* Run the task again|come again.* run the task again")
    completes(1)


@pytest.mark.parametrize("destination", ["memory"], indirect=True)
def test_a_manifest_that_cannot_be_read_is_not_missing(photos, retakes, fails, completes, unreadable):
    retakes.take(1)
    before = photos.content()
    unreadable(100)
    fails("come again")
    unreadable(0)
    assert photos.content() == before
    completes(1)
