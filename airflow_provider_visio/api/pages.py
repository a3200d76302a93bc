"""
Which page of a list to ask for next. No I/O.

Neither reference says how its lists are paged (facts: pagination unknown), so every signal that common APIs give is
read (Laravel's ``links.next``, ``meta.next_cursor``, ``meta.current_page`` and ``last_page``; ``meta.total``, which is
documented for Vizdom), and where there is none the next page number is tried until a page brings nothing new.

Items that come again are known by their ``id``. Without one, only a page whose number was a guess can be taken for one
that came before: two things may look alike.
"""

from __future__ import annotations

import itertools
import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from airflow_provider_visio.api.call import Call

log = logging.getLogger(__name__)

# A list that goes on for ever must not take the hour's calls with it.
MAX_PAGES = 1000
# Nor must pages that show nothing new, though the service says each time that more follow.
MAX_IDLE = 20


class Pages:
    """
    The walk over one list.

    :param first: the call for the first page.
    :param limit: the most items to take, or None for all; :attr:`left` is how many of them are still to come.

    Where it has ended before the list did, :attr:`whole` is False and :attr:`cut` says why. It is False, too, where
    there was something else than objects in the list.
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
        """Take no more, for the next page was refused: the end, where it was a guess that there is one."""
        self.next, self.whole = None, self.whole and self.guessing

    def take(self, envelope: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a page's new items and settle :attr:`next`: the call for the page after it, or None at the end."""
        data = envelope["data"]
        self.whole = self.whole and is_list(data)
        items = [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
        fresh, news = self._sift(items)
        self._count += len(fresh)
        self._idle = 0 if news else self._idle + 1
        self._settle(envelope, again=not news and (bool(items) or _says_more(envelope["meta"])))
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
            if again:
                self._end("gives a page of a list once more in place of the next")
        elif self._idle > MAX_IDLE:
            self._end(f"has a list that goes on after {self._idle} pages with nothing new")
        elif self._asked >= MAX_PAGES:
            self._end(f"has a list that goes on after {MAX_PAGES} pages")
        else:
            self.next = following
            self._calls.add(_query(following))

    def _end(self, cut: str) -> None:
        """End a list that is longer, which it must not pass over in silence: what is not shown could be there."""
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
            return self._with(*_query_of(links["next"])) if links["next"] else None
        if "next_cursor" in meta:
            return self._with(("cursor", meta["next_cursor"])) if meta["next_cursor"] else None
        if isinstance(page, int) and isinstance(last, int):
            return self._first.with_params(page=page + 1) if page < last else None
        total = meta.get("total")
        if isinstance(total, int) and self._count >= total:
            return None
        self.guessing = True
        self._page += 1
        return self._first.with_params(page=self._page)

    def _with(self, *params: tuple[str, Any]) -> Call | None:
        words = itertools.chain.from_iterable(params)
        if params and all(isinstance(part, str | int) and _is_text(str(part)) for part in words):
            found: dict[str, list[Any]] = {}
            for name, value in params:
                found.setdefault(name, []).append(value)
            return self._first.with_params(**{n: v if len(v) > 1 else v[0] for n, v in found.items()})
        self._end("says how to go on with a list in a way that cannot be followed")
        return None


def _says_more(meta: dict[str, Any]) -> bool:
    page, last = meta.get("current_page"), meta.get("last_page")
    return isinstance(page, int) and isinstance(last, int) and page < last


def _mark(item: dict[str, Any]) -> str:
    found = item.get("id")
    return str(found) if found is not None else json.dumps(item, sort_keys=True, default=str)


def is_list(data: object) -> bool:
    """Return whether a reply's data is a list of objects, or nothing at all."""
    return data is None or (isinstance(data, list) and all(isinstance(item, dict) for item in data))


def _query(call: Call) -> str:
    return repr(sorted((name, str(value)) for name, value in call.params.items()))


def _query_of(link: object) -> list[tuple[str, str]]:
    """Return a link's query, which alone is used: a link must not lead the key to another host or path."""
    try:
        return parse_qsl(urlsplit(str(link)).query)
    except ValueError:
        return []


def _is_text(value: str) -> bool:
    try:
        return bool(value.encode())
    except UnicodeEncodeError:
        return False
