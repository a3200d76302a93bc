"""Base of the operators for Vizdom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_visio.operators.base import VisioOperator
from airflow_provider_visio.task_wait import LONGEST_HOLD

if TYPE_CHECKING:
    from airflow_provider_visio.hooks.vizdom import VizdomHook


class VizdomOperator(VisioOperator):
    """An operator that uses a Vizdom connection."""

    ui_color = "#efe6ff"
    vizdom_conn_id: str

    @property
    def hook(self) -> VizdomHook:
        """The hook of this operator's connection."""
        # Imported here, so that parsing a DAG file does not import an HTTP library.
        from airflow_provider_visio.hooks.vizdom import VizdomHook

        return self._cached_hook(VizdomHook, self.vizdom_conn_id, self._longest_wait)

    @property
    def _wait_hook(self) -> VizdomHook:
        """The hook of a wait: a blocking wait looks in time for its deadline, also while the rate limit is used up."""
        return self.hook if self.deferrable else self.hook.with_longest_wait(LONGEST_HOLD)
