"""Sensors for Visiono: wait until photos are submitted, for a request or through a permanent link."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.arguments import (
    holds_output,
    id_of,
    ids_of,
    is_literal,
    known_id,
    known_ids,
    moment_of,
    require_resolved,
)
from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.extra_links import VisionoRequestLink
from airflow_provider_visio.hooks.cached_hook import VisionoTask
from airflow_provider_visio.sensors.base import VisioSensor, wait_started_at
from airflow_provider_visio.waiting import Goal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from airflow.sdk import Context

    from airflow_provider_visio.task_wait import LinkWait, PhotoRequestWait
    from airflow_provider_visio.waiting import OnDeadline, States, Verdict


class VisionoPhotoRequestSensor(VisionoTask, VisioSensor):
    """
    Wait until photo requests are submitted.

    Deferrable by default: the wait costs no worker, and all waits on a connection share one poll (Airflow 3.3). With
    ``mode="poke"`` or ``mode="reschedule"`` it waits as other sensors do. All modes end alike. The output is ``{"id",
    "arrived": [ids], "ended": {id: "expired" | ...}, "waiting": [ids]}``, without ``id`` for a list.

    :param request_id: an id, the output of the task that created the request, or a list of either. (templated)
    :param min_submitted: of a list, how many must be submitted: a whole number, or a share such as 0.8; None for all.
        With ``"proceed"``, all where the list is shorter.
    :param on_deadline: ``"fail"``, or ``"proceed"`` to succeed with what has been submitted at the deadline, or as soon
        as no more can be submitted, even if that is nothing. With ``"proceed"`` a batch that created no request
        succeeds at once. Any other empty list is refused.
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :param poke_interval: seconds or timedelta between two looks.
    :param timeout: seconds or timedelta to wait at most; by default Airflow's ``[sensors] default_timeout``.
    :param deferrable: wait in the triggerer; None means yes, unless a ``mode`` is given or Airflow's ``[operators]
        default_deferrable`` is set to False.
    :param soft_fail: skip the task instead of failing it, in all modes.
    :raises InvalidRequestError: ``request_id`` holds no id; or, with ``"fail"``, ``min_submitted`` is more than
        there are requests.
    :raises PhotoRequestFailedError: too many expired, were cancelled or were deleted.
    :raises WaitTimeoutError: ``timeout`` passed; the request stays open, and the task is not retried.
    """

    template_fields: Sequence[str] = ("request_id", "visiono_conn_id")
    operator_extra_links = (VisionoRequestLink(),)
    _target_name = "request_id"

    def __init__(
        self,
        *,
        request_id: Any,
        min_submitted: float | None = None,
        on_deadline: OnDeadline = "fail",
        visiono_conn_id: str = "visiono_default",
        poke_interval: float | timedelta = 60.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.request_id = request_id
        self.min_submitted = min_submitted
        self.on_deadline = on_deadline
        self.visiono_conn_id = visiono_conn_id
        # `batch.output["ids"]`: at run time only the list is left of it.
        self._takes_ids = getattr(request_id, "key", None) == "ids"
        known = known_ids(request_id, "request_id")
        Goal.of(min_submitted, on_deadline, len(known) if known else None)

    @cached_property
    def _ids(self) -> list[str]:
        # A batch that created no request: no more can be submitted.
        of_batch = self._takes_ids or holds_output(self._target, "ids")
        return ids_of(self._target, "request_id", may_be_empty=of_batch and self.on_deadline == "proceed")

    def _make_wait(self) -> PhotoRequestWait:
        from airflow_provider_visio.task_wait import PhotoRequestWait

        goal = Goal.of(self.min_submitted, self.on_deadline, len(self._ids))
        return PhotoRequestWait(self.hook, self.poke_interval, goal)

    def _link_of(self, states: States) -> object:
        return next(iter(states.values())).get("request_url") if len(states) == 1 else None


class VisionoPermanentLinkSensor(VisionoTask, VisioSensor):
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
    :param deferrable: wait in the triggerer; None means yes, unless a ``mode`` is given or Airflow's ``[operators]
        default_deferrable`` is set to False.
    :param soft_fail: skip the task instead of failing it, in all modes.
    :raises NotFoundError: the link does not exist, or this service does not list the submissions of links.
    :raises WaitTimeoutError: ``timeout`` passed; the link still works, and the task is not retried.
    """

    template_fields: Sequence[str] = ("link_id", "since", "unique_value", "visiono_conn_id")
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
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.link_id = link_id
        self.min_submissions = min_submissions
        self.since = since
        self.unique_value = unique_value
        self._chooses = unique_value is not None
        self.visiono_conn_id = visiono_conn_id
        known_id(link_id, "link_id")
        if is_literal(since):
            moment_of(since, "since")
        if isinstance(min_submissions, bool) or not isinstance(min_submissions, int) or min_submissions < 1:
            raise InvalidRequestError.of(
                "min_submissions", f"give a whole number from 1, not {min_submissions!r}"
            )

    def execute_complete(
        self, context: Context, event: Any = None, done: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Go on after a deferred wait, with the same ``since``."""
        since = event.get("since") if isinstance(event, Mapping) else None
        self._first_look = since if isinstance(since, int | float) else wait_started_at(context)
        return super().execute_complete(context, event, done)

    @cached_property
    def _ids(self) -> list[str]:
        return [id_of(self._target, "link_id")]

    def _make_wait(self) -> LinkWait:
        from airflow_provider_visio.task_wait import LinkWait

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
