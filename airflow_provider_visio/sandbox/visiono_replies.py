"""Visiono's replies: the envelope, and both error shapes of its reference."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

from . import ids
from .context import Context
from .replies import ErrorReply

_VALIDATION_MESSAGES = {
    "missing": "The {field} field is required.",
    "extra_forbidden": "The {field} field is prohibited.",
    "string_type": "The {field} field must be a string.",
    "string_pattern_mismatch": "The {field} field format is invalid.",
    "string_too_long": "The {field} field must not be greater than {max_length} characters.",
    "bool_type": "The {field} field must be true or false.",
    "int_type": "The {field} field must be an integer.",
    "int_from_float": "The {field} field must be an integer.",
    "list_type": "The {field} field must be an array.",
    "too_long": "The {field} field must not have more than {max_length} items.",
    "too_short": "The {field} field must have at least {min_length} items.",
    "dict_type": "The {field} field must be an object.",
    "literal_error": "The selected {field} is invalid.",
    "model_type": "The {field} field must be an object.",
    "model_attributes_type": "The {field} field must be an object.",
    "greater_than_equal": "The {field} field must be at least {ge}.",
    "less_than_equal": "The {field} field must not be greater than {le}.",
}
_DEFAULT_MESSAGES = {401: "Unauthenticated.", 429: "Too Many Attempts.", 500: "Server Error"}


def reply(
    context: Context,
    data: object,
    status: int = 200,
    *,
    meta: Mapping[str, Any] | None = None,
    **beside: object,
) -> JSONResponse:
    """Reply `{"data": ..., "meta": {"request_id": ...}}`, with more in `meta` and beside it where given."""
    body: dict[str, Any] = {"data": data, **beside}
    always = {"request_id": f"req_{ids.token(12)}"} if context.settings.meta else {}
    if meta or always:
        body["meta"] = {**(meta or {}), **always}
    return JSONResponse(body, status)


def deleted(context: Context, resource_id: str) -> Response:
    """Return the reply to a DELETE: 204 without a body, or as the settings say (assumed)."""
    if context.settings.delete_reply == "body":
        return reply(context, {"id": resource_id, "deleted": True})
    return Response(status_code=204)


def qr_code_address(context: Context, unique_code: str) -> JSONResponse:
    """Return the address of a link's QR code (plugin)."""
    return reply(context, {"qrcode_url": f"{context.addresses.main}/qr/{unique_code}.png"})


def validation_error(details: Mapping[str, Sequence[str]]) -> ErrorReply:
    """Return a 422 in the reference's "Error Format"."""
    error = {"code": "validation_error", "message": "The given data was invalid.", "details": details}
    return ErrorReply(422, {"error": error})


def free_plan_error(fields: Sequence[str]) -> ErrorReply:
    """Return a 422 in the flat shape that the reference shows for the free plan."""
    texts = [f"The {_words(name)} field is prohibited." for name in fields]
    more = "" if len(texts) == 1 else f" (and {len(texts) - 1} more error)"
    upgrade = "E-mail sending is not available on the free plan. Please upgrade your plan."
    return ErrorReply(422, {"message": texts[0] + more, "errors": {name: [upgrade] for name in fields}})


def not_found(what: str) -> ErrorReply:
    """Return a 404 for a record (body assumed: Laravel's shape)."""
    return ErrorReply(404, {"message": f"{what} not found."})


class VisionoConventions:
    """How Visiono reads keys, and its error replies."""

    name = "visiono"

    def key(self, headers: Mapping[str, str]) -> str | None:
        """Read the key from X-API-Key."""
        return headers.get("x-api-key")

    def error(self, status: int, text: str = "", headers: Mapping[str, str] | None = None) -> ErrorReply:
        """Return an error reply; a 400 in the reference's error format, the others as Laravel's (assumed)."""
        message = text or _DEFAULT_MESSAGES[status]
        body = (
            {"error": {"code": "bad_request", "message": message}} if status == 400 else {"message": message}
        )
        return ErrorReply(status, body, headers)

    def no_such_route(self, path: str) -> ErrorReply:
        """Return a 404 for a path."""
        return self.error(404, f"The route {path.lstrip('/')} could not be found.")

    def wrong_method(self, method: str, path: str, allowed: Sequence[str]) -> ErrorReply:
        """Return a 405 (assumed: Laravel's; the reference does not list the status)."""
        names, route = ", ".join(allowed), path.lstrip("/")
        text = f"The {method} method is not supported for route {route}. Supported methods: {names}."
        return self.error(405, text, {"Allow": names})

    def invalid(self, problems: Sequence[Any]) -> ErrorReply:
        """Return a 422 with a list of sentences for each field."""
        details: dict[str, list[str]] = {}
        for problem in problems:
            path = ".".join(str(part) for part in problem["loc"][1:]) or "body"
            details.setdefault(path, []).append(_sentence(problem, path))
        return validation_error(details)


def _sentence(problem: Mapping[str, Any], path: str) -> str:
    context = problem.get("ctx", {})
    if problem["type"] == "value_error":
        return str(context["error"]).format(field=_words(path))
    if problem["type"] == "string_too_short":
        return _VALIDATION_MESSAGES["missing"].format(field=_words(path))
    text = _VALIDATION_MESSAGES.get(problem["type"], "The {field} field is invalid.")
    return text.format(field=_words(path), **context)


def _words(name: str) -> str:
    return name.replace("_", " ")
