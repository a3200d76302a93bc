"""
The list of photo requests that have arrived: filtered by status, and read only as far as it has changed. No I/O.

No page says how the list is filtered, counted or ordered (facts: unknown), so each reply teaches, and knowledge lapses.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.api.one_time_queries import LIST_PAGE, NO_LIST, next_page
from airflow_provider_visio.api.pages import Pages
from airflow_provider_visio.api.visiono import list_photo_requests
from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.waiting import normalize_status

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from airflow_provider_visio.api.call import Call
    from airflow_provider_visio.api.one_time_queries import Envelope, StatusQuery

Item = dict[str, Any]

log = logging.getLogger(__name__)

# Seconds after which a list that does not filter is tried again, and one that was refused.
FORGET = 6 * 3600.0
FORGET_REFUSAL = 600.0


@dataclass
class ListBehavior:
    """
    How the list behaves, as far as that is known; times are Unix timestamps.

    :param refused_at: when the service, or the key's scope, refused it.
    :param filters: whether it can be filtered by status; None where that is not known.
    :param since: False where it cannot be filtered by the time of creation.
    :param totals: whether ``meta.total`` counts the filtered items; None where that is not known.
    :param words: the status words seen of requests whose photos are in.
    :param unfiltered_at: when it was found not to filter.
    """

    refused_at: float | None = None
    filters: bool | None = None
    since: bool | None = None
    totals: bool | None = None
    words: tuple[str, ...] = ()
    unfiltered_at: float = 0.0

    @property
    def word(self) -> str:
        """The status word to filter by: the first one seen, else the documented one (docs, plugin)."""
        return self.words[0] if self.words else "submitted"

    @property
    def may_filter(self) -> bool:
        """Whether to ask for a filtered list: it may serve, as far as is known."""
        return self.refused_at is None and self.filters is not False

    def saw_arrived_as(self, word: str, now: float) -> None:
        """Note the status word of a request that has arrived."""
        if word in self.words:
            return
        if word != self.word:
            self.filters = self.totals = None
        self.words = (*self.words, word)
        if len(self.words) > 1:
            self.ignore(now)  # no single filter lets all of them through

    def forget(self, now: float) -> None:
        """Let knowledge lapse, because services change."""
        if self.refused_at is not None and not 0 <= now - self.refused_at < FORGET_REFUSAL:
            self.refused_at = None
        if self.filters is False and len(self.words) < 2 and not 0 <= now - self.unfiltered_at < FORGET:
            self.filters = self.since = self.totals = None

    def ignore(self, now: float) -> None:
        """Note that the list cannot be filtered by status."""
        self.filters, self.unfiltered_at = False, now

    def refuse(self, error: Exception, now: float) -> None:
        """Note that the list was refused."""
        log.warning("Photo requests cannot be listed: %s", error)
        self.refused_at = now


class ArrivedList:
    """
    The list of requests that have arrived, looked at again and again.

    One page whose total has not changed says that there is nothing new.

    :param lists: how the service's list behaves.
    :param take: called with each item of the filtered list.
    :param take_unfiltered: called with the items of a page that turns out not to be filtered.
    """

    def __init__(
        self,
        lists: ListBehavior,
        take: Callable[[Item], object],
        take_unfiltered: Callable[[list[Item]], object],
    ) -> None:
        self._lists = lists
        self._take_item = take
        self._take_unfiltered = take_unfiltered
        #: The ids that the list has shown.
        self.shown: set[str] = set()
        self._filter: tuple[Any, ...] = ()
        # Its total, and the page to look at next (from 0).
        self._total: int | None = None
        self._turn = 0
        self._page_size = LIST_PAGE

    def look(
        self,
        since: float | None,
        now: float,
        *,
        most_pages: float,
        rest: Callable[[], StatusQuery],
    ) -> Generator[Call, Envelope, bool]:
        """
        Look once, and return whether the list can be used.

        :param since: only requests that were created after this Unix timestamp; None for all.
        :param now: Unix timestamp.
        :param most_pages: how many pages to read at most.
        :param rest: asks for the requests that pages beyond those may show.
        """
        if self._filter != (self._lists.word, since):
            self._filter, self.shown, self._total, self._turn = (self._lists.word, since), set(), None, 0
        pages = Pages(
            list_photo_requests(status=self._lists.word, created_after=iso_time(since), page_size=LIST_PAGE)
        )
        assert pages.next is not None  # noqa: S101  for mypy
        try:
            envelope = yield (pages.next.with_params(page=self._turn + 1) if self._turn else pages.next)
        except NO_LIST as error:
            if self._turn:
                self._turn = 0  # the list has become shorter
            elif not isinstance(error, InvalidRequestError):
                self._lists.refuse(error, now)
                return False
            elif since is None:
                self._lists.ignore(now)
                return False
            else:
                self._lists.since, since = False, None
            return (yield from self.look(since, now, most_pages=most_pages, rest=rest))
        items = pages.take(envelope)
        if not isinstance(envelope["data"], list) or not self._is_filtered(items, now):
            return False
        self._lists.filters = True
        total = total_of(envelope)
        quiet = self._lists.totals is not False and self._total is not None and total == self._total
        if self._turn and not quiet:
            self._turn = 0  # there is news, and another page than the first does not show all of it
            return (yield from self.look(since, now, most_pages=most_pages, rest=rest))
        if self._turn:
            self._take(items)
        elif not (yield from self._read_on(pages, items, total, now, most_pages, rest)):
            return False
        # While nothing moves, each page is looked at in turn: a deletion and an arrival leave the total as it is.
        many = -(-(self._total or 0) // self._page_size) if quiet and pages.numbered else 0
        self._turn = (self._turn + 1) % many if many else 0
        return True

    def _is_filtered(self, items: list[Item], now: float) -> bool:
        if all(normalize_status(item.get("status")) == normalize_status(self._lists.word) for item in items):
            return True
        self._lists.ignore(now)
        self._take_unfiltered(items)
        return False

    def _read_on(
        self,
        pages: Pages,
        items: list[Item],
        total: int | None,
        now: float,
        most_pages: float,
        rest: Callable[[], StatusQuery],
    ) -> Generator[Call, Envelope, bool]:
        """Read the list on from its first page until all news is found; False where it does not filter."""
        if pages.next is not None and items:
            self._page_size = len(items)
        if total is None or (total != len(items) if pages.next is None else total <= len(items)):
            self._lists.totals = False  # not there, or it counts something else
        elif self._lists.totals is None:
            self._lists.totals = True
        new: int | None = None
        if self._lists.totals and total is not None and self._total is not None and total >= self._total:
            new = total - self._total
        self._total = None  # until all was read: a look that breaks off has not found everything
        count, fresh = len(items), self._take(items)
        while pages.next is not None and pages.asked < most_pages and (new is None or fresh < new):
            items = pages.take((yield from next_page(pages)))
            if not self._is_filtered(items, now):
                return False
            count, fresh = count + len(items), fresh + self._take(items)
        to_the_end = pages.next is None and pages.whole
        if to_the_end and total is not None and abs(total - count) > pages.asked:
            self._lists.totals = False  # a larger difference than what may have come and gone meanwhile
        if (new is None or fresh < new) and not to_the_end:
            yield from rest()
        self._total = total
        return True

    def _take(self, items: list[Item]) -> int:
        """Take the items of a page, and return how many are new."""
        fresh = 0
        for item in items:
            request_id = str(item.get("id"))
            fresh += request_id not in self.shown
            self.shown.add(request_id)
            self._take_item(item)
        return fresh


def iso_time(moment: float | None) -> str | None:
    """Return a Unix timestamp as the service's lists take it."""
    return None if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def total_of(envelope: Envelope) -> int | None:
    """Return how many items a list has by its ``meta.total``, or None where it does not say."""
    total = envelope["meta"].get("total")
    return total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None
