"""Base of the operators for Vizdom."""

from __future__ import annotations

from typing import Any

from airflow_provider_visio.hooks.cached_hook import VizdomTask
from airflow_provider_visio.operators.base import VisioOperator


class VizdomOperator(VizdomTask, VisioOperator):
    """An operator that uses a Vizdom connection."""

    def __init__(self, *, vizdom_conn_id: str = "vizdom_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.vizdom_conn_id = vizdom_conn_id
