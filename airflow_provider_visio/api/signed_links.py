"""
Visiono's workflow mode: links that only a signature opens, and the redirects that come back from them. No I/O.

A permanent link in workflow mode is opened with ``uv`` (the unique value), ``src`` (the source), ``ref`` (the
reference), ``ts`` (a Unix timestamp) and ``sig``. It leads back to the workspace's own address, which is signed too.
Both signatures are hex HMAC-SHA256 with the workflow secret over values joined by ``|`` (plugin), before the values are
escaped for the URL (inferred). The service's own page could be read in part only.
"""

from __future__ import annotations

import hmac
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from airflow_provider_visio.api.config import http_url
from airflow_provider_visio.exceptions import InvalidRequestError, SignatureError

# Seconds for which the service accepts a signed link (plugin), and for which a return is accepted (assumed).
HOUR = 3600.0
# Seconds by which the service's clock may be ahead of ours.
SKEW = 60.0

_SEPARATOR = "|"
_OUTBOUND = ("uv", "src", "ref", "ts", "sig")
# The names of the return's parameters (plugin); a workspace can choose other names (docs).
RETURN_NAMES = {
    "submission_id": "sub",
    "unique_value": "uv",
    "reference": "ref",
    "photo_count": "cnt",
    "timestamp": "ts",
    "signature": "sig",
}
_SIGNED = ("submission_id", "unique_value", "reference", "photo_count", "timestamp")
# Control characters, unpaired surrogates, separators of lines and paragraphs.
_NOT_IN_VALUES = {"Cc", "Cs", "Zl", "Zp"}
_NUMBER = re.compile(r"[0-9]{1,11}")


class WorkflowReturn(TypedDict):
    """The verified values of a return; ``signed_at`` is ISO 8601 in UTC."""

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
    Return a permanent link's URL, signed for one person.

    :param link_url: the link's own ``request_url``; its query is kept.
    :param secret: the link's workflow secret.
    :param unique_value: the value of the link's unique field, such as a licence plate.
    :param source: where the person comes from, such as the DAG's id.
    :param reference: your own id of the case; it comes back.
    :param now: Unix timestamp.
    :param valid_for: seconds or a timedelta for which the link opens; None for an hour, which is the most. The service
        counts an hour from the link's ``ts`` (plugin), so ``ts`` is set back for less.
    :raises InvalidRequestError: a value is empty, or has a character that the signature cannot carry.
    """
    texts = {
        "uv": _value(unique_value, "unique_value"),
        "src": _value(source, "source"),
        "ref": _value(reference, "reference"),
    }
    span = HOUR if valid_for is None else _seconds(valid_for)
    if span > HOUR:
        raise InvalidRequestError.of(
            "valid_for", "the service accepts a link for one hour at most; sign it later"
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
    Return the values that came back from a signed link, after verifying their signature.

    The signature does not cover the source, and does not show a replay: accept each ``submission_id`` once. A blank is
    also read as a ``+``, because a template may not escape the ``+`` of a run's id.

    :param returned: the whole URL, its query, or its parameters by name.
    :param secret: the link's workflow secret.
    :param now: Unix timestamp.
    :param valid_for: seconds or a timedelta for which the return is accepted.
    :param names: the parameters' names in the workspace's redirect template, where they differ from
        ``RETURN_NAMES``, such as ``{"submission_id": "id"}``. All six parameters are needed.
    :raises InvalidRequestError: a parameter is missing, is there twice, or has an impossible value. Anybody who knows
        the address can cause either error: catch both.
    :raises SignatureError: the signature does not fit, or is too old. Do not use the values.
    """
    called = _called(names)
    values = _parameters(returned, called)
    plus = {name: text.replace(" ", "+") if isinstance(text, str) else text for name, text in values.items()}
    try:
        texts = _signed_texts(plus, called, secret)
    except (InvalidRequestError, SignatureError):
        texts = _signed_texts(values, called, secret)
    age = now - int(texts["timestamp"])
    if age > _seconds(valid_for):
        raise SignatureError(
            f"The signature fits but is {_ago(age)} old; the limit is {_ago(_seconds(valid_for))}."
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


def _signed_texts(values: Mapping[str, object], called: Mapping[str, str], secret: str) -> dict[str, str]:
    """Return the verified values by meaning."""
    texts = {
        meaning: _value(values[name], name) for meaning, name in called.items() if meaning != "signature"
    }
    for meaning in ("photo_count", "timestamp"):
        if not _NUMBER.fullmatch(texts[meaning]):
            raise InvalidRequestError.of(called[meaning], "it must be a whole number")
    signature = _value(values[called["signature"]], called["signature"])
    expected = _sign(secret, [texts[meaning] for meaning in _SIGNED])
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise SignatureError(
            "The signature does not fit the values: somebody changed them, or the workflow secret is not the link's. "
            "Do not use the values."
        )
    return texts


def signature_in(url: str) -> str:
    """Return the signature in a URL of :func:`build_url`."""
    return parse_qsl(urlsplit(url).query)[-1][1]


def _sign(secret: str, values: Iterable[str]) -> str:
    if not isinstance(secret, str) or not secret:
        raise InvalidRequestError.of("secret", "the workflow secret is missing")
    return hmac.new(secret.encode(), _SEPARATOR.join(values).encode(), "sha256").hexdigest()


def _value(value: object, name: str) -> str:
    """Return a value as text, if it can be joined, sent and trimmed without a change."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidRequestError.of(name, f"give text or a whole number, not {type(value).__name__}")
    text = str(value)
    if not text.strip():
        raise InvalidRequestError.of(name, "it is empty")
    if text != text.strip():
        raise InvalidRequestError.of(name, "it begins or ends with a blank, which services trim")
    if _SEPARATOR in text:
        raise InvalidRequestError.of(name, f"it has a {_SEPARATOR!r}, which separates the signed values")
    if any(unicodedata.category(char) in _NOT_IN_VALUES for char in text):
        raise InvalidRequestError.of(
            name, "it has a control character, a line break or an unpaired surrogate"
        )
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
            "names", f"{', '.join(map(str, unknown))} is unknown; the names are {', '.join(RETURN_NAMES)}"
        )
    if len(set(called.values())) < len(called):
        raise InvalidRequestError.of("names", "two parameters have the same name")
    return called


def _parameters(returned: str | Mapping[str, object], called: Mapping[str, str]) -> dict[str, object]:
    """Return the parameters of a return, each of which must be there once."""
    found: Mapping[str, Any]
    if isinstance(returned, str):
        try:
            parts = urlsplit(returned)
        except ValueError:
            raise InvalidRequestError.of("returned", "it is not a URL") from None
        found = parse_qs(parts.query or parts.path, keep_blank_values=True)
    elif isinstance(returned, Mapping):
        found = {
            name: value if isinstance(value, list | tuple) else [value] for name, value in returned.items()
        }
    else:
        raise InvalidRequestError.of("returned", "give the URL, its query, or a mapping of its parameters")
    for name in called.values():
        times = len(found.get(name, ()))
        if times != 1:
            raise InvalidRequestError.of(name, f"it is there {times} times" if times else "it is missing")
    return {name: found[name][0] for name in called.values()}


def _seconds(value: float | timedelta) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        raise InvalidRequestError.of("valid_for", "give seconds or a timedelta above zero")
    return float(seconds)


def _ago(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
