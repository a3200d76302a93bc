"""Sensor for Vizdom: wait until an export is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_visio.arguments import known_ids
from airflow_provider_visio.extra_links import VizdomDashboardLink
from airflow_provider_visio.hooks.cached_hook import VizdomTask
from airflow_provider_visio.sensors.base import VisioSensor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow_provider_visio.task_wait import ExportWait
    from airflow_provider_visio.waiting import States


class VizdomExportSensor(VizdomTask, VisioSensor):
    """
    Wait until dashboard exports are ready.

    Deferrable by default; with ``mode="poke"`` or ``mode="reschedule"`` it waits as other sensors do. All modes end
    alike. The calls behind this are **assumed**, see docs/contract.md. The output is
    ``{"id", "arrived": [ids], "ended": {}, "waiting": []}``, without ``id`` for a list.

    :param export_id: an id, the output of the task that started the export, or a list of either: then all must be
        ready. (templated)
    :param vizdom_conn_id: id of the Airflow connection. (templated)
    :param poke_interval: seconds or timedelta between two looks; in a deferred wait, between the first two, and later
        ones are up to 30 s apart.
    :param timeout: seconds or timedelta to wait at most; by default Airflow's ``[sensors] default_timeout``.
    :param deferrable: wait in the triggerer; None means yes, unless a ``mode`` is given or Airflow's ``[operators]
        default_deferrable`` is set to False.
    :param soft_fail: skip the task instead of failing it, in all modes.
    :raises ExportFailedError: an export failed.
    :raises WaitTimeoutError: ``timeout`` passed; the export goes on, and the task is not retried.
    """

    template_fields: Sequence[str] = ("export_id", "vizdom_conn_id")
    operator_extra_links = (VizdomDashboardLink(),)
    _target_name = "export_id"

    def __init__(
        self,
        *,
        export_id: Any,
        vizdom_conn_id: str = "vizdom_default",
        poke_interval: float | timedelta = 5.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.export_id = export_id
        self.vizdom_conn_id = vizdom_conn_id
        known_ids(export_id, "export_id")

    def _make_wait(self) -> ExportWait:
        from airflow_provider_visio.task_wait import ExportWait

        return ExportWait(self.hook, self.poke_interval)

    def _link_of(self, states: States) -> object:
        dashboard_ids = (state["dashboard_id"] for state in states.values() if state.get("dashboard_id"))
        dashboard_id = next(dashboard_ids, None)
        return None if dashboard_id is None else self.hook.dashboard_url(dashboard_id)
