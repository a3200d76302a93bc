"""Fault injection: which calls a fault hits, how often, and how it is carried out on the connection.

A fault is ordered through the control interface. The first fault that matches a call and is not used up fires.
"""

import asyncio
import itertools
import json
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .options import ControlBody
from .replies import storage_error

Kind = Literal[
    "status",
    "delay",
    "hold",
    "drop_before",
    "drop_after",
    "truncate",
    "short",
    "long",
    "html",
    "xml_error",
    "json_error",
    "empty",
    "redirect",
    "body",
    "slow",
    "rate_limit",
    "expired_link",
    "twice",
    "late",
    "out_of_order",
    "wrong_secret",
    "never",
]
_OF_WEBHOOKS = ("twice", "late", "out_of_order", "wrong_secret", "never")


class FaultSpec(ControlBody):
    """POST /control/faults.

    A `hold` fault keeps calls until `POST /control/faults/{number}/let-go`, also where the caller disconnects. With
    `after_work` the service does its work first.
    """

    service: Literal["visiono", "vizdom", "storage", "webhooks"]
    kind: Kind
    method: str | None = None
    path: str | None = None
    key: str | None = None
    event: str | None = None
    times: int | None = Field(default=1, ge=0)
    skip: int = Field(default=0, ge=0)
    status: int | None = Field(default=None, ge=200, le=599)
    body: Any = None
    headers: dict[str, str] = Field(default_factory=dict)
    content_type: str | None = None
    seconds: float = Field(default=1.0, ge=0)
    after_work: bool = False
    location: str | None = None
    retry_after: float | str | None = None
    reset: float | str | None = None

    @field_validator("path")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as problem:
                raise ValueError(f"not a valid regular expression: {problem}") from problem
        return value

    @model_validator(mode="after")
    def _service_has_the_kind(self) -> Self:
        only = {"expired_link": "storage", **dict.fromkeys(_OF_WEBHOOKS, "webhooks")}.get(self.kind)
        if only and self.service != only:
            raise ValueError(f"the kind {self.kind!r} is allowed for the service {only!r} only")
        if self.service == "webhooks" and not only:
            raise ValueError(f"the service 'webhooks' has the kinds {', '.join(_OF_WEBHOOKS)}")
        return self


class Fault:
    """An ordered fault, and the calls that it has hit."""

    def __init__(self, number: int, spec: FaultSpec) -> None:
        self.id = number
        self.spec = spec
        self.fired = 0
        self.held = 0
        self._to_skip = spec.skip
        self._released = asyncio.Event()
        self._drop = False

    def matches(self, service: str, method: str, path: str, key: str | None, event: str | None) -> bool:
        """Whether the fault applies to the call and is not used up."""
        spec = self.spec
        return (
            spec.service == service
            and (spec.times is None or self.fired < spec.times)
            and (spec.method is None or spec.method.upper() == method)
            and (spec.path is None or re.search(spec.path, path) is not None)
            and (spec.key is None or spec.key == key)
            and (spec.event is None or spec.event == event)
            and not self._released.is_set()
        )

    def fires(self) -> bool:
        """Count a matching call; false while calls are skipped."""
        if self._to_skip > 0:
            self._to_skip -= 1
            return False
        self.fired += 1
        return True

    async def hold(self) -> bool:
        """Keep a call until it is released, and return whether to drop it."""
        self.held += 1
        try:
            await self._released.wait()
        finally:
            self.held -= 1
        return self._drop

    def release(self, *, drop: bool = False) -> None:
        """Release all held calls, and hold no more."""
        self._drop = drop
        self._released.set()

    def view(self) -> dict[str, Any]:
        """Return it as the control interface shows it."""
        return {"id": self.id, "fired": self.fired, "held": self.held, **self.spec.model_dump()}


class Faults:
    """All faults; the first that fires is used."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._numbers = itertools.count(1)

    def add(self, spec: FaultSpec) -> Fault:
        """Add a fault."""
        fault = Fault(next(self._numbers), spec)
        self._faults.append(fault)
        return fault

    def find(self, number: int) -> Fault | None:
        """Return the fault with this number."""
        return next((fault for fault in self._faults if fault.id == number), None)

    def pick(
        self, service: str, method: str, path: str, key: str | None = None, event: str | None = None
    ) -> Fault | None:
        """Return the fault that fires on this call or delivery, if any."""
        for fault in self._faults:
            if fault.matches(service, method, path, key, event) and fault.fires():
                return fault
        return None

    def clear(self) -> None:
        """Remove all faults, and release what they hold."""
        for fault in self._faults:
            fault.release()
        self._faults.clear()

    def view(self) -> list[dict[str, Any]]:
        """Return all faults as the control interface shows them."""
        return [fault.view() for fault in self._faults]


_PAGE = """<!DOCTYPE html>
<html><head><title>{title}</title></head>
<body><center><h1>{title}</h1></center><hr><center>nginx</center></body></html>
"""
_SLOW_STEPS = 20

SendRateLimitReply = Callable[[FaultSpec, Send], Awaitable[None]]


async def inject_fault(
    fault: Fault,
    app: ASGIApp,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    send_rate_limit_reply: SendRateLimitReply,
) -> None:
    """Answer the call as the fault orders; `send_rate_limit_reply` sends the service's 429."""
    spec = fault.spec
    if spec.kind in ("status", "html", "xml_error", "json_error", "empty", "redirect", "body"):
        await _send_fixed_reply(spec, send)
    elif spec.kind == "rate_limit":
        await send_rate_limit_reply(spec, send)
    elif spec.kind == "drop_before":
        await _close_connection(receive)
    elif spec.kind == "drop_after":
        await app(scope, receive, _discard)
        await _close_connection(receive)
    elif spec.kind == "delay":
        await _delay(spec, app, scope, receive, send)
    elif spec.kind == "hold":
        await _hold(fault, app, scope, receive, send)
    elif spec.kind == "expired_link":
        await app({**scope, "expire_link": True}, receive, send)
    else:
        await app(scope, receive, _DamagingSender(spec, receive, send))


