"""Operator that starts a run for each submitted photo request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import BaseOperator

from airflow_provider_visio.assets.visiono import photo_request_submission, submitted_ids
from airflow_provider_visio.hooks.cached_hook import VisionoTask

if TYPE_CHECKING:
    from airflow.sdk import Context

# Key, in the state store of the asset, of the run that has published a request.
_PUBLISHED = "visio_published_{}"


class VisionoPublishSubmissionsOperator(BaseOperator):
    """
    Start one run for each submitted photo request, in DAGs on the schedule ``submission_schedule()``.

    Use it in a DAG of its own with ``schedule=[photo_requests_submitted()]`` and ``max_active_runs=1``. It takes the
    ids in the events that started its run, and adds an event for each to the asset ``photo_request_submission()``, with
    the id as partition key. It needs Airflow 3.3; before that it skips itself.

    A request is published once, also if it is reported twice. The asset's state store keeps the run that published it.
    A retry, or a cleared task, publishes only the requests whose events Airflow has not recorded. If nothing is left
    to publish, the task is skipped. A DAG that is paused at that time gets no run for the request later.

    The output is ``{"ids": [ids that were published]}``.

    :param visiono_conn_id: id of the Airflow connection; the same as of the assets.
    """

    ui_color = VisionoTask.ui_color

    def __init__(self, *, visiono_conn_id: str = "visiono_default", **kwargs: Any) -> None:
        self._asset = photo_request_submission(visiono_conn_id)
        # As an inlet, its events can be read.
        super().__init__(inlets=[self._asset], outlets=[self._asset], **kwargs)
        self.visiono_conn_id = visiono_conn_id
        self.multiple_outputs = True  # so that `output["ids"]` works in later tasks

    def execute(self, context: Context) -> dict[str, list[str]]:
        """Publish the requests that no other run has published."""
        event = context["outlet_events"][self._asset]
        if not hasattr(event, "add_partitions"):
            raise AirflowSkipException(
                "This Airflow cannot start a run for each submission; version 3.3 can. The DAGs on "
                "submission_schedule() start without this task, with one run for several submissions."
            )
        ids = submitted_ids(context, self.visiono_conn_id)
        new = self._unpublished(context, ids)
        if not new:
            # A task that succeeds would add an event without a partition key.
            raise AirflowSkipException(f"Nothing to publish: {len(ids)} submission(s), published before.")
        store: Any = context["asset_state_store"][self._asset]
        for request_id in new:
            store.set(_PUBLISHED.format(request_id), _run(context))
        event.add_partitions(new)
        self.log.info("Published %d submission(s): %s.", len(new), ", ".join(new))
        return {"ids": new}

    def _unpublished(self, context: Context, ids: list[str]) -> list[str]:
        """Return the ids that neither another run nor an earlier try of this task has published."""
        store: Any = context["asset_state_store"][self._asset]
        kept = {found: store.get(_PUBLISHED.format(found)) for found in ids}
        mine = [found for found in ids if kept[found] == _run(context)]
        recorded = self._recorded(context) if mine else set()
        return [found for found in ids if kept[found] is None or (found in mine and found not in recorded)]

    def _recorded(self, context: Context) -> set[str]:
        """Return the ids whose events, of an earlier try of this task, Airflow has recorded."""
        run: Any = context["dag_run"]
        events: Any = context["inlet_events"][self._asset]
        return {
            event.partition_key
            for event in events.after(run.run_after)
            if (event.source_dag_id, event.source_run_id) == (run.dag_id, run.run_id)
        }


def _run(context: Context) -> dict[str, str]:
    run: Any = context["dag_run"]
    return {"dag_id": run.dag_id, "run_id": run.run_id}
