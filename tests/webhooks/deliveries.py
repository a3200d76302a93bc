"""Deliveries as the service signs them. Written from the vendor's documents, not from the provider."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

SECRET = "whsec_0123456789abcdef"
SCHEMES = ("visiono", "webhook-body", "webhook-timestamp")

Headers = list[tuple[str, str]]


def body_of(event: str, **data: Any) -> bytes:
    return json.dumps({"event": event, "timestamp": "2026-11-30T22:00:00Z", "data": data}).encode()


def sign(body: bytes, scheme: str, now: float, secret: str = SECRET) -> Headers:
    """Return the headers of a delivery."""
    stamp = str(int(now))
    message = stamp.encode() + b"." + body if scheme == "webhook-timestamp" else body
    signature = "sha256=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    if scheme == "visiono":
        return [
            ("X-Visiono-Signature", signature),
            ("X-Visiono-Delivery", "dlv_1"),
            ("X-Visiono-Event", "photo_request.submitted"),
            ("X-Visiono-Tenant-Id", "ten_1"),
        ]
    return [("X-Webhook-Signature", signature), ("X-Webhook-ID", "wh_123456"), ("X-Webhook-Timestamp", stamp)]
