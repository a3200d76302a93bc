"""Vizdom's replies: the envelope, and the one error shape of its reference."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse

from .context import Context
from .replies import ErrorReply


def reply(context: Context, data: object, status: int = 200, **meta: object) -> JSONResponse:
    """Reply `{"data": ..., "meta": {...}}`; an empty `meta` on single resources is assumed."""
    body: dict[str, Any] = {"data": data}
    if context.settings.meta:
        body["meta"] = meta
    return JSONResponse(body, status)


def not_found(kind: str, wanted: str) -> ErrorReply:
    """404 as the reference shows it for a dashboard."""
    return error(404, "not_found", f"{kind} with ID '{wanted}' does not exist.")


class VizdomConventions:
    """How Vizdom reads keys, and its error replies. Only the code `not_found` is documented, the others are assumed."""

    name = "vizdom"

    def key(self, headers: Mapping[str, str]) -> str | None:
        """Read the key, sent as a bearer token."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else None

    def unauthenticated(self) -> ErrorReply:
        """401."""
        return error(401, "unauthorized", "The API key is missing or invalid.")

    def forbidden(self, text: str) -> ErrorReply:
        """403."""
        return error(403, "forbidden", text)

    def no_such_route(self, path: str) -> ErrorReply:
        """404."""
        return error(404, "not_found", f"No route matches '{path}'.")

    def wrong_method(self, method: str, path: str, allowed: Sequence[str]) -> ErrorReply:
        """405 (the reference does not list the status)."""
        refusal = error(405, "method_not_allowed", f"{method} is not supported for '{path}'.")
        refusal.headers["Allow"] = ", ".join(allowed)
        return refusal

    def bad_request(self, text: str) -> ErrorReply:
        """400."""
        return error(400, "bad_request", text)

    def invalid(self, problems: Sequence[Any]) -> ErrorReply:
        """Answer 400 for a missing field and 422 for a bad value, by the letter of the reference's status table."""
        first = next((problem for problem in problems if problem["type"] == "missing"), problems[0])
        field = ".".join(str(part) for part in first["loc"][1:]) or "body"
        if first["type"] == "missing":
            return error(400, "bad_request", f"Field '{field}' is required.")
        if first["type"] == "extra_forbidden":
            return error(422, "validation_failed", f"Field '{field}' is not known.")
        return error(422, "validation_failed", f"Field '{field}': {first['msg']}.")

    def too_many(self, headers: Mapping[str, str]) -> ErrorReply:
        """429."""
        refusal = error(429, "rate_limited", "Too many requests. Back off and try again.")
        refusal.headers.update(headers)
        return refusal

    def broken(self, text: str | None) -> ErrorReply:
        """500."""
        return error(500, "internal_error", text or "Something went wrong on our side.")


def error(status: int, code: str, message: str) -> ErrorReply:
    """Refuse in the one shape of the reference."""
    return ErrorReply(status, {"error": {"code": code, "message": message}})
