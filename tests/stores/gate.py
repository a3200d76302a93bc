"""A proxy in front of a store's emulator: it notes each call, and refuses those that a role may not make."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

import requests
from api.local_server import Answer, LocalServer, Received

# The proxy sets them itself.
_OWN = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}
# Google Cloud Storage is given a new object's name in the body.
_NAME = re.compile(rb'"name": "([^"]+)"')


class Gate:
    """
    :param upstream: the emulator's URL.
    :param forbidden: the store's answer to a call that a role may not make.
    """

    def __init__(self, upstream: str, forbidden: Answer) -> None:
        self.calls: list[str] = []
        #: Whether a call, such as "PUT /bucket/key", is refused; gets the status that the store would give.
        self.refuses: Callable[[str, int], bool] = lambda call, status: False
        self._upstream = upstream
        self._forbidden = forbidden
        self._server = LocalServer(self._answer)
        self.url = self._server.url

    def open(self) -> None:
        """Forget the calls, and refuse none."""
        self.calls = []
        self.refuses = lambda call, status: False

    def close(self) -> None:
        self._server.close()

    def _answer(self, received: Received) -> Answer:
        call = f"{received.method} {unquote(received.path)}"
        if "uploadType" in call and (name := _NAME.search(received.body)):
            call += f" {name[1].decode()}"
        self.calls.append(call)
        # Status 0: before the store has seen the call.
        if self.refuses(call, 0):
            return self._refusal(received)
        with requests.request(
            received.method,
            self._upstream + received.path,
            data=received.body,
            headers={"accept-encoding": "identity", **received.headers},
            stream=True,
            timeout=60,
            allow_redirects=False,
        ) as reply:
            if self.refuses(call, reply.status_code):
                return self._refusal(received)
            headers = {name: value for name, value in reply.headers.items() if name.lower() not in _OWN}
            length = reply.headers.get("content-length")
            declared = int(length) if received.method == "HEAD" and length else None
            return Answer(reply.status_code, reply.raw.read(), headers, declared)

    def _refusal(self, received: Received) -> Answer:
        refusal = self._forbidden
        return Answer(refusal.status, b"" if received.method == "HEAD" else refusal.body, refusal.headers)
