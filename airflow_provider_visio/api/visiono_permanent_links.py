"""
Visiono's permanent links: calls, and the readers of their replies.

The reference calls them ``/permanent-links`` and changes them by PATCH (seed); the plugin, which alone shows their
fields, calls them ``/smart-links`` and changes them by PUT. That the fields hold under the reference's name as well is
inferred; that what came through a link can be read there, too, is assumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from airflow_provider_visio.api.call import Call, Dialect, KnownTo, call, text_of_id
from airflow_provider_visio.api.permanent_link_fields import link_changes, link_fields, tags_filter
from airflow_provider_visio.api.photo_request_fields import check_instructions
from airflow_provider_visio.api.visiono import (
    READ_DOWNLOADS,
    READ_SUBMISSIONS,
    Item,
    Photo,
    instructions_by_item,
    photo_from,
)

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
    """A photo that came through a permanent link; None where the service does not say with which submission."""

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
    Make a permanent link (seed; its field names are the plugin's, inferred).

    :raises InvalidRequestError: a value that the service cannot accept.
    """
    check_instructions(instructions)
    body = {"instructions": instructions, **link_fields(fields or {})}
    return _call("POST", "", dialect, body=body, needs=WRITE_LINKS)


def get_permanent_link(link_id: str, *, dialect: Dialect = "reference") -> Call:
    """One permanent link (seed)."""
    return _call("GET", "/{link_id}", dialect, link_id=link_id, needs=READ_LINKS)


def update_permanent_link(
    link_id: str, changes: Mapping[str, Any], *, dialect: Dialect = "reference"
) -> Call:
    """
    Change a permanent link (seed: PATCH; the plugin has PUT); ``is_active`` is assumed.

    Only the changes are sent. No page shows a body: the fields are those of a new link (inferred), and that the
    plugin's PUT leaves the rest as it is, is assumed.

    :raises InvalidRequestError: nothing to change, or a value that the service cannot accept.
    """
    method = "PUT" if dialect == "plugin" else "PATCH"
    body = link_changes(changes)
    return _call(method, "/{link_id}", dialect, link_id=link_id, body=body, needs=WRITE_LINKS)


def delete_permanent_link(link_id: str, *, dialect: Dialect = "reference") -> Call:
    """Delete a permanent link (seed); the plugin calls it archiving."""
    return _call("DELETE", "/{link_id}", dialect, link_id=link_id, needs=WRITE_LINKS)


def list_permanent_link_submissions(link_id: str, *, dialect: Dialect = "reference") -> Call:
    """List what was submitted through a link (plugin; below ``/permanent-links``, and the shape: assumed)."""
    return _part_of_link(link_id, "submissions", dialect, READ_SUBMISSIONS)


def get_permanent_link_download_urls(link_id: str, *, dialect: Dialect = "reference") -> Call:
    """Signed links to all photos that came through a link (plugin; below ``/permanent-links``: assumed)."""
    return _part_of_link(link_id, "download-urls", dialect, READ_DOWNLOADS)


def get_permanent_link_qr_code(link_id: str, *, dialect: Dialect = "reference") -> Call:
    """Address of a link's QR code (plugin; below ``/permanent-links``: assumed)."""
    return _part_of_link(link_id, "qrcode", dialect, READ_LINKS)


def photos_of_link(links: Mapping[str, Any], link: Mapping[str, Any] | None = None) -> list[LinkPhoto]:
    """
    Return the photos in the data of a link's ``download-urls``.

    No page shows how they name their submission: ``permanent_link_submission_id`` and ``submission_id`` are read
    (assumed), and submissions that hold their ``photos``.

    :param links: the data.
    :param link: the link, where it is known, for what its items ask for.
    """
    words = instructions_by_item(link or {})
    found: list[LinkPhoto] = []
    for entry in _entries(links):
        # A submission that holds its photos, which may be none, or a photo by itself.
        holds = isinstance(entry.get("photos"), list)
        owner = text_of_id(entry.get("id")) if holds else _owner(entry)
        found.extend(
            {**photo_from(photo, words), "submission_id": owner}
            for photo in (_photos_in(entry) if holds else [entry])
            if text_of_id(photo.get("id"))
        )
    return found


def entries_of_link(links: Mapping[str, Any]) -> int:
    """Return how many entries there are in the data of a link's ``download-urls``: photos, or submissions."""
    return len(_entries(links))


def submission_by_photo(submissions: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the submission of each photo, by the photo's id, as far as a list of submissions tells."""
    return {
        str(photo["id"]): owner
        for submission in submissions
        if (owner := text_of_id(submission.get("id")))
        for photo in _photos_in(submission)
        if text_of_id(photo.get("id"))
    }


def _entries(links: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = links.get("submissions") or links.get("photos")
    return [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []


def _photos_in(submission: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = submission.get("photos")
    return [photo for photo in found if isinstance(photo, Mapping)] if isinstance(found, list) else []


def _owner(photo: Mapping[str, Any]) -> str | None:
    return text_of_id(photo.get("permanent_link_submission_id", photo.get("submission_id")))


def _call(method: str, rest: str, dialect: Dialect, **more: Any) -> Call:
    evidence = "plugin" if dialect == "plugin" else "seed"
    # Under its other name a link is the same to both, but a name that the service does not have is not found.
    known_to: KnownTo = dialect
    return call(method, _PATH[dialect] + rest, **{"evidence": evidence, "known_to": known_to, **more})


def _part_of_link(link_id: str, part: str, dialect: Dialect, needs: str) -> Call:
    evidence = "plugin" if dialect == "plugin" else "assumed"
    rest = f"/{{link_id}}/{part}"
    return _call("GET", rest, dialect, link_id=link_id, evidence=evidence, known_to="plugin", needs=needs)
