"""Files on the storage origin; drawn ones are made when first asked for, and made again the same."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Protocol

CHUNK = 64 * 1024


class File(Protocol):
    """Something the storage origin can serve."""

    media_type: str

    def size(self) -> int:
        """Length in bytes."""

    def chunks(self) -> Iterator[bytes]:
        """Return the content, piece by piece."""

    def etag(self) -> str:
        """Return a value that changes with the content."""


class LazyFile:
    """A file whose bytes come from a function, which should cache what is dear to make."""

    def __init__(self, media_type: str, make: Callable[[], bytes]) -> None:
        self.media_type = media_type
        self._make = make
        self._size: int | None = None

    def size(self) -> int:
        """Length in bytes."""
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


def file_of_bytes(media_type: str, content: bytes) -> LazyFile:
    """Return a file that came from outside and is stored as it is."""
    return LazyFile(media_type, lambda: content)


class PaddedJpeg:
    """A JPEG grown to a wanted size with comment segments, never held in memory as a whole."""

    _PAYLOAD = 65_533

    def __init__(self, make: Callable[[], bytes], size: int) -> None:
        self.media_type = "image/jpeg"
        self._make = make
        self._wanted = size

    def size(self) -> int:
        """Return the wanted length, or the picture's own when that is more."""
        return len(self._make()) + sum(4 + length for length in self._padding())

    def chunks(self) -> Iterator[bytes]:
        """Yield the picture's head with its EXIF, the padding, the rest of the picture."""
        picture = self._make()
        head = _end_of_head(picture)
        yield picture[:head]
        for number, length in enumerate(self._padding()):
            mark = number.to_bytes(4, "big")
            # Differs from segment to segment, so that lost or swapped pieces change the checksum.
            body = (mark * (length // 4 + 1))[:length]
            yield b"\xff\xfe" + (length + 2).to_bytes(2, "big") + body
        for start in range(head, len(picture), CHUNK):
            yield picture[start : start + CHUNK]

    def etag(self) -> str:
        """From the length only: the content follows from it."""
        return hashlib.md5(f"padded {self.size()}".encode(), usedforsecurity=False).hexdigest() + "-2"

    def _padding(self) -> Iterator[int]:
        missing = self._wanted - len(self._make())
        while missing > 4:
            length = min(self._PAYLOAD, missing - 4)
            yield length
            missing -= length + 4


def _end_of_head(jpeg: bytes) -> int:
    """Find where the application segments end: readers want EXIF before anything else."""
    position = 2
    while jpeg[position] == 0xFF and 0xE0 <= jpeg[position + 1] <= 0xEF:
        position += 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
    return position
