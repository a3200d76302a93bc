"""Signed links: whoever has one may fetch one file until it expires; no key is asked for."""

import hashlib
import hmac
import secrets


class Signer:
    """Makes and checks the signatures in storage links."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def query(self, path: str, expires: float) -> str:
        """Return the query string that opens `path` until `expires`."""
        moment = str(int(expires))
        return f"expires={moment}&signature={self._sign(path, moment)}"

    def matches(self, path: str, expires: str, signature: str) -> bool:
        """Whether the signature is ours for this path and expiry."""
        return hmac.compare_digest(self._sign(path, expires).encode(), signature.encode())

    def _sign(self, path: str, expires: str) -> str:
        return hmac.new(self._secret, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()
