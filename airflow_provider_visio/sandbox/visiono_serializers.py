"""How Visiono's records look in its replies."""

from typing import Any

from .context import Ground
from .permanent_links import Link, Links, Submission
from .photo_requests import Item, PhotoRequest, PhotoRequests
from .photos import Photo
from .webhooks import Webhook


def items_view(items: list[Item]) -> list[dict[str, Any]]:
    """Return the pictures asked for (plugin)."""
    return [
        {"id": item.id, "instructions": item.instructions, "is_required": item.is_required} for item in items
    ]


def request_view(ground: Ground, book: PhotoRequests, request: PhotoRequest) -> dict[str, Any]:
    """Return a photo request: the plugin's example of a created one, in the documentation's style."""
    view = {
        "id": request.id,
        "unique_code": request.unique_code,
        "numeric_code": request.numeric_code,
        "status": request.status,
        "instructions": request.instructions,
        "recipient_email": request.recipient_email,
        "request_url": book.url(request),
        "code_entry_url": f"{ground.addresses.main}/code",
        "expires_at": ground.stamp(request.expires_at),
        "created_at": ground.stamp(request.created_at),
        "metadata": request.metadata,
        "items": items_view(request.items),
    }
    if ground.settings.photos_in_request:
        view["photos"] = [_webhook_photo(ground, photo) for photo in request.photos]
    return view


def _webhook_photo(ground: Ground, photo: Photo) -> dict[str, Any]:
    """Return a photo as the documentation shows it in a webhook."""
    metadata: dict[str, Any] = {"captured_at": ground.stamp(photo.taken_at)}
    if photo.gps:
        metadata |= {"gps_lat": photo.gps[0], "gps_lng": photo.gps[1]}
    return {
        "id": photo.id,
        "url": ground.link(photo.path, ground.settings.photo_link_seconds),
        "slot_instructions": photo.instructions,
        "metadata": metadata,
    }


def download_view(ground: Ground, photo: Photo) -> dict[str, Any]:
    """Return a photo with fresh signed links (plugin)."""
    seconds = ground.settings.photo_link_seconds
    summary = photo.summary(ground.stamp)
    return {
        "id": summary.pop("id"),
        "item_id": summary.pop("item_id"),
        "download_url": ground.link(photo.path, seconds),
        "thumbnail_url": ground.link(photo.thumbnail_path, seconds),
        **summary,
    }


def download_meta(ground: Ground) -> dict[str, Any]:
    """How long signed links are good for (plugin)."""
    seconds = ground.settings.photo_link_seconds
    readable = f"{seconds / 3600:g} hours" if seconds >= 3600 else f"{seconds:g} seconds"
    return {"urls_valid_for": readable, "expires_in_seconds": int(seconds)}


def link_view(ground: Ground, book: Links, link: Link) -> dict[str, Any]:
    """Return a permanent link (plugin's smart link)."""
    return {
        "id": link.id,
        "unique_code": link.unique_code,
        "instructions": link.instructions,
        "custom_slug": link.custom_slug,
        "unique_field_label": link.unique_field_label,
        "show_full_name_field": link.show_full_name_field,
        "full_name_required": link.full_name_required,
        "require_gps": link.require_gps,
        "tags": link.tags,
        "is_active": link.is_active,
        "request_url": book.url(link),
        "created_at": ground.stamp(link.created_at),
        "items": items_view(link.items),
    }


def link_submission_view(ground: Ground, submission: Submission) -> dict[str, Any]:
    """Return a submission under a permanent link (shape assumed; the id and value names are the plugin's)."""
    return {
        "id": submission.id,
        "unique_field_value": submission.unique_field_value,
        "external_source": submission.external_source,
        "external_reference": submission.external_reference,
        "full_name": submission.full_name,
        "photos": [photo.summary(ground.stamp) for photo in submission.photos],
        "submitted_at": ground.stamp(submission.submitted_at),
    }


def webhook_view(ground: Ground, hook: Webhook, *, secret: bool = False) -> dict[str, Any]:
    """Return a webhook endpoint (plugin); the secret is shown once, on creation."""
    view = {"id": hook.id, "url": hook.url, "events": hook.events}
    if secret:
        view["secret"] = hook.secret
    return {**view, "is_active": hook.is_active, "created_at": ground.stamp(hook.created_at)}
