"""Make JPEG pictures of photos for a browser, within bounds. Pillow is optional: extra ``[gallery]``."""

from __future__ import annotations

import importlib.util
import io
import logging
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.gallery.problem import GalleryError
from airflow_provider_visio.storage.media_types import HEAD_BYTES, media_type_of

if TYPE_CHECKING:
    from types import ModuleType

    from PIL.Image import Image

log = logging.getLogger(__name__)

# Bytes of a file that is read for a picture.
LARGEST_PHOTO = 40 * 2**20
# The longest side in pixels.
SIDES = {"thumbnail": 480, "large": 1600}
# Pixels of a photo that is decoded whole: three or four bytes each. A baseline JPEG can be decoded at an eighth.
MOST_PIXELS = 50_000_000
MOST_PIXELS_SCALED = 120_000_000

# Raster types that every browser shows.
_SHOWN_AS_THEY_ARE = {"image/jpeg", "image/png", "image/gif", "image/webp", "image/avif"}
_DECODED = {*_SHOWN_AS_THEY_ARE, "image/tiff", "image/x-adobe-dng", "image/bmp"}
_HEIF = {"image/heic", "image/heif"}
# No format of Pillow's that is more than pixels, such as EPS.
_FORMATS = ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "HEIF"]
_END_OF_JPEG = b"\xff\xd9"

_NEEDS_EXTRA = (
    "This kind of photo is shown only if airflow-provider-visio[gallery] is installed in the API server. "
    "The original can be downloaded."
)


def problem_with(mime_type: str | None) -> str | None:
    """Return why a type of file has no picture, None if it may have one, or "" for a file that is not a picture."""
    if mime_type in _SHOWN_AS_THEY_ARE:
        return None
    if mime_type in _DECODED:
        return None if _pillow() else _NEEDS_EXTRA
    if mime_type in _HEIF:
        return None if _pillow() and _has("pillow_heif") else _NEEDS_EXTRA
    if (mime_type or "").startswith("image/"):
        return f"{mime_type} cannot be shown here. The original can be downloaded."
    return ""


def picture_of(data: bytes, size: str) -> tuple[bytes, str]:
    """
    Return a picture of a photo, and its media type: always a raster type that browsers show.

    :param data: the photo's bytes.
    :param size: a key of ``SIDES``.
    :raises GalleryError: the bytes are not a photo, or one that is too large.
    """
    pillow = _pillow()
    if pillow is not None:
        return _encoded(pillow, data, SIDES[size]), "image/jpeg"
    found = media_type_of(data[:HEAD_BYTES], None)
    if found not in _SHOWN_AS_THEY_ARE:
        raise GalleryError(problem_with(found) or "The file is not a photo that can be shown.", 415)
    return data, found


def _encoded(pillow: ModuleType, data: bytes, side: int) -> bytes:
    if data.startswith(b"\xff\xd8") and not data.endswith(_END_OF_JPEG):
        data += _END_OF_JPEG  # of a photo that was cut off, show what there is
    try:
        with pillow.open(
            io.BytesIO(data), formats=[name for name in _FORMATS if name in pillow.OPEN]
        ) as image:
            _check_pixels(image)
            # A JPEG is decoded at half, a quarter or an eighth of its size where that is enough.
            scale = 1.25 * side / max(image.size)
            image.draft(None, (int(image.width * scale), int(image.height * scale)))
            image.thumbnail((side, side))
            out = io.BytesIO()
            flat = _upright(_flat(pillow, image))
            flat.save(out, "JPEG", quality=82, icc_profile=image.info.get("icc_profile"))
            return out.getvalue()
    except GalleryError:
        raise
    except pillow.DecompressionBombError:
        raise _too_many_pixels(MOST_PIXELS_SCALED) from None
    except pillow.UnidentifiedImageError:
        raise GalleryError("The file is not a photo that can be shown.", 415) from None
    except Exception as error:
        log.info("A photo cannot be decoded: %s: %s", type(error).__name__, error)
        raise GalleryError("The photo cannot be decoded. The original can be downloaded.", 415) from error


def _check_pixels(image: Image) -> None:
    # libjpeg holds a progressive photo in memory at its full size.
    scales = image.format in {"JPEG", "MPO"} and not image.info.get("progressive")
    most = MOST_PIXELS_SCALED if scales else MOST_PIXELS
    if image.width * image.height > most:
        raise _too_many_pixels(most, image.width * image.height)


def _too_many_pixels(most: int, pixels: int | None = None) -> GalleryError:
    has = f"{pixels // 1_000_000} megapixels" if pixels else "too many pixels"
    text = f"The photo has {has}; the gallery shows at most {most // 1_000_000} megapixels of its kind."
    return GalleryError(f"{text} The original can be downloaded.", 413)


def _flat(pillow: Any, image: Image) -> Image:
    """Return a picture without transparency, on white."""
    if image.mode not in {"RGBA", "LA", "PA"} and "transparency" not in image.info:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    ground: Image = pillow.new("RGB", layer.size, "white")
    ground.paste(layer, mask=layer)
    ground.info.update({name: image.info[name] for name in ("exif",) if name in image.info})
    return ground


def _upright(image: Image) -> Image:
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except Exception as error:  # noqa: BLE001 - whatever a phone wrote as EXIF, the photo is shown
        log.debug("The orientation of a photo cannot be read: %s", error)
        return image


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


@cache
def _pillow() -> ModuleType | None:
    """Return Pillow's module, which then reads HEIC too where pillow-heif is installed; or None."""
    if not _has("PIL"):
        return None
    from PIL import Image

    Image.init()
    if _has("pillow_heif"):
        import pillow_heif  # type: ignore[import-not-found, import-untyped, unused-ignore]

        pillow_heif.register_heif_opener()
    return Image
