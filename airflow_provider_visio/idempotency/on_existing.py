"""The parameter ``on_existing``: what a cleared task does with an object of an earlier try that is still open."""

from __future__ import annotations

from typing import Literal

from airflow_provider_visio.exceptions import InvalidRequestError

OnExisting = Literal["reuse", "replace", "fail"]


def check_on_existing(on_existing: object) -> None:
    """Refuse a parameter ``on_existing`` that is not one of the choices."""
    if on_existing not in ("reuse", "replace", "fail"):
        raise InvalidRequestError.of("on_existing", f"give 'reuse', 'replace' or 'fail', not {on_existing!r}")
