"""
Visiono's API: one function per endpoint builds the call, and the readers at the end take the replies.

Every call has its source: ``seed`` (the vendor's API reference), ``docs`` (its other pages), ``plugin`` (the vendor's
own plugin, a second and possibly older dialect), ``inferred`` or ``assumed``. No source is complete. Permanent links
and webhooks have modules of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypedDict, cast

from airflow_provider_visio.api.call import Call, Dialect, call, text_of_id
from airflow_provider_visio.api.config import Service
from airflow_provider_visio.api.photo_request_fields import (
    MOST_IN_BATCH,
    address_of,
    check_fields,
    check_photo_request,
    instructions_text,
    item_bodies,
    named_by,
    whole_hours,
)
from airflow_provider_visio.api.plain_values import text_of
from airflow_provider_visio.exceptions import InvalidRequestError

VISIONO = Service(
    name="Visiono",
    default_base_url="https://api.visio.now/v1",  # seed
    auth_header="X-API-Key",  # seed
    key_page="API Keys in Visiono's dashboard",  # docs
    quota_advice=(
        "The plan's quota is used up, and a retry will not help: get_stats() shows the usage and when a new period "
        "begins. A free plan's quota is for life: upgrade the plan in the service's dashboard."
    ),
)
# The same service at the base URL of the vendor's plugin.
VISIONO_OF_PLUGIN = replace(VISIONO, default_base_url="https://www.visiono.io/api/v1")

# The name of the items in a new request: docs, plugin. Replies have `items` (docs, plugin).
ITEMS_AS: Mapping[Dialect, str] = {"reference": "photo_slots", "plugin": "items"}

READ_REQUESTS = "the scope photo_requests:read"  # this and the other scopes: plugin
WRITE_REQUESTS = "the scope photo_requests:write"
READ_SUBMISSIONS = "the scope submissions:read"
READ_DOWNLOADS = "the scope download_urls:read"


class Item(TypedDict, total=False):
    """One requested picture (plugin)."""

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


class Plan(TypedDict, total=False):
    """The plan's features (seed); its other fields are not public."""

    email_enabled: bool


class Usage(TypedDict, total=False):
    """The usage (seed); on the free plan the quota is for life, and the dates are None."""

    is_lifetime_quota: bool
    billing_period_start: str | None
    billing_period_end: str | None


class Stats(TypedDict, total=False):
    """Usage and plan (seed); fields we do not know, such as the counters, are kept."""

    plan: Plan
    usage: Usage


class QrCode(TypedDict, total=False):
    """The address of a link's QR code (plugin)."""

    qrcode_url: str


class Gps(TypedDict):
    """The place of a photo, in degrees."""

    latitude: float
    longitude: float


class Photo(TypedDict):
    """One submitted photo, the same from either dialect."""

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
    return call("GET", "/status", known_to="reference")


def get_stats() -> Call:
    """Usage and plan (seed)."""
    return call("GET", "/stats", known_to="reference")


def list_photo_requests(
    *,
    status: str | None = None,
    created_after: datetime | str | None = None,
    created_before: datetime | str | None = None,
    page_size: int | None = None,
) -> Call:
    """
    List photo requests (seed); the filters are the plugin's, ``page_size`` is Laravel's ``per_page`` (assumed).

    A service may ignore any of these, so the caller must check the items.

    :param status: the status word to filter by.
    :param created_after: only requests created after this time.
    :param created_before: only requests created before this time.
    :param page_size: items of a page.
    """
    params = {
        "status": status,
        "created_after": _moment(created_after, "created_after"),
        "created_before": _moment(created_before, "created_before"),
        "per_page": page_size,
    }
    return call("GET", "/photo-requests", params=params, needs=READ_REQUESTS)


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
    dialect: Dialect = "reference",
) -> Call:
    """
    Create a photo request (seed; fields: ``instructions``, ``recipient_email``, ``send_email`` seed, the rest plugin).

    The reference has no name for ``items``; the other documentation has ``photo_slots`` (docs).

    :raises InvalidRequestError: a value cannot be accepted.
    """
    check_photo_request(
        instructions=instructions,
        recipient_email=recipient_email,
        expires_in_hours=expires_in_hours,
        items=items,
        metadata=metadata,
    )
    body = {
        "instructions": instructions_text(instructions),
        "recipient_email": address_of(recipient_email),
        "send_email": send_email,
        "expires_in_hours": None if expires_in_hours is None else whole_hours(expires_in_hours),
        ITEMS_AS[dialect]: None if items is None else item_bodies(items),
        "require_gps": require_gps,
        "allow_submitter_notes": allow_submitter_notes,
        "internal_notes": text_of(internal_notes),
        "metadata": None if metadata is None else dict(metadata),
    }
    body = {name: value for name, value in body.items() if value is not None}
    return call("POST", "/photo-requests", body=body, needs=WRITE_REQUESTS)


