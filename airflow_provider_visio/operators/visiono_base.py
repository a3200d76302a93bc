"""Base of the operators for Visiono, and of those that delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_visio.arguments import ids_of
from airflow_provider_visio.exceptions import NotFoundError, VisioProviderError
from airflow_provider_visio.extra_links import VisionoPhotosLink, VisionoRequestLink
from airflow_provider_visio.hooks.cached_hook import VisionoTask
from airflow_provider_visio.idempotency.state_store import StateStore
from airflow_provider_visio.operators.base import VisioOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from airflow.sdk import BaseOperatorLink, Context

# The buttons of operators that store photos.
PHOTO_LINKS: Collection[BaseOperatorLink] = (VisionoRequestLink(), VisionoPhotosLink())

# Key, in the task's state store, of the ids that a try has begun to delete.
DELETING = "visio_deleting"


class VisionoOperator(VisionoTask, VisioOperator):
    """An operator that uses a Visiono connection."""

    operator_extra_links: Collection[BaseOperatorLink] = (VisionoRequestLink(),)

    def __init__(self, *, visiono_conn_id: str = "visiono_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.visiono_conn_id = visiono_conn_id


class VisionoDeleteOperator(VisionoOperator):
    """An operator that deletes one object or several."""

    operator_extra_links: Collection[BaseOperatorLink] = ()  # its page is gone

    def __init__(self, *, ignore_missing: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ignore_missing = ignore_missing

    def _delete_all(
        self, context: Context, given_ids: Any, name: str, delete: Callable[[str], None]
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """Delete all objects, and return ``{"id", "deleted"}`` for each; ``name`` is the parameter's, for errors."""
        ids = ids_of(given_ids, name)
        store = StateStore(context, self._done)
        # An object that an earlier try has begun to delete, and that is gone, was deleted by that try.
        begun = dict.fromkeys(store.get(DELETING) or [])
        store.set(DELETING, list(begun | dict.fromkeys(ids)))
        for found in ids:
            if found in self._done:
                continue
            try:
                self._done[found] = self._delete(found, delete, begun=found in begun)
            except VisioProviderError as error:
                # Only those that were sent: another that is missing was not deleted by this task.
                sent = [one for one in ids if one in self._done or (one == found and error.ambiguous)]
                store.set(DELETING, list(begun | dict.fromkeys(sent)))
                raise
        return self._one_or_all(given_ids, [self._done[found] for found in ids])

    def _delete(self, found: str, delete: Callable[[str], None], *, begun: bool) -> dict[str, Any]:
        try:
            delete(found)
        except NotFoundError as error:
            if error.unknown_route or not (begun or self.ignore_missing):
                raise
            if not begun:
                self.log.info("%s was not there.", found)
            return {"id": found, "deleted": begun}
        return {"id": found, "deleted": True}
