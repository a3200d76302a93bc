"""Base of the sensors of both services: one decision for all modes."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)
from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_visio import clock
from airflow_provider_visio.arguments import (
    defers_by_default,
    earliest_deadline,
    ids_of,
    is_many,
    read_once,
    seconds,
)
from airflow_provider_visio.exceptions import (
    ConnectionFailedError,
    ExportFailedError,
    RateLimitedError,
    ServiceError,
    UnexpectedReplyError,
    VisioProviderError,
    WaitTimeoutError,
    fail_without_retry,
    retried,
)
from airflow_provider_visio.extra_links import keeping_link, remember_link
from airflow_provider_visio.hooks.cached_hook import LONGEST_HOLD, CachedHook
from airflow_provider_visio.idempotency.state_store import StateStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context

    from airflow_provider_visio.task_wait import TaskWait
    from airflow_provider_visio.waiting import States, Verdict


STORE_KEY = "visio_wait"


def wait_started_at(context: Context) -> float:
    """
    Return when the wait began, a Unix timestamp: now, or in an earlier try (Airflow 3.3) or an earlier look.

    A cleared task begins now.
    """
    from airflow_provider_visio.idempotency.record import clear_count, run_clears

    store, now, run = StateStore(context), clock.now(), clear_count(context)
    clears = run_clears(context)
    if not store:
        # Each look in reschedule mode is a process of its own; Airflow's database has the time of the first.
        first = context["ti"].get_first_reschedule_date(context)
        return min(now, first.timestamp()) if first else now
    kept = store.get(STORE_KEY)
    if isinstance(kept, dict) and (
        kept.get("run") == run or (clears is not None and kept.get("clears") == clears)
    ):
        at = kept.get("at")
        if isinstance(at, int | float) and not isinstance(at, bool) and 0 < at <= now:
            return float(at)
    store.set(STORE_KEY, {"at": now, "run": run, "clears": clears})
    return now


class SensorWaitTimeoutError(WaitTimeoutError, AirflowSensorTimeout):
    """A sensor's deadline passed; as with all of Airflow's sensors, the task is not retried."""


class VisioSensor(CachedHook, BaseSensorOperator):
    """
    A sensor of this provider.

    :param deferrable: wait in the triggerer; None means yes, unless a ``mode`` is given or Airflow's ``[operators]
        default_deferrable`` is set to False.
    """

    _target_name: str

    def __init__(self, *, deferrable: bool | None = None, mode: str | None = None, **kwargs: Any) -> None:
        # A parameter of our own, so that a mode from the DAG's default_args counts as given, too.
        self.deferrable = (mode is None and defers_by_default()) if deferrable is None else deferrable
        super().__init__(mode=mode or "poke", **kwargs)
        seconds(self.poke_interval, "poke_interval")
        self._deadline: float | None = None
        self._first_look: float | None = None
        self.multiple_outputs = True  # so that `output["arrived"]` works in later tasks

    def execute(self, context: Context) -> dict[str, Any]:
        """Wait in the chosen mode."""
        with keeping_link(context):
            # Neither a retry nor a restart of the triggerer starts the time again.
            self._first_look = since = wait_started_at(context)
            deadline = earliest_deadline(since, self.timeout, self.execution_timeout)
            return self._defer(context, deadline) if self.deferrable else self._poke_until(context, deadline)

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Look once."""
        with self._soft_failing():
            wait = self._wait
            # Each look in reschedule mode is a process of its own, which cannot count failures in a row.
            look = wait.look if self.reschedule else wait.try_look
            try:
                verdict = look(self._ids, self._deadline)
            except (ConnectionFailedError, RateLimitedError, ServiceError, UnexpectedReplyError) as error:
                # A wait that proceeds at its deadline does not fail before it.
                if not wait.goal.proceed and not isinstance(error, RateLimitedError):
                    raise
                self.log.warning("%s", error)
                return False
            remember_link(context, self._link_of(wait.states))
            if verdict.outcome == "wait":
                return False
            return PokeReturnValue(is_done=True, xcom_value=self._result(wait.settle(verdict)))

    def execute_complete(
        self,
        context: Context,  # noqa: ARG002
        event: Any = None,
        done: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Go on after a deferred wait."""
        with self._soft_failing():
            self._wait.kept = dict(done or {})
            return self._result(self._wait.resume(self, event))

    def _defer(self, context: Context, deadline: float | None) -> dict[str, Any]:
        with self._soft_failing():
            wait = self._wait
            # Where this first look fails, the poll in the triggerer looks again.
            verdict = wait.try_look(self._ids, deadline)
            remember_link(context, self._link_of(wait.states))
            if verdict.outcome == "wait":
                wait.defer(self, self._ids, deadline)
            return self._result(wait.settle(verdict))

    def _poke_until(self, context: Context, deadline: float | None) -> dict[str, Any]:
        self._deadline = deadline
        with self._soft_failing():
            self._wait.announce(self._ids, deadline, "on a worker")
        try:
            result: dict[str, Any] = super().execute(context)
        # Airflow's execution_timeout can end a pause between two looks.
        except (AirflowSensorTimeout, AirflowTaskTimeout, AirflowSkipException) as error:
            if error.__cause__ is not None:
                raise  # ours
            with self._soft_failing():
                result = self._result(self._wait.settle(self._wait.last_look(self._ids)))
        return result

    @contextlib.contextmanager
    def _soft_failing(self) -> Iterator[None]:
        """Apply ``soft_fail`` to all of our errors; Airflow's own poke modes apply it to timeouts only."""
        try:
            yield
        except VisioProviderError as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(
                    f"Skipped instead of failed, as soft_fail says: {error}"
                ) from error
            if isinstance(error, WaitTimeoutError):
                raise SensorWaitTimeoutError(
                    str(error), waiting=error.waiting, conn_id=error.conn_id
                ) from error
            if isinstance(error, ExportFailedError):
                retried(error, helps=False)
            # A retry_policy decides alone, and silent_fail means to look again.
            if getattr(self, "retry_policy", None) is None and not self.silent_fail:
                fail_without_retry(error)
            raise

    def _result(self, verdict: Verdict) -> dict[str, Any]:
        result = {
            "arrived": list(verdict.arrived),
            "ended": dict(verdict.ended),
            "waiting": list(verdict.waiting),
        }
        return (
            result if is_many(self._target) or not verdict.arrived else {"id": verdict.arrived[0], **result}
        )

    @cached_property
    def _target(self) -> Any:
        return read_once(getattr(self, self._target_name))

    @cached_property
    def _ids(self) -> list[str]:
        return ids_of(self._target, self._target_name)

    @cached_property
    def _wait(self) -> TaskWait[Any]:
        """The wait of all looks in this process, so that each warning is logged once."""
        return self._make_wait()

    @property
    def _longest_wait(self) -> float:
        return LONGEST_HOLD

    @abstractmethod
    def _make_wait(self) -> TaskWait[Any]:
        """Return the wait of this sensor."""

    def _link_of(self, states: States) -> object:  # noqa: ARG002
        """Return the URL for the task's button, if the states have one."""
        return None