def create_photo_requests(requests: Sequence[Mapping[str, Any]], *, dialect: Dialect = "reference") -> Call:
    """
    Create up to ten photo requests at once (plugin; the body's ``photo_requests`` and the reply are assumed).

    Each has the fields of a single request (assumed).

    :param requests: the parameters of :func:`create_photo_request`, a mapping for each request.
    :param dialect: the dialect whose field names to use.
    :raises InvalidRequestError: none or too many are given, or one has a wrong value; its index is counted from 0.
    """
    if isinstance(requests, str | Mapping) or not isinstance(requests, Sequence):
        raise InvalidRequestError.of("requests", "give a list, with a dict for each photo request")
    if not 1 <= len(requests) <= MOST_IN_BATCH:
        raise InvalidRequestError.of(
            "requests", f"give 1 to {MOST_IN_BATCH} at once, not {len(requests)}; make several calls for more"
        )
    bodies = [_body_in_batch(request, number, dialect) for number, request in enumerate(requests)]
    return call(
        "POST",
        "/photo-requests/batch",
        body={"photo_requests": bodies},
        evidence="plugin",
        known_to="plugin",
        needs=WRITE_REQUESTS,
    )


def _body_in_batch(request: object, number: int, dialect: Dialect) -> Mapping[str, Any]:
    place = f"requests.{number}"
    if not isinstance(request, Mapping):
        raise InvalidRequestError.of(place, f"give a dict, not {type(request).__name__}")
    check_fields(request, place)
    with named_by(place):
        return create_photo_request(**request, dialect=dialect).body or {}


def get_photo_request(request_id: str) -> Call:
    """One photo request (seed), by id or code (plugin)."""
    return call("GET", "/photo-requests/{request_id}", request_id=request_id, needs=READ_REQUESTS)


def delete_photo_request(request_id: str) -> Call:
    """Delete a photo request (seed); the plugin calls it cancelling."""
    return call("DELETE", "/photo-requests/{request_id}", request_id=request_id, needs=WRITE_REQUESTS)


def list_submissions(request_id: str) -> Call:
    """List what was submitted for a request, without links (plugin; the shape is assumed)."""
    return _of_request(request_id, "submissions", READ_SUBMISSIONS)


def get_download_urls(request_id: str) -> Call:
    """Signed links to the photos of a request, valid for 24 hours (plugin)."""
    return _of_request(request_id, "download-urls", READ_DOWNLOADS)


def get_qr_code(request_id: str) -> Call:
    """Address of the QR code of a request's link (plugin)."""
    return _of_request(request_id, "qrcode", READ_REQUESTS)


def _of_request(request_id: str, part: str, needs: str) -> Call:
    return call(
        "GET",
        f"/photo-requests/{{request_id}}/{part}",
        request_id=request_id,
        evidence="plugin",
        known_to="plugin",
        needs=needs,
    )


def with_items(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request or link with its ``items`` under that name; the docs also call them ``photo_slots``."""
    slots = data.get("photo_slots")
    return {**data, "items": slots} if isinstance(slots, list) and not data.get("items") else dict(data)


def photos_in(request: Mapping[str, Any], links: Mapping[str, Any] | None = None) -> list[Photo]:
    """
    Return the photos of a request, from either dialect.

    :param request: the request as GET returned it; may have ``photos`` (docs) or ``submissions`` (plugin).
    :param links: the data of ``download-urls`` (plugin), where it is known.
    """
    entries: Any = None
    for source in (links or {}, request):
        entries = entries or source.get("submissions") or source.get("photos")
    instructions = instructions_by_item(request)
    return [photo_from(entry, instructions) for entry in dicts_in(entries) if text_of_id(entry.get("id"))]


def instructions_by_item(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the instructions of a request's or link's items, by their ids."""
    return {
        item_id: item.get("instructions")
        for item in dicts_in(with_items(request).get("items"))
        if (item_id := text_of_id(item.get("id")))
    }


def photo_from(entry: Mapping[str, Any], instructions: Mapping[str, Any]) -> Photo:
    """
    Return one entry of a reply as a photo.

    :param entry: the entry, with an id.
    :param instructions: the items' instructions, by their ids.
    """
    meta = entry.get("metadata") if isinstance(entry.get("metadata"), Mapping) else {}
    meta = cast("Mapping[str, Any]", meta)
    item_id = text_of_id(entry.get("item_id"))
    return {
        "id": str(entry["id"]),
        "url": _text(entry.get("download_url") or entry.get("url")),
        "mime_type": _text(entry.get("mime_type")),
        "size_kb": entry["file_size_kb"] if isinstance(entry.get("file_size_kb"), int) else None,
        "item_id": item_id,
        "item": _text(entry.get("slot_instructions") or instructions.get(item_id or "")),
        "gps": None
        if entry.get("has_gps_data") is False
        else _gps(
            _first(entry.get("gps_latitude"), meta.get("gps_lat")),
            _first(entry.get("gps_longitude"), meta.get("gps_lng")),
        ),
        "taken_at": _text(meta.get("captured_at")),
        "submitted_at": _text(entry.get("submitted_at")),
    }


def _gps(latitude: Any, longitude: Any) -> Gps | None:
    """Return a place, or None where the numbers cannot be one."""
    try:
        gps: Gps = {"latitude": float(latitude), "longitude": float(longitude)}
    except (TypeError, ValueError, OverflowError):
        return None
    # NaN fails both comparisons.
    return gps if abs(gps["latitude"]) <= 90 and abs(gps["longitude"]) <= 180 else None


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def dicts_in(value: Any) -> list[Mapping[str, Any]]:
    """Return the dicts of a list; none for anything else."""
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _moment(value: datetime | str | None, name: str) -> str | None:
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise InvalidRequestError.of(
            name, "this time has no time zone; use pendulum.datetime(...) or add tzinfo"
        )
    return value.isoformat()
