"""A file that comes in drops has no read timeout of its own; it is not waited for without end."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Condition
from typing import Any

import pytest
from hooks.recipient import picture
from tasks.raw_server import RawServer, reply
from tasks.ten_photos import COUNT, TenPhotos

from airflow_provider_visio.api.client import SLOWEST_REPLY, Client
from airflow_provider_visio.api.download import SLOWEST_FILE, Download
from airflow_provider_visio.exceptions import TransferError

TIMEOUT = 30
PATIENCE = TIMEOUT * SLOWEST_REPLY
TRIES = 4


@pytest.fixture
def photos(sandbox: Any, tmp_path: Path) -> TenPhotos:
    return TenPhotos(sandbox, f"file://{tmp_path}/out")


class Tap:
    """
    Sends a body in some parts, each some seconds after the one before, and each once the one before was read.

    :param clock: the clock of the tests, which it moves.
    """

    def __init__(self, clock: Any, content: bytes, parts: int, pause: float, how: str) -> None:
        self._clock, self._content, self._pause = clock, content, pause
        self._step = -(-len(content) // parts)
        self._chunked = how == "chunked"
        self._state = Condition()
        self._opened, self._read, self._closed = 0, 0, False

    def send(self, caller: socket.socket) -> None:
        with self._state:
            opened = self._opened
        kind = "Content-Type: image/jpeg"
        if self._chunked:
            head = reply(b"", kind, "Transfer-Encoding: chunked", declared=-1)
            caller.sendall(head + f"{len(self._content):x}\r\n".encode())
        else:
            caller.sendall(reply(b"", kind, declared=len(self._content)))

        def over() -> bool:
            # The next download can begin before this thread has seen that the one before was closed.
            return self._closed or self._opened != opened

        for start in range(0, len(self._content), self._step):
            self._clock.time += self._pause
            caller.sendall(self._content[start : start + self._step])
            with self._state:
                assert self._state.wait_for(lambda sent=start + 1: over() or self._read >= sent, 20)
                if over():
                    return
        if self._chunked:
            caller.sendall(b"\r\n0\r\n\r\n")

    @contextmanager
    def watched(self, download: AbstractContextManager[Download]) -> Iterator[Download]:
        with self._state:
            self._opened, self._read, self._closed = self._opened + 1, 0, False
        try:
            with download as found:
                yield Download(found.status, found.headers, self._counted(found.chunks))
        finally:
            self._note(closed=True)

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._note(len(chunk))
            yield chunk

    def _note(self, more: int = 0, *, closed: bool = False) -> None:
        with self._state:
            self._read, self._closed = self._read + more, closed
            self._state.notify_all()


@pytest.fixture
def drip(sandbox: Any, clock: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function by which a photo comes in some parts, each some seconds after the one before."""
    servers: list[RawServer] = []
    opened = Client.open

    def start(content: bytes, *, parts: int, pause: float, how: str = "length", **when: Any) -> None:
        tap = Tap(clock, content, parts, pause, how)
        servers.append(RawServer(tap.send))
        monkeypatch.setattr(Client, "open", lambda self, url: tap.watched(opened(self, url)))
        sandbox.fault("storage", "redirect", location=servers[-1].url, **when)

    yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize("how", ["length", "chunked"])
def test_a_file_that_drips_for_ever_ends(sandbox, photos, run_task, clock, drip, how):
    drip(bytes(1000), parts=1000, pause=TIMEOUT - 1, how=how, skip=2, times=None)
    began = clock.now()
    with pytest.raises(TransferError, match=r"sends too slowly to be waited for.* 2 of 10 files are stored"):
        run_task(photos.operator).run()
    others = COUNT - 3  # each is tried once
    assert clock.now() - began < (TRIES + others) * (PATIENCE + TIMEOUT) + sum(clock.pauses)
    photos.check(2)
    sandbox.clear_faults()
    photos.fetched()
    run_task(photos.operator).run()
    assert photos.fetched() == COUNT - 2
    photos.check(COUNT)


@pytest.mark.parametrize("how", ["length", "chunked"])
def test_a_slow_file_is_waited_for(photos, run_task, drip, how):
    drip(photos.pictures[2], parts=10, pause=PATIENCE / 10, how=how, skip=2, times=1)
    run_task(photos.operator).run()
    assert photos.fetched() == COUNT
    photos.check(COUNT)


def test_a_large_file_has_longer(sandbox, run_task, drip, tmp_path):
    pictures = [picture(seed) for seed in range(COUNT)]
    pictures[2] += bytes(100 * SLOWEST_FILE)
    photos = TenPhotos(sandbox, f"file://{tmp_path}/out", pictures)
    drip(pictures[2], parts=100, pause=(PATIENCE + 100) / 101, skip=2, times=1)
    run_task(photos.operator).run()
    assert photos.fetched() == COUNT
    photos.check(COUNT)
