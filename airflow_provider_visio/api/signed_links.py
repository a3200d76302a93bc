"""
Visiono's workflow mode: links that only a signature opens, and what comes back from them.

A permanent link in workflow mode is opened with ``uv`` (the unique value), ``src`` (the source), ``ref`` (the
reference), ``ts`` (Unix seconds) and ``sig``, and leads back to the workspace's own address, signed as well. Both
signatures are hex HMAC-SHA256 with the workflow secret over values joined by ``|`` (plugin), before they are escaped
for the URL (inferred). The service's own page on this could be read in part only.

No I/O.
"""

from __future__ import annotations

import hmac
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypedDict
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from airflow_provider_visio.api.config import http_url
from airflow_provider_visio.exceptions import InvalidRequestError, SignatureError

# Seconds for which the service takes a signed link (plugin), and for which we believe one that comes back (assumed).
HOUR = 3600.0
# Seconds by which the service's clock may be ahead of ours.
SKEW = 60.0

_SEPARATOR = "|"
_OUTBOUND = ("uv", "src", "ref", "ts", "sig")
# How the parameters of the way back are called (plugin); a workspace can choose other names (docs).
RETURN_NAMES = {
    "submission_id": "sub",
    "unique_value": "uv",
    "reference": "ref",
    "photo_count": "cnt",
    "timestamp": "ts",
    "signature": "sig",
}
_SIGNED = ("submission_id", "unique_value", "reference", "photo_count", "timestamp")
# Control characters, half characters, separators of lines and paragraphs.
_NOT_IN_VALUES = {"Cc", "Cs", "Zl", "Zp"}
_NUMBER = re.compile(r"[0-9]{1,11}")
_BEGINS_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|/")


class WorkflowReturn(TypedDict):
    """What came back, believed: ``signed_at`` is ISO 8601 in UTC."""

    submission_id: str
    unique_value: str
    reference: str
    photo_count: int
    signed_at: str


def build_url(
    link_url: str,
    *,
    secret: str,
    unique_value: str | int,
    source: str | int,
    reference: str | int,
    now: float,
    valid_for: float | timedelta | None = None,
) -> str:
    """
    Return a permanent link's address, signed for one person.

    :param link_url: the link's own ``request_url``; its query is kept.
    :param secret: the link's workflow secret.
    :param unique_value: what the link asks for by its unique field, such as a licence plate.
    :param source: where the person comes from, such as the DAG's id.
    :param reference: what you know the case by; it comes back.
    :param now: the time, in seconds since 1970.
    :param valid_for: seconds or a timedelta for which the link opens, an hour at most, for the service decides that
        (plugin) and counts from the link's time, which is set back for less; None for the hour.
    :raises InvalidRequestError: a value that is empty or could not be told from another once it is joined.
    """
    values = {"uv": unique_value, "src": source, "ref": reference}
    named = dict(zip(values, ("unique_value", "source", "reference"), strict=True))
    texts = {name: _value(value, named[name]) for name, value in values.items()}
    span = HOUR if valid_for is None else _seconds(valid_for)
    if span > HOUR:
        raise InvalidRequestError.of(
            "valid_for", "the service takes a link for one hour at most; sign it later"
        )
    texts["ts"] = str(math.floor(now - (HOUR - span)))
    texts["sig"] = _sign(secret, texts.values())
    parts = urlsplit(_address(link_url))
    query = "&".join(part for part in (parts.query, urlencode(texts, quote_via=quote, safe="")) if part)
    return urlunsplit(parts._replace(query=query))


def verify_return(
    returned: str | Mapping[str, object],
    *,
    secret: str,
    now: float,
    valid_for: float | timedelta = HOUR,
    names: Mapping[str, str] | None = None,
) -> WorkflowReturn:
    """
    Return what came back from a signed link, once its signature is found to be the service's.

    The signature does not cover the source, and does not say whether it was seen before: take a ``submission_id`` once.
    A ``+`` that was not escaped on its way, as in a run's id, is read as what was signed.

    :param returned: the whole address, its query, or its parameters by name.
    :param secret: the link's workflow secret.
    :param now: the time, in seconds since 1970.
    :param valid_for: seconds or a timedelta for which it is believed.
    :param names: how the workspace's redirect template calls the parameters, where that differs from
        :data:`RETURN_NAMES`, such as ``{"submission_id": "id"}``; all six are needed.
    :raises InvalidRequestError: a parameter is missing, there twice, or cannot be. Whoever knows the address can cause
        either error: catch both.
    :raises SignatureError: the signature does not fit, or is too old; nothing of it may be believed.
    """
    called = _called(names)
    try:
        # As a template leaves it that does not escape what it fills in; the signature says which reading is right.
        texts = _signed_texts(_once(returned, called, keep_plus=True), called, secret)
    except (InvalidRequestError, SignatureError):
        texts = _signed_texts(_once(returned, called), called, secret)
    age = now - int(texts["timestamp"])
    if age > _seconds(valid_for):
        raise SignatureError(
            f"The signature fits but is {_ago(age)} old; only {_ago(_seconds(valid_for))} are believed."
        )
    if age < -SKEW:
        raise SignatureError(f"The signature is from {_ago(-age)} in the future: check this machine's clock.")
    return {
        "submission_id": texts["submission_id"],
        "unique_value": texts["unique_value"],
        "reference": texts["reference"],
        "photo_count": int(texts["photo_count"]),
        "signed_at": datetime.fromtimestamp(int(texts["timestamp"]), UTC).isoformat(),
    }


