"""Permanent links (the plugin calls them smart links): one link, any number of submissions."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from . import ids
from .context import Context
from .photo_requests import Item
from .photos import Photo
from .workflow_mode import Origin, Workflow


@dataclass
class Submission:
    """What one visitor left under a link."""

    id: str
    submitted_at: float
    photos: list[Photo]
    unique_field_value: str | None = None
    full_name: str | None = None
    external_source: str | None = None
    external_reference: str | None = None


@dataclass
class Draft:
    """What somebody has sent under a link so far, and where a signed address says they come from."""

    photos: list[Photo] = field(default_factory=list)
    origin: Origin | None = None


@dataclass
class Link:
    """One permanent link."""

    id: str
    unique_code: str
    instructions: str
    created_at: float
    items: list[Item]
    custom_slug: str | None = None
    unique_field_label: str | None = None
    show_full_name_field: bool = False
    full_name_required: bool = False
    require_gps: bool = False
    tags: list[str] = field(default_factory=list)
    is_active: bool = True
    submissions: list[Submission] = field(default_factory=list)
    workflow: Workflow | None = None

    @property
    def photos(self) -> list[Photo]:
        """The photos of all submissions."""
        return [photo for submission in self.submissions for photo in submission.photos]


class Links:
    """All permanent links of the workspace."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._live: dict[str, Link] = {}
        self._made = 0
        self.photos_taken = 0
        # By link and the token of the page that they are sent from.
        self.drafts: dict[tuple[str, str], Draft] = {}
        # Old slugs keep leading to their link, as the help page says.
        self._former: dict[str, Link] = {}

    def __iter__(self) -> Iterator[Link]:
        """Live links, oldest first."""
        return iter(self._live.values())

    def new_id(self) -> str:
        """Return the next id; only the plugin shows one."""
        self._made += 1
        return f"sl_{self._made}" if self._context.plugin_style else f"sl_{ids.token(10)}"

    def get(self, link_id: str) -> Link | None:
        """Return a link by its id or code."""
        found = self._live.get(link_id)
        if found is None:
            found = next((link for link in self if link.unique_code == link_id.upper()), None)
        return found

    def by_address(self, slug_or_code: str) -> Link | None:
        """Return a link by the last part of its address, former slugs included."""
        wanted = slug_or_code.lower()
        for link in self:
            if wanted in (link.custom_slug, link.unique_code.lower()):
                return link
        return self._former.get(wanted)

    def slug_taken(self, slug: str, by_other_than: Link | None = None) -> bool:
        """Whether another live link uses the slug."""
        return any(link.custom_slug == slug for link in self if link is not by_other_than)

    def add(self, link: Link) -> None:
        """Take a new link in."""
        self._live[link.id] = link
        text = f"{link.id} was made: {self.url(link)}"
        self._context.event_log.record(link.created_at, "link_created", link.id, text)

    def rename(self, link: Link, slug: str | None) -> None:
        """Give the link another slug; the old one still leads here."""
        if link.custom_slug:
            self._former[link.custom_slug] = link
        link.custom_slug = slug

    def url(self, link: Link) -> str:
        """Return the address that people open."""
        return f"{self._context.addresses.main}/p/{link.custom_slug or link.unique_code.lower()}"

    def submit(self, link: Link, submission: Submission, moment: float) -> str | None:
        """Take in what a visitor has left; returns where a link in workflow mode sends them."""
        link.submissions.append(submission)
        self.photos_taken += len(submission.photos)
        for photo in submission.photos:
            photo.publish(self._context.files)
        count = len(submission.photos)
        text = f"{link.id}: submission {submission.id} with {count} photo(s)"
        self._context.event_log.record(
            moment, "link_submitted", link.id, text, submission=submission.id, photos=count
        )
        self._context.notify(
            "photo_submission.created",
            moment,
            lambda: {
                "permanent_link_submission": {
                    "id": submission.id,
                    "unique_field_value": submission.unique_field_value,
                    "external_source": submission.external_source,
                    "external_reference": submission.external_reference,
                }
            },
        )
        if link.workflow is None:
            return None
        origin = Origin(
            submission.unique_field_value, submission.external_source, submission.external_reference
        )
        return link.workflow.return_address(submission.id, origin, count, moment)

    def archive(self, link: Link) -> None:
        """Switch the link off; it can still be read."""
        link.is_active = False

    def delete(self, link: Link, moment: float) -> None:
        """Remove the link and its photos."""
        self._live.pop(link.id, None)
        self._former = {slug: other for slug, other in self._former.items() if other is not link}
        for photo in link.photos:
            photo.withdraw(self._context.files)
        self._context.event_log.record(moment, "link_deleted", link.id, f"{link.id} was deleted")
