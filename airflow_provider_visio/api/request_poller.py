"""
A poll's memory, and what it asks for next. No I/O; sweeps are generators, as in :mod:`.sweep`.

With thousands of waits the usual answer is "nothing new", so that is the one to make cheap: where the list can be
filtered by status, one page whose total has not moved says it. What such a page cannot say (that a request was deleted
or cancelled, or is not ours) is found out by patrols: one more call every ten minutes, from page to page of the whole
list. Whenever a list leaves open what became of an id, that id is asked for by itself.
"""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_visio.api.pages import Pages
from airflow_provider_visio.api.status_queries import (
    FEW,
    GONE,
    LIST_PAGE,
    NO_LIST,
    next_page,
    query_one,
    state_of,
)
from airflow_provider_visio.api.visiono import list_photo_requests
from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.waiting import epoch, normalize_status, photo_request_phase

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Mapping

    from airflow_provider_visio.api.call import Call
    from airflow_provider_visio.api.status_queries import Envelope, Learn, State, StatusQuery

log = logging.getLogger(__name__)

PATROL_EVERY = 600.0
# An id that no list shows is asked for singly, but neither at every sweep, nor all of them at once.
SINGLY_EVERY = 600.0
MOST_SINGLY = 20
# Creation times are rounded down to so much, so that the filter, and with it what the total counts, seldom changes.
SINCE_STEP = 3600.0
SINCE_SLACK = 60.0
# The last hour that a date can be written for: in the year 9999.
LAST_HOUR = datetime.max.replace(tzinfo=UTC).timestamp() - SINCE_STEP

Strategy = Literal["singly", "filtered", "walk"]

# Seconds after which a list that does not filter is tried again, one that was refused, and a cost is measured again.
FORGET = 6 * 3600.0
FORGET_REFUSAL = 600.0
FORGET_COST = 1800.0


@dataclass
class ListBehavior:
    """
    Habits of the list, as far as they are known.

    :param refused_at: when the service, or the key's scope, refused it, in seconds since 1970; None where it did not.
    :param filters: whether it can be filtered by status; None where that is not known.
    :param since: whether it can be filtered by the time of creation.
    :param totals: whether ``meta.total`` counts what the filter lets through.
    :param words: the status words seen of requests whose photos are in.
    :param numbered: whether its pages have numbers, so that one need not begin with the first.
    :param page_size: how many items a page turns out to have.
    :param unfiltered_at: when it was found not to filter.
    :param walk_pages: calls that the last reading of the whole list took.
    :param walked_at: when that was.
    :param filtered_pages: pages that the last reading of the whole filtered list took.
    """

    refused_at: float | None = None
    filters: bool | None = None
    since: bool | None = None
    totals: bool | None = None
    words: tuple[str, ...] = ()
    numbered: bool = False
    page_size: int = LIST_PAGE
    unfiltered_at: float = 0.0
    walk_pages: int | None = None
    walked_at: float = 0.0
    filtered_pages: int | None = None

    @property
    def word(self) -> str:
        """The status word to filter by: of those seen, else the documented one (docs, plugin)."""
        return self.words[0] if self.words else "submitted"

    def saw_arrived_as(self, word: str, now: float) -> None:
        """Note the status word of a request that has arrived."""
        if word in self.words:
            return
        if word != self.word:
            self.filters = self.totals = None
        self.words = (*self.words, word)
        if len(self.words) > 1:
            self.ignore(now)  # no one filter lets all of them through

    def forget(self, now: float) -> None:
        """Give a list that did not serve another chance, after a while."""
        if self.refused_at is not None and not 0 <= now - self.refused_at < FORGET_REFUSAL:
            self.refused_at = None
        # With two words for what has arrived, no filter ever serves.
        if self.filters is False and len(self.words) < 2 and not 0 <= now - self.unfiltered_at < FORGET:
            self.filters = self.since = self.totals = None
        if not 0 <= now - self.walked_at < FORGET_COST:
            self.walk_pages = None

    def walked(self, calls: int, now: float) -> None:
        """Note what it cost to read the whole list."""
        self.walk_pages, self.walked_at = calls, now

    def refuse(self, now: float) -> None:
        """Note that the list is of no use."""
        self.refused_at = now

    def ignore(self, now: float) -> None:
        """Note that the list cannot be filtered by status."""
        self.filters, self.unfiltered_at = False, now


