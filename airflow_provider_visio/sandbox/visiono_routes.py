"""Visiono's photo requests, account and health calls."""

import asyncio
import math
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from . import ids
from .evidence import both, plugin, seed
from .pagination import listing
from .photo_requests import FREE_PLAN_PHOTOS, PhotoRequest
from .photos import Item, Photo
from .replies import ErrorReply
from .visiono_bodies import CreatePhotoRequest, CreatePhotoRequests, ItemBody
from .visiono_replies import deleted, free_plan_error, not_found, qr_code_address, reply, validation_error
from .visiono_serializers import download_meta, download_view, request_view
from .workspace import CurrentWorkspace, Workspace

_FREE_PLAN_ITEMS = 5
_STATUSES = ("pending", "in_progress", "submitted", "expired", "cancelled")

router = APIRouter()


@router.get("/status", **seed(assumed="the body"))
async def status(workspace: CurrentWorkspace) -> Response:
    """Answer that the service is up."""
    return reply(workspace.context, {"status": "ok"})


@router.get("/stats", **seed(assumed="plan.name, usage.photos_used and usage.photos_limit"))
async def stats(workspace: CurrentWorkspace) -> Response:
    """Return usage and plan."""
    free = workspace.context.settings.plan == "free"
    today = datetime.fromtimestamp(workspace.now(), UTC).replace(day=1, hour=0, minute=0, second=0)
    following = today.replace(year=today.year + today.month // 12, month=today.month % 12 + 1)
    stamp = workspace.context.format_time
    data = {
        "plan": {"name": "Developer Free Plan" if free else "Professional", "email_enabled": not free},
        "usage": {
            "photos_used": workspace.requests.photos_taken + workspace.links.photos_taken,
            "photos_limit": FREE_PLAN_PHOTOS if free else 1000,
            "is_lifetime_quota": free,
            "billing_period_start": None if free else stamp(today.timestamp()),
            "billing_period_end": None if free else stamp(following.timestamp() - 1),
        },
    }
    return reply(workspace.context, data)


@router.get(
    "/photo-requests",
    **both(
        "photo_requests:read", "pages and order (Laravel); filters are the plugin's, their formats assumed"
    ),
)
async def list_requests(
    workspace: CurrentWorkspace,
    request: Request,
    status: str | None = None,
    created_after: str | None = None,
    created_before: str | None = None,
) -> Response:
    """Return photo requests, in pages."""
    found = list(workspace.requests)
    if workspace.context.settings.list_filters:
        found = _filtered(found, status, created_after, created_before)
    return listing(workspace.context, request, found, lambda one: _view(workspace, one))


@router.post("/photo-requests", **both("photo_requests:write", "lengths, ranges and defaults", status=201))
async def create_request(workspace: CurrentWorkspace, body: CreatePhotoRequest) -> Response:
    """Create a photo request."""
    created = _new_request(workspace, body)
    workspace.add_request(created)
    workspace.catch_up()
    return reply(workspace.context, _view(workspace, created), 201)


@router.post(
    "/photo-requests/batch", **plugin("photo_requests:write", "body and reply; all or nothing", status=201)
)
async def create_batch(workspace: CurrentWorkspace, body: CreatePhotoRequests) -> Response:
    """Create up to ten photo requests; where one is refused, none is created."""
    created = [_new_request(workspace, one) for one in body.photo_requests]
    for one in created:
        workspace.add_request(one)
    workspace.catch_up()
    return reply(workspace.context, [_view(workspace, one) for one in created], 201)


@router.get(
    "/photo-requests/{id}", **both("photo_requests:read", "the reply has the shape of a created request")
)
async def get_request(workspace: CurrentWorkspace, id: str) -> Response:
    """Return one photo request, by id or code (the code by the plugin)."""
    return reply(workspace.context, _view(workspace, _find(workspace, id)))


@router.delete(
    "/photo-requests/{id}",
    **both(
        "photo_requests:write",
        "204 without a body; photos go too; of one that has ended, the plugin's changes nothing",
        status=204,
    ),
)
async def delete_request(workspace: CurrentWorkspace, id: str) -> Response:
    """Delete a photo request. In the plugin this cancels it, and it can still be read."""
    found = _find(workspace, id)
    if workspace.context.settings.deleted_requests == "gone":
        workspace.requests.delete(found, workspace.now())
    elif found.is_open:
        workspace.requests.cancel(found, workspace.now())
    return deleted(workspace.context, found.id)


@router.get(
    "/photo-requests/{id}/submissions",
    **plugin("submissions:read", "the shape: the plugin's webhook `submission`"),
)
async def list_submissions(workspace: CurrentWorkspace, id: str) -> Response:
    """Return the photos that the recipient has uploaded, without links."""
    found = _find(workspace, id)
    await render_photos(found.photos)
    return reply(workspace.context, [photo.summary(workspace.context.format_time) for photo in found.photos])


@router.get("/photo-requests/{id}/download-urls", **plugin("download_urls:read"))
async def download_urls(workspace: CurrentWorkspace, id: str) -> Response:
    """Return the photos with fresh signed links."""
    if not workspace.context.settings.download_urls:
        raise ErrorReply(
            404, {"message": f"The route v1/photo-requests/{id}/download-urls could not be found."}
        )
    found = _find(workspace, id)
    if found.submitted_at is None and workspace.context.settings.download_urls_of_open == "missing":
        raise not_found("Photos")
    await render_photos(found.photos)
    data = {
        "photo_request_id": found.id,
        "submissions": [download_view(workspace.context, photo) for photo in found.photos],
    }
    return reply(workspace.context, data, meta=download_meta(workspace.context))


@router.get("/photo-requests/{id}/qrcode", **plugin("photo_requests:read"))
async def qrcode(workspace: CurrentWorkspace, id: str) -> Response:
    """Return the address of a QR code of the recipient's link."""
    return qr_code_address(workspace.context, _find(workspace, id).unique_code)


async def render_photos(photos: list[Photo]) -> None:
    """Draw the files of photos in a thread: replies contain their size."""
    for photo in photos:
        await asyncio.to_thread(photo.file.size)


def items_of(bodies: list[ItemBody]) -> list[Item]:
    """Return items with ids, from a request body."""
    return [Item(f"pri_{ids.token(8)}", body.instructions, body.is_required) for body in bodies]


def _find(workspace: Workspace, id_or_code: str) -> PhotoRequest:
    found = workspace.requests.find(id_or_code)
    if found is None or (found.id != id_or_code and not workspace.context.settings.find_by_code):
        raise not_found("Photo request")
    return found


def _view(workspace: Workspace, request: PhotoRequest) -> dict[str, Any]:
    return request_view(workspace.context, workspace.requests, request)


def _new_request(workspace: Workspace, body: CreatePhotoRequest) -> PhotoRequest:
    given, settings = body.model_fields_set, workspace.context.settings
    asked = _items_in(body, settings.items_name)
    if body.send_email and not body.recipient_email and settings.plan == "paid":
        text = "The recipient email field is required when send email is true."
        raise validation_error({"recipient_email": [text]})
    if settings.plan == "free":
        prohibited = [name for name in ("recipient_email", "send_email") if name in given]
        if prohibited:
            raise free_plan_error(prohibited)
        if len(asked) > _FREE_PLAN_ITEMS:
            name = "photo_slots" if "photo_slots" in given else "items"
            text = f"The {name.replace('_', ' ')} field must not have more than {_FREE_PLAN_ITEMS} items."
            raise validation_error({name: [text]})
        if workspace.requests.photos_taken >= FREE_PLAN_PHOTOS:
            # Assumed: what the service answers once its quota is used up is not known.
            raise ErrorReply(403, {"message": f"The {FREE_PLAN_PHOTOS} photos of the free plan are used up."})
    hours = body.expires_in_hours or settings.default_expires_in_hours
    return workspace.requests.new(
        body.instructions,
        workspace.now(),
        hours,
        items=items_of(asked),
        recipient_email=body.recipient_email or None,
        send_email=body.send_email,
        require_gps=body.require_gps,
        allow_submitter_notes=body.allow_submitter_notes,
        internal_notes=body.internal_notes or None,
        metadata=body.metadata if "metadata" in given else None,
    )


def _items_in(body: CreatePhotoRequest, known_as: str) -> list[ItemBody]:
    """Return the items: `items` in the plugin, `photo_slots` in the documentation."""
    given = body.model_fields_set & {"items", "photo_slots"}
    if known_as != "either" and (other := given - {known_as}):
        raise validation_error(
            {name: [f"The {name.replace('_', ' ')} field is prohibited."] for name in other}
        )
    if len(given) > 1:
        raise validation_error({"items": ["The items field is prohibited when photo slots is present."]})
    return body.photo_slots if "photo_slots" in given else body.items


def _filtered(
    found: list[PhotoRequest], status: str | None, after: str | None, before: str | None
) -> list[PhotoRequest]:
    if status is not None and status not in _STATUSES:
        raise validation_error({"status": ["The selected status is invalid."]})
    earliest, latest = _moment("created_after", after, -math.inf), _moment("created_before", before, math.inf)
    # Replies show whole seconds, so whole seconds are compared.
    return [
        one for one in found if status in (None, one.status) and earliest <= int(one.created_at) <= latest
    ]


def _moment(name: str, text: str | None, default: float) -> float:
    """Return a date or time as a Unix timestamp; without an offset it is UTC."""
    if text is None:
        return default
    try:
        # In a query an unescaped "+" of "+00:00" arrives as a space.
        moment = datetime.fromisoformat(text.replace(" 00:00", "+00:00"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        words = name.replace("_", " ")
        raise validation_error({name: [f"The {words} field must be a valid date."]}) from None
