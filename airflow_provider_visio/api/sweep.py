"""
How to learn what some waiting ids are doing, in few calls. No I/O.

A sweep is a generator: it yields calls, is sent each reply's envelope (or thrown its error), and returns what it
learnt by id. So the blocking and the asynchronous driver carry out the very same sweep.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.api.call import Call
from airflow_provider_visio.api.pages import Pages
from airflow_provider_visio.api.visiono import get_photo_request, list_photo_requests
from airflow_provider_visio.api.vizdom import get_export, read_export
from airflow_provider_visio.exceptions import InvalidRequestError, NotFoundError, PermissionDeniedError

if TYPE_CHECKING:
    from airflow_provider_visio.api.vizdom import ExportContract

State = dict[str, Any]
Envelope = dict[str, Any]
Sweep = Generator[Call, Envelope, dict[str, State]]

# Up to so many ids are asked for one by one; more are looked for in the list first.
FEW = 5
LIST_PAGE = 100

# Our own words, for an id that the service does not know (any more), and for one that it will not tell of.
GONE: State = {"status": "deleted"}
REFUSED: State = {"status": "refused"}


def sweep(request_ids: Sequence[str], into: dict[str, State] | None = None) -> Sweep:
    """
    Look at some photo requests.

    What is learnt goes into ``into`` at once, so that it is not lost when a later call of the sweep fails; ids that it
    does not have yet, then those seen longest ago, are asked for first.

    More than a few are read from list pages, for as long as another page can cost less than asking for the rest singly.
    """
    states = {} if into is None else into
    missing = dict.fromkeys(_stalest_first(request_ids, states))
    several = len(missing) > 1
    if len(missing) > FEW:
        yield from _from_list(missing, states)
    for request_id in list(missing):
        state = yield from _single(get_photo_request(request_id), several=several)
        _learn(states, request_id, state)
    return states


def _stalest_first(ids: Sequence[str], states: dict[str, State]) -> list[str]:
    wanted = set(ids)
    return [i for i in ids if i not in states] + [i for i in states if i in wanted]


def _learn(states: dict[str, State], found: str, state: State) -> None:
    states.pop(found, None)  # so that it moves to the end: seen last
    states[found] = state


def _from_list(missing: dict[str, None], states: dict[str, State]) -> Generator[Call, Envelope, None]:
    pages, asked = Pages(list_photo_requests(page_size=LIST_PAGE)), 0
    while pages.next is not None and asked < len(missing):
        asked += 1
        try:
            envelope = yield pages.next
        except (InvalidRequestError, NotFoundError, PermissionDeniedError):
            return  # this service, or this key, has no such list: each id is asked for by itself
        for item in pages.take(envelope):
            found = str(item.get("id"))
            if found in missing:
                _learn(states, found, _state(item))
                del missing[found]


def sweep_exports(
    export_ids: Sequence[str], contract: ExportContract, into: dict[str, State] | None = None
) -> Sweep:
    """Look at some exports, one by one: no list of them is known. ``into`` as for :func:`sweep`."""
    states = {} if into is None else into
    ids = dict.fromkeys(_stalest_first(export_ids, states))
    for export_id in ids:
        state = yield from _single(get_export(export_id, contract), contract, several=len(ids) > 1)
        _learn(states, export_id, state)
    return states


def _single(
    call: Call, contract: ExportContract | None = None, *, several: bool
) -> Generator[Call, Envelope, State]:
    try:
        data = (yield call)["data"]
    except NotFoundError:
        return dict(GONE)
    except (PermissionDeniedError, InvalidRequestError):
        # Among several, the trouble with one must not end the wait for the others.
        if not several:
            raise
        return dict(REFUSED)
    if not isinstance(data, Mapping):
        return {}
    return _state(data if contract is None else read_export(data, contract))


def _state(item: Mapping[str, Any]) -> State:
    kept = ("status", "expires_at", "request_url", "dashboard_id", "error")
    return {name: item[name] for name in kept if item.get(name) is not None}
