"""
Visiono's API: one function an endpoint makes the call, and the readers at the end take the replies.

Every call says where it is known from: ``seed`` (the vendor's API reference), ``docs`` (its other pages), ``plugin``
(the vendor's own plugin, a second and possibly older dialect), ``inferred`` or ``assumed``. No source is complete.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict, cast

from airflow_provider_visio.api.call import Call, call
from airflow_provider_visio.api.photo_request import (
    check_instructions,
    check_photo_request,
    item_bodies,
    whole_hours,
)
from airflow_provider_visio.api.site import Service
from airflow_provider_visio.exceptions import InvalidRequestError

VISIONO = Service(
    name="Visiono",
    default_base_url="https://api.visio.now/v1",  # seed
    auth_header="X-API-Key",  # seed
)


class Item(TypedDict, total=False):
    """One picture asked for (plugin)."""

    id: str
    instructions: str
    is_required: bool


class PhotoRequest(TypedDict, total=False):
    """A photo request as the service returns it; fields we do not know are kept."""

    id: str
    unique_code: str
    numeric_code: str
    status: str
    instructions: str
    recipient_email: str | None
    request_url: str
    code_entry_url: str
    expires_at: str | None
    created_at: str
    metadata: dict[str, Any]
    items: list[Item]


class PermanentLink(TypedDict, total=False):
    """A permanent link; its fields are known from the plugin's smart-links only (inferred)."""

    id: str
    unique_code: str
    instructions: str
    custom_slug: str
    is_active: bool
    request_url: str
    created_at: str
    tags: list[str]
    items: list[Item]


class Gps(TypedDict):
    """Where a photo was taken, in degrees."""

    latitude: float
    longitude: float


class Photo(TypedDict):
    """One submitted photo, the same whichever dialect it was read from."""

    id: str
    url: str | None
    mime_type: str | None
    size_kb: int | None
    item_id: str | None
    item: str | None
    gps: Gps | None
    taken_at: str | None
    submitted_at: str | None


def get_status() -> Call:
    """Health check (seed)."""
    return call("GET", "/status")


def get_stats() -> Call:
    """Usage and plan (seed)."""
    return call("GET", "/stats")


def list_photo_requests(
    *,
    status: str | None = None,
    created_after: datetime | str | None = None,
    created_before: datetime | str | None = None,
    page_size: int | None = None,
) -> Call:
    """
    List photo requests (seed); the filters are the plugin's, ``page_size`` is Laravel's ``per_page`` (assumed).

    A service that knows none of these ignores them, so the caller must look at what comes back.
    """
    params = {
        "status": status,
        "created_after": _moment(created_after, "created_after"),
        "created_before": _moment(created_before, "created_before"),
        "per_page": page_size,
    }
    return call("GET", "/photo-requests", params=params)