async def _send_fixed_reply(spec: FaultSpec, send: Send) -> None:
    status = spec.status or {"redirect": 302, "status": 500}.get(spec.kind, 200)
    headers = dict(spec.headers)
    if spec.kind == "html":
        content, media_type = _PAGE.format(title=f"{status} {_phrase(status)}").encode(), "text/html"
    elif spec.kind == "xml_error":
        content, media_type = storage_error(*_error(status)).encode(), "application/xml"
    elif spec.kind == "json_error":
        error = dict(zip(("code", "message"), _error(status), strict=True))
        content, media_type = json.dumps({"error": error}).encode(), "application/json"
    elif spec.kind in ("empty", "redirect") or spec.body is None:
        content, media_type = b"", ""
    elif isinstance(spec.body, str):
        content, media_type = spec.body.encode(), "text/plain; charset=utf-8"
    else:
        content, media_type = json.dumps(spec.body).encode(), "application/json"
    media_type = spec.content_type or media_type
    if media_type:
        headers.setdefault("Content-Type", media_type)
    if spec.kind == "redirect":
        headers["Location"] = spec.location or "/"
    await send_reply(send, status, content, headers)


async def send_reply(send: Send, status: int, content: bytes, headers: dict[str, str]) -> None:
    """Send a whole reply."""
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    pairs.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": content})


async def _delay(spec: FaultSpec, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    if not spec.after_work:
        await asyncio.sleep(spec.seconds)
        await app(scope, receive, send)
        return
    reply = _BufferedReply()
    await app(scope, receive, reply)
    await asyncio.sleep(spec.seconds)
    await reply.send_to(send)


async def _hold(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Keep a call, before its work or after it, until it is released."""
    reply = _BufferedReply()
    # Read first: the body cannot be read any more once the caller has disconnected.
    asked = await _read_whole(receive)
    if fault.spec.after_work:
        await app(scope, asked, reply)
    if await fault.hold():
        await _close_connection(receive)
        return
    if not fault.spec.after_work:
        await app(scope, asked, reply)
    await reply.send_to(send)


async def _read_whole(receive: Receive) -> Receive:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return replay(body, receive)


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a receive channel that starts with a body that was read already."""
    sent = False

    async def replayed() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


class _BufferedReply:
    """Keeps a reply until it is sent."""

    def __init__(self) -> None:
        self._messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self._messages.append(message)

    async def send_to(self, send: Send) -> None:
        for message in self._messages:
            await send(message)


async def _close_connection(receive: Receive) -> None:
    """Close the connection without a reply, by uvicorn's transport: ASGI has no call for it."""
    cycle: Any = getattr(receive, "__self__", None)
    if cycle is None:
        raise RuntimeError("dropping a connection needs uvicorn's own receive channel")
    cycle.transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _discard(_: Message) -> None:
    """Discard a reply."""


class _DamagingSender:
    """Sends a reply truncated, with a wrong length, or slowly."""

    def __init__(self, spec: FaultSpec, receive: Receive, send: Send) -> None:
        self._kind = spec.kind
        self._seconds = spec.seconds
        self._pause = 0.0
        self._receive = receive
        self._send = send
        self._left = 0
        self._step = 1

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._start(message)
        elif self._kind == "slow":
            await self._drip(message)
        elif self._left >= 0:
            await self._cut(message)

    async def _start(self, message: Message) -> None:
        headers = dict(message["headers"])
        length = int(headers.get(b"content-length", b"0"))
        self._left = length if self._kind == "long" else length // 2
        self._step = max(1, -(-length // _SLOW_STEPS))
        self._pause = self._seconds * self._step / max(1, length)
        if self._kind in ("short", "long"):
            headers[b"content-length"] = str(self._left + (self._kind == "long")).encode()
        await self._send({**message, "headers": list(headers.items())})

    async def _drip(self, message: Message) -> None:
        body = message.get("body", b"")
        for start in range(0, len(body), self._step):
            await asyncio.sleep(self._pause)
            piece = body[start : start + self._step]
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        if not message.get("more_body", False):
            await self._send({"type": "http.response.body", "body": b""})

    async def _cut(self, message: Message) -> None:
        body = message.get("body", b"")[: self._left]
        self._left -= len(body)
        more = message.get("more_body", False) and self._left > 0
        if self._kind == "short":
            await self._send({"type": "http.response.body", "body": body, "more_body": more})
        elif body:
            await self._send({"type": "http.response.body", "body": body, "more_body": True})
        if not more:
            self._left = -1
            if self._kind != "short":
                await _close_connection(self._receive)


def _error(status: int) -> tuple[str, str]:
    return ("AccessDenied", "Access Denied") if status == 403 else ("InternalError", "Please try again.")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
