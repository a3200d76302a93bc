"""The page as data for its template: what is on it, in which words."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from airflow_provider_visio import __version__
from airflow_provider_visio.gallery.pictures import problem_with
from airflow_provider_visio.gallery.problem import GalleryError
from airflow_provider_visio.gallery.stored_manifests import ManifestEntry, OpenJob

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment

    from airflow_provider_visio.gallery.task_output import FailedFile, OutputFile, StoredJob, TaskAddress

PER_PAGE = 60
# Manifests that are read at the same time: a page can have sixty.
_READERS = 8
_CHECKS = {"ok": "looks whole", "damaged": "looks damaged", "unknown": "not checked"}


@dataclass(frozen=True)
class Tile:
    """A file on the page: with a picture, or with a note in its place."""

    entry: ManifestEntry
    #: The part of an address that finds the file.
    query: str
    #: Why there is no picture; None if there is one, "" for a file that is not a picture.
    note: str | None

    @property
    def title(self) -> str:
        """What it shows, or else its name."""
        return self.entry.item or self.entry.name

    @property
    def check(self) -> str:
        """What the check of the file has found, in words."""
        words = _CHECKS.get(self.entry.check, _CHECKS["unknown"])
        return f"{words}: {self.entry.check_note}" if self.entry.check_note else words

    @property
    def kind(self) -> str:
        """The kind of file in a few letters."""
        return self.entry.name.rpartition(".")[2].upper()[:5]

    @property
    def moment(self) -> str:
        """When the photo was taken, or else submitted."""
        entry = self.entry
        if entry.taken_at:
            return moment_text(entry.taken_at)
        return f"submitted {moment_text(entry.submitted_at)}" if entry.submitted_at else ""

    @property
    def place(self) -> str:
        """Where the photo was taken: latitude and longitude, as maps take them."""
        gps = self.entry.gps if isinstance(self.entry.gps, dict) else {}
        numbers = [gps.get(name) for name in ("latitude", "longitude")]
        return ", ".join(f"{number:.5f}" for number in numbers if isinstance(number, int | float))


@dataclass
class Section:
    """A job on the page."""

    job: StoredJob
    number: int
    service: str = ""
    problem: str = ""
    #: Those of an item stand together.
    tiles: list[Tile] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    failed: list[FailedFile] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """A page of what a task stored."""

    sections: list[Section]
    number: int
    count: int
    files: int

    @property
    def of_photos(self) -> bool:
        """Whether it shows photos, and not exports."""
        return all(section.service != "Vizdom" for section in self.sections)

    @property
    def bytes(self) -> int:
        """The length of all files on the page."""
        return sum(tile.entry.bytes for section in self.sections for tile in section.tiles)


def read_page(jobs: Sequence[StoredJob], number: int) -> Page:
    """
    Return a page, whose manifests are read.

    :param jobs: what the task stored.
    :param number: the page's number, from 1.
    :raises GalleryError: there is no such page.
    """
    entries: list[tuple[int, int, OutputFile | FailedFile]] = []
    for at, job in enumerate(jobs):
        entries += [(at, index, file) for index, file in enumerate(job.files)]
        entries += [(at, -1, file) for file in job.failed]
    count = max(1, -(-len(entries) // PER_PAGE))
    if not 1 <= number <= count:
        raise GalleryError(f"There is no page {number}: the task's files are on {count}.")
    shown = entries[(number - 1) * PER_PAGE : number * PER_PAGE]
    sections = {at: Section(jobs[at], at) for at, _, _ in shown}
    with ThreadPoolExecutor(_READERS) as pool:
        opened = dict(zip(sections, pool.map(_opened, sections.values()), strict=True))
    for at, index, file in shown:
        section, stored = sections[at], opened[at]
        if index < 0:
            section.failed.append(file)  # type: ignore[arg-type]
        elif stored is not None:
            _add(section, stored, index, file)  # type: ignore[arg-type]
    for section in sections.values():
        first = {tile.entry.item: at for at, tile in reversed(list(enumerate(section.tiles)))}
        section.tiles.sort(key=lambda tile: first[tile.entry.item])
    return Page(list(sections.values()), number, count, sum(len(job.files) for job in jobs))


def _opened(section: Section) -> OpenJob | None:
    if not section.job.files:
        return None
    try:
        job = OpenJob(section.job)
    except GalleryError as error:
        section.problem = str(error)
        return None
    section.service = job.service
    return job


def _add(section: Section, job: OpenJob, index: int, file: OutputFile) -> None:
    try:
        entry = job.entry(file)
    except GalleryError as error:
        section.missing.append(str(error))
        return
    # The digest lets a browser keep a picture, and refuses one of a manifest that has changed.
    query = urlencode({"manifest": section.number, "file": index, "sha256": entry.sha256[:16]})
    section.tiles.append(Tile(entry, query, problem_with(entry.mime_type)))


def render(template: str, **values: Any) -> str:
    """Return a page of HTML."""
    return _templates().get_template(template).render(version=__version__, **values)


def render_page(page: Page, task: TaskAddress) -> str:
    """Return the page of a task as HTML."""
    return render("page.html", page=page, task=task, query=task.query)


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["size"] = size_text
    return environment


def size_text(size: int) -> str:
    """Return a number of bytes as text, such as ``2.1 MB``."""
    if size < 1000:
        return f"{size} B"
    number, unit = (size / 1000, "kB") if size < 999_500 else (size / 1_000_000, "MB")
    if number >= 1000:
        number, unit = number / 1000, "GB"
    return f"{number:.1f} {unit}" if number < 10 else f"{number:.0f} {unit}"


def moment_text(text: str) -> str:
    """Return a time of the service as text, such as ``30 Nov 2026, 15:49``, with its zone where it has one."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return re.sub(r"\s+", " ", text)[:40]
    zone = moment.strftime(" %Z") if moment.tzinfo else ""
    return f"{moment.day} {moment:%b %Y, %H:%M}{zone}"