def choose_strategy(waiting: int, lists: ListBehavior) -> Strategy:
    """
    Return the way of learning which of so many waiting requests have arrived that takes the fewest calls.

    A few are asked for singly whatever that costs, for a single reply tells more: of deletions, too.
    """
    if waiting <= FEW or lists.refused_at is not None:
        return "singly"
    costs: dict[Strategy, int] = {}
    if lists.filters is not False:
        # Where the filtered list is counted, one page tells whether there is anything new.
        costs["filtered"] = 1 if lists.totals is not False else lists.filtered_pages or 1
    costs["walk"] = lists.walk_pages or -(-waiting // LIST_PAGE)
    costs["singly"] = waiting
    return min(costs, key=lambda way: costs[way])


class RequestPoller:
    """
    Looks at waiting photo requests again and again.

    :param states: what is known by id; kept up to date by ``learn``.
    :param learn: told what a sweep finds, at once.
    """

    def __init__(self, states: Mapping[str, State], learn: Learn) -> None:
        self.lists = ListBehavior()
        self._states = states
        self._tell = learn
        self._waiting: Mapping[str, None] = {}
        self._seen: dict[str, float] = {}
        self._now = 0.0
        # Of the filtered list: what it has shown, its total when all of that was read, and what these are of.
        self._shown: set[str] = set()
        self._total: int | None = None
        self._counted: tuple[Any, ...] = ()
        self._turn = 0
        self._quiet = False
        # Of the patrol: how far it is, what it has not met, and what it leaves to be asked for singly.
        self._patrol: Pages | None = None
        self._patrol_at: float | None = None
        self._patrol_total: int | None = None
        self._unmet: dict[str, None] = {}
        self._beyond: dict[str, None] = {}
        # What is missing from the list and is to be asked for by the next sweeps.
        self._owed: dict[str, None] = {}

    def sweep(self, waiting: Collection[str], now: float) -> StatusQuery:
        """
        Look once at what is waited for, in as few calls as will do.

        :param waiting: ids of the requests.
        :param now: the time, in seconds since 1970.
        """
        self._now, self._waiting = now, dict.fromkeys(waiting)
        waiting = self._waiting
        self.lists.forget(now)
        if self._patrol_at is None or now < self._patrol_at:
            self._patrol_at = now
        for gone in self._seen.keys() - waiting.keys():
            del self._seen[gone]
        # One that the filtered list has shown is known as open only because its wait joined later.
        unknown = [i for i in waiting if i not in self._states or i in self._shown]
        if len(unknown) == len(waiting) or choose_strategy(len(waiting), self.lists) != "filtered":
            yield from self._all(waiting)
            return
        if unknown:
            yield from self._all(unknown)
        if not (yield from self._arrivals(waiting)):
            yield from self._all(waiting)
        elif now - self._patrol_at >= PATROL_EVERY:
            self._patrol_at = now
            yield from self._patrol_on(waiting)
        elif self._owed:
            owed = [i for i in self._owed if i in waiting]
            self._owed = dict.fromkeys(owed[MOST_SINGLY:])
            yield from self._singly(owed[:MOST_SINGLY])

    def _all(self, wanted: Collection[str], *, at_once: bool = False) -> StatusQuery:
        """Look at each of some ids, those first that were seen longest ago; ``at_once`` also if not long ago."""
        missing = dict.fromkeys(sorted(wanted, key=lambda i: self._seen.get(i, 0.0)))
        if choose_strategy(len(missing), self.lists) == "singly":
            yield from self._singly(missing)
            return
        pages, asked, found = Pages(list_photo_requests(page_size=LIST_PAGE)), 0, 0
        try:
            while pages.next is not None and asked < len(missing):
                asked += 1
                envelope = yield from next_page(pages)
                for item in self._notice(pages.take(envelope)):
                    if item in missing:
                        del missing[item]
                        found += 1
        except NO_LIST as error:
            self._refused(error)
            yield from self._singly(missing)
            return
        self.lists.walked(max(1, asked + len(missing)), self._now)
        if pages.next is None and pages.whole:
            # The list does not have them: they are asked for rarely, and the others follow with the next sweeps.
            due = [i for i in missing if at_once or self._is_due(i)]
            missing = dict.fromkeys(due[:MOST_SINGLY])
            self._owed.update(dict.fromkeys(due[MOST_SINGLY:]))
        yield from self._singly(missing)
        if not found:
            self._doubt(missing, wanted)

    def _singly(self, ids: Iterable[str]) -> StatusQuery:
        for request_id in ids:
            several = len(self._waiting.keys() | self._states.keys()) > 1
            self._learn(request_id, (yield from query_one(request_id, several=several)))

    def _is_due(self, request_id: str) -> bool:
        seen = self._seen.get(request_id)
        return seen is None or not 0 <= self._now - seen < SINGLY_EVERY

    def _doubt(self, asked: Collection[str], wanted: Collection[str]) -> None:
        """Give up on a list that shows none of what is there."""
        if len(wanted) > 1 and any(self._states.get(i, GONE) != GONE for i in asked):
            self.lists.refuse(self._now)

    def _learn(self, found: str, state: State) -> None:
        self._seen[found] = self._now
        self._tell(found, state)

    def _notice(self, items: list[dict[str, Any]]) -> list[str]:
        """Learn from a page of the whole list, and return the ids that it tells the status of."""
        told = []
        for item in items:
            if not item.get("status"):
                continue
            if photo_request_phase(item, now=self._now) == "arrived":
                self.lists.saw_arrived_as(str(item["status"]), self._now)
            told.append(str(item.get("id")))
            if told[-1] in self._waiting:
                self._learn(told[-1], state_of(item))
        return told

    def _arrivals(
        self, waiting: Mapping[str, None], *, from_first: bool = False
    ) -> Generator[Call, Envelope, bool]:
        """Read what has arrived from the filtered list, and return whether it could be read."""
        since = self._since(waiting)
        pages = Pages(
            list_photo_requests(status=self.lists.word, created_after=_iso(since), page_size=LIST_PAGE)
        )
        counted = (self.lists.word, since)
        if counted != self._counted:
            self._shown, self._total, self._turn, self._counted = set(), None, 0, counted
        try:
            envelope = yield self._page_of_the_turn(pages, from_first=from_first)
        except NO_LIST as error:
            if self._turn:
                # A page that is no longer there, for the list has become shorter.
                return (yield from self._arrivals(waiting, from_first=True))
            if not isinstance(error, InvalidRequestError):
                self._refused(error)
                return False
            if since is None:
                self.lists.ignore(self._now)
                return False
            self.lists.since = False
            return (yield from self._arrivals(waiting))
        items = pages.take(envelope)
        if not isinstance(envelope["data"], list) or not self._is_filtered(items):
            return False
        self.lists.filters = True
        total = _total_of(envelope)
        moved = self.lists.totals is False or self._total is None or total != self._total
        self._quiet = not moved
        if self._turn and moved:
            # Another page than the first was looked at, which tells that there is news, but not all of it.
            return (yield from self._arrivals(waiting, from_first=True))
        return (yield from self._read_on(pages, total, items, waiting, since))

    def _page_of_the_turn(self, pages: Pages, *, from_first: bool) -> Call:
        """Return the call for the first page, or, while nothing moves, for each page in turn: totals may conceal."""
        assert pages.next is not None  # noqa: S101  for mypy
        many = -(-(self._total or 0) // self.lists.page_size)
        if from_first or not self._quiet or not self.lists.numbered or self._total is None or many < 2:
            self._turn = 0
            return pages.next
        self._turn = (self._turn + 1) % many
        return pages.next.with_params(page=self._turn + 1) if self._turn else pages.next

    def _is_filtered(self, items: list[dict[str, Any]]) -> bool:
        """Return whether a page has what was asked for; where it has not, the list cannot be filtered."""
        if all(normalize_status(item.get("status")) == normalize_status(self.lists.word) for item in items):
            return True
        self.lists.ignore(self._now)
        self._notice(items)
        return False

    def _read_on(
        self,
        pages: Pages,
        total: int | None,
        items: list[dict[str, Any]],
        waiting: Mapping[str, None],
        since: float | None,
    ) -> Generator[Call, Envelope, bool]:
        """Read on until everything new was found, or ask for what may be new; False for a list that does not filter."""
        if self._turn:
            self._take(items, waiting)
            return True
        self.lists.numbered = pages.numbered
        if pages.next is not None and items:
            self.lists.page_size = len(items)
        if total is None or (total != len(items) if pages.next is None else total <= len(items)):
            self.lists.totals = False  # not there, or it counts something else
        elif self.lists.totals is None:
            self.lists.totals = True
        new: int | None = None
        if self.lists.totals and total is not None and self._total is not None and total >= self._total:
            new = total - self._total
        self._total = None
        count, fresh, past = len(items), self._take(items, waiting), False
        while pages.next is not None and pages.asked < max(1, len(waiting)) and (new is None or fresh < new):
            # Newest first, so all that follows is older than anything that is waited for.
            past = since is not None and _past(items, since)
            if past:
                break
            items = pages.take((yield from next_page(pages)))
            if not self._is_filtered(items):
                return False
            count, fresh = count + len(items), fresh + self._take(items, waiting)
        to_the_end = pages.next is None and pages.whole
        if to_the_end and total is not None and abs(total - count) > pages.asked:
            self.lists.totals = False  # more than what may have come and gone meanwhile
        if new is None or fresh < new:
            self.lists.filtered_pages = pages.asked
            if not past and not to_the_end:
                # The rest of the list would cost more than to ask for what it might show.
                yield from self._singly([i for i in waiting if self._seen.get(i) != self._now])
        # Only now: a sweep that was broken off has not found everything.
        self._total = total
        return True

    def _take(self, items: list[dict[str, Any]], waiting: Mapping[str, None]) -> int:
        """Learn from a filtered page and return how many of its items were not shown before."""
        fresh = 0
        for item in items:
            found = str(item.get("id"))
            if found not in self._shown:
                fresh += 1
                self._shown.add(found)
            if found in waiting:
                self._learn(found, state_of(item))
        return fresh

    def _patrol_on(self, waiting: Mapping[str, None]) -> StatusQuery:
        """Make one call that finds out about requests which no longer are what they were."""
        if self._beyond:
            # What lies further down the list than it pays to read.
            asked = [i for i in self._beyond if i in waiting]
            self._beyond = dict.fromkeys(asked[MOST_SINGLY:])
            yield from self._singly(asked[:MOST_SINGLY])
            return
        if self._patrol is None:
            self._patrol, self._unmet = Pages(list_photo_requests(page_size=LIST_PAGE)), dict(waiting)
        patrol = self._patrol
        try:
            envelope = yield from next_page(patrol)
        except NO_LIST as error:
            self._patrol = None
            self._refused(error)
            return
        for found in self._notice(patrol.take(envelope)):
            self._unmet.pop(found, None)
        total, before = _total_of(envelope), self._patrol_total
        self._patrol_total = total
        unmet = [i for i in self._unmet if i in waiting]
        if total is not None and before is not None and total < before:
            self._patrol = None
            yield from self._all(waiting, at_once=True)  # something was deleted: this is no time for one page
        elif patrol.next is None and patrol.whole:
            self._patrol = None
            yield from self._singly(unmet[:MOST_SINGLY])
            self._owed = dict.fromkeys(unmet[MOST_SINGLY:])
            if len(unmet) == len(waiting):
                self._doubt(unmet, waiting)
        elif patrol.next is None or patrol.asked > len(unmet):
            # Another page can cost more than asking for the rest singly.
            self._patrol, self._beyond = None, dict.fromkeys(unmet)

    def _since(self, waiting: Mapping[str, None]) -> float | None:
        """Return a time before all of what is waited for was created, or None where that is not known or of no use."""
        if self.lists.since is False:
            return None
        created = [epoch(self._states.get(i, {}).get("created_at")) for i in waiting]
        known = [moment for moment in created if moment is not None]
        if not known or len(known) < len(created) or not 2 * SINCE_STEP <= min(known) <= LAST_HOUR:
            return None
        return min(known) // SINCE_STEP * SINCE_STEP - SINCE_SLACK

    def _refused(self, error: Exception) -> None:
        log.warning("Photo requests are asked for one by one, for they cannot be listed: %s", error)
        self.lists.refuse(self._now)


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _total_of(envelope: Envelope) -> int | None:
    total = envelope["meta"].get("total")
    return total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None


def _past(items: list[dict[str, Any]], since: float) -> bool:
    """Return whether a page of a list, newest first, lies before a time."""
    created = [epoch(item.get("created_at")) for item in items]
    known = [moment for moment in created if moment is not None]
    falling = all(one >= other for one, other in itertools.pairwise(known))
    return len(known) == len(created) > 1 and falling and known[0] > known[-1] and known[0] < since
