"""
An end to replies that never end, for :mod:`requests`, whose timeout is for each single wait for a byte.

A server that sends a header a minute would hold a worker for ever otherwise.
"""

from __future__ import annotations

import io
import time
from functools import lru_cache
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    import socket

# How many read timeouts one whole reply may take.
SLOWEST_REPLY = 10


class InTime(HTTPAdapter):
    """
    Reads each reply within :data:`SLOWEST_REPLY` read timeouts.

    :param piece: None for the whole reply; or so many bytes of it within that time, for files, which may be large.
    """

    def __init__(self, piece: int | None = None) -> None:
        self._piece = piece
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return a pool whose connections read in time; also that of a proxy."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = _in_time(pool.ConnectionCls, self._piece)
        return pool


@lru_cache(maxsize=16)
def _in_time(connection: type[Any], piece: int | None) -> type[Any]:
    if "piece" in vars(connection):
        return connection  # the pool is one that was used before
    reply = type("Reply", (_Reply,), {"piece": piece})
    return type(connection.__name__, (connection,), {"response_class": reply, "piece": piece})


class _Reply(HTTPResponse):
    piece: int | None = None

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Bytes(self.fp.detach(), sock, self.piece))


class _Bytes(io.RawIOBase):
    """The bytes of one reply, from a socket that waits for the read timeout."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, piece: int | None) -> None:
        self._raw = raw
        self._sock = sock
        self._piece = piece
        self._patience = sock.gettimeout()
        self._count = 0
        self._start()

    def _start(self) -> None:
        self._until = None if self._patience is None else time.monotonic() + SLOWEST_REPLY * self._patience

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._until is not None and self._patience is not None:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError("the reply takes too long")
            self._sock.settimeout(min(self._patience, left))
        count = self._raw.readinto(buffer)
        self._count += count or 0
        if self._piece is not None and self._count >= self._piece:
            self._count = 0
            self._start()
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
