"""
Reads the body of a webhook: which event it is, and which ids to look at. No I/O.

A webhook is a nudge and never data. Only ids are taken from it, and only to choose what is asked of the service itself.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.waiting import NO_WORD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Words for what an id is of.
PHOTO_REQUEST = "photo_request"
PERMANENT_LINK = "permanent_link"
# In place of an id, where a delivery does not say which.
ANY = "*"

# The vendor's events (docs, plugin), and what to look at for each: None where there is nothing that a poll waits for.
EVENTS: Mapping[str, str | None] = {
    "photo_request.created": None,
    "photo_request.first_viewed": None,
    "photo_request.submitted": PHOTO_REQUEST,
    "photo_request.expired": PHOTO_REQUEST,
    "photo_submission.created": PERMANENT_LINK,
    "photo_submission.dropbox_synced": None,
    "submission.created": PERMANENT_LINK,  # plugin: in its part on the workflow mode only
}

# What an endpoint needs. The last one ends no wait, but says early that webhooks arrive.
NEEDED_EVENTS = (
    "photo_request.submitted",
    "photo_request.expired",
    "photo_submission.created",
    "photo_request.created",
)

# Where ids may be in `data`. The payloads of permanent links are not public (assumed).
_PLACES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    PHOTO_REQUEST: (("id",), ("photo_request", "id")),
    PERMANENT_LINK: (
        ("id",),
        ("photo_request", "id"),
        *((name, "id") for name in ("permanent_link", "smart_link", "link")),
        *((f"{name}_id",) for name in ("permanent_link", "smart_link", "link")),
    ),
}
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_EVENT = re.compile(r"[a-z0-9_.:-]{1,60}")


@dataclass(frozen=True)
class Delivery:
    """
    One delivery of a webhook.

    :param event: its event, or a word for one that is not a name.
    :param known: whether the event is one of the vendor's.
    :param ids: what to look at, as ``"photo_request:req_1"``; ``*`` in place of an id where it has none.
    """

    event: str
    known: bool
    ids: tuple[str, ...] = ()


def read_delivery(body: bytes) -> Delivery:
    """
    Read the body of an authentic delivery.

    :raises ValueError: it is not a JSON object.
    """
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(payload, dict):
        raise ValueError("not a JSON object")
    event = payload.get("event")
    if not isinstance(event, str) or not _EVENT.fullmatch(event):
        return Delivery(NO_WORD, known=False)
    if event not in EVENTS:
        return Delivery(event, known=False)
    kind = EVENTS[event]
    if kind is None:
        return Delivery(event, known=True)
    found = dict.fromkeys(_ids(payload.get("data"), kind))
    return Delivery(event, known=True, ids=tuple(f"{kind}:{one}" for one in found or [ANY]))


def _ids(data: Any, kind: str) -> Iterator[str]:
    for place in _PLACES[kind]:
        value = data
        for name in place:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, str | int) and not isinstance(value, bool) and _ID.fullmatch(str(value)):
            yield str(value)
