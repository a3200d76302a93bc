"""What the two services have in common for the gate: how they take keys and how they say no."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from starlette.responses import JSONResponse


class ErrorReply(Exception):  # noqa: N818  it is a reply, not a fault of ours
    """A reply other than success, ready to be sent."""

    def __init__(self, status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = dict(headers or {})

    def response(self, *, flat: bool = False) -> JSONResponse:
        """As a response; flat: `{message, errors}` instead of `{"error": {code, message, details}}`."""
        body, error = self.body, self.body.get("error")
        if flat and error is not None:
            body = {"message": error["message"]} | (
                {"errors": error["details"]} if "details" in error else {}
            )
        return JSONResponse(body, self.status, headers=self.headers)


class Conventions(Protocol):
    """One service's manners."""

    name: str

    def key(self, headers: Mapping[str, str]) -> str | None:
        """Return the API key in a call's headers."""

    def unauthenticated(self) -> ErrorReply:
        """401."""

    def forbidden(self, text: str) -> ErrorReply:
        """403."""

    def no_such_route(self, path: str) -> ErrorReply:
        """404 for a path that the service does not have."""

    def wrong_method(self, method: str, path: str, allowed: Sequence[str]) -> ErrorReply:
        """405."""

    def bad_request(self, text: str) -> ErrorReply:
        """400."""

    def invalid(self, problems: Sequence[Any]) -> ErrorReply:
        """400 or 422 for pydantic's error list."""

    def too_many(self, headers: Mapping[str, str]) -> ErrorReply:
        """429."""

    def broken(self, text: str | None) -> ErrorReply:
        """500, with a text when there is something useful to say."""
