"""Pagination of lists. It is assumed to be Laravel's: no page of Visiono describes it."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse

from .context import Context
from .visiono_replies import reply

MAX_PER_PAGE = 100

T = TypeVar("T")
_Part = tuple[slice, dict[str, Any], dict[str, Any]]


def listing(
    context: Context, request: Request, found: Sequence[T], view: Callable[[T], object]
) -> JSONResponse:
    """Return the page of `found` (oldest first) that the query selects."""
    settings, query = context.settings, dict(request.query_params)
    ordered = found if settings.list_order == "oldest" else found[::-1]
    if settings.pagination == "none":
        return reply(context, [view(one) for one in ordered])
    size = min(_positive(query.get("per_page"), settings.page_size), MAX_PER_PAGE)
    address = f"{context.addresses.main}{request.url.path}"
    if settings.pagination == "cursor":
        part, links, meta = _by_cursor(query, len(ordered), size, address)
    else:
        part, links, meta = _by_number(query, len(ordered), size, address, total=settings.list_total)
    shown = meta if settings.meta else None
    return reply(context, [view(one) for one in ordered[part]], meta=shown, links=links)


def _by_number(query: dict[str, str], count: int, size: int, address: str, *, total: bool) -> _Part:
    """Paginate as Laravel's `paginate()`, or `simplePaginate()` without totals."""
    page = _positive(query.get("page"), 1)
    last = max(1, -(-count // size))
    start = (page - 1) * size
    rows = max(0, min(size, count - start))

    def link(number: int) -> str:
        return f"{address}?{urlencode({**query, 'page': number})}"

    links = {
        "first": link(1),
        "last": link(last) if total else None,
        "prev": link(page - 1) if page > 1 else None,
        "next": link(page + 1) if page < last else None,
    }
    meta = {
        "current_page": page,
        "from": start + 1 if rows else None,
        "path": address,
        "per_page": size,
        "to": start + rows if rows else None,
    }
    if total:
        meta |= {"last_page": last, "total": count}
    return slice(start, start + size), links, meta


def _by_cursor(query: dict[str, str], count: int, size: int, address: str) -> _Part:
    """Paginate as Laravel's `cursorPaginate()`; the cursor is an encoded position."""
    start = _position(query.get("cursor"))
    after, before = start + size, max(0, start - size)
    following = _cursor(after) if after < count else None
    previous = _cursor(before) if start > 0 else None

    def link(cursor: str | None) -> str | None:
        return cursor and f"{address}?{urlencode({**query, 'cursor': cursor})}"

    links = {"first": None, "last": None, "prev": link(previous), "next": link(following)}
    meta = {"path": address, "per_page": size, "next_cursor": following, "prev_cursor": previous}
    return slice(start, start + size), links, meta


def _positive(text: str | None, default: int) -> int:
    """Return a positive integer, or the default as Laravel does; PHP's integers have at most 19 digits."""
    number = int(text) if text and text.isascii() and text.isdigit() and len(text) < 20 else 0
    return number if 0 < number < 2**63 else default


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"at={position}".encode()).decode().rstrip("=")


def _position(cursor: str | None) -> int:
    try:
        text = base64.urlsafe_b64decode((cursor or "") + "==").decode()
        return _positive(text.removeprefix("at="), 0)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return 0
