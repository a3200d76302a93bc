"""A recipient with small pictures of their own, for drawing the sandbox's takes a second each."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping
from typing import Any

import requests
from conftest import Sandbox
from PIL import Image

from airflow_provider_visio.hooks.visiono import VisionoHook


def picture(seed: int = 0) -> bytes:
    made = io.BytesIO()
    Image.frombytes("RGB", (32, 24), random.Random(seed).randbytes(32 * 24 * 3)).save(made, "JPEG")
    return made.getvalue()


def send_photo(request: Mapping[str, Any], item: int | None = None, *, gps: bool = True) -> None:
    """Send one photo through the recipient's page."""
    fields = {"latitude": "48.2", "longitude": "16.37"} if gps else {}
    if item is not None:
        fields["item"] = request["items"][item]["id"]
    files = {"photo": ("photo.jpg", picture(item or 0), "image/jpeg")}
    reply = requests.post(f"{request['request_url']}/photos", data=fields, files=files, timeout=10)
    assert reply.status_code == 201, reply.text


def submit(sandbox: Sandbox, request: Mapping[str, Any]) -> None:
    """Send a photo for each item, three where there are none, and submit."""
    for item in range(len(request["items"])):
        send_photo(request, item)
    for _ in range(0 if request["items"] else 3):
        send_photo(request)
    sandbox.act(request["id"], "submit")


def leave(hook: VisionoHook, link: Mapping[str, Any], photos: int = 1, **form: str) -> str:
    """Leave photos under a permanent link through its page; the submission's id."""
    draft = random.Random(str(sorted(form.items())) + str(photos)).randbytes(8).hex()
    for n in range(photos):
        files = {"photo": ("photo.jpg", picture(n), "image/jpeg")}
        reply = requests.post(f"{link['request_url']}/photos", data={"draft": draft}, files=files, timeout=10)
        assert reply.status_code == 201, reply.text
    done = requests.post(f"{link['request_url']}/submit", data={"draft": draft, **form}, timeout=10)
    assert done.ok, done.text
    # The sandbox lists the newest first.
    return next(hook.list_permanent_link_submissions(link["id"], limit=1))["id"]
