"""
What a service's list of photo requests turns out to do, and which way of asking is the cheapest for that. No I/O.

No page says how the list is filtered, counted or ordered (facts: pagination and filters unknown), so nothing is taken
for granted: each reply teaches, and what was learnt is forgotten after a while, for services change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Strategy = Literal["singly", "filtered", "walk"]

# Up to so many ids are asked for one by one; more are looked for in the list first.
FEW = 3
LIST_PAGE = 100

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
