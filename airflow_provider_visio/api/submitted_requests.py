"""
Finds a workspace's submitted photo requests in few calls, also those that this Airflow has not created. No I/O.

A look is a generator, as in :mod:`.one_time_queries`. The first one reads the whole list, to learn which requests are
submitted already, and by which status word. Later ones read the list that is filtered by status, of which one page is
enough if nothing has changed (:mod:`.arrived_list`). A list that does not filter is read whole each time.

No page shows an element of the list (inferred: that of a single request), so a request may have no time of submission.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.api.arrived_list import ArrivedList, ListBehavior, iso_time
from airflow_provider_visio.api.call import text_of_id
from airflow_provider_visio.api.one_time_queries import LIST_PAGE, NO_LIST, next_page
from airflow_provider_visio.api.pages import Pages
from airflow_provider_visio.api.visiono import list_photo_requests
from airflow_provider_visio.clock import epoch
from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.waiting import photo_request_phase

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from airflow_provider_visio.api.call import Call
    from airflow_provider_visio.api.one_time_queries import Envelope, StatusQuery

log = logging.getLogger(__name__)

# Seconds between two pages of the unfiltered list, which has requests with another status word, too.
WALK_EVERY = 600.0
# Seconds by which the filter begins earlier: the service may compare whole seconds.
SLACK = 60.0


class SubmittedRequestPoller:
    """
    Looks at a workspace's submitted requests again and again.

    :param publish: called after a look with all submitted requests: id -> Unix timestamp of the creation, or of when it
        was first seen if the service does not say.
    :param found: called with the id of each request that was not submitted at the look before.
    """

    def __init__(
        self, publish: Callable[[dict[str, float]], object], found: Callable[[str], object] = lambda _: None
    ) -> None:
        self.lists = ListBehavior()
        self._publish = publish
        self._found = found
        self._filtered = ArrivedList(self.lists, self._take, self._take_page)
        self._submitted: dict[str, float] = {}
        # Those that the looks since the last complete one have shown.
        self._fresh: list[str] = []
        self._now = 0.0
        self._started = False
        self._walk: Pages | None = None
        self._walked_at = 0.0

    def look(self, since: float, now: float) -> StatusQuery:
        """
        Look once.

        :param since: only requests that were created after this Unix timestamp, as far as the service filters. A change
            makes the next look read the list from its start.
        :param now: Unix timestamp.
        :raises VisioProviderError: the list cannot be read.
        """
        self._now = now
        self.lists.forget(now)
        if not self._started:
            if not (yield from self._read_whole(since)):
                log.warning(
                    "The list of photo requests has no end that can be read; the next look tries again."
                )
                return
            self._started, self._walked_at = True, now
            self._fresh = []
        elif not (yield from self._read_filtered(since)):
            yield from self._read_whole(since)
        elif not 0 <= now - self._walked_at < WALK_EVERY:
            self._walked_at = now
            yield from self._walk_on(since)
        for request_id in self._fresh:
            self._found(request_id)
        self._fresh = []
        self._publish(dict(self._submitted))

    def _read_filtered(self, since: float) -> Generator[Call, Envelope, bool]:
        if not self.lists.may_filter:
            return False
        return (
            yield from self._filtered.look(
                self._filter(since), self._now, most_pages=math.inf, rest=_no_calls
            )
        )

    def _read_whole(self, since: float) -> Generator[Call, Envelope, bool]:
        """Read the unfiltered list, and return whether it was read to its end."""
        pages = self._unfiltered(since)
        while pages.next is not None:
            try:
                self._take_page(pages.take((yield from next_page(pages))))
            except InvalidRequestError:
                if self.lists.since is False:
                    raise
                # It may be the time of creation that the service refuses.
                self.lists.since = False
                pages = self._unfiltered(since)
        return pages.whole

    def _walk_on(self, since: float) -> StatusQuery:
        """Read one more page of the unfiltered list."""
        self._walk = self._walk or self._unfiltered(since)
        try:
            self._take_page(self._walk.take((yield from next_page(self._walk))))
        except NO_LIST:
            self._walk = None
        else:
            self._walk = self._walk if self._walk.next is not None else None

    def _unfiltered(self, since: float) -> Pages:
        return Pages(list_photo_requests(created_after=iso_time(self._filter(since)), page_size=LIST_PAGE))

    def _filter(self, since: float) -> float | None:
        return None if self.lists.since is False or since <= SLACK else since - SLACK

    def _take_page(self, items: Iterable[dict[str, Any]]) -> None:
        """Take those items of an unfiltered page that are submitted."""
        for item in items:
            if item.get("status") and photo_request_phase(item, now=self._now) == "arrived":
                self.lists.saw_arrived_as(str(item["status"]), self._now)
                self._take(item)

    def _take(self, item: dict[str, Any]) -> None:
        request_id = text_of_id(item.get("id"))
        if request_id is not None and request_id not in self._submitted:
            created = epoch(item.get("created_at"))
            self._submitted[request_id] = self._now if created is None else created
            self._fresh.append(request_id)


def _no_calls() -> StatusQuery:
    yield from ()
