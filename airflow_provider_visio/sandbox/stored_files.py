"""Files on the storage origin, and the signatures of their URLs."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator

CHUNK = 64 * 1024


class Signer:
    """Makes and checks the signatures in storage links."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        # A dictionary keeps their order.
        self.given_out: dict[str, None] = {}
        # Signatures that a fault has expired before their time.
        self.expired: set[str] = set()

    def query(self, path: str, expires: float) -> str:
        """Return the query string that opens `path` until `expires`."""
        moment = str(int(expires))
        signature = self._sign(path, moment)
        self.given_out[signature] = None
        return f"expires={moment}&signature={signature}"

    def matches(self, path: str, expires: str, signature: str) -> bool:
        """Whether the signature is ours for this path and expiry."""
        return hmac.compare_digest(self._sign(path, expires).encode(), signature.encode())

    def _sign(self, path: str, expires: str) -> str:
        return hmac.new(self._secret, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()


class File:
    """A file whose bytes come from a function, which caches them where they are expensive."""

    def __init__(self, media_type: str, make: Callable[[], bytes]) -> None:
        self.media_type = media_type
        self._make = make
        self._size: int | None = None

    def size(self) -> int:
        """Return the length in bytes."""
        if self._size is None:
            self._size = len(self._make())
        return self._size

    def chunks(self) -> Iterator[bytes]:
        """Return the content, piece by piece."""
        content = self._make()
        for start in range(0, len(content), CHUNK):
            yield content[start : start + CHUNK]

    def etag(self) -> str:
        """Return the content's MD5, as S3 has it for small objects."""
        return hashlib.md5(self._make(), usedforsecurity=False).hexdigest()


class PaddedJpeg(File):
    """A JPEG padded to a size with comment segments; the padding is never in memory as a whole."""

    _PAYLOAD = 65_533

    def __init__(self, make: Callable[[], bytes], size: int) -> None:
        super().__init__("image/jpeg", make)
        self._wanted = size

    def size(self) -> int:
        """Return the wanted length, or the picture's own where it is larger."""
        return len(self._make()) + sum(4 + length for length in self._padding())

    def chunks(self) -> Iterator[bytes]:
        """Yield the head of the picture with its EXIF, the padding, and the rest of the picture."""
        picture = self._make()
        head = end_of_head(picture)
        yield picture[:head]
        for number, length in enumerate(self._padding()):
            mark = number.to_bytes(4, "big")
            # Each segment differs, so that lost or swapped pieces change a checksum.
            body = (mark * (length // 4 + 1))[:length]
            yield b"\xff\xfe" + (length + 2).to_bytes(2, "big") + body
        for start in range(head, len(picture), CHUNK):
            yield picture[start : start + CHUNK]

    def etag(self) -> str:
        """Return a value made from the length, which determines the content."""
        return hashlib.md5(f"padded {self.size()}".encode(), usedforsecurity=False).hexdigest() + "-2"

    def _padding(self) -> Iterator[int]:
        missing = self._wanted - len(self._make())
        while missing > 4:
            length = min(self._PAYLOAD, missing - 4)
            yield length
            missing -= length + 4


def end_of_head(jpeg: bytes) -> int:
    """Return where the application segments end; readers expect EXIF before other segments."""
    position = 2
    while jpeg[position] == 0xFF and 0xE0 <= jpeg[position + 1] <= 0xEF:
        position += 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
    return position
