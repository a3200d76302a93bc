"""
Read the status of an id, of exports and of a permanent link. No I/O.

A query is a generator: it yields calls, receives each reply's envelope or its error, and reports each id with its
state. :func:`carry_out` runs it. Many photo requests take fewer calls by :mod:`.photo_request_poller`.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.api.call import Call
from airflow_provider_visio.api.pages import Pages
from airflow_provider_visio.api.visiono import get_photo_request
from airflow_provider_visio.api.visiono_permanent_links import list_permanent_link_submissions
from airflow_provider_visio.api.vizdom import get_export, read_export
from airflow_provider_visio.clock import epoch
from airflow_provider_visio.exceptions import (
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    VisioProviderError,
)
from airflow_provider_visio.submissions import GONE as LINK_GONE
from airflow_provider_visio.waiting import WITHHELD

if TYPE_CHECKING:
    from airflow_provider_visio.api.call import Dialect
    from airflow_provider_visio.api.vizdom_contract import VizdomContract
    from airflow_provider_visio.submissions import Submission

State = dict[str, Any]
Envelope = dict[str, Any]
StatusQuery = Generator[Call, Envelope, None]
Learn = Callable[[str, State], None]

log = logging.getLogger(__name__)

LIST_PAGE = 100

# Our own words, for an id that the service does not know, and for one that it refuses to show.
GONE: State = {"status": "deleted"}
REFUSED: State = {"status": WITHHELD}

# The errors of a service, or a key, without such a list.
NO_LIST = (InvalidRequestError, NotFoundError, PermissionDeniedError)


async def carry_out(query: StatusQuery, send: Callable[[Call], Awaitable[Envelope]]) -> None:
    """Send each call of a query, and hand it the reply or the typed error."""
    with contextlib.suppress(StopIteration), contextlib.closing(query):
        call = next(query)
        while True:
            try:
                envelope = await send(call)
            except VisioProviderError as error:
                call = query.throw(error)
            else:
                call = query.send(envelope)


def next_page(pages: Pages) -> Generator[Call, Envelope, Envelope]:
    """
    Ask for a list's next page. A page after the first that is refused ends the list, as an empty page does.

    :raises VisioProviderError: the list itself is refused.
    """
    assert pages.next is not None  # noqa: S101  for mypy
    try:
        return (yield pages.next)
    except NO_LIST:
        if not pages.asked:
            raise
        pages.stop()
        return {"data": [], "meta": {}, "links": {}}


def query_one(request_id: str, *, several: bool) -> Generator[Call, Envelope, State]:
    """Ask for one photo request; a refusal of one of several becomes its state."""
    return (yield from _single(get_photo_request(request_id), several=several))


def query_exports(export_ids: Sequence[str], contract: VizdomContract, learn: Learn) -> StatusQuery:
    """
    Look at some exports, one by one: no list of them is known.

    :param learn: called with each id and its state at once, so that a later failure does not lose it.
    """
    ids = dict.fromkeys(export_ids)
    for export_id in ids:
        learn(
            export_id, (yield from _single(get_export(export_id, contract), contract, several=len(ids) > 1))
        )


def read_submissions(link_id: str, dialect: Dialect, learn: Learn) -> Generator[Call, dict[str, Any], None]:
    """
    Read all submissions of a permanent link.

    :param link_id: id of the link.
    :param dialect: the dialect whose path to use.
    :param learn: called with the link's id and ``{"submissions": [...], "pages": how many pages they took, "whole":
        whether the list was read to its end}``.
    :raises NotFoundError: the service does not know the link, or has no such call.
    """
    pages = Pages(list_permanent_link_submissions(link_id, dialect=dialect).with_params(per_page=LIST_PAGE))
    submissions: list[Submission] = []
    while pages.next is not None:
        try:
            submissions += map(small, pages.take((yield from next_page(pages))))
        except NotFoundError:
            learn(link_id, LINK_GONE)
            raise
    if not pages.whole:
        log.warning(
            "The submissions of permanent link %s could not be read to the end of their list; the next look reads on.",
            link_id,
        )
    learn(link_id, {"submissions": submissions, "pages": pages.asked, "whole": pages.whole})


def small(entry: Mapping[str, Any]) -> Submission:
    """Return the fields of a submission that a wait keeps: no name, no links."""
    photos = entry.get("photos")
    inner = [photo for photo in photos if isinstance(photo, Mapping)] if isinstance(photos, list) else []
    # A submission without a time has that of its last photo.
    times = [
        entry.get("submitted_at"),
        entry.get("created_at"),
        *(photo.get("submitted_at") for photo in inner[::-1]),
    ]
    value = entry.get("unique_field_value")
    return {
        "id": str(entry.get("id")),
        "submitted_at": next((time for time in times if epoch(time) is not None), None),
        "unique_value": None if value is None else str(value),
        "photos": len(inner),
    }


def _single(
    call: Call, contract: VizdomContract | None = None, *, several: bool
) -> Generator[Call, Envelope, State]:
    try:
        data = (yield call)["data"]
    except NotFoundError:
        return dict(GONE)
    except (PermissionDeniedError, InvalidRequestError):
        # A refusal of one of several must not end the wait for the others.
        if not several:
            raise
        return dict(REFUSED)
    if not isinstance(data, Mapping):
        return {}
    return state_of(data if contract is None else read_export(data, contract))


def state_of(item: Mapping[str, Any]) -> State:
    """Return the fields of a request or export that a wait needs."""
    kept = ("status", "created_at", "expires_at", "request_url", "dashboard_id", "error")
    return {name: item[name] for name in kept if item.get(name) is not None}
