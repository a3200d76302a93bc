"""Values as templates and tables give them, as the APIs take them: ids, text, whole numbers and JSON."""

from __future__ import annotations

import math
import re
from datetime import date, time
from decimal import Decimal
from numbers import Real
from typing import Any
from uuid import UUID

from airflow_provider_visio.exceptions import InvalidRequestError

# The characters of both services' ids and codes; others would change the path.
_ID = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*")
_WHOLE = re.compile(r"\s*(\d+)(\.0*)?\s*")


def text_of(value: object) -> Any:
    """
    Return a number, a time or a UUID as text; any other value unchanged.

    A native template gives ``2026`` for ``"2026"``, and a table gives numbers for codes.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, UUID) or (isinstance(value, Real | Decimal) and math.isfinite(value)):
        return str(value)
    return value


def whole_number(value: Any) -> int | None:
    """Return a whole number, as a number or as text such as ``"24"`` or ``"24.0"``; None for anything else."""
    if isinstance(value, str) and (match := _WHOLE.fullmatch(value)):
        return int(match[1])
    if not is_number(value) or not math.isfinite(value):
        return None
    number = int(value)
    return number if number == value else None


def is_number(value: object) -> bool:
    """Return whether a value is a number, and not True or False."""
    return isinstance(value, Real | Decimal) and not isinstance(value, bool)


def id_text(value: object) -> object:
    """Return an id that came as a whole number or a UUID as text; any other value unchanged."""
    if isinstance(value, Real | Decimal) and (number := whole_number(value)) is not None:
        return str(number)
    return str(value) if isinstance(value, UUID) else value


def check_id(value: object, name: str = "id") -> str:
    """
    Return an id or code unchanged.

    :raises InvalidRequestError: it is empty, not text, or has characters that no id has.
    """
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise InvalidRequestError.of(
        name, f"{value!r} is not an id; give the id that the service returned, such as 'req_abc123'"
    )


def json_value(value: object) -> Any:
    """
    Return a value that JSON has no form for in one that it has: a time as text, a number as a number.

    :raises TypeError: it has none. (``json.dumps`` calls this as its ``default``.)
    """
    if isinstance(value, date | time | UUID):
        return text_of(value)
    if isinstance(value, Real | Decimal):
        number = whole_number(value)
        return float(value) if number is None else number
    raise TypeError(f"{type(value).__name__} is no JSON")
