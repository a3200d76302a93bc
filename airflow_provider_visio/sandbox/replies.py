"""What the replies of both services have in common."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

from . import ids


class ErrorReply(Exception):  # noqa: N818  a reply of the service, not an error of the sandbox
    """A reply with an error status. Code that refuses a call raises it."""

    def __init__(self, status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = dict(headers or {})

    def response(self, *, flat: bool = False) -> JSONResponse:
        """Return the response; flat: `{message, errors}` instead of `{"error": {code, message, details}}`."""
        body, error = self.body, self.body.get("error")
        if flat and error is not None:
            body = {"message": error["message"]} | (
                {"errors": error["details"]} if "details" in error else {}
            )
        return JSONResponse(body, self.status, headers=self.headers)


def storage_error(code: str, message: str) -> str:
    """Return an error document of S3."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{ids.token(16).upper()}</RequestId></Error>"
    )


def fields_of(record: object, names: str) -> dict[str, Any]:
    """Return attributes of a record by their names, which are separated by blanks."""
    return {name: getattr(record, name) for name in names.split()}
