"""Deliveries of events to webhook endpoints: signed, sent to the gateway, retried on the virtual clock, recorded.

The gateway stands for the public host of every endpoint. Without a gateway, deliveries are recorded and not sent.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from . import ids
from .clock import iso
from .context import Context
from .fault_injection import Fault, Faults
from .replies import fields_of
from .webhooks import Webhook, Webhooks

if TYPE_CHECKING:
    import httpx

# Real seconds that an endpoint has to answer (docs).
_TIMEOUT = 30.0
_AT_ONCE = 20
# The plugin names the header, and shows no value.
_TENANT = "tenant_sandbox"


@dataclass
class Delivery:
    """One event for one endpoint, and the attempts to send it."""

    n: int
    at: float
    hook: Webhook
    url: str
    event: str
    body: str
    fault: Fault | None
    id: str = field(default_factory=lambda: f"del_{ids.token(16)}")
    headers: dict[str, str] = field(default_factory=dict)
    state: Literal["recorded", "waiting", "sending", "delivered", "failed", "never"] = "recorded"
    attempts: list[dict[str, Any]] = field(default_factory=list)
    tries: int = 0
    next_at: float | None = None

    @property
    def fault_kind(self) -> str | None:
        """The kind of the fault that hits the delivery, if any."""
        return self.fault.spec.kind if self.fault else None

    def view(self) -> dict[str, Any]:
        """Return it as the control interface shows it."""
        view = fields_of(self, "n at url event headers body state attempts next_at")
        return {**view, "webhook": self.hook.id, "fault": self.fault and self.fault.id}


class Deliveries:
    """All deliveries. Each attempt is a task of its own, so that no call waits for an endpoint."""

    def __init__(self, context: Context, webhooks: Webhooks, faults: Faults) -> None:
        self._context = context
        self._webhooks = webhooks
        self._faults = faults
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        # Those that the fault `out_of_order` keeps for the endpoint's next delivery.
        self._kept: list[Delivery] = []
        self.all: list[Delivery] = []
        context.notify = self._on_event

    def add(self, hook: Webhook, event: str, moment: float, data: dict[str, Any]) -> Delivery:
        """Record a delivery, and send it where there is a gateway."""
        body = json.dumps({"event": event, "timestamp": iso(moment), "data": data})
        fault = self._faults.pick("webhooks", "POST", urlsplit(hook.url).path, event=event)
        delivery = Delivery(len(self.all) + 1, moment, hook, hook.url, event, body, fault)
        self._sign(delivery)
        self.all.append(delivery)
        if delivery.fault_kind == "never":
            delivery.state = "never"
        elif self._context.settings.webhook_gateway is None:
            pass
        elif delivery.fault_kind == "out_of_order":
            delivery.state = "waiting"
            self._kept.append(delivery)
        elif fault is not None and delivery.fault_kind == "late":
            self._send_at(delivery, moment + fault.spec.seconds)
        else:
            self._send(delivery)
        return delivery

    def cancel(self) -> None:
        """Stop all attempts that are under way."""
        for task in self._tasks:
            task.cancel()

    def _on_event(self, event: str, moment: float, data: Callable[[], dict[str, Any]]) -> None:
        for hook in self._webhooks.all.values():
            if hook.is_active and event in hook.events:
                self.add(hook, event, moment, data())

    def _send_at(self, delivery: Delivery, moment: float) -> None:
        delivery.state, delivery.next_at = "waiting", moment
        self._context.scheduler.at(moment, lambda _: self._send(delivery))

    def _send(self, delivery: Delivery) -> None:
        delivery.state, delivery.next_at = "sending", None
        task = asyncio.create_task(self._attempt(delivery))
        # The event loop itself keeps weak references only.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attempt(self, delivery: Delivery) -> None:
        """Send a delivery once, or twice by a fault; where it fails, schedule the next attempt."""
        async with self._slots:
            succeeded = await self._post(delivery)
            if delivery.fault_kind == "twice":
                succeeded = await self._post(delivery) or succeeded
        pauses = self._context.settings.webhook_retry_seconds[delivery.tries :]
        delivery.tries += 1
        if succeeded:
            delivery.state = "delivered"
        elif pauses:
            self._send_at(delivery, self._context.clock.now() + pauses[0])
        else:
            delivery.state = "failed"
        for kept in [one for one in self._kept if one.hook is delivery.hook]:
            self._kept.remove(kept)
            self._send(kept)

    async def _post(self, delivery: Delivery) -> bool:
        """Send a delivery, record the outcome, and return whether the endpoint accepted it."""
        client = await asyncio.to_thread(_client)
        import httpx

        path = urlsplit(delivery.url)._replace(scheme="", netloc="").geturl()
        target = (self._context.settings.webhook_gateway or "").rstrip("/") + path
        attempt: dict[str, Any] = {"at": self._context.clock.now(), "status": None, "error": None}
        self._sign(delivery)
        try:
            async with asyncio.timeout(_TIMEOUT):
                reply = await client.post(target, content=delivery.body, headers=delivery.headers)
            attempt["status"] = reply.status_code
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as problem:
            attempt["error"] = f"{type(problem).__name__}: {problem}"
        delivery.attempts.append(attempt)
        return attempt["status"] is not None and 200 <= attempt["status"] < 300

    def _sign(self, delivery: Delivery) -> None:
        """Set the headers of an attempt. That each one has a timestamp of its own is assumed."""
        context, hook, body = self._context, delivery.hook, delivery.body
        secret = "wrong" if delivery.fault_kind == "wrong_secret" else hook.secret
        stamp = str(int(context.in_caller_time(context.clock.now())))
        signed = f"{stamp}.{body}" if context.settings.webhook_signs == "timestamp" else body
        of_reference = {
            "X-Webhook-Signature": _signature(secret, signed),
            "X-Webhook-ID": hook.id,
            "X-Webhook-Timestamp": stamp,
        }
        of_plugin = {
            "X-Visiono-Signature": _signature(secret, body),
            "X-Visiono-Event": delivery.event,
            "X-Visiono-Delivery": delivery.id,
            "X-Visiono-Tenant-Id": _TENANT,
        }
        delivery.headers = {"Content-Type": "application/json", **context.by_dialect(of_reference, of_plugin)}


@cache
def _client() -> "httpx.AsyncClient":
    """Return the HTTP client; importing httpx takes a tenth of a second, so a thread does it on first use."""
    import httpx

    return httpx.AsyncClient(timeout=None, trust_env=False)  # noqa: S113  `_post` has a timeout for all of it


def _signature(secret: str, text: str) -> str:
    return "sha256=" + hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
