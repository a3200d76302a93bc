"""Vizdom's replies: the envelope, and the one error shape of its reference."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse

from .context import Context
from .replies import ErrorReply

_ERRORS = {
    400: ("bad_request", ""),
    401: ("unauthorized", "The API key is missing or invalid."),
    403: ("forbidden", ""),
    404: ("not_found", ""),
    405: ("method_not_allowed", ""),
    429: ("rate_limited", "Too many requests. Back off and try again."),
    500: ("internal_error", "Something went wrong on our side."),
}


def reply(context: Context, data: object, status: int = 200, **meta: object) -> JSONResponse:
    """Reply `{"data": ..., "meta": {...}}`; an empty `meta` on single resources is assumed."""
    body: dict[str, Any] = {"data": data}
    if context.settings.meta:
        body["meta"] = meta
    return JSONResponse(body, status)


def not_found(kind: str, wanted: str) -> ErrorReply:
    """Return a 404 as the reference shows it for a dashboard."""
    return error(404, "not_found", f"{kind} with ID '{wanted}' does not exist.")


class VizdomConventions:
    """How Vizdom reads keys, and its error replies; only the code `not_found` is documented, the rest is assumed."""

    name = "vizdom"

    def key(self, headers: Mapping[str, str]) -> str | None:
        """Read the key, sent as a bearer token."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else None

    def error(self, status: int, text: str = "", headers: Mapping[str, str] | None = None) -> ErrorReply:
        """Return an error reply."""
        code, message = _ERRORS[status]
        return error(status, code, text or message, headers)

    def no_such_route(self, path: str) -> ErrorReply:
        """Return a 404 for a path."""
        return self.error(404, f"No route matches '{path}'.")

    def wrong_method(self, method: str, path: str, allowed: Sequence[str]) -> ErrorReply:
        """Return a 405 (the reference does not list the status)."""
        return self.error(405, f"{method} is not supported for '{path}'.", {"Allow": ", ".join(allowed)})

    def invalid(self, problems: Sequence[Any]) -> ErrorReply:
        """Return a 400 for a missing field and a 422 for a bad value, as the reference's status table says."""
        first = next((problem for problem in problems if problem["type"] == "missing"), problems[0])
        field = ".".join(str(part) for part in first["loc"][1:]) or "body"
        if first["type"] == "missing":
            return error(400, "bad_request", f"Field '{field}' is required.")
        if first["type"] == "extra_forbidden":
            return error(422, "validation_failed", f"Field '{field}' is not known.")
        return error(422, "validation_failed", f"Field '{field}': {first['msg']}.")


def error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> ErrorReply:
    """Return an error in the reference's shape."""
    return ErrorReply(status, {"error": {"code": code, "message": message}}, headers)
