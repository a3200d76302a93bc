"""A TCP relay in front of a server, which can be cut: calls are refused, or taken and never answered."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from dev.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

PIECE = 65536
TIMEOUT = 10


class Relay:
    """`with Relay(port) as relay:` listens on `relay.port` and passes all bytes on to a port of this host."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._hangs = False

    def __enter__(self) -> Self:
        self._thread.start()
        self.restore()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT)
        self._loop.close()

    def restore(self) -> None:
        """Pass everything on again; what hung is hung up on."""
        self._do(self._switch(listens=True, hangs=False))

    def refuse(self) -> None:
        """Refuse connections, and hang up on those that there are."""
        self._do(self._switch(listens=False, hangs=False))

    def hang(self) -> None:
        """Accept connections, and pass nothing on."""
        self._do(self._switch(listens=True, hangs=True))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT)

    async def _switch(self, *, listens: bool, hangs: bool) -> None:
        self._hangs = hangs
        await self._close()
        if listens:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1000)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:  # it was accepted at the very moment of the cut
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            if self._hangs:
                await writer.wait_closed()
                return
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(back)
            await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
            self._writers.discard(back)
        except OSError:
            writer.transport.abort()
        finally:
            self._writers.discard(writer)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.close()
