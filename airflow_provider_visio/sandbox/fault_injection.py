"""Fault injection: which calls a fault hits, how often, and how it is carried out on the connection.

A fault is ordered through the control interface. The first fault that matches a call and is not used up fires.
"""

import asyncio
import itertools
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from http.client import responses
from typing import Any, Literal, Self, get_args

from pydantic import Field, model_validator
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .options import ControlBody
from .replies import storage_error

FixedReply = Literal["status", "html", "xml_error", "json_error", "empty", "redirect", "body"]
Connection = Literal["drop_before", "drop_after", "delay", "hold", "truncate", "short", "long", "slow"]
DeliveryKind = Literal["twice", "late", "out_of_order", "wrong_secret", "never"]
Kind = Literal[FixedReply, Connection, "rate_limit", "expired_link", DeliveryKind]


class FaultSpec(ControlBody):
    """POST /control/faults.

    A `hold` fault keeps calls until `POST /control/faults/{number}/let-go`, also where the caller disconnects. With
    `after_work` the service does its work first.
    """

    service: Literal["visiono", "vizdom", "storage", "webhooks"]
    kind: Kind
    method: str | None = None
    path: re.Pattern[str] | None = None
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

    @model_validator(mode="after")
    def _service_has_the_kind(self) -> Self:
        only = {"expired_link": "storage", **dict.fromkeys(get_args(DeliveryKind), "webhooks")}.get(self.kind)
        if only and self.service != only:
            raise ValueError(f"the kind {self.kind!r} is allowed for the service {only!r} only")
        if self.service == "webhooks" and not only:
            raise ValueError(f"the service 'webhooks' has the kinds {', '.join(get_args(DeliveryKind))}")
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
            and (spec.path is None or spec.path.search(path) is not None)
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

    async def pause(self) -> bool:
        """Delay a call, or hold it until it is released, and return whether to drop it."""
        if self.spec.kind == "delay":
            await asyncio.sleep(self.spec.seconds)
            return False
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
        return {"id": self.id, "fired": self.fired, "held": self.held, **self.spec.model_dump(mode="json")}


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

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)


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
    if spec.kind in get_args(FixedReply):
        await _send_fixed_reply(spec, send)
    elif spec.kind == "rate_limit":
        await send_rate_limit_reply(spec, send)
    elif spec.kind == "drop_before":
        await _close_connection(receive)
    elif spec.kind == "drop_after":
        await app(scope, receive, _discard)
        await _close_connection(receive)
    elif spec.kind in ("delay", "hold"):
        await _postpone(fault, app, scope, receive, send)
    elif spec.kind == "expired_link":
        await app({**scope, "expire_link": True}, receive, send)
    else:
        await _send_damaged(spec, app, scope, receive, send)


async def _send_fixed_reply(spec: FaultSpec, send: Send) -> None:
    status = spec.status or {"redirect": 302, "status": 500}.get(spec.kind, 200)
    headers = dict(spec.headers)
    if spec.kind == "html":
        content, media_type = (
            _PAGE.format(title=f"{status} {responses.get(status, 'Unknown')}").encode(),
            "text/html",
        )
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


async def _postpone(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Delay or hold a call, before its work or after it."""
    reply = _BufferedReply()
    # A held call is worked on also where the caller has disconnected: from then on its body cannot be read.
    held = fault.spec.kind == "hold"
    asked = replay(await Request(scope, receive).body(), receive) if held else receive
    if fault.spec.after_work:
        await app(scope, asked, reply)
    if await fault.pause():
        await _close_connection(receive)
        return
    if not fault.spec.after_work:
        await app(scope, asked, reply)
    for message in reply.messages:
        await send(message)


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
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)


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


async def _send_damaged(spec: FaultSpec, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a reply truncated, with a wrong length, or slowly."""
    reply = _BufferedReply()
    await app(scope, receive, reply)
    content = b"".join(message.get("body", b"") for message in reply.messages)
    if spec.kind in ("truncate", "short"):
        content = content[: len(content) // 2]
    headers = dict(reply.messages[0]["headers"])
    if spec.kind in ("short", "long"):
        headers[b"content-length"] = str(len(content) + (spec.kind == "long")).encode()
    await send({**reply.messages[0], "headers": list(headers.items())})
    step = max(1, -(-len(content) // (_SLOW_STEPS if spec.kind == "slow" else 1)))
    pieces = range(0, len(content), step)
    for at in pieces:
        await asyncio.sleep(spec.seconds / len(pieces) if spec.kind == "slow" else 0)
        await send({"type": "http.response.body", "body": content[at : at + step], "more_body": True})
    if spec.kind in ("truncate", "long"):
        await _close_connection(receive)
    else:
        await send({"type": "http.response.body", "body": b""})


def _error(status: int) -> tuple[str, str]:
    return ("AccessDenied", "Access Denied") if status == 403 else ("InternalError", "Please try again.")
