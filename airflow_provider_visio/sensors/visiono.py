"""Sensors for Visiono: wait until photos are submitted, for a request or through a permanent link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_visio.arguments import holds_none, known_ids
from airflow_provider_visio.extra_links import VisionoRequestLink
from airflow_provider_visio.sensors.base import VisioSensor
from airflow_provider_visio.sensors.visiono_permanent_links import VisionoPermanentLinkSensor
from airflow_provider_visio.waiting import Goal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow_provider_visio.hooks.visiono import VisionoHook
    from airflow_provider_visio.task_wait import PhotoRequestWait
    from airflow_provider_visio.waiting import OnDeadline, States

__all__ = ["VisionoPermanentLinkSensor", "VisionoPhotoRequestSensor"]


class VisionoPhotoRequestSensor(VisioSensor):
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
    :param deferrable: wait in the triggerer; None means yes, unless a ``mode`` is given.
    :param soft_fail: skip the task instead of failing it, in all modes.
    :raises InvalidRequestError: ``request_id`` holds no id; or, with ``"fail"``, ``min_submitted`` is more than
        there are requests.
    :raises PhotoRequestFailedError: too many expired, were cancelled or were deleted.
    :raises WaitTimeoutError: ``timeout`` passed; the request stays open, and the task is not retried.
    """

    template_fields: Sequence[str] = ("request_id", "visiono_conn_id")
    operator_extra_links = (VisionoRequestLink(),)
    ui_color = "#e3f0ff"
    _target_name = "request_id"

    def __init__(
        self,
        *,
        request_id: Any,
        min_submitted: float | None = None,
        on_deadline: OnDeadline = "fail",
        visiono_conn_id: str = "visiono_default",
        poke_interval: float | timedelta = 60.0,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, deferrable=deferrable, **kwargs)
        self.request_id = request_id
        self.min_submitted = min_submitted
        self.on_deadline = on_deadline
        self.visiono_conn_id = visiono_conn_id
        # `batch.output["ids"]`: at run time only the list is left of it.
        self._takes_ids = getattr(request_id, "key", None) == "ids"
        known = known_ids(request_id, "request_id")
        Goal.of(min_submitted, on_deadline, len(known) if known else None)

    @property
    def hook(self) -> VisionoHook:
        """The hook of this sensor's connection."""
        # Imported here, so that parsing a DAG file does not import an HTTP library.
        from airflow_provider_visio.hooks.visiono import VisionoHook
        from airflow_provider_visio.task_wait import LONGEST_HOLD

        return self._cached_hook(VisionoHook, self.visiono_conn_id, LONGEST_HOLD)

    def _find_ids(self) -> list[str]:
        # A batch that created no request: no more can be submitted.
        none = self.on_deadline == "proceed" and holds_none(self._target, bare=self._takes_ids)
        return [] if none else super()._find_ids()

    def _make_wait(self) -> PhotoRequestWait:
        from airflow_provider_visio.task_wait import PhotoRequestWait

        goal = Goal.of(self.min_submitted, self.on_deadline, len(self._ids))
        return PhotoRequestWait(self.hook, self.poke_interval, goal)

    def _link_of(self, states: States) -> object:
        return next(iter(states.values())).get("request_url") if len(states) == 1 else None