def create_photo_request(
    instructions: str,
    *,
    recipient_email: str | None = None,
    send_email: bool | None = None,
    expires_in_hours: int | timedelta | None = None,
    items: Sequence[str | Mapping[str, Any]] | None = None,
    require_gps: bool | None = None,
    allow_submitter_notes: bool | None = None,
    internal_notes: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Call:
    """
    Make a photo request (seed; fields: ``instructions``, ``recipient_email``, ``send_email`` seed, the rest plugin).

    :raises InvalidRequestError: a value that the service cannot accept.
    """
    check_photo_request(
        instructions=instructions,
        recipient_email=recipient_email,
        expires_in_hours=expires_in_hours,
        items=items,
        metadata=metadata,
    )
    body = {
        "instructions": instructions,
        "recipient_email": recipient_email,
        "send_email": send_email,
        "expires_in_hours": None if expires_in_hours is None else whole_hours(expires_in_hours),
        "items": None if items is None else item_bodies(items),
        "require_gps": require_gps,
        "allow_submitter_notes": allow_submitter_notes,
        "internal_notes": internal_notes,
        "metadata": None if metadata is None else dict(metadata),
    }
    return call("POST", "/photo-requests", body={k: v for k, v in body.items() if v is not None})


def get_photo_request(request_id: str) -> Call:
    """One photo request (seed), by id or code (plugin)."""
    return call("GET", "/photo-requests/{request_id}", request_id=request_id)


def delete_photo_request(request_id: str) -> Call:
    """Delete a photo request (seed); the plugin calls it cancelling."""
    return call("DELETE", "/photo-requests/{request_id}", request_id=request_id)


def get_download_urls(request_id: str) -> Call:
    """Signed links to the photos of a request, valid for 24 hours (plugin)."""
    return call("GET", "/photo-requests/{request_id}/download-urls", request_id=request_id, evidence="plugin")


def list_permanent_links() -> Call:
    """List permanent links (seed)."""
    return call("GET", "/permanent-links")


def create_permanent_link(instructions: str, **fields: Any) -> Call:
    """Make a permanent link (seed; its field names are the plugin's, inferred)."""
    check_instructions(instructions)
    return call("POST", "/permanent-links", body={"instructions": instructions, **_link_fields(fields)})


def get_permanent_link(link_id: str) -> Call:
    """One permanent link (seed)."""
    return call("GET", "/permanent-links/{link_id}", link_id=link_id)


def update_permanent_link(link_id: str, **changes: Any) -> Call:
    """Change a permanent link (seed: PATCH; the plugin has PUT)."""
    if not changes:
        raise InvalidRequestError.of("changes", "nothing to change was given")
    return call("PATCH", "/permanent-links/{link_id}", link_id=link_id, body=_link_fields(changes))


def delete_permanent_link(link_id: str) -> Call:
    """Delete a permanent link (seed)."""
    return call("DELETE", "/permanent-links/{link_id}", link_id=link_id)


def photos_in(request: Mapping[str, Any], links: Mapping[str, Any] | None = None) -> list[Photo]:
    """
    Return the photos of a request, from whichever place and dialect has them.

    :param request: the request as GET returned it; may carry ``photos`` (docs) or ``submissions`` (plugin).
    :param links: the data of ``download-urls`` (plugin), where that was asked for.
    """
    found: Any = None
    for source in (links or {}, request):
        found = found or source.get("submissions") or source.get("photos")
    words = {str(item.get("id")): item.get("instructions") for item in _dicts(request.get("items"))}
    return [_photo(entry, words) for entry in _dicts(found) if entry.get("id") is not None]


def _photo(entry: Mapping[str, Any], words: Mapping[str, Any]) -> Photo:
    meta = entry.get("metadata") if isinstance(entry.get("metadata"), Mapping) else {}
    meta = cast("Mapping[str, Any]", meta)
    item_id = _text(entry.get("item_id"))
    return {
        "id": str(entry["id"]),
        "url": _text(entry.get("download_url") or entry.get("url")),
        "mime_type": _text(entry.get("mime_type")),
        "size_kb": entry["file_size_kb"] if isinstance(entry.get("file_size_kb"), int) else None,
        "item_id": item_id,
        "item": _text(entry.get("slot_instructions") or words.get(item_id or "")),
        "gps": _gps(
            _first(entry.get("gps_latitude"), meta.get("gps_lat")),
            _first(entry.get("gps_longitude"), meta.get("gps_lng")),
        ),
        "taken_at": _text(meta.get("captured_at")),
        "submitted_at": _text(entry.get("submitted_at")),
    }


def _gps(latitude: Any, longitude: Any) -> Gps | None:
    try:
        place: Gps = {"latitude": float(latitude), "longitude": float(longitude)}
    except (TypeError, ValueError, OverflowError):
        return None
    return place if math.isfinite(place["latitude"]) and math.isfinite(place["longitude"]) else None


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _link_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    body = dict(fields)
    if body.get("items") is not None:
        body["items"] = item_bodies(body["items"])
    return body


def _moment(value: datetime | str | None, name: str) -> str | None:
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise InvalidRequestError.of(
            name, "this time has no time zone; use pendulum.datetime(...) or add tzinfo"
        )
    return value.isoformat()
