"""Visiono's webhook endpoints (plugin: the reference has none of these calls)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from airflow_provider_visio.api.call import Call, call
from airflow_provider_visio.api.config import http_url
from airflow_provider_visio.exceptions import InvalidRequestError

READ_WEBHOOKS = "the scope webhooks:read"  # plugin
WRITE_WEBHOOKS = "the scope webhooks:write"  # plugin

UPDATE_FIELDS = ("url", "events", "is_active")
_EVENT = re.compile(r"[A-Za-z0-9_.:*-]+")
# Names that no public name server resolves.
_PRIVATE_NAME = re.compile(r"(^|\.)(localhost|local|internal|lan|home\.arpa)$")


class Webhook(TypedDict, total=False):
    """A webhook endpoint (plugin); only the reply to its creation has ``secret``."""

    id: str
    url: str
    events: list[str]
    is_active: bool
    created_at: str
    secret: str


def list_webhooks() -> Call:
    """List webhook endpoints (plugin)."""
    return _call("GET", "", READ_WEBHOOKS)


def create_webhook(url: str, events: Sequence[str]) -> Call:
    """
    Create a webhook endpoint (plugin).

    :raises InvalidRequestError: the service could not reach the address, or no event is given.
    """
    return _call("POST", "", WRITE_WEBHOOKS, body={"url": _public(url), "events": _events(events)})


def get_webhook(webhook_id: str) -> Call:
    """One webhook endpoint (plugin)."""
    return _call("GET", "/{webhook_id}", READ_WEBHOOKS, webhook_id=webhook_id)


def update_webhook(webhook_id: str, changes: Mapping[str, Any]) -> Call:
    """
    Update a webhook endpoint (plugin; ``is_active`` is assumed from the dashboard's switch).

    :raises InvalidRequestError: there are no changes, a field is unknown, or a value cannot be accepted.
    """
    if not changes:
        raise InvalidRequestError.of("changes", "nothing to change was given")
    body = {name: _checked(name, value) for name, value in changes.items()}
    return _call("PATCH", "/{webhook_id}", WRITE_WEBHOOKS, webhook_id=webhook_id, body=body)


def delete_webhook(webhook_id: str) -> Call:
    """Delete a webhook endpoint (plugin)."""
    return _call("DELETE", "/{webhook_id}", WRITE_WEBHOOKS, webhook_id=webhook_id)


def test_webhook(webhook_id: str) -> Call:
    """Let the service send a test to a webhook endpoint (plugin)."""
    return _call("POST", "/{webhook_id}/test", WRITE_WEBHOOKS, webhook_id=webhook_id, needs_data=False)


def list_webhook_events() -> Call:
    """List the names of all events (plugin; the shape is assumed)."""
    return _call("GET", "/events", READ_WEBHOOKS)


def event_names(data: object) -> list[str] | None:
    """Return the names in a reply of :func:`list_webhook_events`: words, or objects with a name; None for neither."""
    if isinstance(data, Mapping):
        data = data.get("events", list(data))
    if not isinstance(data, list):
        return None
    names = [
        entry.get("name") or entry.get("event") if isinstance(entry, Mapping) else entry for entry in data
    ]
    words = [name for name in names if isinstance(name, str)]
    return words if len(words) == len(names) else None


def _call(method: str, rest: str, needs: str, **more: Any) -> Call:
    return call(method, f"/webhooks{rest}", evidence="plugin", known_to="plugin", needs=needs, **more)


def _checked(name: str, value: Any) -> Any:
    if name == "url":
        return _public(value)
    if name == "events":
        return _events(value)
    if name != "is_active":
        raise InvalidRequestError.of(
            str(name),
            f"a webhook has no such field; it has {', '.join(UPDATE_FIELDS)}. For one that is newer than this "
            "provider, use the hook's request()",
        )
    if not isinstance(value, bool):
        raise InvalidRequestError.of(name, f"give True or False, not {type(value).__name__}")
    return value


def _public(url: object) -> str:
    """Refuse an address that the service refuses (docs, plugin): no HTTPS, this machine, private networks."""
    parts = http_url(url) if isinstance(url, str) and not re.search(r"\s", url) else None
    if parts is None or parts.scheme != "https":
        raise InvalidRequestError.of("url", "give an https:// address")
    host = (parts.hostname or "").rstrip(".").lower()
    try:
        private = not ipaddress.ip_address(host).is_global
    except ValueError:
        private = "." not in host or _PRIVATE_NAME.search(host) is not None
    if private:
        raise InvalidRequestError.of(
            "url", "the service sends to the public internet only, not to this machine or a private network"
        )
    return str(url)


def _events(events: object) -> list[str]:
    if isinstance(events, str | Mapping) or not isinstance(events, Sequence) or not events:
        raise InvalidRequestError.of(
            "events", "give a list with at least one event, such as 'photo_request.submitted'"
        )
    # The names are not checked, because the service's two references differ.
    for event in events:
        if not isinstance(event, str) or not _EVENT.fullmatch(event):
            raise InvalidRequestError.of("events", f"{event!r} is not the name of an event")
    return list(events)
