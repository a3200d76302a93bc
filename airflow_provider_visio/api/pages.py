"""
Which page of a list to ask for next. No I/O.

Neither reference says how its lists are paged (facts: pagination unknown), so every signal that common APIs give is
read (Laravel's ``links.next``, ``meta.next_cursor``, ``meta.current_page`` and ``last_page``; ``meta.total``, which is
documented for Vizdom), and where there is none the next page number is tried until a page brings nothing new.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from airflow_provider_visio.api.call import Call

log = logging.getLogger(__name__)

# A list that goes on for ever must not take the hour's calls with it.
MAX_PAGES = 1000


class Pages:
    """
    The walk over one list.

    :param first: the call for the first page.
    :param limit: the most items to take, or None for all.

    Where it has ended before the list did, :attr:`whole` is False and :attr:`cut` says why.
    """

    def __init__(self, first: Call, limit: int | None = None) -> None:
        self._first = first
        self._left = limit
        self._seen: set[str] = set()
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
        self.next, self.whole = None, self.guessing

    def take(self, envelope: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a page's new items and settle :attr:`next`: the call for the page after it, or None at the end."""
        data = envelope["data"]
        items = [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
        fresh = [item for item in items if self._is_new(item)]
        self.guessing = False
        self.next = self._after(envelope) if fresh else None
        if self.next is not None and self._asked >= MAX_PAGES:
            self.next = None
            self._end(f"has a list that goes on after {MAX_PAGES} pages")
        self._asked += 1
        if self._left is None:
            return fresh
        fresh = fresh[: self._left]
        self._left -= len(fresh)
        if not self._left:
            self.next, self.whole, self.cut = None, True, ""
        return fresh

    def _end(self, cut: str) -> None:
        """End a list that is longer, which it must not pass over in silence: what is not shown could be there."""
        log.warning("GET %s: the service %s; the rest is left out.", self._first.route, cut)
        self.whole, self.cut = False, cut

    def _is_new(self, item: dict[str, Any]) -> bool:
        found = item.get("id")
        mark = str(found) if found is not None else json.dumps(item, sort_keys=True, default=str)
        if mark in self._seen:
            return False
        self._seen.add(mark)
        return True

    def _after(self, envelope: dict[str, Any]) -> Call | None:
        links, meta = envelope["links"], envelope["meta"]
        page, last = meta.get("current_page"), meta.get("last_page")
        self.numbered = isinstance(page, int) and isinstance(last, int)
        if "next" in links:
            return self._with(_query_of(links["next"])) if links["next"] else None
        if "next_cursor" in meta:
            return self._with({"cursor": meta["next_cursor"]}) if meta["next_cursor"] else None
        if isinstance(page, int) and isinstance(last, int):
            return self._first.with_params(page=page + 1) if page < last else None
        total = meta.get("total")
        if isinstance(total, int) and len(self._seen) >= total:
            return None
        self.guessing = True
        self._page += 1
        return self._first.with_params(page=self._page)

    def _with(self, params: dict[str, Any]) -> Call | None:
        words = [*params, *params.values()]
        if params and all(isinstance(part, str | int) and _is_text(str(part)) for part in words):
            return self._first.with_params(**params)
        self._end("says how to go on with a list in a way that cannot be followed")
        return None


def _query_of(link: object) -> dict[str, str]:
    """Return a link's query, which alone is used: a link must not lead the key to another host or path."""
    try:
        return dict(parse_qsl(urlsplit(str(link)).query))
    except ValueError:
        return {}


def _is_text(value: str) -> bool:
    try:
        return bool(value.encode())
    except UnicodeEncodeError:
        return False
