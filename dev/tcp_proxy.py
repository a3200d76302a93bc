"""A TCP proxy that can simulate an outage: it refuses connections, or accepts them and never answers."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from dev.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from types import TracebackType

CHUNK = 65536
TIMEOUT = 10


class TcpProxy:
    """`with TcpProxy(target) as proxy:` listens on `proxy.port`, and forwards to a port of this host.

    :param target: port of the server
    """

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self.restore()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT)
        self._loop.close()

    def restore(self) -> None:
        """Close all connections, and forward new ones."""
        self._run(self._switch(listens=True, hangs=False))

    def refuse(self) -> None:
        """Close all connections, and refuse new ones."""
        self._run(self._switch(listens=False, hangs=False))

    def hang(self) -> None:
        """Close all connections, and accept new ones without an answer."""
        self._run(self._switch(listens=True, hangs=True))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT)

    async def _switch(self, *, listens: bool, hangs: bool) -> None:
        await self._close()
        if listens:
            listener = socket.create_server(("127.0.0.1", self.port), backlog=1000)
            listener.settimeout(0)
            self._start(self._listen(listener, hangs=hangs))

    async def _close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Not `asyncio.start_server`: it never closes a connection that it accepts while it stops.
    async def _listen(self, listener: socket.socket, *, hangs: bool) -> None:
        with listener:
            while True:
                client, _ = await self._loop.sock_accept(listener)
                self._start(self._serve(client, hangs=hangs))

    async def _serve(self, client: socket.socket, *, hangs: bool) -> None:
        with client, suppress(OSError):
            reader, writer = await asyncio.open_connection(sock=client)
            with _abort_at_end(writer):
                if hangs:
                    await writer.wait_closed()
                    return
                there, back = await asyncio.open_connection("127.0.0.1", self._target)
                with _abort_at_end(back):
                    await asyncio.gather(_copy(reader, back), _copy(there, writer))


@contextmanager
def _abort_at_end(writer: asyncio.StreamWriter) -> Iterator[None]:
    try:
        yield
    finally:
        writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.close()
        await writer.wait_closed()