def _signed_texts(found: Mapping[str, object], called: Mapping[str, str], secret: str) -> dict[str, str]:
    """
    Return what the signature covers, by meaning.

    :raises InvalidRequestError: a value cannot be.
    :raises SignatureError: the signature does not fit.
    """
    texts = {meaning: _value(found[name], name) for meaning, name in called.items() if meaning != "signature"}
    for meaning in ("photo_count", "timestamp"):
        if not _NUMBER.fullmatch(texts[meaning]):
            raise InvalidRequestError.of(called[meaning], "it must be a whole number")
    signature = _value(found[called["signature"]], called["signature"])
    expected = _sign(secret, [texts[meaning] for meaning in _SIGNED])
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise SignatureError(
            "The signature does not fit the values: somebody has changed them, or the workflow secret is another than "
            "the link's. Do not believe them."
        )
    return texts


def signature_in(url: str) -> str:
    """Return the signature in an address that :func:`build_url` has made."""
    return parse_qsl(urlsplit(url).query)[-1][1]


def _sign(secret: str, values: Iterable[str]) -> str:
    if not isinstance(secret, str) or not secret:
        raise InvalidRequestError.of("secret", "the workflow secret is missing")
    return hmac.new(secret.encode(), _SEPARATOR.join(values).encode(), "sha256").hexdigest()


def _value(value: object, name: str) -> str:
    """Return a value as text, if it stays what it is when it is joined, sent and trimmed."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidRequestError.of(name, f"give text or a whole number, not {type(value).__name__}")
    text = str(value)
    if not text.strip():
        raise InvalidRequestError.of(name, "it is empty")
    if text != text.strip():
        raise InvalidRequestError.of(name, "it begins or ends with a blank, which services cut off")
    if _SEPARATOR in text:
        raise InvalidRequestError.of(name, f"it has a {_SEPARATOR!r}, which separates the signed values")
    if any(unicodedata.category(char) in _NOT_IN_VALUES for char in text):
        raise InvalidRequestError.of(name, "it has a control character, a line break or half a character")
    return text


def _address(link_url: object) -> str:
    parts = http_url(link_url) if isinstance(link_url, str) and not re.search(r"\s", link_url) else None
    if parts is None or "@" in parts.netloc:
        raise InvalidRequestError.of("link_url", "give the permanent link's request_url")
    if set(_OUTBOUND) & {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}:
        raise InvalidRequestError.of(
            "link_url",
            f"its query has one of {', '.join(_OUTBOUND)} already; give the link's own request_url",
        )
    return str(link_url)


def _called(names: Mapping[str, str] | None) -> dict[str, str]:
    called = {**RETURN_NAMES, **(names or {})}
    unknown = sorted(set(called) - set(RETURN_NAMES))
    if unknown:
        raise InvalidRequestError.of(
            "names", f"there is no {', '.join(map(str, unknown))}; there are {', '.join(RETURN_NAMES)}"
        )
    if len(set(called.values())) < len(called):
        raise InvalidRequestError.of("names", "two parameters have the same name")
    return called


def _once(
    returned: str | Mapping[str, object], called: Mapping[str, str], *, keep_plus: bool = False
) -> dict[str, object]:
    """
    Return the parameters, each of which must be there once.

    :param returned: what came back.
    :param called: how the parameters are called.
    :param keep_plus: whether a ``+`` is one, rather than a blank; of parameters by name, a blank is a ``+`` then.
    """
    if isinstance(returned, str):
        query = _query(returned)
        query = query.replace("+", "%2B") if keep_plus else query
        pairs: list[tuple[str, object]] = list(parse_qsl(query, keep_blank_values=True))
    elif isinstance(returned, Mapping):
        pairs = [(name, value) for name, values in returned.items() for value in _each(values)]
        if keep_plus:
            pairs = [
                (name, value.replace(" ", "+") if isinstance(value, str) else value) for name, value in pairs
            ]
    else:
        raise InvalidRequestError.of(
            "returned", "give the address, its query, or a mapping of its parameters"
        )
    for name in called.values():
        times = sum(1 for found, _ in pairs if found == name)
        if times != 1:
            raise InvalidRequestError.of(name, "it is missing" if not times else f"it is there {times} times")
    return dict(pairs)


def _query(returned: str) -> str:
    """Return an address's query; of a query itself, which may have values that are not escaped, all of it."""
    if not _BEGINS_ADDRESS.match(returned) and "=" in returned.partition("?")[0]:
        return returned
    try:
        return urlsplit(returned).query
    except ValueError:
        raise InvalidRequestError.of("returned", "this is no address") from None


def _each(values: object) -> Sequence[object]:
    return values if isinstance(values, list | tuple) else [values]


def _seconds(value: float | timedelta) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        raise InvalidRequestError.of("valid_for", "give seconds or a timedelta above zero")
    return float(seconds)


def _ago(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
