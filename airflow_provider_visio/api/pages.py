"""
Which page of a list to ask for next. No I/O.

Neither reference says how its lists are paged (facts: pagination unknown), so every signal that common APIs give is
read (Laravel's ``links.next``, ``meta.next_cursor``, ``meta.current_page`` and ``last_page``; ``meta.total``, which is
documented for Vizdom), and where there is none the next page number is tried until a page brings nothing new.

An item that comes again is recognized by its ``id``. Items without an id may be equal, so only a guessed page counts as
a repetition of an earlier one.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_visio.api.call import Call

log = logging.getLogger(__name__)

# A list without an end must not use up the hour's calls.
MAX_PAGES = 1000
# Pages in a row that show nothing new.
MAX_IDLE = 20


class Pages:
    """
    The walk over one list.

    :param first: the call for the first page.
    :param limit: the most items to take, or None for all; :attr:`left` is how many of them are still to come.

    If the walk ends before the list, :attr:`whole` is False and :attr:`cut` says why. It is also False if the list has
    anything but objects.
    """

    def __init__(self, first: Call, limit: int | None = None) -> None:
        self._first = first
        self.left = limit
        self._seen: set[str] = set()
        self._calls = {_query(first)}
        self._count = 0
        self._idle = 0
        self._page = 1
        self._asked = 1
        self.next: Call | None = None if limit is not None and limit <= 0 else first
        self.guessing = False
        self.numbered = False
        self.whole = True
        self.cut = ""

    @property
    def asked(self) -> int:
        """How many pages were taken."""
        return self._asked - 1

    def stop(self) -> None:
        """End the walk because the next page was refused: the list's end, if that page was a guess."""
        self.next, self.whole = None, self.whole and self.guessing

    def take(self, envelope: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a page's new items and settle :attr:`next`: the call for the page after it, or None at the end."""
        data = envelope["data"]
        self.whole = self.whole and is_list(data)
        items = [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
        fresh, news = self._sift(items)
        self._count += len(fresh)
        self._idle = 0 if news else self._idle + 1
        self._settle(envelope, again=bool(items))
        self._asked += 1
        if self.left is None:
            return fresh
        fresh = fresh[: self.left]
        self.left -= len(fresh)
        if not self.left:
            self.next, self.whole, self.cut = None, True, ""
        return fresh

    def _settle(self, envelope: dict[str, Any], *, again: bool) -> None:
        self.next, self.guessing = None, False
        following = self._after(envelope)
        if following is None:
            return
        if self._idle and self.guessing:
            self.guessing = False
        elif self._idle and _query(following) in self._calls:
            # It leads back: the end, unless the service says or shows that there is more.
            if again or (self.numbered and envelope["meta"]["current_page"] < envelope["meta"]["last_page"]):
                self._end("gives a page of a list once more in place of the next")
        elif self._idle > MAX_IDLE:
            self._end(f"has a list that goes on after {self._idle} pages with nothing new")
        elif self._asked >= MAX_PAGES:
            self._end(f"has a list that goes on after {MAX_PAGES} pages")
        else:
            self.next = following
            self._calls.add(_query(following))

    def _end(self, cut: str) -> None:
        """End the walk before the list's end. The caller must know, because the rest may have what it looks for."""
        log.warning("GET %s: the service %s; the rest is left out.", self._first.route, cut)
        self.whole, self.cut = False, cut

    def _sift(self, items: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
        """Return a page's items without those that came before, and whether anything in it is new."""
        fresh, marks = [], set[str]()
        for item in items:
            found = item.get("id")
            mark = _mark(item)
            again = mark in self._seen or mark in marks
            if again and (found is not None or (self.guessing and mark in self._seen)):
                continue
            fresh.append(item)
            marks.add(mark)
        news = not marks <= self._seen
        self._seen |= marks
        return fresh, news

    def _after(self, envelope: dict[str, Any]) -> Call | None:
        links, meta = envelope["links"], envelope["meta"]
        page, last = meta.get("current_page"), meta.get("last_page")
        self.numbered = isinstance(page, int) and isinstance(last, int)
        if "next" in links:
            return self._with(_query_of(links["next"])) if links["next"] else None
        if cursor := meta.get("next_cursor"):
            return self._with({"cursor": cursor} if isinstance(cursor, str | int) else {})
        if "next_cursor" in meta:
            return None
        if self.numbered:
            return self._first.with_params(page=page + 1) if page < last else None
        total = meta.get("total")
        if isinstance(total, int) and self._count >= total:
            return None
        self.guessing = True
        self._page += 1
        return self._first.with_params(page=self._page)

    def _with(self, params: Mapping[str, Any]) -> Call | None:
        if params:
            return self._first.with_params(**params)
        self._end("says how to go on with a list in a way that cannot be followed")
        return None


def _mark(item: dict[str, Any]) -> str:
    found = item.get("id")
    return str(found) if found is not None else json.dumps(item, sort_keys=True, default=str)


def is_list(data: object) -> bool:
    """Return whether a reply's data is a list of objects, or nothing at all."""
    return data is None or (isinstance(data, list) and all(isinstance(item, dict) for item in data))


def _query(call: Call) -> str:
    return repr(sorted((name, str(value)) for name, value in call.params.items()))


def _query_of(link: object) -> dict[str, Any]:
    """Return a link's query, which alone is used: a link must not lead the key to another host or path."""
    try:
        found = parse_qs(urlsplit(str(link)).query)
    except ValueError:
        return {}
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()}
