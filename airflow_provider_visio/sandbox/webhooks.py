"""Webhook endpoints: where events are delivered to."""

import secrets
from dataclasses import dataclass
from typing import Literal

from . import ids
from .context import Context

Event = Literal[
    "photo_request.created",
    "photo_request.first_viewed",
    "photo_request.submitted",
    "photo_request.expired",
    "photo_submission.created",
    "photo_submission.dropbox_synced",
]


@dataclass
class Webhook:
    """One endpoint that subscribes to events."""

    id: str
    url: str
    events: list[Event]
    secret: str
    created_at: float
    is_active: bool = True


class Webhooks:
    """All endpoints of the workspace."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._created = 0
        self.all: dict[str, Webhook] = {}

    def add(self, url: str, events: list[Event], moment: float) -> Webhook:
        """Register an endpoint."""
        self._created += 1
        hook_id = f"wh_{self._created}" if self._context.plugin_style else f"wh_{ids.token(10)}"
        hook = Webhook(hook_id, url, events, f"whsec_{secrets.token_hex(24)}", moment)
        self.all[hook.id] = hook
        return hook
