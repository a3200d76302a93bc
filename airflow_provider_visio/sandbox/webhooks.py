"""Webhook endpoints. Deliveries are signed and recorded, never sent over the network."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import ids
from .clock import iso
from .context import Context

EVENTS = (
    "photo_request.created",
    "photo_request.first_viewed",
    "photo_request.submitted",
    "photo_request.expired",
    "photo_submission.created",
    "photo_submission.dropbox_synced",
)
# The plugin names the header, and shows no value.
_TENANT = "tenant_sandbox"


@dataclass
class Webhook:
    """One endpoint that subscribes to events."""

    id: str
    url: str
    events: list[str]
    secret: str
    created_at: float
    is_active: bool = True


class Webhooks:
    """Endpoints, and the deliveries that would have been sent to them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._created = 0
        self.all: dict[str, Webhook] = {}
        self.deliveries: list[dict[str, Any]] = []
        context.listeners.append(self._on_event)

    def add(self, url: str, events: list[str], moment: float) -> Webhook:
        """Register an endpoint."""
        self._created += 1
        hook_id = f"wh_{self._created}" if self._context.plugin_style else f"wh_{ids.token(10)}"
        hook = Webhook(hook_id, url, events, f"whsec_{secrets.token_hex(24)}", moment)
        self.all[hook.id] = hook
        return hook

    def deliver(self, hook: Webhook, event: str, moment: float, data: dict[str, Any]) -> dict[str, Any]:
        """Record a delivery, with the headers of the documentation and of the plugin."""
        stamp = iso(moment)
        body = json.dumps({"event": event, "timestamp": stamp, "data": data})
        signature = "sha256=" + hmac.new(hook.secret.encode(), body.encode(), hashlib.sha256).hexdigest()
        delivery = {
            "n": len(self.deliveries) + 1,
            "at": moment,
            "webhook": hook.id,
            "url": hook.url,
            "event": event,
            "headers": {
                "Content-Type": "application/json",
                "X-Webhook-Signature": signature,
                "X-Webhook-ID": hook.id,
                "X-Webhook-Timestamp": str(int(moment)),
                "X-Visiono-Signature": signature,
                "X-Visiono-Event": event,
                "X-Visiono-Delivery": f"del_{ids.token(16)}",
                "X-Visiono-Tenant-Id": _TENANT,
            },
            "body": body,
        }
        self.deliveries.append(delivery)
        return delivery

    def _on_event(self, event: str, moment: float, data: Callable[[], dict[str, Any]]) -> None:
        for hook in self.all.values():
            if hook.is_active and event in hook.events:
                self.deliver(hook, event, moment, data())
