"""Base of the operators for Vizdom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_visio.operators.base import VisioOperator

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
