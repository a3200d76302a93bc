"""Reads a reply as data, or as one of the provider's errors. No I/O."""

from __future__ import annotations

import contextlib
import json
import math
import re
from dataclasses import replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from airflow_provider_visio.api.config import http_url
from airflow_provider_visio.api.error_hints import (
    AMBIGUOUS_HINT,
    hint_for,
    says_quota_used_up,
    says_unknown_route,
)
from airflow_provider_visio.exceptions import (
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    ServiceError,
    UnexpectedReplyError,
    VisioProviderError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_visio.api.call import Call, Reply
    from airflow_provider_visio.api.config import ServiceConfig

Error = TypeVar("Error", bound=VisioProviderError)

MAX_WORDS = 500
MAX_FIELDS = 10
# A reset that is further away is a header that we misread, not a limit.
MAX_RESET = 2 * 3600.0

# In data, a shorter key could match an ordinary word by chance. Error texts are always redacted.
LEAST_KEY = 16

_HOST_ADVICE = (
    "Check that the connection's Host is the API's base URL, and that no proxy answers in its place."
)

# Unpaired surrogates, which JSON can carry and UTF-8 cannot: a service may cut a text in the middle of an emoji.
_SURROGATE = re.compile("[\ud800-\udfff]")
# Plain, or escaped for a URL. The look-behind and the two apostrophes keep it linear on long runs.
_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]+(?:'[\w.+%-]+){0,2}(?:@|%40)[\w-]+(\.[\w-]+)+", re.IGNORECASE)
_URL_QUERY = re.compile(r"(https?:\\?/\\?/[^\s?\"'<>]+)\?[^\s\"'<>]+")
# The signature of a link that is not a whole URL.
_SIGNED = re.compile(r"(?<![\w-])([\w-]*(?:sig|signature|token|credential))=[^\s&\"'<>]+", re.IGNORECASE)
# The secret of a new webhook, which no connection has (plugin: the prefix).
_WEBHOOK_SECRET = re.compile(r"\bwhsec_[\w-]+")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


def read_reply(call: Call, reply: Reply, config: ServiceConfig, *, now: float) -> dict[str, Any]:
    """
    Return a reply's envelope as ``{"data": ..., "meta": {...}, "links": {...}}``.

    A body without an envelope is the data itself: neither reference shows every reply.

    :param now: Unix timestamp that ``Retry-After`` and ``X-RateLimit-Reset`` count from.
    :return: the envelope; ``meta`` and ``links`` are empty where the service leaves them out.
    :raises VisioProviderError: the typed error that the reply means.
    """
    if call.secrets:
        config = replace(config, hidden=call.secrets)
    if not 200 <= reply.status < 300:
        raise error_from(call, reply, config, now=now)
    if reply.status == 204 or (not reply.body.strip() and (call.method == "DELETE" or not call.needs_data)):
        return {"data": None, "meta": {}, "links": {}}
    body = _json(reply, config)
    if not isinstance(body, dict | list):
        raise unexpected_reply(
            call, config, f"answered {reply.status} with {_describe(reply, config)} instead of JSON", reply
        )
    if isinstance(body, list) or "data" not in body:
        return {"data": body, "meta": {}, "links": {}}
    meta, links = (body[name] if isinstance(body.get(name), dict) else {} for name in ("meta", "links"))
    return {"data": body["data"], "meta": meta, "links": links}


def unexpected_reply(
    call: Call, config: ServiceConfig, what: str, reply: Reply | None = None
) -> UnexpectedReplyError:
    """Return the error for a reply that breaks the contract; ``what`` completes "<service> ..."."""
    # A redirect or a refusal means that nothing was done, except these two, which may lead to a result.
    refused = reply is not None and 300 <= reply.status < 500 and reply.status not in {302, 303}
    return error_of_call(
        UnexpectedReplyError,
        call,
        config,
        what,
        hint=_HOST_ADVICE if call.repeatable or refused else AMBIGUOUS_HINT,
        request_id=request_id_of(reply, config),
        status=reply.status if reply else None,
        ambiguous=call.changes and not refused,
    )


def error_from(call: Call, reply: Reply, config: ServiceConfig, *, now: float) -> VisioProviderError:
    """Return the typed error that a reply other than 2xx means; its headers count from the Unix timestamp ``now``."""
    status = reply.status
    if status < 400:
        target = host_in(reply.headers.get("location", ""))
        what = f"answered {status}, a redirect{target}, which is not followed with an API key"
        return unexpected_reply(call, config, what, reply)
    if status < 500 and status not in {408, 425, 429} and _is_page(reply):
        # The API answers in JSON, so a gateway sent this page: it says nothing of the key, the right or the id.
        return unexpected_reply(call, config, f"answered {status} with {_describe(reply, config)}", reply)
    words, problems = _problem(reply, config)
    fields = {
        redact(name, config): [redact(text, config) for text in texts] for name, texts in problems.items()
    }
    used_up = says_quota_used_up(call, config, status, words, fields)
    pause = retry_after(reply.headers, now=now) if status == 429 and not used_up else None
    error = error_of_call(
        _error_class(call, status, quota_used_up=used_up),
        call,
        config,
        _refusal(reply, words, fields, config),
        hint=_limit_advice(pause) if pause is not None else hint_for(call, config, status, words, fields),
        request_id=request_id_of(reply, config),
        status=status,
        ambiguous=call.changes and (status >= 500 or status == 408),
    )
    error.service_message = redact(words, config)
    if isinstance(error, NotFoundError):
        error.unknown_route = says_unknown_route(words)
    elif isinstance(error, InvalidRequestError):
        error.fields = fields
    elif isinstance(error, RateLimitedError):
        error.retry_after = pause or 0.0
    elif isinstance(error, ServiceError):
        error.retry_after = _retry_after_header(reply.headers, now=now) or 0.0
    return error


def error_of_call(
    kind: type[Error],
    call: Call,
    config: ServiceConfig,
    what: str,
    *,
    hint: str,
    request_id: str | None = None,
    **more: Any,
) -> Error:
    """
    Return an error that says what happened, what to do, and in which call.

    :param kind: its class.
    :param what: what happened; it completes "<service> ...".
    :param hint: what to do; empty where nothing is known.
    :param more: further arguments of the class.
    """
    reference = f"request_id {request_id}, " if request_id else ""
    what = what.rstrip()
    what = _quiet(what if what.endswith((".", "!", "?")) else f"{what}.", config)
    where = f"[{call.method} {call.path}, {reference}connection {config.conn_id}]"
    parts = (f"{config.service.name} {what}", hint, where)
    error = kind(" ".join(filter(None, parts)), request_id=request_id, conn_id=config.conn_id, **more)
    error.hint, error._without_hint = hint, f"{parts[0]} {where}"  # noqa: SLF001
    return error


def is_plan_quota(call: Call, reply: Reply, config: ServiceConfig) -> bool:
    """Return whether a 429 is about the plan's quota; it then says nothing about other calls."""
    return reply.status == 429 and says_quota_used_up(call, config, reply.status, *_problem(reply, config))


def limit_used_up(call: Call, config: ServiceConfig, pause: float) -> RateLimitedError:
    """Return the error for a call that is not sent, because its turn is so many seconds away."""
    limits = " and ".join(f"{calls:,} calls in {seconds:g} s" for seconds, calls in config.limits)
    what = f"was not called: the limit of this connection ({limits}) is used up"
    return error_of_call(RateLimitedError, call, config, what, hint=_limit_advice(pause), retry_after=pause)


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """
    Return the seconds that a 429 asks to wait, or None where it does not say.

    ``Retry-After`` (seconds or a date, RFC 9110) comes first, then ``X-RateLimit-Reset`` (Unix timestamp: seed).
    A value that cannot be, such as a reset in the past or days away, is ignored.
    """
    seconds = _retry_after_header(headers, now=now)
    if seconds is not None:
        return seconds
    reset = _number(headers.get("x-ratelimit-reset", "").strip())
    if reset is not None and 0 < reset - now <= MAX_RESET:
        return reset - now
    return None


def _retry_after_header(headers: Mapping[str, str], *, now: float) -> float | None:
    value = headers.get("retry-after", "").strip()
    seconds = _number(value)
    if value and seconds is None:
        # A date outside the calendar overflows.
        with contextlib.suppress(ValueError, OverflowError):
            moment = parsedate_to_datetime(value)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
    return seconds if seconds is not None and seconds >= 0 else None


def request_id_of(reply: Reply | None, config: ServiceConfig) -> str | None:
    """Return the service's own id of a call: ``meta.request_id`` (seed), or an ``X-Request-Id`` header."""
    if reply is None:
        return None
    body = _json(reply, config)
    meta = body.get("meta") if isinstance(body, dict) else None
    request_id = meta.get("request_id") if isinstance(meta, dict) else None
    request_id = request_id or reply.headers.get("x-request-id")
    return _quiet(str(request_id), config)[:100] if request_id else None


def host_in(url: str) -> str:
    """Return " to <host>" for a URL, without its user, path and query, which may be secret."""
    parts = http_url(url)
    if parts is None:
        return ""
    return f" to {parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"


def _error_class(call: Call, status: int, *, quota_used_up: bool) -> type[VisioProviderError]:
    if status >= 500 or status in {408, 425}:
        return ServiceError
    if quota_used_up or status in {402, 403}:
        return PermissionDeniedError
    # Laravel answers 405 for a path that it has for other methods: /photo-requests/batch looks like an id.
    if status in {404, 410} or (status == 405 and call.known_to != "both"):
        return NotFoundError
    return {401: AuthenticationError, 429: RateLimitedError}.get(status, InvalidRequestError)


def _limit_advice(pause: float) -> str:
    return (
        f"It accepts calls again in about {math.ceil(pause)} s. "
        "The connection's rate_limit_wait sets how long a call may wait for that."
    )


def _refusal(reply: Reply, words: str, fields: Mapping[str, list[str]], config: ServiceConfig) -> str:
    text = redact(words, config)
    what = f"answered {reply.status}" + (f": {text}" if text else f" with {_describe(reply, config)}")
    for name, problems in list(fields.items())[:MAX_FIELDS]:
        what = f"{what.rstrip('. ')}. {name}: {_cut(' '.join(problems))}"
    if len(fields) > MAX_FIELDS:
        what = f"{what.rstrip('. ')}. {len(fields) - MAX_FIELDS} more fields are wrong"
    return what


def _problem(reply: Reply, config: ServiceConfig) -> tuple[str, dict[str, list[str]]]:
    """Return the message and the problems by field, from both error shapes of the Visiono reference."""
    body = _json(reply, config)
    if not isinstance(body, dict):
        return "", {}
    error = body.get("error")
    if isinstance(error, dict):
        message, fields = error.get("message") or error.get("code"), error.get("details")
    else:
        message, fields = body.get("message") or error, body.get("errors")
    return _text(message), _fields(fields)


def _fields(errors: Any) -> dict[str, list[str]]:
    if not isinstance(errors, dict):
        return {}
    return {
        str(name): [_text(problem) for problem in (problems if isinstance(problems, list) else [problems])]
        for name, problems in errors.items()
    }


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return " ".join(text.split())


def redact(text: str, config: ServiceConfig) -> str:
    """Return a text of the service without secrets, cut to what an error may show."""
    # Cut twice, so that the search for secrets is short and no secret is cut in two before it is found.
    return _cut(_quiet(text[: 4 * MAX_WORDS], config))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_WORDS else f"{text[:MAX_WORDS]}..."


def _quiet(text: str, config: ServiceConfig) -> str:
    """Take out the secrets of a connection, the signatures of links and people's addresses."""
    text = text.encode(errors="replace").decode()  # a header, too, may hold half of a surrogate pair
    for secret in sorted(config.secrets, key=len, reverse=True):
        for form in _forms(secret):
            text = text.replace(form, "***")
    text = _WEBHOOK_SECRET.sub("***", text)
    return _EMAIL.sub("<address>", _SIGNED.sub(r"\1=...", _URL_QUERY.sub(r"\1?...", text)))


@lru_cache(maxsize=16)
def _forms(key: str) -> tuple[str, ...]:
    """Return a key in plain form, as escaped for a URL, and as escaped for JSON."""
    return (key, quote(key), quote(key, safe=""), json.dumps(key)[1:-1])


def _describe(reply: Reply, config: ServiceConfig) -> str:
    body = reply.body.strip()
    if not body:
        return "an empty body"
    text = body[:4096].decode("utf-8", "replace")
    if _is_page(reply):
        title = _TITLE.search(text)
        named = _quiet(" ".join(title.group(1).split()), config)[:80] if title else ""
        return f'an HTML page titled "{named}"' if named else "an HTML page"
    if text[:1] in {"{", "["}:
        return (
            "JSON without a message" if _json(reply, config) is not None else "JSON that is cut off or broken"
        )
    return f"{len(body)} bytes that are not JSON"


def _is_page(reply: Reply) -> bool:
    body = reply.body.removeprefix(b"\xef\xbb\xbf").strip()
    is_html = "html" in reply.headers.get("content-type", "").lower()
    return body.startswith(b"<") or (is_html and body != b"" and not body.startswith((b"{", b"[")))


def _json(reply: Reply, config: ServiceConfig) -> Any:
    secrets = tuple(secret for secret in config.secrets if len(secret) >= LEAST_KEY)
    try:
        return _clean(json.loads(reply.body), secrets)
    except (ValueError, RecursionError):
        return None


def _clean(value: Any, secrets: tuple[str, ...]) -> Any:
    """Return a value of a reply without our secrets and without text that UTF-8 cannot carry."""
    if isinstance(value, str):
        if not value.isascii():
            value = _SURROGATE.sub("\ufffd", value)
        for secret in secrets:
            value = value.replace(secret, "***")
        return value
    if isinstance(value, list):
        return [_clean(part, secrets) for part in value]
    if isinstance(value, dict):
        return {_clean(name, secrets): _clean(part, secrets) for name, part in value.items()}
    return value


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
