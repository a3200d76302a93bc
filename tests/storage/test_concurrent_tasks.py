"""Tasks that are killed, and two that write to one destination: final names hold whole files all the same."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Semaphore
from typing import Any

import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem
from tasks.children import FORK, Child, child
from tasks.ten_photos import COUNT, Retakes, TenPhotos, before_each_fetch

from airflow_provider_visio.api.client import Client
from airflow_provider_visio.api.download import Download
from airflow_provider_visio.storage.manifest import ManifestWriter
from airflow_provider_visio.storage.part_files import LONGEST_PAUSE

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture
def photos(sandbox: Any, tmp_path: Path) -> TenPhotos:
    return TenPhotos(sandbox, f"file://{tmp_path}/out")


def stop_in(number: int, pipe: Connection, clock: Any, seconds: float) -> None:
    """
    In this process, send a message when half of a file is written, and continue after a reply.

    :param number: the number of the file, from 1.
    :param seconds: how long each file takes: with a second, the manifest lists those before it.
    """
    opened, count = Client.open, iter(range(1, 1000))
    write_sometimes, written = ManifestWriter.write_sometimes, Semaphore(0)

    def a_second_later(self: ManifestWriter) -> None:
        clock.time += seconds
        write_sometimes(self)
        written.release()

    @contextmanager
    def halting(self: Client, url: str) -> Iterator[Download]:
        with opened(self, url) as found:
            if next(count) == number:
                yield Download(found.status, found.headers, halves(b"".join(found.chunks)))
            else:
                yield found

    def halves(content: bytes) -> Iterator[bytes]:
        yield content[: len(content) // 2]
        for _ in range(number - 1):
            assert written.acquire(timeout=30)
        pipe.send("half")
        pipe.recv()
        yield content[len(content) // 2 :]

    Client.open = halting  # type: ignore[method-assign]
    ManifestWriter.write_sometimes = a_second_later  # type: ignore[method-assign]


@pytest.fixture
def download(run_task: Any, clock: Any) -> Any:
    """Return what a child does that stops in the middle of a file."""

    def work(photos: TenPhotos, number: int, *, seconds: float = 1.0) -> Any:
        def run(pipe: Connection) -> Any:
            clock.sandbox = None  # its control connection is the test's own
            stop_in(number, pipe, clock, seconds)
            return run_task(photos.operator).run()

        return run

    return work


def pass_hour(clock: Any, seconds: float = 1.0) -> None:
    # Files have the real time.
    clock.time = max(clock.time, time.time()) + LONGEST_PAUSE + seconds


def half_way(running: Child) -> None:
    assert running.hear() == "half"


@pytest.mark.parametrize("number", [1, 4, COUNT])
def test_a_task_killed_in_the_middle_of_a_file(photos, run_task, download, clock, number):
    with child(download(photos, number)) as running:
        half_way(running)
        running.kill()
    photos.check(number - 1, hidden=1)
    pass_hour(clock)
    photos.fetched()
    run_task(photos.operator).run()
    assert photos.fetched() == COUNT - number + 1
    photos.check(COUNT)


def test_a_task_that_is_killed_within_a_second_leaves_a_manifest_that_is_true(photos, run_task, download):
    with child(download(photos, 6, seconds=0.1)) as running:
        half_way(running)
        running.kill()
    photos.check(5, hidden=1, listed=1)
    photos.fetched()
    run_task(photos.operator).run()
    assert photos.fetched() == COUNT - 1
    photos.check(COUNT, hidden=1)


def test_what_a_killed_task_has_just_written_is_left_to_the_next_run_but_one(
    photos, run_task, download, clock
):
    with child(download(photos, 4)) as running:
        half_way(running)
        running.kill()
    run_task(photos.operator).run()
    photos.check(COUNT, hidden=1)
    pass_hour(clock)
    run_task(photos.operator).run()
    photos.check(COUNT)


def test_a_task_that_lives_keeps_what_it_is_writing(photos, run_task, download, clock):
    with child(download(photos, 4)) as running:
        half_way(running)
        pass_hour(clock, -60)
        run_task(photos.operator).run()
        photos.check(COUNT, hidden=1)
        running.pipe.send("go on")
        assert len(running.result()["files"]) == COUNT
    photos.check(COUNT)


def test_a_task_killed_on_the_way_to_an_object_store(
    sandbox, run_task, download, clock, tmp_path, monkeypatch
):
    spool = tmp_path / "tmp"
    spool.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spool))
    MemoryFileSystem.store.clear()
    attach("memory", fs=MemoryFileSystem())
    photos = TenPhotos(sandbox, "memory://out/photos")
    others = spool / "somebody.else.0123abcd.part"
    others.touch()
    with child(download(photos, 4)) as running:
        half_way(running)
        left = [path for path in spool.iterdir() if path != others]
        assert [path.stat().st_mode & 0o077 for path in left] == [0]
        running.kill()
    pass_hour(clock)
    run_task(photos.operator).run()
    assert list(spool.iterdir()) == [others]
    photos.check(COUNT)
    MemoryFileSystem.store.clear()


def test_two_tasks_at_the_same_moment(photos, run_task, clock, monkeypatch):
    barrier = FORK.Barrier(2)

    def run(pipe: Connection) -> Any:
        clock.sandbox = None
        # Neither can be ahead by a file, so each fetches all of them.
        before_each_fetch(monkeypatch, lambda _: barrier.wait(30))
        return run_task(photos.operator).run()

    with child(run) as one, child(run) as two:
        assert one.result() == two.result()
    assert photos.fetched() == 2 * COUNT
    photos.check(COUNT)


def test_a_second_task_takes_what_the_first_has_stored(photos, run_task, download):
    with child(download(photos, 6)) as first:
        half_way(first)
        photos.fetched()
        run_task(photos.operator).run()
        assert photos.fetched() == COUNT - 5
        photos.check(COUNT, hidden=1)
        first.pipe.send("go on")
        first.result()
        assert photos.fetched() == COUNT - 6  # it knows the manifest of its beginning
    photos.check(COUNT)
    run_task(photos.operator).run()
    assert photos.fetched() == 0


def test_a_first_task_that_fails_after_a_second_has_stored_all(photos, run_task, download, sandbox):
    with child(download(photos, 6)) as first:
        half_way(first)
        run_task(photos.operator).run()
        sandbox.fault("storage", "status", status=500, times=None)
        photos.file(8).unlink()
        first.pipe.send("go on")
        assert "6 of 10 files are stored" in first.error()
    photos.check(set(range(COUNT)) - {8}, listed=6)
    sandbox.clear_faults()
    run_task(photos.operator).run()
    photos.check(COUNT)


def test_a_photo_that_a_second_task_has_fetched_again_is_not_removed_by_the_first(photos, run_task, download):
    run_task(photos.operator).run()
    retakes = Retakes(photos)
    retakes.take(1, 4)
    with child(download(photos, 1)) as first:
        half_way(first)
        run_task(photos.operator).run()
        photos.check(COUNT, hidden=1)
        retakes.serve(but=[4])
        first.pipe.send("go on")
        assert "9 of 10 files are stored" in first.error()
    photos.check(COUNT, listed=set(range(COUNT)) - {4})
    retakes.close()
