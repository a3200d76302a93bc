"""Deliveries to the receiver that are not as the service sends them; all have an address in their body."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING

import requests
from markers import Secret

if TYPE_CHECKING:
    from markers import Markers


def send_odd_deliveries(url: str, markers: Markers) -> tuple[dict[str, int], list[Secret]]:
    """Post them with the planted secret, and return the answers by name, and the signatures."""
    address = markers.hook_address.text
    submitted = {"event": "photo_request.submitted", "data": {"id": address, "recipient_email": address}}
    secret = markers.webhook_secret.text
    bodies = {
        "forged": (json.dumps(submitted), "wrong"),
        "no id": (json.dumps(submitted), secret),
        "no JSON": (f"for {address}", secret),
        "no object": (json.dumps([address]), secret),
        "no event": (json.dumps({"event": address, "data": {"id": "req_1"}}), secret),
    }
    answers, signatures = {}, []
    for name, (body, key) in bodies.items():
        signature = hmac.new(key.encode(), body.encode(), hashlib.sha256).hexdigest()
        headers = {"X-Visiono-Signature": f"sha256={signature}"}
        answers[name] = requests.post(url, body.encode(), headers=headers, timeout=60).status_code
        signatures.append(signature_of(headers["X-Visiono-Signature"]))
    return answers, signatures


def signature_of(header: str) -> Secret:
    """Return the signature in a header, to be looked for."""
    return Secret("a webhook's signature", header.removeprefix("sha256="), header)
