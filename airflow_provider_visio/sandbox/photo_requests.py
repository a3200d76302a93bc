"""Photo requests, from created to submitted, expired, cancelled or deleted."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from . import ids
from .clock import iso
from .context import Context
from .options import Person
from .photos import Item, Photo
from .replies import fields_of

OPEN = ("pending", "in_progress")
FREE_PLAN_PHOTOS = 100


class NotPossibleError(Exception):
    """The state of an object does not allow the action. The text says why."""


@dataclass
class PhotoRequest:
    """One request and its state."""

    id: str
    unique_code: str
    numeric_code: str
    instructions: str
    created_at: float
    expires_at: float
    items: list[Item] = field(default_factory=list)
    recipient_email: str | None = None
    send_email: bool = False
    require_gps: bool = False
    allow_submitter_notes: bool = False
    internal_notes: str | None = None
    metadata: dict[str, Any] | None = None
    status: str = "pending"
    photos: list[Photo] = field(default_factory=list)
    visits: int = 0
    opened_at: float | None = None
    submitted_at: float | None = None
    notes: str | None = None
    person: Person = field(default_factory=Person)
    visit: object = None

    @property
    def is_open(self) -> bool:
        """Whether the recipient can still upload or submit."""
        return self.status in OPEN

    def missing_items(self) -> list[Item]:
        """Return the required items without a photo."""
        have = {photo.item_id for photo in self.photos}
        return [item for item in self.items if item.is_required and item.id not in have]

    def item(self, which: object) -> Item | None:
        """Return an item by its id or its zero-based position."""
        for position, item in enumerate(self.items):
            if which in (item.id, position):
                return item
        return None


class PhotoRequests:
    """All photo requests of the workspace."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._live: dict[str, PhotoRequest] = {}
        self._codes: dict[str, PhotoRequest] = {}
        self._deleted: list[PhotoRequest] = []
        self._created = 0
        self.photos_taken = 0
        self.emails: list[dict[str, Any]] = []

    def __iter__(self) -> Iterator[PhotoRequest]:
        """Iterate over the live requests, oldest first."""
        return iter(self._live.values())

    def everything(self) -> list[PhotoRequest]:
        """Return live and deleted requests, oldest first."""
        return sorted([*self._live.values(), *self._deleted], key=lambda request: request.created_at)

    def find(self, id_or_code: str) -> PhotoRequest | None:
        """Return a live request by id, link code (any case) or numeric code."""
        return self._live.get(id_or_code) or self._codes.get(id_or_code.upper())

    def new(self, instructions: str, created_at: float, hours: int, **more: Any) -> PhotoRequest:
        """Return a new request, with an id in the documentation's style or the plugin's; `add` adds it."""
        self._created += 1
        request_id = f"pr_{self._created}" if self._context.plugin_style else f"req_{ids.token(10)}"
        expires_at = created_at + hours * 3600
        return PhotoRequest(
            request_id, ids.code(), ids.digits(), instructions, created_at, expires_at, **more
        )

    def add(self, request: PhotoRequest) -> None:
        """Add a request, record its e-mail and schedule its expiry."""
        self._live[request.id] = request
        self._codes[request.unique_code] = self._codes[request.numeric_code] = request
        text = f"{request.id} was created: {self.url(request)}"
        self._record(request, request.created_at, "request_created", text)
        self._notify(
            "photo_request.created",
            request,
            request.created_at,
            recipient_email=request.recipient_email,
            request_url=self.url(request),
            expires_at=iso(request.expires_at),
        )
        if request.send_email and request.recipient_email:
            self._send_email(request)
        self._context.scheduler.at(request.expires_at, lambda moment: self._expire_if_open(request, moment))

    def url(self, request: PhotoRequest) -> str:
        """Return the URL of the recipient's page."""
        return f"{self._context.addresses.main}/p/{request.unique_code.lower()}"

    def open(self, request: PhotoRequest, moment: float) -> None:
        """Record that the recipient opens the link."""
        request.visits += 1
        if request.opened_at is not None or not request.is_open:
            return
        request.opened_at = moment
        self._record(request, moment, "link_opened", f"{request.id}: the recipient opened the link")
        self._notify("photo_request.first_viewed", request, moment)

    def upload(self, request: PhotoRequest, photo: Photo, moment: float, *, of: int | None = None) -> None:
        """Add a photo; it replaces an earlier photo of the same item."""
        self._check_open(request)
        if self._context.settings.plan == "free" and self.photos_taken >= FREE_PLAN_PHOTOS:
            raise NotPossibleError(f"The free plan's {FREE_PLAN_PHOTOS} photos are used up.")
        if photo.item_id is not None:
            for earlier in [p for p in request.photos if p.item_id == photo.item_id]:
                self.remove_photo(request, earlier)
        request.photos.append(photo)
        request.status = "in_progress"
        self.photos_taken += 1
        photo.publish(self._context.files)
        number, total = len(request.photos), of or max(len(request.items), len(request.photos))
        text = f"{request.id}: photo {number} of {total} arrived"
        self._record(request, moment, "photo_uploaded", text, photo=number, of=total)
        # In the documentation, this event is for permanent links only.
        if self._context.settings.dialect != "reference":
            self._notify("photo_submission.created", request, moment, photo)

    def remove_photo(self, request: PhotoRequest, photo: Photo) -> None:
        """Remove a photo before the request is submitted."""
        self._check_open(request)
        request.photos.remove(photo)
        photo.withdraw(self._context.files)

    def submit(self, request: PhotoRequest, moment: float) -> None:
        """Submit the request."""
        self._check_open(request)
        request.status, request.submitted_at = "submitted", moment
        count = len(request.photos)
        text = f"{request.id} was submitted with {count} photo(s)"
        self._record(request, moment, "request_submitted", text, photos=count)
        self._notify(
            "photo_request.submitted", request, moment, submissions_count=count, submitted_at=iso(moment)
        )

    def expire(self, request: PhotoRequest, moment: float) -> None:
        """Expire the request."""
        self._check_open(request)
        request.status, request.expires_at = "expired", min(request.expires_at, moment)
        self._record(request, moment, "request_expired", f"{request.id} expired")
        self._notify("photo_request.expired", request, moment)

    def cancel(self, request: PhotoRequest, moment: float) -> None:
        """Cancel the request; it can still be read."""
        self._check_open(request)
        request.status = "cancelled"
        self._record(request, moment, "request_cancelled", f"{request.id} was cancelled")

    def delete(self, request: PhotoRequest, moment: float) -> None:
        """Remove the request and its photos."""
        if self._live.pop(request.id, None) is None:
            raise NotPossibleError(f"{request.id} is already deleted.")
        for code in (request.unique_code, request.numeric_code):
            self._codes.pop(code, None)
        for photo in request.photos:
            photo.withdraw(self._context.files)
        request.status = "deleted"
        self._deleted.append(request)
        self._record(request, moment, "request_deleted", f"{request.id} was deleted")

    def _expire_if_open(self, request: PhotoRequest, moment: float) -> None:
        if request.is_open:
            self.expire(request, moment)

    def _send_email(self, request: PhotoRequest) -> None:
        self.emails.append(
            {
                "at": request.created_at,
                "to": request.recipient_email,
                "subject": "Photo request",
                "request_id": request.id,
                "request_url": self.url(request),
                "text": f"{request.instructions}\n\n{self.url(request)}",
            }
        )
        text = f"{request.id}: e-mail sent to {request.recipient_email}"
        self._record(request, request.created_at, "email_sent", text, to=request.recipient_email)

    def _notify(
        self, event: str, request: PhotoRequest, moment: float, photo: Photo | None = None, **more: object
    ) -> None:
        """Send an event; `more` are further fields of the plugin's `photo_request`."""

        def data() -> dict[str, Any]:
            of_reference = {
                **fields_of(request, "id instructions"),
                "type": "one_time",
                "photos": [one.view(self._context) for one in request.photos],
            }
            of_plugin = {"photo_request": {**fields_of(request, "id unique_code status metadata"), **more}}
            if photo is not None:
                of_plugin["submission"] = photo.summary(iso)
            return self._context.by_dialect(of_reference, of_plugin)

        self._context.notify(event, moment, data)

    def _check_open(self, request: PhotoRequest) -> None:
        if not request.is_open:
            raise NotPossibleError(f"{request.id} is {request.status}.")

    def _record(self, request: PhotoRequest, moment: float, kind: str, text: str, **more: object) -> None:
        self._context.log.record(moment, kind, request.id, text, **more)
