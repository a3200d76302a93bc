"""
Polls many waiting photo requests in as few calls as possible. No I/O.

A sweep is a generator, as in :mod:`.one_time_queries`. With thousands of waits the usual answer is "nothing new".
Where the list can be filtered by status, one page whose total has not changed gives that answer. A
slow walk finds the rest (deleted, cancelled, of another workspace): it reads one page of the whole list every ten
minutes. A list that does not filter is read whole, and an id that the list does not show is asked for by itself.
A few ids are always asked for singly, because a single reply also shows a deletion.

:mod:`.arrived_list` has the filtered list.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.api.arrived_list import ArrivedList, ListBehavior, total_of
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
from airflow_provider_visio.waiting import photo_request_phase

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Mapping

    from airflow_provider_visio.api.call import Call
    from airflow_provider_visio.api.one_time_queries import Envelope, Learn, State, StatusQuery

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
        self._arrived = ArrivedList(self.lists, self._take, self._learn_page)
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
        unknown = [i for i in waiting if i not in self._states or i in self._arrived.shown]
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
            self.lists.refuse(error, self._now)
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
        return (
            yield from self._arrived.look(
                self._since(),
                self._now,
                # Another page would cost more than asking for the requests that it may show.
                most_pages=max(1, len(self._waiting)),
                rest=lambda: self._singly([i for i in self._waiting if self._seen.get(i) != self._now]),
            )
        )

    def _take(self, item: dict[str, Any]) -> None:
        """Learn from an item of the filtered list."""
        request_id = str(item.get("id"))
        if request_id in self._waiting:
            self._learn(request_id, state_of(item))

    def _walk_on(self) -> StatusQuery:
        """Read one more page of the whole list, and queue the requests that it turns out not to show."""
        if self._walk is None:
            self._walk, self._unmet = Pages(list_photo_requests(page_size=LIST_PAGE)), dict(self._waiting)
        walk = self._walk
        try:
            envelope = yield from next_page(walk)
        except NO_LIST as error:
            self._walk = None
            self.lists.refuse(error, self._now)
            return
        for request_id in self._learn_page(walk.take(envelope)):
            self._unmet.pop(request_id, None)
        total, before = total_of(envelope), self._whole_total
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
