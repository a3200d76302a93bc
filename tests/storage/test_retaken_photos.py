"""A photo that is taken again: whatever breaks a run, no later one takes the old bytes for the new photo."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from hooks.recipient import picture
from tasks.ten_photos import COUNT, Retakes, TenPhotos

from airflow_provider_visio.exceptions import TransferError

ALL = set(range(COUNT))


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


def test_all_stays_as_it_was_where_the_new_photo_cannot_be_fetched(photos, retakes, fails, completes):
    retakes.take(1)
    before = photos.content()
    retakes.serve(but=[1])
    fails("9 of 10 files are stored and stay; run the task again for the rest")
    assert photos.content() == before
    completes(1)


def test_a_photo_that_is_taken_twice_again(photos, retakes, fails, completes):
    retakes.take(1)
    retakes.serve(but=[1])
    fails("9 of 10 files")
    retakes.take(1, seed=60)
    completes(1)
    retakes.take(1, seed=70)
    retakes.serve(but=[1])
    fails("9 of 10 files")
    completes(1)


def test_one_of_two_new_photos_cannot_be_fetched(photos, retakes, fails, completes):
    retakes.take(1, 4)
    retakes.serve(but=[4])
    fails("9 of 10 files")
    photos.check(ALL - {4})
    completes(1)


def test_one_file_is_missing_and_another_is_outdated(photos, retakes, fails, completes):
    retakes.take(5)
    (photos.folder / photos.name(0)).unlink()
    retakes.serve(but=[0, 5])
    fails("8 of 10 files")
    retakes.serve(but=[5])
    fails("9 of 10 files")
    photos.check(ALL - {5})
    completes(1)


@pytest.mark.parametrize(("missing", "taken"), [(0, 1), (5, 1), (9, 0)])
def test_a_manifest_never_lists_a_file_that_is_missing(photos, retakes, fails, completes, missing, taken):
    retakes.take(taken)
    (photos.folder / photos.name(missing)).unlink()
    retakes.serve(but=[missing, taken])
    fails("8 of 10 files")
    photos.check(ALL - {missing, taken})
    completes(2)


def test_a_manifest_never_lists_a_file_that_is_missing_and_no_more_wanted(photos, retakes, fails, completes):
    """Such as a photo that was deleted at the service, too."""
    path = photos.folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["files"].append({**manifest["files"][0], "key": "gone", "path": f"{photos.folder}/gone.jpg"})
    path.fs.pipe_file(path.path, json.dumps(manifest).encode())
    retakes.take(1)
    retakes.serve(but=[1])
    fails("9 of 10 files")
    photos.check(ALL - {1})
    completes(1)


def test_a_file_that_somebody_has_changed_is_never_taken_for_the_photo(photos, retakes, fails, completes):
    path = photos.folder / photos.name(1)
    path.fs.pipe_file(path.path, picture(99))
    retakes.serve(but=[1])
    fails("9 of 10 files")
    completes(1)


@pytest.mark.parametrize("step", range(1, 6))
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
            (MemoryFileSystem, "pipe_file"),
            (MemoryFileSystem, "rm"),
            (LocalFileSystem, "rm"),
            (Path, "replace"),
        ):
            patched.setattr(owner, name, dying(getattr(owner, name)))
        with pytest.raises(KeyboardInterrupt):
            run_task(photos.operator).run()
    retakes.serve()
    run_task(photos.operator).run()
    photos.check(COUNT)


@pytest.mark.parametrize("refused", [".jpg", ""], ids=["photos", "all"])
@pytest.mark.parametrize("how", ["in silence", "with an error"])
def test_a_store_that_refuses_to_remove(photos, retakes, fails, completes, monkeypatch, how, refused):
    retakes.take(1, 4)
    retakes.serve(but=[4])
    with monkeypatch.context() as patched:
        for owner in (MemoryFileSystem, LocalFileSystem):

            def refuse(self: Any, path: str, *given: Any, real: Any = owner.rm, **options: Any) -> None:
                if not path.endswith(refused):
                    real(self, path, *given, **options)
                elif how == "with an error":
                    raise PermissionError(13, "Permission denied", path)

            patched.setattr(owner, "rm", refuse)
        fails("could not be fetched" if how == "in silence" else "this worker may not write there")
    completes(2)


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that has manifests be unreadable so many times from now on."""
    opened, left = MemoryFileSystem._open, [0]

    def opening(self: Any, path: str, mode: str = "rb", **options: Any) -> Any:
        if mode == "rb" and path.endswith("manifest.json") and left[0]:
            left[0] -= 1
            raise OSError("come again")
        return opened(self, path, mode, **options)

    monkeypatch.setattr(MemoryFileSystem, "_open", opening)
    return lambda times: left.__setitem__(0, times)


@pytest.mark.parametrize("destination", ["memory"], indirect=True)
def test_a_manifest_that_cannot_be_read_for_a_moment(photos, retakes, completes, unreadable):
    retakes.take(1)
    unreadable(1)
    completes(1)


@pytest.mark.parametrize("destination", ["memory"], indirect=True)
def test_a_manifest_that_cannot_be_read_is_not_missing(photos, retakes, fails, completes, unreadable):
    retakes.take(1)
    before = photos.content()
    unreadable(100)
    # Nor is it known how many of the files are good.
    fails(
        r"manifest\.json exists, but cannot be read: OSError: come again\. Run the task again to try once more"
    )
    unreadable(0)
    assert photos.content() == before
    completes(1)
