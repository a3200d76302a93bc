"""Operators for the plan's usage: get it, and stop a DAG when too few photos are left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

try:
    from airflow.sdk.bases.skipmixin import SkipMixin
except ImportError:  # Airflow 3.1
    from airflow.providers.standard.utils.skipmixin import SkipMixin  # type: ignore[assignment]

from airflow_provider_visio.api.plain_values import whole_number
from airflow_provider_visio.arguments import check_if_known
from airflow_provider_visio.exceptions import InvalidRequestError, VisioProviderError
from airflow_provider_visio.operators.visiono_base import VisionoOperator

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from airflow.sdk import BaseOperatorLink, Context

OnUnknown = Literal["continue", "stop", "fail"]


class VisionoGetStatsOperator(VisionoOperator):
    """
    Get the workspace's plan and usage.

    The output is the service's reply, such as ``{"plan": {"email_enabled", ...}, "usage": {"is_lifetime_quota",
    "billing_period_start", "billing_period_end", ...}}`` (the dates are None on the free plan), and ``photos_left``:
    how many photos the plan has left, None if that is not known. The names of the service's counters are not public;
    likely names are read (**assumed**), and the log has those that were found.

    :param deferrable: defer while the service's rate limit is used up for longer than a minute.
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :raises NotFoundError: the service has no such call; only the reference documents it.
    """

    template_fields: Sequence[str] = ("visiono_conn_id",)
    operator_extra_links: Collection[BaseOperatorLink] = ()

    def _run(self, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Get the plan and usage."""
        from airflow_provider_visio.api.plan_quota import photos_left

        stats = self.hook.get_stats()
        left = photos_left(stats)
        if left:
            self.log.info("The plan has %d photos left (%s).", left.photos, ", ".join(left.read))
        return {**stats, "photos_left": left.photos if left else None}


class VisionoQuotaShortCircuitOperator(VisionoOperator, SkipMixin):
    """
    Skip all tasks after this one if the plan has fewer photos left than a number.

    The log has the number of photos left. The output, if the DAG continues, is ``{"photos_left", "at_least"}``;
    ``photos_left`` is None if it is not known. The names of the counters are **assumed**, as in
    :class:`VisionoGetStatsOperator`.

    :param at_least: how many photos must be left. (templated)
    :param on_unknown: what to do if the number is not known: ``"continue"``, ``"stop"`` (skip), or ``"fail"``.
    :param ignore_downstream_trigger_rules: True skips all tasks after this one; False skips the next ones, and the
        trigger rules decide for those after them. As in Airflow's ``ShortCircuitOperator``.
    :param deferrable: defer while the service's rate limit is used up for longer than a minute.
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :raises VisioProviderError: the number is not known, and ``on_unknown`` is ``"fail"``.
    :raises NotFoundError: the service has no such call; only the reference documents it.
    """

    template_fields: Sequence[str] = ("at_least", "visiono_conn_id")
    operator_extra_links: Collection[BaseOperatorLink] = ()
    inherits_from_skipmixin = True

    def __init__(
        self,
        *,
        at_least: int | str,
        on_unknown: OnUnknown = "continue",
        ignore_downstream_trigger_rules: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.at_least = at_least
        self.on_unknown = on_unknown
        self.ignore_downstream_trigger_rules = ignore_downstream_trigger_rules
        check_if_known(_number, value=at_least)
        if on_unknown not in get_args(OnUnknown):
            raise InvalidRequestError.of(
                "on_unknown", f"give 'continue', 'stop' or 'fail', not {on_unknown!r}"
            )

    def _run(self, context: Context) -> dict[str, Any]:
        """Get the usage, and continue or skip."""
        from airflow_provider_visio.api.plan_quota import photos_left

        at_least, left = _number(self.at_least), photos_left(self.hook.get_stats())
        if left is None and self.on_unknown == "fail":
            raise VisioProviderError(
                "The reply does not show how many photos the plan has left, and on_unknown is 'fail'. See Visiono's "
                f"dashboard, or use on_unknown='continue'. [connection {self.visiono_conn_id}]",
                conn_id=self.visiono_conn_id,
            )
        goes_on = self.on_unknown == "continue" if left is None else left.photos >= at_least
        end = "continues" if goes_on else "stops here"
        if left is None:
            self.log.warning(
                "The reply does not show how many photos the plan has left; the DAG %s, as on_unknown says.",
                end,
            )
        else:
            self.log.info(
                "The plan has %d photos left (%s), and the task needs at least %d: the DAG %s.",
                left.photos,
                ", ".join(left.read),
                at_least,
                end,
            )
        if not goes_on:
            # This raises, except for a mapped task, which skips later tasks by its XCom.
            self.skip(ti=context["ti"], tasks=self._to_skip(context["task"]))  # type: ignore[call-arg, unused-ignore]
        return {"photos_left": left.photos if left else None, "at_least": at_least}

    def _to_skip(self, task: Any) -> Iterator[Any]:
        whole = self.ignore_downstream_trigger_rules
        later = task.get_flat_relatives if whole else task.get_direct_relatives
        return (one for one in later(upstream=False) if not one.is_teardown)


def _number(value: object) -> int:
    number = whole_number(value)
    if number is None or number < 1:
        raise InvalidRequestError.of("at_least", f"give a whole number from 1, not {value!r}")
    return number
