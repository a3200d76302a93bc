"""A ZIP archive that is written while it is sent, so that it needs neither memory nor disk for the whole."""

from __future__ import annotations

import io
import zipfile
from typing import IO, TYPE_CHECKING

from airflow_provider_visio import clock
from airflow_provider_visio.gallery.problem import GalleryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CHUNK = 2**20
MISSING = "missing-files.txt"


class _Sink(io.RawIOBase):
    """Takes what the archive writes, until it is sent. It cannot seek, as a reply cannot."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: object) -> int:
        """Keep some bytes."""
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        """Return all bytes since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def zip_of(files: Iterable[tuple[str, Callable[[], IO[bytes]]]]) -> Iterator[bytes]:
    """
    Yield the parts of a ZIP archive.

    :param files: the name of each file, and a function that opens it. One that raises GalleryError is named in a text
        file at the end.
    """
    import pendulum

    sink, missing = _Sink(), list[str]()
    moment = pendulum.from_timestamp(clock.now()).timetuple()[:6]
    # Photos and exports are compressed as they are.
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, opener in files:
            try:
                source = opener()
            except GalleryError as error:
                missing.append(f"{name}: {error}\n")
                continue
            with source, archive.open(zipfile.ZipInfo(name, moment), "w", force_zip64=True) as member:
                while chunk := source.read(CHUNK):
                    member.write(chunk)
                    yield sink.take()
        if missing:
            archive.writestr(zipfile.ZipInfo(MISSING, moment), "".join(missing))
    yield sink.take()
