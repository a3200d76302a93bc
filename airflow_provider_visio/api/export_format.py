"""Checks the format and the options of an export before any call, also when a DAG file is parsed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_visio.exceptions import InvalidRequestError

# Formats whose files can be verified; which of them Vizdom offers is not documented.
FORMATS = {
    "pdf": "application/pdf",
    "png": "image/png",
    "csv": "text/csv",
    "jpg": "image/jpeg",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

# What the call to start an export has by default, with the argument that gives it.
OWN_FIELDS = {"dashboard_id": "dashboard_id", "format": "export_format"}


def check_format(export_format: object) -> str:
    """
    Return a format's name in lower case.

    :raises InvalidRequestError: this provider cannot verify files of that format.
    """
    if isinstance(export_format, str) and export_format.strip().lower() in FORMATS:
        return export_format.strip().lower()
    raise InvalidRequestError.of(
        "export_format",
        f"{export_format!r} is not one of {', '.join(FORMATS)}; which of these your Vizdom offers is in "
        "`contract.formats` of the connection's extras",
    )


def check_options(options: object, own_fields: Mapping[str, str] = OWN_FIELDS) -> dict[str, Any]:
    """
    Return the options of an export.

    :param options: a dict by the service's names, or None.
    :param own_fields: the fields of the call that options may not replace, with the argument that gives each.
    :raises InvalidRequestError: it is not a dict with text as keys, or has a field that is given otherwise.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise InvalidRequestError.of("options", f"give a dict by the service's names, not {options!r}")
    for name, argument in own_fields.items():
        if name in options:
            raise InvalidRequestError.of("options", f"{name!r} is given by {argument}; leave it out here")
    return dict(options)
