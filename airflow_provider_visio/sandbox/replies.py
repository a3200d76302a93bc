"""What the replies of both services have in common."""

from collections.abc import Mapping
from typing import Any

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


def fields_of(record: object, names: str) -> dict[str, Any]:
    """Return attributes of a record under their own names, given as one text with blanks between them."""
    return {name: getattr(record, name) for name in names.split()}
