"""Signed links: whoever has one may fetch one file until it expires; no key is asked for."""

import hashlib
import hmac
import secrets


class Signer:
    """Makes and checks the signatures in storage links."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._given_out: dict[str, None] = {}

    @property
    def given_out(self) -> list[str]:
        """All signatures that links were given out with."""
        return list(self._given_out)

    def query(self, path: str, expires: float) -> str:
        """Return the query string that opens `path` until `expires`."""
        moment = str(int(expires))
        signature = self._sign(path, moment)
        self._given_out[signature] = None
        return f"expires={moment}&signature={signature}"

    def matches(self, path: str, expires: str, signature: str) -> bool:
        """Whether the signature is ours for this path and expiry."""
        return hmac.compare_digest(self._sign(path, expires).encode(), signature.encode())

    def _sign(self, path: str, expires: str) -> str:
        return hmac.new(self._secret, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()
