"""Records of photos, with their files on the storage origin."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import ids, photo_jpeg, picture_kinds
from .context import Context
from .picture_kinds import Kind
from .stored_files import File, PaddedJpeg


@dataclass
class Item:
    """One item: a picture that is requested."""

    id: str
    instructions: str
    is_required: bool = True


@dataclass
class Photo:
    """One photo of a submission."""

    id: str
    item_id: str | None
    instructions: str
    taken_at: float
    gps: tuple[float, float] | None
    file: File
    thumbnail: File
    kind: str

    @property
    def path(self) -> str:
        """Path on the storage origin."""
        return f"/photos/{self.id}.{picture_kinds.suffix_of(self.file.media_type)}"

    @property
    def thumbnail_path(self) -> str:
        """Path of the thumbnail on the storage origin."""
        return f"/thumbnails/{self.id}.jpg"

    def publish(self, files: dict[str, File]) -> None:
        """Add its files to the storage origin."""
        files[self.path], files[self.thumbnail_path] = self.file, self.thumbnail

    def withdraw(self, files: dict[str, File]) -> None:
        """Remove its files from the storage origin."""
        files.pop(self.path, None)
        files.pop(self.thumbnail_path, None)

    def view(self, context: Context) -> dict[str, Any]:
        """Return it with a signed link, as the documentation shows a photo in a webhook."""
        metadata: dict[str, Any] = {"captured_at": context.format_time(self.taken_at)}
        if self.gps:
            metadata |= {"gps_lat": self.gps[0], "gps_lng": self.gps[1]}
        return {
            "id": self.id,
            "url": context.link(self.path, context.settings.photo_link_seconds),
            "slot_instructions": self.instructions,
            "metadata": metadata,
        }

    def summary(self, format_time: Callable[[float], str]) -> dict[str, Any]:
        """Return the fields of a `submission` in the vendor's plugin, without links."""
        location = {"gps_latitude": self.gps[0], "gps_longitude": self.gps[1]} if self.gps else {}
        return {
            "id": self.id,
            "item_id": self.item_id,
            "file_size_kb": max(1, round(self.file.size() / 1024)),
            "mime_type": self.file.media_type,
            "has_gps_data": self.gps is not None,
            **location,
            "submitted_at": format_time(self.taken_at),
        }


def generated_photo(
    context: Context,
    item: Item | None,
    request_text: str,
    taken_at: float,
    *,
    subject: str,
    gps: tuple[float, float] | None,
    kind: Kind,
    size: int | None = None,
) -> Photo:
    """Return a generated photo; its file is drawn when somebody reads it.

    :param request_text: instructions of the request as a whole.
    :param subject: id of the request or submission that it belongs to.
    :param size: length of the file in bytes; a plain JPEG is padded to it, whatever the kind.
    """
    seed, instructions = random.getrandbits(32), item.instructions if item else request_text

    def jpeg() -> bytes:
        return photo_jpeg.photo(instructions, request_text, int(taken_at), gps, subject=subject, seed=seed)

    if size:
        kind = picture_kinds.kind_of("plain", 0)
        file: File = PaddedJpeg(jpeg, size)
    else:
        file = File(kind.media_type, lambda: picture_kinds.picture(kind, jpeg()))
    small = File("image/jpeg", lambda: photo_jpeg.thumbnail(jpeg()))
    item_id = item.id if item else None
    return Photo(_new_id(context), item_id, instructions, taken_at, gps, file, small, kind.name)


def uploaded_photo(
    context: Context, item: Item | None, request_text: str, content: bytes, gps: tuple[float, float] | None
) -> Photo | None:
    """Return an uploaded photo with its bytes unchanged, or None where they are not a picture."""
    media_type = picture_kinds.picture_type(content)
    if media_type is None:
        return None
    file = File(media_type, lambda: content)
    small = File("image/jpeg", lambda: photo_jpeg.thumbnail(content))
    item_id, instructions = (item.id, item.instructions) if item else (None, request_text)
    return Photo(_new_id(context), item_id, instructions, context.clock.now(), gps, file, small, "uploaded")


def _new_id(context: Context) -> str:
    # `photo_xyz789` in the vendor's documentation, `ps_...` in its plugin.
    return ("ps_" if context.plugin_style else "photo_") + ids.token(10)
