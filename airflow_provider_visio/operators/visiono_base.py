"""What all operators for Visiono share, and those that delete."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from airflow_provider_visio import clock
from airflow_provider_visio.arguments import ids_of, is_many
from airflow_provider_visio.exceptions import NotFoundError, RateLimitedError, VisioProviderError
from airflow_provider_visio.extra_links import VisionoRequestLink
from airflow_provider_visio.idempotency.state_store import StateStore
from airflow_provider_visio.operators.base import VisioOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_visio.hooks.visiono import VisionoHook

# Key, in the task's state store, of the ids that it began to delete.
DELETING = "visio_deleting"

# Beside a 404 to a deletion, of what is not gone.
STILL_THERE = "It is there all the same, so no other is made."


class VisionoOperator(VisioOperator):
    """An operator that uses a Visiono connection."""

    ui_color = "#e3f0ff"
    operator_extra_links: Collection[BaseOperatorLink] = (VisionoRequestLink(),)
    visiono_conn_id: str

    @property
    def hook(self) -> VisionoHook:
        """The hook of this operator's connection."""
        # Imported here, so that parsing a DAG file does not import an HTTP library.
        from airflow_provider_visio.hooks.visiono import VisionoHook

        return VisionoHook(self.visiono_conn_id, longest_wait=self._longest_wait)


def check_replaceable(state: Mapping[str, Any], request_id: str, conn_id: str) -> None:
    """
    Refuse to replace a photo request of which the service does not say that it is open: photos may be there.

    :param state: what the service says of it.
    :raises VisioProviderError: it does not say so.
    """
    from airflow_provider_visio.waiting import is_surely_open

    if is_surely_open(state, request_id, now=clock.now()):
        return
    told = f"reads {state.get('id')!r} with the status {state.get('status')!r}"
    raise VisioProviderError(
        f"Visiono does not say that photo request {request_id} is open (it {told}), so it is neither deleted nor "
        "replaced: photos may be there. Clear the task with on_existing='reuse' to go on with it, or delete it in "
        f"Visiono first. [connection {conn_id}]",
        conn_id=conn_id,
    )


class VisionoDeleteOperator(VisionoOperator):
    """An operator that deletes one thing or several."""

    operator_extra_links: Collection[BaseOperatorLink] = ()  # its page is gone
    ignore_missing: bool

    def _delete_all(
        self,
        context: Context,
        given_ids: Any,
        name: str,
        delete: Callable[[str], None],
        has_ended: Callable[[str], bool],
        ask_list: Callable[[], object],
    ) -> Any:
        """Delete; that one is missing is believed where ``ask_list`` works and ``has_ended`` finds it no more."""
        ids, ask_list = ids_of(given_ids, name), cache(ask_list)
        store = StateStore(context, self._done)
        for found in ids:
            if found not in self._done:
                self._done[found] = self._delete(found, delete, store, has_ended, ask_list)
        results = [self._done[found] for found in ids]
        self.multiple_outputs = not is_many(given_ids)
        return results[0] if self.multiple_outputs else results

    def _delete(
        self,
        found: str,
        delete: Callable[[str], None],
        store: StateStore,
        has_ended: Callable[[str], bool],
        ask_list: Callable[[], object],
    ) -> dict[str, Any]:
        # What an earlier try began to delete and is gone was deleted by it, though it did not live to say so.
        begun = store.get(DELETING) or []
        store.set(DELETING, [*begun, found])
        try:
            delete(found)
        except VisioProviderError as error:
            # First of all, for what follows may break off, and this was no work of ours.
            if not error.ambiguous:
                store.set(DELETING, begun)
            missing = isinstance(error, NotFoundError) and not error.unknown_route
            if not missing or not (found in begun or self.ignore_missing):
                raise
            _believe(error, found, has_ended, ask_list)
            if found not in begun:
                self.log.info("%s was not there.", found)
            return {"id": found, "deleted": found in begun}
        return {"id": found, "deleted": True}


def _believe(
    error: VisioProviderError,
    found: str,
    has_ended: Callable[[str], bool],
    ask_list: Callable[[], object],
) -> None:
    """Raise what says that a thing is missing, where it is there, or the service does not know the whole kind of it."""
    try:
        ask_list()
    except RateLimitedError:
        raise
    except VisioProviderError as problem:
        raise error.saying(f"The list cannot be read either, so it is not known: {problem}") from problem
    try:
        ended = has_ended(found)
    except NotFoundError:
        return
    if not ended:
        raise error.saying("It is there all the same; run the task again to delete it.") from error
