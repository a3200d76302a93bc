"""Checks the format of an export before any call, also when a DAG file is parsed."""

from __future__ import annotations

from airflow_provider_visio.exceptions import InvalidRequestError

# Formats whose files can be verified; which of them Vizdom offers is not documented.
FORMATS = {
    "pdf": "application/pdf",
    "png": "image/png",
    "csv": "text/csv",
    "jpg": "image/jpeg",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


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
