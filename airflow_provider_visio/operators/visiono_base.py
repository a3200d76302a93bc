"""Base of the operators for Visiono, and of those that delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_visio.arguments import ids_of, is_many
from airflow_provider_visio.exceptions import NotFoundError, VisioProviderError
from airflow_provider_visio.extra_links import VisionoRequestLink
from airflow_provider_visio.idempotency.state_store import StateStore
from airflow_provider_visio.operators.base import VisioOperator
from airflow_provider_visio.task_wait import LONGEST_HOLD

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_visio.hooks.visiono import VisionoHook

# Key, in the task's state store, of the ids that a try has begun to delete.
DELETING = "visio_deleting"


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

        return self._cached_hook(VisionoHook, self.visiono_conn_id, self._longest_wait)

    @property
    def _wait_hook(self) -> VisionoHook:
        """The hook of a wait: a blocking wait looks in time for its deadline, also while the rate limit is used up."""
        return self.hook if self.deferrable else self.hook.with_longest_wait(LONGEST_HOLD)


class VisionoDeleteOperator(VisionoOperator):
    """An operator that deletes one object or several."""

    operator_extra_links: Collection[BaseOperatorLink] = ()  # its page is gone
    ignore_missing: bool

    def _delete_all(
        self, context: Context, given_ids: Any, name: str, delete: Callable[[str], None]
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """
        Delete all objects.

        :param given_ids: what the user gave as the ids.
        :param name: the parameter's name, for errors.
        :param delete: deletes one object by its id.
        :return: ``{"id", "deleted"}`` for each object; one dict where one id was given.
        """
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
        results = [self._done[found] for found in ids]
        self.multiple_outputs = not is_many(given_ids)
        return results[0] if self.multiple_outputs else results

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
