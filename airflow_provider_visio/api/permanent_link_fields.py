"""Checks the fields of a permanent link before any call, also when a DAG file is parsed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_visio.api.photo_request_fields import instructions_text, item_bodies
from airflow_provider_visio.api.plain_values import text_of
from airflow_provider_visio.exceptions import InvalidRequestError

_SLUG = r"[a-z0-9-]{3,30}"  # docs
_SWITCHES = ("show_full_name_field", "full_name_required", "require_gps")

# The fields of the plugin's smart links; that permanent links have the same is inferred.
CREATE_FIELDS = ("custom_slug", "unique_field_label", *_SWITCHES, "tags", "items")
UPDATE_FIELDS = ("instructions", *CREATE_FIELDS, "is_active")
# Fields that can be removed from a link (assumed).
_TEXTS = _MAY_BE_NONE = ("custom_slug", "unique_field_label")


def check_permanent_link(**values: object) -> None:
    """
    Refuse values that the service would refuse; each is checked by itself, so that a DAG file can check what it knows.

    :raises InvalidRequestError: a value is wrong; the error says which and what to give instead.
    """
    link_changes(values)


def link_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the fields of a new link in the form of the API; None is left out.

    :raises InvalidRequestError: a field is unknown, or a value is wrong.
    """
    check_names(fields, "fields", CREATE_FIELDS)
    return {name: _checked(name, value) for name, value in fields.items() if value is not None}


def link_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return changes to a link in the form of the API; None removes ``custom_slug`` or ``unique_field_label``.

    :raises InvalidRequestError: there are no changes, a field is unknown, or a value is wrong.
    """
    if not changes:
        raise InvalidRequestError.of("changes", "nothing to change was given")
    check_names(changes, "changes", UPDATE_FIELDS)
    return {
        name: None if value is None and name in _MAY_BE_NONE else _checked(name, value)
        for name, value in changes.items()
    }


def check_names(fields: object, name: str, known: Sequence[str]) -> dict[str, Any]:
    """
    Return the fields of a link after checking their names; the error names the parameter ``name``.

    :raises InvalidRequestError: they are not a mapping, or one is not ``known``.
    """
    if not isinstance(fields, Mapping):
        raise InvalidRequestError.of(
            name, f"give a dict of a link's fields and their values, not {type(fields).__name__}"
        )
    for field in fields:
        if field not in known:
            raise InvalidRequestError.of(
                str(field),
                f"a permanent link has no such field; it has {', '.join(known)}. For one that is newer than this "
                "provider, use the hook's request()",
            )
    return dict(fields)


def tags_filter(tags: Sequence[str] | str | None) -> str | None:
    """Return tags as a filter of a list, separated by commas (assumed)."""
    if tags is None:
        return None
    return ",".join(_tags([tags] if isinstance(tags, str) else tags)) or None


def _checked(name: str, value: Any) -> Any:
    if name in _TEXTS:
        value = text_of(value)
    if name == "instructions":
        return instructions_text(value)
    if name == "custom_slug" and not (isinstance(value, str) and re.fullmatch(_SLUG, value)):
        raise InvalidRequestError.of(name, "give 3 to 30 lower-case letters, digits and hyphens")
    if name == "unique_field_label" and not (isinstance(value, str) and value.strip()):
        raise InvalidRequestError.of(name, "give the words beside the field, such as 'Licence plate'")
    if name in {*_SWITCHES, "is_active"} and not isinstance(value, bool):
        raise InvalidRequestError.of(name, f"give True or False, not {type(value).__name__}")
    if name == "tags":
        return _tags(value)
    if name == "items":
        return item_bodies(value)
    return value


def _tags(tags: object) -> list[str]:
    if isinstance(tags, str | Mapping) or not isinstance(tags, Sequence):
        raise InvalidRequestError.of("tags", "give a list of words")
    words = [text_of(tag) for tag in tags]
    if not all(isinstance(tag, str) and tag.strip() for tag in words):
        raise InvalidRequestError.of("tags", "each tag must be a word")
    return words
