"""The one error of the gallery."""

from __future__ import annotations


class GalleryError(Exception):
    """
    Something cannot be shown.

    :param text: a sentence for the person who looks.
    :param status: the HTTP status of the reply.
    """

    def __init__(self, text: str, status: int = 404) -> None:
        super().__init__(text)
        self.status = status
