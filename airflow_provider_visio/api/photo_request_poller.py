"""
Polls many waiting photo requests in as few calls as possible. No I/O.

A sweep is a generator, as in :mod:`.one_time_queries`. With thousands of waits the usual answer is "nothing new".
Where the list can be filtered by status, one page whose total has not changed gives that answer. A
slow walk finds the rest (deleted, cancelled, of another workspace): it reads one page of the whole list every ten
minutes. A list that does not filter is read whole, and an id that the list does not show is asked for by itself.
A few ids are always asked for singly, because a single reply also shows a deletion.

No page says how the list is filtered, counted or ordered (facts: unknown), so each reply teaches, and knowledge lapses.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.api.one_time_queries import (
    GONE,
    LIST_PAGE,
    NO_LIST,
    next_page,
    query_one,
    state_of,
)
from airflow_provider_visio.api.pages import Pages
from airflow_provider_visio.api.visiono import list_photo_requests
from airflow_provider_visio.clock import epoch
from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.waiting import normalize_status, photo_request_phase

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Mapping

    from airflow_provider_visio.api.call import Call
    from airflow_provider_visio.api.one_time_queries import Envelope, Learn, State, StatusQuery

log = logging.getLogger(__name__)

# Up to so many ids are asked for one by one; more are first looked up in the list.
FEW = 3
WALK_EVERY = 600.0
# An id that no list shows is asked for by itself: so seldom, and by a poll so many in a sweep at most.
SINGLY_EVERY = 600.0
MOST_SINGLY = 20
# Creation times are rounded down to so much, so that the filter, and with it the total, seldom changes.
SINCE_STEP = 3600.0
SINCE_SLACK = 60.0
# The last hour that a date can be written for: in the year 9999.
LAST_HOUR = datetime.max.replace(tzinfo=UTC).timestamp() - SINCE_STEP

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


def query_photo_requests(request_ids: Collection[str], learn: Learn) -> StatusQuery:
    """Look at some photo requests once; ``learn`` as for :class:`RequestPoller`."""
    return RequestPoller({}, learn, most_singly=len(request_ids)).sweep(request_ids, 0.0)


class RequestPoller:
    """
    Looks at waiting photo requests again and again.

    :param states: the known states by id; ``learn`` keeps them up to date.
    :param learn: called with each id and its state at once, so that a later failure does not lose it.
    :param most_singly: how many ids that no list shows a sweep asks for at most.
    """

    def __init__(self, states: Mapping[str, State], learn: Learn, most_singly: int = MOST_SINGLY) -> None:
        self.lists = ListBehavior()
        self._states = states
        self._report = learn
        self._most_singly = most_singly
        self._waiting: Mapping[str, None] = {}
        self._seen: dict[str, float] = {}
        self._now = 0.0
        # The filtered list: its filter, the ids it has shown, its total, and the page to look at next (from 0).
        self._filter: tuple[Any, ...] = ()
        self._shown: set[str] = set()
        self._total: int | None = None
        self._turn = 0
        self._page_size = LIST_PAGE
        # The slow walk, and the ids that it has not met.
        self._walk: Pages | None = None
        self._walked_at: float | None = None
        self._unmet: dict[str, None] = {}
        self._whole_total: int | None = None
        # Ids that the list does not show, for the next sweeps to ask for.
        self._queue: dict[str, None] = {}

    def sweep(self, waiting: Collection[str], now: float) -> StatusQuery:
        """
        Look once at the waiting requests.

        :param waiting: their ids.
        :param now: Unix timestamp.
        """
        self._now, self._waiting = now, dict.fromkeys(waiting)
        waiting = self._waiting
        self.lists.forget(now)
        if self._walked_at is None or now < self._walked_at:
            self._walked_at = now
        for gone in self._seen.keys() - waiting.keys():
            del self._seen[gone]
        # One that the filtered list has shown counts as open only because its wait joined later.
        unknown = [i for i in waiting if i not in self._states or i in self._shown]
        if len(unknown) == len(waiting) or len(waiting) <= FEW or not self.lists.may_filter:
            yield from self._all(waiting)
            return
        if unknown:
            yield from self._all(unknown)
        if not (yield from self._arrivals()):
            yield from self._all(waiting)
        elif now - self._walked_at >= WALK_EVERY:
            self._walked_at = now
            yield from self._walk_on()
        elif self._queue:
            queue = [i for i in self._queue if i in waiting]
            self._queue = dict.fromkeys(queue[self._most_singly :])
            yield from self._singly(queue[: self._most_singly])

    def singly(self, some: Collection[str], now: float) -> StatusQuery:
        """
        Look once at a few of the requests that the last sweep was for, or that have joined since, one by one.

        :param some: their ids.
        :param now: Unix timestamp.
        """
        self._now = now
        yield from self._singly(some)

    def _all(self, wanted: Collection[str], *, at_once: bool = False) -> StatusQuery:
        """Look at each of some ids, those first that were seen longest ago; ``at_once`` even if not long ago."""
        missing = dict.fromkeys(sorted(wanted, key=lambda i: self._seen.get(i, 0.0)))
        if len(missing) <= FEW or self.lists.refused_at is not None:
            yield from self._singly(missing)
            return
        pages, asked = Pages(list_photo_requests(page_size=LIST_PAGE)), 0
        try:
            while pages.next is not None and asked < len(missing):
                asked += 1
                for item in self._learn_page(pages.take((yield from next_page(pages)))):
                    missing.pop(item, None)
        except NO_LIST as error:
            self._refused(error)
            yield from self._singly(missing)
            return
        shown = len(wanted) > len(missing)
        if pages.next is None and pages.whole:
            # The list does not have them: they are asked for seldom, a few in each sweep.
            due = [i for i in missing if at_once or self._is_due(i)]
            missing = dict.fromkeys(due[: self._most_singly])
            self._queue.update(dict.fromkeys(due[self._most_singly :]))
        yield from self._singly(missing)
        if not shown:
            self._doubt(missing, wanted)

    def _singly(self, ids: Iterable[str]) -> StatusQuery:
        for request_id in ids:
            several = len(self._waiting.keys() | self._states.keys()) > 1
            self._learn(request_id, (yield from query_one(request_id, several=several)))

    def _is_due(self, request_id: str) -> bool:
        seen = self._seen.get(request_id)
        return seen is None or not 0 <= self._now - seen < SINGLY_EVERY

    def _doubt(self, asked: Collection[str], wanted: Collection[str]) -> None:
        """Give up on a list that shows no request that exists."""
        if len(wanted) > 1 and any(self._states.get(i, GONE) != GONE for i in asked):
            self.lists.refused_at = self._now

    def _learn(self, request_id: str, state: State) -> None:
        self._seen[request_id] = self._now
        self._report(request_id, state)

    def _learn_page(self, items: list[dict[str, Any]]) -> list[str]:
        """Learn from a page of the whole list, and return the ids whose status it has."""
        ids = []
        for item in items:
            if not item.get("status"):
                continue
            if photo_request_phase(item, now=self._now) == "arrived":
                self.lists.saw_arrived_as(str(item["status"]), self._now)
            ids.append(str(item.get("id")))
            if ids[-1] in self._waiting:
                self._learn(ids[-1], state_of(item))
        return ids

    def _arrivals(self) -> Generator[Call, Envelope, bool]:
        """Learn from the filtered list which requests have arrived; False where it cannot be used."""
        since = self._since()
        if self._filter != (self.lists.word, since):
            self._filter, self._shown, self._total, self._turn = (self.lists.word, since), set(), None, 0
        pages = Pages(
            list_photo_requests(status=self.lists.word, created_after=_iso(since), page_size=LIST_PAGE)
        )
        assert pages.next is not None  # noqa: S101  for mypy
        try:
            envelope = yield (pages.next.with_params(page=self._turn + 1) if self._turn else pages.next)
        except NO_LIST as error:
            if self._turn:
                self._turn = 0  # the list has become shorter
            elif not isinstance(error, InvalidRequestError):
                self._refused(error)
                return False
            elif since is None:
                self.lists.ignore(self._now)
                return False
            else:
                self.lists.since = False
            return (yield from self._arrivals())
        items = pages.take(envelope)
        if not isinstance(envelope["data"], list) or not self._is_filtered(items):
            return False
        self.lists.filters = True
        total = _total_of(envelope)
        quiet = self.lists.totals is not False and self._total is not None and total == self._total
        if self._turn and not quiet:
            self._turn = 0  # there is news, and another page than the first does not show all of it
            return (yield from self._arrivals())
        if self._turn:
            self._take(items)
        elif not (yield from self._read_on(pages, items, total)):
            return False
        # While nothing moves, each page is looked at in turn: a deletion and an arrival leave the total as it is.
        many = -(-(self._total or 0) // self._page_size) if quiet and pages.numbered else 0
        self._turn = (self._turn + 1) % many if many else 0
        return True

    def _is_filtered(self, items: list[dict[str, Any]]) -> bool:
        if all(normalize_status(item.get("status")) == normalize_status(self.lists.word) for item in items):
            return True
        self.lists.ignore(self._now)
        self._learn_page(items)
        return False

    def _read_on(
        self, pages: Pages, items: list[dict[str, Any]], total: int | None
    ) -> Generator[Call, Envelope, bool]:
        """Read the filtered list on from its first page until all news is found; False where it does not filter."""
        if pages.next is not None and items:
            self._page_size = len(items)
        if total is None or (total != len(items) if pages.next is None else total <= len(items)):
            self.lists.totals = False  # not there, or it counts something else
        elif self.lists.totals is None:
            self.lists.totals = True
        new: int | None = None
        if self.lists.totals and total is not None and self._total is not None and total >= self._total:
            new = total - self._total
        self._total = None  # until all was read: a sweep that breaks off has not found everything
        count, fresh = len(items), self._take(items)
        while (
            pages.next is not None
            and pages.asked < max(1, len(self._waiting))
            and (new is None or fresh < new)
        ):
            items = pages.take((yield from next_page(pages)))
            if not self._is_filtered(items):
                return False
            count, fresh = count + len(items), fresh + self._take(items)
        to_the_end = pages.next is None and pages.whole
        if to_the_end and total is not None and abs(total - count) > pages.asked:
            self.lists.totals = False  # a larger difference than what may have come and gone meanwhile
        if (new is None or fresh < new) and not to_the_end:
            # The rest of the list would cost more than asking for the requests that it may show.
            yield from self._singly([i for i in self._waiting if self._seen.get(i) != self._now])
        self._total = total
        return True

    def _take(self, items: list[dict[str, Any]]) -> int:
        """Learn from a filtered page, and return how many of its items are new."""
        fresh = 0
        for item in items:
            request_id = str(item.get("id"))
            fresh += request_id not in self._shown
            self._shown.add(request_id)
            if request_id in self._waiting:
                self._learn(request_id, state_of(item))
        return fresh

    def _walk_on(self) -> StatusQuery:
        """Read one more page of the whole list, and queue the requests that it turns out not to show."""
        if self._walk is None:
            self._walk, self._unmet = Pages(list_photo_requests(page_size=LIST_PAGE)), dict(self._waiting)
        walk = self._walk
        try:
            envelope = yield from next_page(walk)
        except NO_LIST as error:
            self._walk = None
            self._refused(error)
            return
        for request_id in self._learn_page(walk.take(envelope)):
            self._unmet.pop(request_id, None)
        total, before = _total_of(envelope), self._whole_total
        self._whole_total = total
        if total is not None and before is not None and total < before:
            self._walk = None  # something was deleted: look at all at once
            yield from self._all(self._waiting, at_once=True)
            return
        unmet = [i for i in self._unmet if i in self._waiting]
        if walk.next is not None and walk.asked <= len(unmet):
            return
        # The end, or another page may cost more than asking for the rest singly.
        self._walk, self._queue = None, dict.fromkeys(unmet[self._most_singly :])
        yield from self._singly(unmet[: self._most_singly])
        if walk.next is None and walk.whole and len(unmet) == len(self._waiting):
            self._doubt(unmet, self._waiting)

    def _since(self) -> float | None:
        """Return a time before all waiting requests were created, or None where that is unknown or of no use."""
        if self.lists.since is False:
            return None
        created = [epoch(self._states.get(i, {}).get("created_at")) for i in self._waiting]
        known = [moment for moment in created if moment is not None]
        if not known or len(known) < len(created) or not 2 * SINCE_STEP <= min(known) <= LAST_HOUR:
            return None
        return min(known) // SINCE_STEP * SINCE_STEP - SINCE_SLACK

    def _refused(self, error: Exception) -> None:
        log.warning("Photo requests cannot be listed: %s Each is asked for by itself.", error)
        self.lists.refused_at = self._now


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _total_of(envelope: Envelope) -> int | None:
    total = envelope["meta"].get("total")
    return total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None
