"""Workflow mode of permanent links: signed addresses open the link, and visitors return to a signed address.

Names and signatures are those of the vendor's plugin; placeholders in the return address are the documentation's.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import quote, urlencode

from pydantic import BeforeValidator, Field

from .options import ControlBody

Problem = Literal["missing", "invalid", "expired"]

_INBOUND = ("uv", "src", "ref", "ts", "sig")
# The placeholders of the documentation's template, and the plugin's parameter of the same value.
_PLACEHOLDERS = {
    "submission_id": "sub",
    "unique_value": "uv",
    "reference": "ref",
    "photo_count": "cnt",
    "timestamp": "ts",
    "signature": "sig",
}
_PLACEHOLDER = re.compile("{(" + "|".join(_PLACEHOLDERS) + ")}")


@dataclass(frozen=True)
class Origin:
    """What a signed address says about its visitor."""

    unique_value: str | None = None
    source: str | None = None
    reference: str | None = None


def _or_new(secret: object) -> object:
    return secrets.token_hex(32) if secret is None else secret


class Workflow(ControlBody):
    """Workflow mode of one link; a generated secret has 64 characters."""

    secret: Annotated[str, BeforeValidator(_or_new), Field(min_length=1)] = Field(
        default=None, validate_default=True
    )
    return_url: str | None = None
    valid_seconds: float = Field(default=3600.0, gt=0, le=1e9)

    def problem(self, query: Mapping[str, str], now: float) -> Problem | None:
        """Return what is wrong with an address; that a future one counts as expired is assumed."""
        if not all(query.get(name) for name in _INBOUND):
            return "missing"
        signed = [query[name] for name in ("uv", "src", "ref", "ts")]
        if not hmac.compare_digest(self._sign(signed).encode(), query["sig"].encode()):
            return "invalid"
        if not re.fullmatch("[0-9]{1,12}", query["ts"]):
            return "invalid"
        return "expired" if abs(now - int(query["ts"])) > self.valid_seconds else None

    def return_address(self, submission_id: str, origin: Origin, photos: int, now: float) -> str | None:
        """Return the signed address that the visitor is sent to, if set."""
        if self.return_url is None:
            return None
        values = {
            "sub": submission_id,
            "uv": origin.unique_value or "",
            "ref": origin.reference or "",
            "cnt": str(photos),
            "ts": str(int(now)),
        }
        values["sig"] = self._sign(list(values.values()))
        if _PLACEHOLDER.search(self.return_url):
            return _PLACEHOLDER.sub(
                lambda found: quote(values[_PLACEHOLDERS[found[1]]], safe=""), self.return_url
            )
        return f"{self.return_url}{'&' if '?' in self.return_url else '?'}{urlencode(values)}"

    def _sign(self, values: list[str]) -> str:
        return hmac.new(self.secret.encode(), "|".join(values).encode(), hashlib.sha256).hexdigest()
