"""Destinations of files: checks, and the names of folders and files below them."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_visio.exceptions import InvalidRequestError, TransferError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.DOTALL)


def destination_problem(destination: object) -> str | None:
    """Return why a value cannot be a destination, or None; accesses no store."""
    text = str(destination) if destination is not None else ""
    if not text.strip():
        return "it is empty; give a URL such as 's3://bucket/photos' or 'file:///data/photos'"
    if any(ord(char) < 32 for char in text):
        return "it has control characters"
    if text[0].isspace():
        return "it begins with a blank; remove it"
    if match := _URL.fullmatch(text):
        if not match[2].strip("/"):
            return f"it has no bucket or folder; give one, such as '{match[1]}://bucket/photos'"
        if match[1].lower() in {"http", "https"}:
            return "files cannot be written to a web address; give an object store's URL such as 's3://bucket/photos'"
        if match[1].lower() in {"file", "local"} and not match[2].startswith("/"):
            return f"a local path starts at the root: 'file:///{match[2]}'"
        return None
    if text.startswith("/"):
        return None
    if re.match(r"[a-z][a-z0-9+.-]*:/", text, re.IGNORECASE):
        return f"the scheme needs two slashes, as in {text.replace(':/', '://', 1)!r}"
    return "it is a relative path, which is a different folder on each worker; give a URL or an absolute path"


def check_destination(destination: object) -> None:
    """
    Refuse a value that cannot be a destination.

    :param destination: an object store's URL or an absolute path.
    :raises InvalidRequestError: it cannot be one; the text shows a valid one.
    """
    if problem := destination_problem(destination):
        raise InvalidRequestError.of("destination", f"{str(destination)!r}: {problem}")


def check_reachable(destination: ObjectStoragePath | str) -> None:
    """
    Refuse a destination that files cannot be stored in, before the task sends anything.

    :param destination: an object store's URL or an absolute path.
    :raises InvalidRequestError: it cannot be a destination.
    :raises TransferError: this Airflow has no filesystem for its scheme, or a local folder cannot be written to.
    """
    folder = folder_at(destination, "check")
    if folder.protocol not in {"file", "local", ""}:
        return  # to probe a store would leave an object there
    place = Path(folder.path).parent
    try:
        place.mkdir(parents=True, exist_ok=True)
        writable = os.access(place, os.W_OK | os.X_OK)
    except OSError as error:
        raise TransferError.at_store(
            f"Files cannot be stored at {place}: {error.strerror}; change the destination."
        ) from error
    if not writable:
        raise TransferError.at_store(f"Files cannot be stored at {place}: this worker may not write there.")


def folder_at(destination: ObjectStoragePath | str, name: str) -> ObjectStoragePath:
    """
    Return the folder of one request or export below a destination.

    :param destination: an object store's URL or an absolute path.
    :param name: id of the request or export.
    :raises InvalidRequestError: the destination cannot be one.
    :raises TransferError: this Airflow has no filesystem for its scheme.
    """
    from airflow.sdk import ObjectStoragePath

    check_destination(destination)
    text = str(destination)
    path = destination if isinstance(destination, ObjectStoragePath) else None
    try:
        path = path or ObjectStoragePath(f"file://{text}" if text.startswith("/") else text)
        path.fs  # noqa: B018 - fails for a scheme without a filesystem
        return path / distinct_name(name, limit=120)
    except (ValueError, ImportError, KeyError) as error:
        raise TransferError.at_store(
            f"Airflow cannot write to {text!r}: {error}. Install the provider that has this filesystem, for example "
            "apache-airflow-providers-amazon[s3fs] for s3://."
        ) from error


def distinct_name(text: str, *, limit: int) -> str:
    """Return :func:`safe_name`, with a digest if it differs from the text: two texts must get two names."""
    name = safe_name(text, limit=limit)
    return name if name == text else f"{safe_name(text, limit=limit - 9)}-{mark_of(text)}"


def mark_of(text: str) -> str:
    """Return a digest of eight characters."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def safe_name(text: str, *, limit: int = 60) -> str:
    """
    Return text as a part of a file name that every store accepts: letters, digits, ``-``, ``_`` and ``.``.

    Accents are dropped; if nothing is left, the name is a short digest.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", plain)
    name = re.sub(r"\.{2,}", ".", name).strip("-._")[:limit].rstrip("-._")
    return name or hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
