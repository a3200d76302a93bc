"""Sensor for permanent links: wait until something is submitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.arguments import is_literal, known_link, link_id_of, moment_of, require_resolved
from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.sensors.base import VisioSensor, wait_started_at

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from airflow.sdk import Context

    from airflow_provider_visio.hooks.visiono import VisionoHook
    from airflow_provider_visio.permanent_link_wait import LinkWait
    from airflow_provider_visio.waiting import States, Verdict


class VisionoPermanentLinkSensor(VisioSensor):
    """
    Wait until something new is submitted through a permanent link.

    Deferrable by default: the wait costs no worker, and all waits for a link share one poll (Airflow 3.3). With
    ``mode="poke"`` or ``mode="reschedule"`` it waits as other sensors do. All modes end alike. The output is
    ``{"link_id", "submissions": [{"id", "submitted_at", "unique_value", "photos"}], "count"}``: all submissions that
    count, in the order of their times, with ``photos`` as their number. The list of a link's submissions is the
    plugin's; its path below ``/permanent-links`` and its shape are assumed.

    :param link_id: id of the link, or the output of the task that created it. (templated)
    :param min_submissions: how many submissions the wait needs.
    :param since: only submissions from then on count: a datetime with a time zone, ISO 8601 text or a Unix timestamp.
        None means when the task first looked, by the worker's clock; a retry keeps it (Airflow 3.3), a cleared task
        starts again. Give ``"{{ dag_run.run_after }}"``, or the time at which the link was created
        (``"{{ ti.xcom_pull('make', key='created_at') }}"``), where the service's clock may differ or something may be
        submitted before this task starts. (templated)
    :param unique_value: only submissions with this value in the link's own field (``unique_field_label``). (templated)
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :param poke_interval: seconds or timedelta between two looks; in a deferred wait, for each page of submissions.
    :param timeout: seconds or timedelta to wait at most; by default Airflow's ``[sensors] default_timeout``.
    :param deferrable: wait in the triggerer; None means yes, unless a ``mode`` is given.
    :param soft_fail: skip the task instead of failing it, in all modes.
    :raises NotFoundError: the link does not exist, or this service does not list the submissions of links.
    :raises WaitTimeoutError: ``timeout`` passed; the link still works, and the task is not retried.
    """

    template_fields: Sequence[str] = ("link_id", "since", "unique_value", "visiono_conn_id")
    ui_color = "#e3f0ff"
    _target_name = "link_id"

    def __init__(
        self,
        *,
        link_id: Any,
        min_submissions: int = 1,
        since: datetime | float | str | None = None,
        unique_value: str | None = None,
        visiono_conn_id: str = "visiono_default",
        poke_interval: float | timedelta = 60.0,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, deferrable=deferrable, **kwargs)
        self.link_id = link_id
        self.min_submissions = min_submissions
        self.since = since
        self.unique_value = unique_value
        self._chooses = unique_value is not None
        self.visiono_conn_id = visiono_conn_id
        known_link(link_id)
        if is_literal(since):
            moment_of(since, "since")
        if isinstance(min_submissions, bool) or not isinstance(min_submissions, int) or min_submissions < 1:
            raise InvalidRequestError.of(
                "min_submissions", f"give a whole number from 1, not {min_submissions!r}"
            )

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Go on after a deferred wait, with the same ``since``."""
        since = event.get("since") if isinstance(event, Mapping) else None
        self._first_look = since if isinstance(since, int | float) else wait_started_at(context)
        return super().execute_complete(context, event)

    @property
    def hook(self) -> VisionoHook:
        """The hook of this sensor's connection."""
        # Imported here, so that parsing a DAG file does not import an HTTP library.
        from airflow_provider_visio.hooks.visiono import VisionoHook
        from airflow_provider_visio.task_wait import LONGEST_HOLD

        return self._cached_hook(VisionoHook, self.visiono_conn_id, LONGEST_HOLD)

    def _find_ids(self) -> list[str]:
        return [link_id_of(self._target)]

    def _make_wait(self) -> LinkWait:
        from airflow_provider_visio.permanent_link_wait import LinkWait

        require_resolved(self.unique_value, "unique_value", given=self._chooses)
        since = moment_of(None if self.since == "" else self.since, "since")
        return LinkWait(
            self.hook,
            self.poke_interval,
            since=(self._first_look or 0.0) if since is None else since,
            needed=self.min_submissions,
            unique_value=None if self.unique_value is None else str(self.unique_value),
        )

    def _result(self, verdict: Verdict) -> dict[str, Any]:  # noqa: ARG002
        found: list[dict[str, Any]] = self._wait.found  # type: ignore[attr-defined]
        return {"link_id": self._ids[0], "submissions": list(found), "count": len(found)}

    def _link_of(self, states: States) -> object:  # noqa: ARG002
        return None  # a submission has no link
