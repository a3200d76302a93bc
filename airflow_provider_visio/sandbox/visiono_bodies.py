"""Request bodies of Visiono. Types come from the vendor's examples; lengths and ranges are assumed."""

import ipaddress
import json
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from .options import Strict, WholeNumber, is_email
from .webhooks import Event

_VISIBLE = re.compile(r"[^\s\ufeff]")
_URL = re.compile(r"https://([A-Za-z0-9.-]+)(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}))?(?:[/?#][!-~]*)?")
_PUBLIC_NAME = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")
_METADATA_BYTES = 64 * 1024


def _not_blank(value: str) -> str:
    if not _VISIBLE.search(value):
        raise ValueError("The {field} field is required.")
    return value


def _email(value: str) -> str:
    if not is_email(value):
        raise ValueError("The {field} field must be a valid email address.")
    return value


def _within_size(value: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(value).encode()) > _METADATA_BYTES:
        raise ValueError("The {field} field must not be greater than 64 kilobytes.")
    return value


def _public_https(value: str) -> str:
    parts = _URL.fullmatch(value)
    if parts is None:
        raise ValueError("The {field} field must be a valid HTTPS URL.")
    host = parts[1]
    try:
        private = not ipaddress.ip_address(host).is_global
    except ValueError:
        private = not _PUBLIC_NAME.fullmatch(host)
    if private:
        raise ValueError("The {field} field must be reachable from the public internet.")
    return value


Instructions = Annotated[str, Field(max_length=5000), AfterValidator(_not_blank)]
Note = Annotated[str, Field(max_length=5000)]
Label = Annotated[str, Field(min_length=1, max_length=255)]
Email = Annotated[str, Field(max_length=255), AfterValidator(_email)]
Hours = Annotated[WholeNumber, Field(ge=1, le=8760)]
Metadata = Annotated[dict[str, Any], AfterValidator(_within_size)]
Slug = Annotated[str, Field(min_length=3, max_length=30, pattern="^[a-z0-9-]+$")]
Tags = Annotated[list[Label], Field(max_length=50)]
Url = Annotated[str, Field(max_length=2000), AfterValidator(_public_https)]


class ItemBody(Strict):
    """One item (plugin); that `is_required` defaults to true is assumed."""

    instructions: Instructions
    is_required: bool = True


Items = Annotated[list[ItemBody], Field(max_length=50)]


class CreatePhotoRequest(Strict):
    """POST /photo-requests; `items` (plugin) are `photo_slots` in the documentation."""

    instructions: Instructions
    expires_in_hours: Hours = 0
    recipient_email: Email = ""
    send_email: bool = False
    require_gps: bool = False
    allow_submitter_notes: bool = False
    internal_notes: Note = ""
    metadata: Metadata = Field(default_factory=dict)
    items: Items = Field(default_factory=list)
    photo_slots: Items = Field(default_factory=list)


class CreatePhotoRequests(Strict):
    """POST /photo-requests/batch; the plugin says "at most 10"; the name of the list is assumed."""

    photo_requests: Annotated[list[CreatePhotoRequest], Field(min_length=1, max_length=10)]


class LinkFields(Strict):
    """Fields of both creating and changing a permanent link."""

    show_full_name_field: bool = False
    full_name_required: bool = False
    require_gps: bool = False
    tags: Tags = Field(default_factory=list)
    items: Items = Field(default_factory=list)


class CreateLink(LinkFields):
    """POST /smart-links (plugin); that POST /permanent-links takes the same is inferred."""

    instructions: Instructions
    custom_slug: Slug = ""
    unique_field_label: Label = ""


class UpdateLink(LinkFields):
    """PUT /smart-links/{id}, PATCH /permanent-links/{id}: any of the fields; `is_active` is assumed."""

    instructions: Instructions = ""
    custom_slug: Slug | None = None
    unique_field_label: Label | None = None
    is_active: bool = True


class CreateWebhook(Strict):
    """POST /webhooks."""

    url: Url
    events: Annotated[list[Event], Field(min_length=1, max_length=50)]


class UpdateWebhook(Strict):
    """PATCH /webhooks/{id}; `is_active` is assumed from the dashboard's Active switch."""

    url: Url = ""
    events: Annotated[list[Event], Field(min_length=1, max_length=50)] = Field(default_factory=list)
    is_active: bool = True
