"""Checks the fields of a photo request before any call, also when a DAG file is parsed."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow_provider_visio.api.plain_values import json_value, text_of, whole_number
from airflow_provider_visio.exceptions import InvalidRequestError

MOST_IN_BATCH = 10  # plugin

FIELDS = (
    "instructions",
    "recipient_email",
    "send_email",
    "expires_in_hours",
    "items",
    "require_gps",
    "allow_submitter_notes",
    "internal_notes",
    "metadata",
)

# Refuses obviously wrong addresses only; the service knows which can be delivered.
_ADDRESS = r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+"


def check_fields(request: Mapping[str, Any], where: str = "requests") -> None:
    """
    Check the names of the fields of a batch's request; the error calls it ``where``.

    :raises InvalidRequestError: it has an unknown field, or no instructions.
    """
    unknown = sorted(str(name) for name in request if name not in FIELDS)
    if unknown:
        raise InvalidRequestError.of(
            where, f"a photo request has no {', '.join(unknown)}; it has {', '.join(FIELDS)}"
        )
    if "instructions" not in request:
        raise InvalidRequestError.of(where, "it needs instructions")


@contextlib.contextmanager
def named_by(place: str) -> Iterator[None]:
    """Prefix the field names of an error with the request's place in its list."""
    try:
        yield
    except InvalidRequestError as error:
        fields = {f"{place}.{name}": problems for name, problems in error.fields.items()}
        raise InvalidRequestError(f"{place}.{error}", fields=fields) from None


def check_photo_request(
    *,
    instructions: object = "x",
    recipient_email: object = None,
    expires_in_hours: object = None,
    items: object = None,
    metadata: object = None,
) -> None:
    """
    Refuse values that the service would refuse; each is checked by itself, so that a DAG file can check what it knows.

    :raises InvalidRequestError: a value is wrong; the error says which and what to give instead.
    """
    instructions_text(instructions)
    address_of(recipient_email)
    if expires_in_hours is not None:
        whole_hours(expires_in_hours)
    if items is not None:
        item_bodies(items)
    if metadata is not None:
        _check_metadata(metadata)


def instructions_text(instructions: object) -> str:
    """
    Return instructions as text.

    :raises InvalidRequestError: they are empty, no text or number, or rendered from a missing output ('None').
    """
    text = text_of(instructions)
    if not isinstance(text, str) or text.strip() in {"", "None"}:
        raise InvalidRequestError.of("instructions", "give a sentence that says what to photograph")
    return text


def address_of(recipient_email: object) -> str | None:
    """
    Return an address without the blanks around it, or None for an empty one.

    :raises InvalidRequestError: it is not an address.
    """
    address = recipient_email.strip() if isinstance(recipient_email, str) else recipient_email
    if address in (None, ""):
        return None
    if isinstance(address, str) and re.fullmatch(_ADDRESS, address):
        return address
    raise InvalidRequestError.of(
        "recipient_email", "this is not an e-mail address; leave it out to share request_url yourself"
    )


def whole_hours(value: object) -> int:
    """
    Return a lifetime in whole hours, the service's unit; a timedelta is rounded up.

    :raises InvalidRequestError: it is not positive, or not a number of hours or a timedelta.
    """
    if isinstance(value, timedelta):
        hours = -(-value // timedelta(hours=1))
    elif (number := whole_number(value)) is not None:
        hours = number
    else:
        text = f"{value[:40]!r}; text must be a whole number such as '24'" if isinstance(value, str) else ""
        raise InvalidRequestError.of(
            "expires_in_hours", f"give whole hours or a timedelta, not {text or type(value).__name__}"
        )
    if hours < 1:
        raise InvalidRequestError.of("expires_in_hours", "give at least one hour")
    return hours


def item_bodies(items: object) -> list[dict[str, Any]]:
    """
    Return the items in the form of the API.

    :raises InvalidRequestError: it is not a list, or an item is wrong.
    """
    if isinstance(items, str | Mapping) or not isinstance(items, Sequence):
        raise InvalidRequestError.of("items", "give a list, with an instruction or a dict for each picture")
    return [item_body(item) for item in items]


def item_body(item: object) -> dict[str, Any]:
    """
    Return one item in the form of the API; text means a required picture.

    :raises InvalidRequestError: it has no instructions, or an unknown field.
    """
    item = text_of(item)
    if isinstance(item, str):
        item = {"instructions": item}
    if not isinstance(item, Mapping):
        raise InvalidRequestError.of("items", f"an item is text or a dict, not {type(item).__name__}")
    unknown = sorted(set(item) - {"instructions", "is_required"})
    if unknown:
        raise InvalidRequestError.of(
            "items", f"an item has instructions and is_required, not {', '.join(map(str, unknown))}"
        )
    words = text_of(item.get("instructions"))
    if not isinstance(words, str) or not words.strip():
        raise InvalidRequestError.of(
            "items", "each item needs instructions, such as 'The whole car from the front'"
        )
    return {"instructions": words, "is_required": bool(item.get("is_required", True))}


def _check_metadata(metadata: object) -> None:
    if not isinstance(metadata, Mapping):
        raise InvalidRequestError.of("metadata", f"give a dict, not {type(metadata).__name__}")
    try:
        json.dumps(dict(metadata), allow_nan=False, ensure_ascii=False, default=json_value).encode()
    except (TypeError, ValueError):
        raise InvalidRequestError.of(
            "metadata", "it has values that JSON cannot carry; give text, numbers, times, lists and dicts"
        ) from None
