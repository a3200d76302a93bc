"""
Verifies the signature of a webhook, by both of the vendor's schemes. No I/O.

The vendor's documents differ: its plugin signs the body (``X-Visiono-Signature``), its webhook page sends
``X-Webhook-Signature`` with ``X-Webhook-Timestamp`` and does not say in public what is signed. All three are assumed.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Each scheme: a header, and what is signed. The names are the choices of a connection's ``webhook_signature``.
VISIONO = "visiono"  # X-Visiono-Signature: the body (assumed from the plugin)
WEBHOOK_BODY = "webhook-body"  # X-Webhook-Signature: the body (assumed)
WEBHOOK_TIMESTAMP = "webhook-timestamp"  # X-Webhook-Signature: timestamp, dot, body (assumed)
SCHEMES = (VISIONO, WEBHOOK_BODY, WEBHOOK_TIMESTAMP)

# Seconds by which a timestamp may differ from this machine's clock (assumed: no page says).
TOLERANCE = 300.0

_VISIONO_HEADER = "x-visiono-signature"
_WEBHOOK_HEADER = "x-webhook-signature"
_TIMESTAMP_HEADER = "x-webhook-timestamp"
_HEADERS = (_VISIONO_HEADER, _WEBHOOK_HEADER, _TIMESTAMP_HEADER)

# The key where there is none: the work is the same, and nobody can sign with it.
_NOBODY = secrets.token_hex(32)


def verify(
    headers: Iterable[tuple[str, str]],
    body: bytes,
    secret: str | None,
    *,
    now: float,
    pinned: str | None = None,
) -> str | None:
    """
    Return the scheme by which a delivery is signed, or None if it is not authentic.

    The work does not depend on which headers there are, nor on whether there is a secret.

    :param headers: names and values, as they came.
    :param body: the body, byte for byte.
    :param secret: the secret of the endpoint; without one nothing is authentic.
    :param now: Unix timestamp.
    :param pinned: the only scheme to accept; None for any of :data:`SCHEMES`.
    """
    given = [(name.lower(), value) for name, value in headers if name.lower() in _HEADERS]
    values = dict(given)
    timestamp = values.get(_TIMESTAMP_HEADER)
    by_webhook = values.get(_WEBHOOK_HEADER) if timestamp is not None else None
    key = (secret or _NOBODY).encode()
    matched = None
    for scheme, signature, signed in (
        (VISIONO, values.get(_VISIONO_HEADER), body),
        (WEBHOOK_BODY, by_webhook, body),
        (WEBHOOK_TIMESTAMP, by_webhook, _bytes(timestamp) + b"." + body),
    ):
        expected = "sha256=" + hmac.new(key, signed, hashlib.sha256).hexdigest()
        good = hmac.compare_digest(_bytes(signature), expected.encode())
        if good and pinned in {None, scheme}:
            matched = matched or scheme
    # A header that is there twice could be read as either.
    return matched if len(values) == len(given) and _is_fresh(timestamp, now) else None


def _is_fresh(timestamp: str | None, now: float) -> bool:
    if timestamp is None:
        return True  # the plugin's scheme has none
    try:
        # Not `> TOLERANCE`, which lets NaN pass.
        return abs(now - float(timestamp)) <= TOLERANCE
    except ValueError:
        return False


def _bytes(text: str | None) -> bytes:
    # Servers read headers as Latin-1.
    return (text or "").encode("latin-1", "replace")
