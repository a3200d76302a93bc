"""
Visiono's permanent links: calls, and the readers of their replies.

The reference calls them ``/permanent-links`` and updates them by PATCH (seed). The plugin calls them ``/smart-links``,
updates them by PUT, and alone shows their fields. Inferred: the fields are the same under the reference's name.
Assumed: a link's submissions can be read there as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from airflow_provider_visio.api.call import Call, Dialect, KnownTo, call, text_of_id
from airflow_provider_visio.api.permanent_link_fields import link_changes, link_fields, tags_filter
from airflow_provider_visio.api.photo_request_fields import instructions_text
from airflow_provider_visio.api.visiono import (
    READ_DOWNLOADS,
    READ_SUBMISSIONS,
    Item,
    Photo,
    dicts_in,
    instructions_by_item,
    photo_from,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

READ_LINKS = "the scope smart_links:read"  # plugin
WRITE_LINKS = "the scope smart_links:write"  # plugin

_PATH: Mapping[Dialect, str] = {"reference": "/permanent-links", "plugin": "/smart-links"}


class PermanentLink(TypedDict, total=False):
    """A permanent link as the service returns it (plugin; the switches inferred); fields we do not know are kept."""

    id: str
    unique_code: str
    instructions: str
    custom_slug: str | None
    unique_field_label: str | None
    show_full_name_field: bool
    full_name_required: bool
    require_gps: bool
    is_active: bool
    request_url: str
    created_at: str
    tags: list[str]
    items: list[Item]


class LinkPhoto(Photo):
    """A photo of a permanent link; ``submission_id`` is None where the service does not send it."""

    submission_id: str | None


def list_permanent_links(
    *,
    is_active: bool | None = None,
    tags: Sequence[str] | str | None = None,
    dialect: Dialect = "reference",
) -> Call:
    """List permanent links (seed); the filters are the plugin's (seed: inferred), their format is assumed."""
    params = {"is_active": is_active, "tags": tags_filter(tags)}
    return _call("GET", "", dialect, params=params, needs=READ_LINKS)


def create_permanent_link(
    instructions: str, fields: Mapping[str, Any] | None = None, *, dialect: Dialect = "reference"
) -> Call:
    """
    Create a permanent link (seed; its field names are the plugin's, inferred).

    :raises InvalidRequestError: a value cannot be accepted.
    """
    body = {"instructions": instructions_text(instructions), **link_fields(fields or {})}
    return _call("POST", "", dialect, body=body, needs=WRITE_LINKS)


def get_permanent_link(link_id: str, *, dialect: Dialect = "reference") -> Call:
    """One permanent link (seed)."""
    return _call("GET", "/{link_id}", dialect, link_id=link_id, needs=READ_LINKS)


def update_permanent_link(
    link_id: str, changes: Mapping[str, Any], *, dialect: Dialect = "reference"
) -> Call:
    """
    Update a permanent link (seed: PATCH; the plugin has PUT); ``is_active`` is assumed.

    Only the changes are sent. No page shows a body: the fields are those of a new link (inferred), and the plugin's
    PUT leaves the other fields as they are (assumed).

    :raises InvalidRequestError: there are no changes, or a value cannot be accepted.
    """
    method = "PUT" if dialect == "plugin" else "PATCH"
    body = link_changes(changes)
    return _call(method, "/{link_id}", dialect, link_id=link_id, body=body, needs=WRITE_LINKS)


def delete_permanent_link(link_id: str, *, dialect: Dialect = "reference") -> Call:
    """Delete a permanent link (seed); the plugin calls it archiving."""
    return _call("DELETE", "/{link_id}", dialect, link_id=link_id, needs=WRITE_LINKS)


def list_permanent_link_submissions(link_id: str, *, dialect: Dialect = "reference") -> Call:
    """List the submissions of a link (plugin; below ``/permanent-links``, and the shape: assumed)."""
    return _part_of_link(link_id, "submissions", dialect, READ_SUBMISSIONS)


def get_permanent_link_download_urls(link_id: str, *, dialect: Dialect = "reference") -> Call:
    """Signed links to all photos of a link (plugin; below ``/permanent-links``: assumed)."""
    return _part_of_link(link_id, "download-urls", dialect, READ_DOWNLOADS)


def get_permanent_link_qr_code(link_id: str, *, dialect: Dialect = "reference") -> Call:
    """Address of a link's QR code (plugin; below ``/permanent-links``: assumed)."""
    return _part_of_link(link_id, "qrcode", dialect, READ_LINKS)


def photos_of_link(links: Mapping[str, Any], link: Mapping[str, Any] | None = None) -> list[LinkPhoto]:
    """
    Return the photos in the data of a link's ``download-urls``.

    No page shows the name of a photo's submission: ``permanent_link_submission_id`` and ``submission_id`` are read
    (assumed), and submissions that have ``photos``.

    :param links: the data.
    :param link: the link, where it is known, for the instructions of its items.
    """
    instructions = instructions_by_item(link or {})
    photos: list[LinkPhoto] = []
    for entry in _entries(links):
        # The entry is a submission with its photos, of which there may be none, or a photo.
        is_submission = isinstance(entry.get("photos"), list)
        owner = text_of_id(entry.get("id")) if is_submission else _owner(entry)
        photos.extend(
            {**photo_from(photo, instructions), "submission_id": owner}
            for photo in (dicts_in(entry.get("photos")) if is_submission else [entry])
            if text_of_id(photo.get("id"))
        )
    return photos


def entries_of_link(links: Mapping[str, Any]) -> int:
    """Return how many entries there are in the data of a link's ``download-urls``: photos, or submissions."""
    return len(_entries(links))


def submission_by_photo(submissions: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the submission's id by the photo's id, as far as a list of submissions has them."""
    return {
        str(photo["id"]): owner
        for submission in submissions
        if (owner := text_of_id(submission.get("id")))
        for photo in dicts_in(submission.get("photos"))
        if text_of_id(photo.get("id"))
    }


def _entries(links: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return dicts_in(links.get("submissions") or links.get("photos"))


def _owner(photo: Mapping[str, Any]) -> str | None:
    return text_of_id(photo.get("permanent_link_submission_id", photo.get("submission_id")))


def _call(method: str, rest: str, dialect: Dialect, **more: Any) -> Call:
    evidence = "plugin" if dialect == "plugin" else "seed"
    # A service that follows the other dialect does not find the path.
    known_to: KnownTo = dialect
    return call(method, _PATH[dialect] + rest, **{"evidence": evidence, "known_to": known_to, **more})


def _part_of_link(link_id: str, part: str, dialect: Dialect, needs: str) -> Call:
    evidence = "plugin" if dialect == "plugin" else "assumed"
    rest = f"/{{link_id}}/{part}"
    return _call("GET", rest, dialect, link_id=link_id, evidence=evidence, known_to="plugin", needs=needs)
