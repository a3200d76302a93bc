"""Checks of an operator's arguments, as far as they are known when a DAG file is parsed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider_visio.exceptions import InvalidRequestError


def is_literal(value: object) -> bool:
    """Return whether a value is what it will be at run time: no template, no output of another task."""
    if isinstance(value, str):
        return "{{" not in value and "{%" not in value
    if value is None or isinstance(value, bool | int | float | bytes):
        return True
    if isinstance(value, Mapping):
        return all(is_literal(part) for part in value.values())
    if isinstance(value, Sequence | set):
        return all(is_literal(part) for part in value)
    # A timedelta, say, is known; whatever Airflow resolves later has a `resolve`.
    return not hasattr(value, "resolve")


def check_if_known(check: Callable[..., Any], **values: object) -> None:
    """Run a check on the arguments whose values are known while the DAG file is parsed."""
    known = {name: value for name, value in values.items() if value is not None and is_literal(value)}
    if known:
        check(**known)


def given(value: object, name: str) -> None:
    """
    Refuse an argument that is missing.

    :raises InvalidRequestError: it is None, empty or blank.
    """
    if not is_literal(value):
        return
    if value is None or value in ("", [], {}, ()) or (isinstance(value, str) and not value.strip()):
        raise InvalidRequestError.of(name, "it is empty")
