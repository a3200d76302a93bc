"""A storage host that sends any bytes, which no HTTP library would let it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from threading import Thread


def reply(content: bytes, *headers: str, declared: int | None = None) -> bytes:
    """Return a reply as it goes over the wire; ``declared`` is a Content-Length, -1 for none."""
    lines = ["HTTP/1.1 200 OK", *headers]
    if declared != -1:
        lines.append(f"Content-Length: {len(content) if declared is None else declared}")
    return "\r\n".join([*lines, "", ""]).encode() + content


def chunked(content: bytes, *headers: str, ended: bool = True) -> bytes:
    """Return a reply in one chunk, without the empty one behind it where it has not ``ended``."""
    end = b"\r\n0\r\n\r\n" if ended else b""
    return reply(
        f"{len(content):x}\r\n".encode() + content + end,
        "Transfer-Encoding: chunked",
        *headers,
        declared=-1,
    )


class RawServer:
    """
    Answers each call with the same bytes, and hangs up.

    :param answer: the bytes, or a function that sends them.
    """

    def __init__(self, answer: bytes | Callable[[socket.socket], None]) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/photo"
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                with caller, contextlib.suppress(ConnectionError):
                    caller.recv(65536)
                    if callable(self._answer):
                        self._answer(caller)
                    else:
                        caller.sendall(self._answer)

    def close(self) -> None:
        # Closing alone does not wake who waits in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
