"""Stores with limits: a mount that knows no rename and no overwrite, and a role that may not list."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem
from tasks.ten_photos import COUNT, Retakes, TenPhotos

from airflow_provider_visio.exceptions import TransferError
from airflow_provider_visio.storage import store_folder


@pytest.fixture(params=[1, 4])
def parallel_downloads(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder as Mountpoint for S3 has it: files are written once, from their beginning to their end."""
    place = tmp_path / "mount"
    opened = io.open

    def no_rename(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(self))

    def no_overwrite(file: Any, mode: str = "r", *given: Any, **options: Any) -> Any:
        if "w" in mode and place in Path(file).parents and Path(file).exists():
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(file))
        return opened(file, mode, *given, **options)

    monkeypatch.setattr(Path, "replace", no_rename)
    monkeypatch.setattr(io, "open", no_overwrite)  # what Path.open calls
    monkeypatch.setattr("builtins.open", no_overwrite)
    return f"file://{place}"


@pytest.fixture
def mounted(sandbox: Any, mount: str) -> TenPhotos:
    return TenPhotos(sandbox, mount)


def test_photos_are_stored_on_a_mount_that_knows_no_rename_and_no_overwrite(mounted, run_task):
    run_task(mounted.operator).run()
    assert mounted.fetched() == COUNT
    mounted.check(COUNT)
    run_task(mounted.operator).run()
    assert mounted.fetched() == 0
    mounted.check(COUNT)


def test_a_broken_run_goes_on_there(sandbox, mounted, run_task):
    sandbox.fault("storage", "status", status=405, path=mounted.ids[5], times=None)
    task = run_task(mounted.operator)
    with pytest.raises(TransferError, match="9 of 10 files are stored"):
        task.run()
    mounted.check(set(range(COUNT)) - {5})
    sandbox.clear_faults()
    mounted.fetched()
    run_task(mounted.operator, task).run()
    assert mounted.fetched() == 1
    mounted.check(COUNT)


def test_a_photo_is_retaken_there(mounted, run_task):
    run_task(mounted.operator).run()
    retakes = Retakes(mounted)
    retakes.take(3)
    run_task(mounted.operator).run()
    retakes.close()
    assert mounted.fetched() == 1
    mounted.check(COUNT)


class Role(MemoryFileSystem):
    """A store for a role that may put and get, but not list: then S3 says of a missing key that it is forbidden."""

    protocol = "role"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    limited = True
    calls: ClassVar[list[str]] = []

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("role://"))

    def _check(self, what: str, path: str) -> None:
        Role.calls.append(what)
        if Role.limited and (what == "ls" or self._strip_protocol(path) not in self.store):
            raise PermissionError(errno.EACCES, "Forbidden", path)

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        self._check("ls", path)
        return super().ls(path, detail=detail, **options)

    def info(self, path: str, **options: Any) -> Any:
        self._check("info", path)
        return super().info(path, **options)

    def cat_file(self, path: str, *given: Any, **options: Any) -> bytes:
        self._check("cat_file", path)
        return super().cat_file(path, *given, **options)

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        # As S3 does, it puts an object without a look at what is there.
        self.store.pop(self._strip_protocol(rpath), None)
        limited, Role.limited = Role.limited, False
        try:
            super().put_file(lpath, rpath, **options)
        finally:
            Role.limited = limited


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    fsspec.register_implementation("role", Role, clobber=True)
    attach("role", fs=Role())
    Role.store.clear()
    Role.calls.clear()
    monkeypatch.setattr(store_folder, "_WHOLE_OBJECTS", {*store_folder._WHOLE_OBJECTS, "role"})
    yield "role://bucket/photos"
    Role.store.clear()


def stored(photos: TenPhotos) -> tuple[int, bool]:
    """Check that the manifest lists the photos that are stored, and return how many they are, and whether all."""
    objects = {path.rsplit("/", 1)[-1]: file.getvalue() for path, file in Role.store.items()}
    manifest = json.loads(objects.pop("manifest.json"))
    numbers = [photos.ids.index(entry["key"]) for entry in manifest["files"]]
    assert objects == {photos.name(number): photos.pictures[number] for number in numbers}
    return len(numbers), manifest["complete"]


@pytest.mark.parametrize("parallel_downloads", [1], indirect=True)
@pytest.mark.filterwarnings("ignore:UPath 'role'")
def test_a_role_that_may_not_list_stores_and_stores_again_and_goes_on(sandbox, run_task, role):
    photos = TenPhotos(sandbox, role)
    sandbox.fault("storage", "status", status=405, path=photos.ids[5], times=None)
    task = run_task(photos.operator)
    with pytest.raises(TransferError, match="9 of 10 files are stored"):
        task.run()
    assert stored(photos) == (9, False)
    sandbox.clear_faults()
    photos.fetched()
    run_task(photos.operator, task).run()
    assert photos.fetched() == 1
    assert stored(photos) == (COUNT, True)
    run_task(photos.operator).run()
    assert photos.fetched() == 0
    assert stored(photos) == (COUNT, True)
    del Role.store[next(path for path in Role.store if path.endswith(photos.name(2)))]
    run_task(photos.operator).run()
    assert photos.fetched() == 1
    assert stored(photos) == (COUNT, True)
    assert "ls" in Role.calls
