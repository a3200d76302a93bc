"""What an id looks like, checked before any call; so that a DAG file can be refused when it is parsed."""

from __future__ import annotations

import re

from airflow_provider_visio.exceptions import InvalidRequestError

# What both services use for ids and codes; anything else would end up as another path.
_ID = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*")


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
