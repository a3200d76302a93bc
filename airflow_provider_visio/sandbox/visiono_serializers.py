"""Visiono's records as JSON, as its replies contain them."""

from typing import Any

from .context import Context
from .permanent_links import Link, Links, Submission
from .photo_requests import PhotoRequest, PhotoRequests
from .photos import Item, Photo
from .replies import fields_of
from .webhooks import Webhook

_LINK_FIELDS = (
    "id unique_code instructions custom_slug unique_field_label show_full_name_field full_name_required require_gps "
    "tags is_active"
)


def items_view(items: list[Item]) -> list[dict[str, Any]]:
    """Return items (plugin)."""
    return [fields_of(item, "id instructions is_required") for item in items]


def request_view(context: Context, requests: PhotoRequests, request: PhotoRequest) -> dict[str, Any]:
    """Return a photo request: the plugin's example of a created one, in the documentation's style."""
    view = {
        **fields_of(request, "id unique_code numeric_code status instructions recipient_email"),
        "request_url": requests.url(request),
        "code_entry_url": f"{context.addresses.main}/code",
        "expires_at": context.format_time(request.expires_at),
        "created_at": context.format_time(request.created_at),
        "metadata": request.metadata,
        "items": items_view(request.items),
    }
    if context.settings.photos_in_request:
        view["photos"] = [photo.view(context) for photo in request.photos]
    return view


def download_view(context: Context, photo: Photo) -> dict[str, Any]:
    """Return a photo with fresh signed links (plugin)."""
    seconds = context.settings.photo_link_seconds
    links = {"download_url": photo.path, "thumbnail_url": photo.thumbnail_path}
    urls = {name: context.link(path, seconds) for name, path in links.items()}
    return {**photo.summary(context.format_time), **urls}


def download_meta(context: Context) -> dict[str, Any]:
    """Return how long signed links are valid (plugin)."""
    seconds = context.settings.photo_link_seconds
    readable = f"{seconds / 3600:g} hours" if seconds >= 3600 else f"{seconds:g} seconds"
    return {"urls_valid_for": readable, "expires_in_seconds": int(seconds)}


def link_view(context: Context, links: Links, link: Link) -> dict[str, Any]:
    """Return a permanent link (plugin's smart link)."""
    return {
        **fields_of(link, _LINK_FIELDS),
        "request_url": links.url(link),
        "created_at": context.format_time(link.created_at),
        "items": items_view(link.items),
    }


def link_submission_view(context: Context, submission: Submission) -> dict[str, Any]:
    """Return a submission under a permanent link (shape assumed; the id and value names are the plugin's)."""
    return {
        **fields_of(submission, "id unique_field_value external_source external_reference full_name"),
        "photos": [photo.summary(context.format_time) for photo in submission.photos],
        "submitted_at": context.format_time(submission.submitted_at),
    }


def webhook_view(context: Context, hook: Webhook, *, secret: bool = False) -> dict[str, Any]:
    """Return a webhook endpoint (plugin); the secret is shown once, on creation."""
    view = fields_of(hook, "id url events secret" if secret else "id url events")
    return {**view, "is_active": hook.is_active, "created_at": context.format_time(hook.created_at)}
