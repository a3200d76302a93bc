"""
A poll's memory, and what it asks for next. No I/O; sweeps are generators, as in :mod:`.sweep`.

With thousands of waits the usual answer is "nothing new", so that is the one to make cheap: where the list can be
filtered by status, one page whose total has not moved says it. What such a page cannot say (that a request was deleted
or cancelled, or is not ours) is found out by patrols: one more call every ten minutes, from page to page of the whole
list.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.api.lists import LIST_PAGE, Lists, choose
from airflow_provider_visio.api.pages import Pages
from airflow_provider_visio.api.sweep import NO_LIST, look_at, state_of, walk
from airflow_provider_visio.api.visiono import list_photo_requests
from airflow_provider_visio.exceptions import InvalidRequestError, NotFoundError, PermissionDeniedError
from airflow_provider_visio.waiting import epoch, normal, photo_request_phase

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping

    from airflow_provider_visio.api.call import Call
    from airflow_provider_visio.api.sweep import Envelope, Learn, State, Sweep

log = logging.getLogger(__name__)

PATROL_EVERY = 600.0
# An id that no list shows is asked for singly, but not at every sweep.
SINGLY_EVERY = 600.0
MOST_SINGLY = 20
# Creation times are rounded down to so much, so that the filter, and with it what the total counts, seldom changes.
SINCE_STEP = 3600.0
SINCE_SLACK = 60.0


class Lookout:
    """
    Looks at waiting photo requests again and again.

    :param states: what is known by id; kept up to date by ``learn``.
    :param learn: told what a sweep finds, at once.
    """

    def __init__(self, states: Mapping[str, State], learn: Learn) -> None:
        self.lists = Lists()
        self._states = states
        self._tell = learn
        self._seen: dict[str, float] = {}
        self._now = 0.0
        self._shown: set[str] = set()
        self._total: int | None = None
        self._counted: tuple[Any, ...] = ()
        self._patrol: Pages | None = None
        self._patrol_at: float | None = None
        self._patrol_total: int | None = None
        self._missed: dict[str, None] = {}

    def sweep(self, waiting: Collection[str], now: float) -> Sweep:
        """
        Look once at what is waited for, in as few calls as will do.

        :param waiting: ids of the requests.
        :param now: the time, in seconds since 1970.
        """
        self._now, waiting = now, dict.fromkeys(waiting)
        self.lists.forget(now)
        if self._patrol_at is None or not 0 <= now - self._patrol_at <= 2 * PATROL_EVERY:
            self._patrol_at = now
        for gone in self._seen.keys() - set(waiting):
            del self._seen[gone]
        unknown = [i for i in waiting if i not in self._states]
        if len(unknown) == len(waiting) or choose(len(waiting), self.lists) != "filtered":
            yield from self._all(waiting)
            return
        if unknown:
            yield from self._all(unknown)
        filtered = yield from self._arrivals(waiting)
        if not filtered:
            yield from self._all(waiting)
        elif now - self._patrol_at >= PATROL_EVERY:
            self._patrol_at = now
            yield from self._patrol_on(waiting)

    def _learn(self, found: str, state: State) -> None:
        self._seen[found] = self._now
        self._tell(found, state)
        if photo_request_phase(state, now=self._now) == "arrived":
            self.lists.saw_arrived_as(str(state["status"]), self._now)

    def _all(self, wanted: Collection[str], *, at_once: bool = False) -> Sweep:
        """Look at each of some ids, those first that were seen longest ago; ``at_once`` also if not long ago."""
        stalest = sorted(wanted, key=lambda i: self._seen.get(i, 0.0))
        missing = dict.fromkeys(stalest)
        way = choose(len(missing), self.lists)
        if way != "singly":
            pages = Pages(list_photo_requests(page_size=LIST_PAGE))
            try:
                asked = yield from walk(pages, missing, self._learn)
            except NO_LIST as error:
                self._give_up(error)
            else:
                self.lists.walk_pages = max(1, asked + len(missing))
        several = len(self._states.keys() | set(wanted)) > 1
        if way != "singly":
            # The others follow with the next sweeps.
            missing = dict.fromkeys([i for i in missing if at_once or self._is_due(i)][:MOST_SINGLY])
        for request_id in missing:
            self._learn(request_id, (yield from look_at(request_id, several=several)))

    def _is_due(self, request_id: str) -> bool:
        seen = self._seen.get(request_id)
        return seen is None or not 0 <= self._now - seen < SINGLY_EVERY

    def _arrivals(self, waiting: Collection[str]) -> Generator[Call, Envelope, bool]:
        """Read what has arrived from the filtered list, and return whether it could be read."""
        since = self._since(waiting)
        pages = Pages(
            list_photo_requests(status=self.lists.word, created_after=_iso(since), page_size=LIST_PAGE)
        )
        try:
            envelope = yield pages.next  # type: ignore[misc]
        except InvalidRequestError:
            if since is None:
                self.lists.ignore(self._now)
                return False
            self.lists.since = False
            return (yield from self._arrivals(waiting))
        except (NotFoundError, PermissionDeniedError) as error:
            self._give_up(error)
            return False
        items = pages.take(envelope)
        if not isinstance(envelope["data"], list) or any(
            normal(item.get("status")) != normal(self.lists.word) for item in items
        ):
            self.lists.ignore(self._now)
            self._take(items, waiting)
            return False
        self.lists.filters = True
        yield from self._read_on(pages, envelope, items, waiting, since)
        return True

    def _read_on(
        self,
        pages: Pages,
        envelope: Envelope,
        items: list[dict[str, Any]],
        waiting: Collection[str],
        since: float | None,
    ) -> Sweep:
        """Read further pages until everything new was found."""
        total = _total_of(envelope)
        if total is None or (pages.next is None and total != len(items)):
            # Not there, or it counts something else.
            self.lists.totals = False
        elif self.lists.totals is None:
            self.lists.totals = True
        counted = (self.lists.word, since)
        new: int | None = None
        if self.lists.totals and total is not None and self._total is not None and counted == self._counted:
            new = total - self._total if total >= self._total else None
        if counted != self._counted:
            self._shown.clear()
        self._counted, self._total = counted, None
        asked, fresh = 1, self._take(items, waiting)
        while pages.next is not None and asked < max(1, len(waiting)) and (new is None or fresh < new):
            if since is not None and _past(items, since):
                break  # newest first, so all that follows is older than anything that is waited for
            asked += 1
            items = pages.take((yield pages.next))
            fresh += self._take(items, waiting)
        if new is None:
            self.lists.filtered_pages = asked
        # Only now: a sweep that was broken off has not found everything.
        self._total = total

    def _take(self, items: list[dict[str, Any]], waiting: Collection[str]) -> int:
        """Learn from a page's items and return how many were not shown before."""
        fresh = 0
        for item in items:
            found = str(item.get("id"))
            if found not in self._shown:
                fresh += 1
                self._shown.add(found)
            if found in waiting:
                self._learn(found, state_of(item))
        return fresh

    def _patrol_on(self, waiting: Collection[str]) -> Sweep:
        """Make one call that finds out about requests which no longer are what they were."""
        if self._patrol is None:
            self._patrol = Pages(list_photo_requests(page_size=LIST_PAGE))
            self._missed = dict.fromkeys(waiting)
        patrol = self._patrol
        try:
            envelope = yield patrol.next  # type: ignore[misc]
        except NO_LIST as error:
            self._patrol = None
            self._give_up(error)
            return
        for item in patrol.take(envelope):
            found = str(item.get("id"))
            self._missed.pop(found, None)
            if found in waiting:
                self._learn(found, state_of(item))
        total, before = _total_of(envelope), self._patrol_total
        self._patrol_total = total
        if total is not None and before is not None and total < before:
            self._patrol = None
            yield from self._all(
                waiting, at_once=True
            )  # something was deleted, so this is no time for one page
        elif patrol.next is None or not self._missed:
            self._patrol = None
            missed = [i for i in self._missed if i in waiting]
            if missed and len(missed) == len(waiting):
                self.lists.refuse(self._now)  # a list that shows none of ours is no use
            for request_id in missed[:MOST_SINGLY]:
                self._learn(request_id, (yield from look_at(request_id, several=True)))

    def _since(self, waiting: Collection[str]) -> float | None:
        """Return a time before all of what is waited for was created, or None where that is not known or of no use."""
        if self.lists.since is False:
            return None
        created = [epoch(self._states.get(i, {}).get("created_at")) for i in waiting]
        known = [moment for moment in created if moment is not None]
        if not known or len(known) < len(created):
            return None
        return min(known) // SINCE_STEP * SINCE_STEP - SINCE_SLACK

    def _give_up(self, error: Exception) -> None:
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
    return len(known) == len(created) > 1 and known[0] > known[-1] and known[0] < since
