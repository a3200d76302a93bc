"""Simulated recipients: each visits the link of one request, on the virtual clock."""

import random

from .context import Context
from .options import Person
from .photo_requests import NotPossibleError, PhotoRequest, PhotoRequests
from .photos import Photo, generated_photo
from .picture_kinds import kind_of


class Visit:
    """A person's visit to a request; a later visit to the same request replaces it."""

    def __init__(
        self, context: Context, requests: PhotoRequests, request: PhotoRequest, person: Person
    ) -> None:
        self._context = context
        self._requests = requests
        self._request = request
        self._person = person
        self._place = random_place()
        request.person, request.visit = person, self

    def begin(self, moment: float) -> None:
        """Schedule the first step; each step schedules the next."""
        if self._person.behaviour in ("submit", "partial", "expire"):
            self._context.scheduler.at(moment + self._person.open_after, self._open)

    def _open(self, moment: float) -> None:
        if not self._is_current():
            return
        if self._person.behaviour == "expire":
            self._requests.expire(self._request, moment)
            return
        self._requests.open(self._request, moment)
        self._next(moment)

    def _next(self, moment: float) -> None:
        if len(self._request.photos) < self._photos() - (self._person.behaviour == "partial"):
            self._context.scheduler.at(moment + self._person.photo_every, self._photograph)
        elif self._person.behaviour == "submit":
            if self._request.allow_submitter_notes:
                self._request.notes = self._person.notes
            self._requests.submit(self._request, moment)

    def _photograph(self, moment: float) -> None:
        if not self._is_current():
            return
        gps = self._place if self._person.gps or self._request.require_gps else None
        try:
            photo = next_photo(self._context, self._request, moment, gps=gps)
            self._requests.upload(self._request, photo, moment, of=self._photos())
        except NotPossibleError as problem:
            self._context.log.record(moment, "upload_refused", self._request.id, str(problem))
            return
        self._next(moment)

    def _is_current(self) -> bool:
        return self._request.visit is self and self._request.is_open

    def _photos(self) -> int:
        return wanted_photos(self._request, self._person)


def wanted_photos(request: PhotoRequest, person: Person) -> int:
    """Return the number of photos that a person sends: as set, else one for each item, else three."""
    return person.photos if person.photos is not None else len(request.items) or 3


def next_photo(
    context: Context,
    request: PhotoRequest,
    moment: float,
    *,
    gps: tuple[float, float] | None,
    item_id: str | None = None,
    size: int | None = None,
) -> Photo:
    """Return a generated photo for the given item, else the first without one, else for the whole request."""
    have = {photo.item_id for photo in request.photos}
    free = (item for item in request.items if item.id not in have)
    item = request.item(item_id) if item_id is not None else next(free, None)
    kind = kind_of(request.person.pictures, request.items.index(item) if item else len(request.photos))
    text, subject = request.instructions, request.id
    return generated_photo(context, item, text, moment, subject=subject, gps=gps, kind=kind, size=size)


def random_place() -> tuple[float, float]:
    """Return a random latitude and longitude near Trento."""
    return round(46.0679 + random.uniform(-0.03, 0.03), 6), round(11.1211 + random.uniform(-0.04, 0.04), 6)
