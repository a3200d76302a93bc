"""Operators for the workspace's usage: what it is, and whether enough is left to go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

try:
    from airflow.sdk.bases.skipmixin import SkipMixin
except ImportError:  # Airflow 3.1
    from airflow.providers.standard.utils.skipmixin import SkipMixin  # type: ignore[assignment]

from airflow_provider_visio.api.plan_quota import photos_left
from airflow_provider_visio.arguments import check_if_known
from airflow_provider_visio.exceptions import InvalidRequestError, VisioProviderError
from airflow_provider_visio.operators.visiono_base import VisionoOperator

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from airflow.sdk import BaseOperatorLink, Context

OnUnknown = Literal["continue", "stop", "fail"]


class VisionoGetStatsOperator(VisionoOperator):
    """
    Ask for the workspace's usage and plan.

    The output is what the service says, such as ``{"plan": {"email_enabled", ...}, "usage": {"is_lifetime_quota",
    "billing_period_start", "billing_period_end", ...}}`` (the dates are None on the free plan), and ``photos_left``:
    how many photos the plan has left, None where it does not tell. The names of the service's counters are not public;
    the likely ones are read (**assumed**), and the log says
    which.

    :param deferrable: give the worker back where the service's rate limit is used up for longer than a minute.
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :raises NotFoundError: the service has no such call: the plugin does not know it.
    """

    template_fields: Sequence[str] = ("visiono_conn_id",)
    operator_extra_links: Collection[BaseOperatorLink] = ()

    def __init__(self, *, visiono_conn_id: str = "visiono_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.multiple_outputs = True
        self.visiono_conn_id = visiono_conn_id

    def _run(self, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Ask."""
        stats = self.hook.get_stats()
        left = photos_left(stats)
        if left:
            self.log.info("%d photos are left of the plan (%s).", left.photos, ", ".join(left.read))
        return {**stats, "photos_left": left.photos if left else None}


class VisionoQuotaShortCircuitOperator(VisionoOperator, SkipMixin):
    """
    Stop a DAG where the photos that the plan has left are fewer than a number: all tasks after this one are skipped.

    The log says how many are left, or that the plan does not tell. The output, where the DAG goes on, is
    ``{"photos_left", "at_least"}``; ``photos_left`` is None where the plan does not tell. Which counters are read is
    **assumed**, as for :class:`VisionoGetStatsOperator`.

    :param at_least: how many photos must be left. (templated)
    :param on_unknown: what to do where the plan does not tell: ``"continue"``, ``"stop"`` (skip), or ``"fail"``.
    :param ignore_downstream_trigger_rules: True skips all tasks after this one; False skips the next ones, and those
        after them go by their trigger rules. As for Airflow's ``ShortCircuitOperator``.
    :param deferrable: give the worker back where the service's rate limit is used up for longer than a minute.
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :raises VisioProviderError: the plan does not tell, and ``on_unknown`` is ``"fail"``.
    :raises NotFoundError: the service has no such call: the plugin does not know it.
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
        visiono_conn_id: str = "visiono_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.multiple_outputs = True
        self.at_least = at_least
        self.on_unknown = on_unknown
        self.ignore_downstream_trigger_rules = ignore_downstream_trigger_rules
        self.visiono_conn_id = visiono_conn_id
        check_if_known(_number, value=at_least)
        if on_unknown not in get_args(OnUnknown):
            raise InvalidRequestError.of(
                "on_unknown", f"give 'continue', 'stop' or 'fail', not {on_unknown!r}"
            )

    def _run(self, context: Context) -> dict[str, Any]:
        """Ask, and go on or stop."""
        at_least, left = _number(self.at_least), photos_left(self.hook.get_stats())
        if left is None and self.on_unknown == "fail":
            raise VisioProviderError(
                "The plan does not tell how many photos are left, and on_unknown is 'fail'. See Visiono's dashboard, "
                f"or use on_unknown='continue'. [connection {self.visiono_conn_id}]",
                conn_id=self.visiono_conn_id,
            )
        if left is None:
            goes_on = self.on_unknown == "continue"
            self.log.warning(
                "The plan does not tell how many photos are left; the DAG %s, as on_unknown says.",
                "goes on" if goes_on else "stops here",
            )
        else:
            goes_on = left.photos >= at_least
            self.log.info(
                "%d photos are left of the plan (%s), at least %d are wanted: the DAG %s.",
                left.photos,
                ", ".join(left.read),
                at_least,
                "goes on" if goes_on else "stops here",
            )
        if not goes_on:
            # To skip is to raise, save for a mapped task: those after it learn of it by its XCom.
            self.skip(ti=context["ti"], tasks=self._to_skip(context))  # type: ignore[call-arg, unused-ignore]
        return {"photos_left": left.photos if left else None, "at_least": at_least}

    def _to_skip(self, context: Context) -> Iterator[Any]:
        relatives = (
            context["task"].get_flat_relatives
            if self.ignore_downstream_trigger_rules
            else context["task"].get_direct_relatives
        )
        return (task for task in relatives(upstream=False) if not task.is_teardown)


def _number(value: object) -> int:
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidRequestError.of("at_least", f"give a whole number from 1, not {value!r}")
    return value
