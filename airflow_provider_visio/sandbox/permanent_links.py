"""Permanent links (smart links in the plugin): each takes any number of submissions."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from . import ids
from .context import Context
from .photos import Item, Photo
from .replies import fields_of
from .workflow_mode import Origin, Workflow


@dataclass
class Submission:
    """What one visitor submitted through a link."""

    id: str
    submitted_at: float
    photos: list[Photo]
    unique_field_value: str | None = None
    full_name: str | None = None
    external_source: str | None = None
    external_reference: str | None = None


@dataclass
class Draft:
    """Photos uploaded through a link and not submitted yet, with the origin that a signed address names."""

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
        self._created = 0
        self.photos_taken = 0
        # By link id and the token of the visitor's page.
        self.drafts: dict[tuple[str, str], Draft] = {}
        # A former slug still opens its link (docs: the help page).
        self._former: dict[str, Link] = {}

    def __iter__(self) -> Iterator[Link]:
        """Iterate over the live links, oldest first."""
        return iter(self._live.values())

    def new_id(self) -> str:
        """Return the next id, in the plugin's style; the documentation shows none."""
        self._created += 1
        return f"sl_{self._created}" if self._context.plugin_style else f"sl_{ids.token(10)}"

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
        """Add a link."""
        self._live[link.id] = link
        text = f"{link.id} was created: {self.url(link)}"
        self._context.log.record(link.created_at, "link_created", link.id, text)

    def rename(self, link: Link, slug: str | None) -> None:
        """Change the slug; the former one still opens the link."""
        if link.custom_slug:
            self._former[link.custom_slug] = link
        link.custom_slug = slug

    def url(self, link: Link) -> str:
        """Return the URL of the link's page."""
        return f"{self._context.addresses.main}/p/{link.custom_slug or link.unique_code.lower()}"

    def submit(self, link: Link, submission: Submission, moment: float) -> str | None:
        """Add a submission, and return the URL that workflow mode sends the visitor to, if any."""
        link.submissions.append(submission)
        self.photos_taken += len(submission.photos)
        for photo in submission.photos:
            photo.publish(self._context.files)
        count = len(submission.photos)
        more = {"submission": submission.id, "photos": count}
        text = f"{link.id}: submission {submission.id} with {count} photo(s)"
        self._context.log.record(moment, "link_submitted", link.id, text, **more)
        self._context.notify(
            "photo_submission.created",
            moment,
            # The documentation shows a request only; that a link has the same shape is assumed.
            lambda: self._context.by_dialect(
                {
                    **fields_of(link, "id instructions"),
                    "type": "permanent_link",
                    "photos": [photo.view(self._context) for photo in submission.photos],
                },
                {
                    "permanent_link_submission": fields_of(
                        submission, "id unique_field_value external_source external_reference"
                    )
                },
            ),
        )
        if link.workflow is None:
            return None
        origin = Origin(
            submission.unique_field_value, submission.external_source, submission.external_reference
        )
        return link.workflow.return_address(submission.id, origin, count, moment)

    def delete(self, link: Link, moment: float) -> None:
        """Remove the link and its photos."""
        self._live.pop(link.id, None)
        self._former = {slug: other for slug, other in self._former.items() if other is not link}
        for photo in link.photos:
            photo.withdraw(self._context.files)
        self._context.log.record(moment, "link_deleted", link.id, f"{link.id} was deleted")
