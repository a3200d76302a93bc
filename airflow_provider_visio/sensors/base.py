"""What both sensors share: three modes, one decision."""

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
from airflow_provider_visio.arguments import earliest_deadline, ids_of, is_many, seconds
from airflow_provider_visio.exceptions import (
    ConnectionFailedError,
    RateLimitedError,
    ServiceError,
    UnexpectedReplyError,
    VisioProviderError,
    WaitTimeoutError,
)
from airflow_provider_visio.idempotency.record import clear_count
from airflow_provider_visio.idempotency.state_store import StateStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context

    from airflow_provider_visio.task_wait import TaskWait
    from airflow_provider_visio.waiting import States, Verdict


STORE_KEY = "visio_wait"


def wait_started_at(context: Context) -> float:
    """
    Return when the wait began, in seconds since 1970: now, or in an earlier try. A cleared task begins anew.

    Before Airflow 3.3 each try begins anew.
    """
    store, now, run = StateStore(context), clock.now(), clear_count(context)
    if not store:
        # Each look in reschedule mode is a process of its own; Airflow's database knows of the try's first.
        first = context["ti"].get_first_reschedule_date(context)
        return min(now, first.timestamp()) if first else now
    kept = store.get(STORE_KEY)
    if isinstance(kept, dict) and kept.get("run") == run:
        at = kept.get("at")
        if isinstance(at, int | float) and not isinstance(at, bool) and 0 < at <= now:
            return float(at)
    store.set(STORE_KEY, {"at": now, "run": run})
    return now


class SensorWaitTimeoutError(WaitTimeoutError, AirflowSensorTimeout):
    """A sensor's deadline passed; as with all of Airflow's sensors, the task is not retried."""


class VisioSensor(BaseSensorOperator):
    """
    A sensor of this provider.

    :param deferrable: wait in the triggerer; None means yes, unless a ``mode`` is given, which says how else to wait.
    """

    def __init__(self, *, deferrable: bool | None = None, mode: str | None = None, **kwargs: Any) -> None:
        # A parameter of our own, so that a mode from the DAG's default_args counts as given, too.
        self.deferrable = mode is None if deferrable is None else deferrable
        super().__init__(mode=mode or "poke", **kwargs)
        seconds(self.poke_interval, "poke_interval")
        self._deadline: float | None = None
        self._first_look: float | None = None
        self.multiple_outputs = True  # so that `output["arrived"]` works in later tasks

    def execute(self, context: Context) -> dict[str, Any]:
        """Wait in whichever mode was chosen."""
        # From when the wait first began: neither a retry nor a restart of the triggerer starts the clock again.
        self._first_look = since = wait_started_at(context)
        if not self.deferrable:
            self._deadline = earliest_deadline(since, self.timeout, self.execution_timeout)
            try:
                result: dict[str, Any] = super().execute(context)
            except SensorWaitTimeoutError:
                raise
            # Airflow's execution_timeout can end a pause between two looks.
            except (AirflowSensorTimeout, AirflowTaskTimeout, AirflowSkipException) as error:
                if isinstance(error, AirflowSkipException) and error.__cause__ is not None:
                    raise  # ours, by soft_fail
                if self._wait.goal.proceed:
                    return self._look_at_deadline()
                if isinstance(error, AirflowSkipException):
                    raise
                with self._softly():
                    raise self._timed_out() from error
            return result
        with self._softly():
            deadline = earliest_deadline(since, self.timeout, self.execution_timeout)
            ids, wait = self._ids(), self._wait
            # A first look that fails is borne like any later one: the poll in the triggerer looks again.
            verdict = wait.look_patiently(ids, deadline)
            self._remember(context, wait.states)
            if verdict.outcome == "wait":
                wait.defer(self, ids, deadline)
            return self._result(wait.settle(verdict))

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Look once."""
        with self._softly():
            wait = self._wait
            # Each look in reschedule mode is a process of its own, which cannot count failures in a row.
            look = wait.look if self.reschedule else wait.look_patiently
            try:
                verdict = look(self._ids(), self._deadline)
            except (ConnectionFailedError, RateLimitedError, ServiceError, UnexpectedReplyError) as error:
                # What goes on with whatever has come by the deadline need not fail before it.
                if not wait.goal.proceed and not isinstance(error, RateLimitedError):
                    raise
                self.log.warning("%s", error)
                return False
            self._remember(context, wait.states)
            if verdict.outcome == "wait":
                return False
            return PokeReturnValue(is_done=True, xcom_value=self._result(wait.settle(verdict)))

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:  # noqa: ARG002
        """Go on after a deferred wait."""
        with self._softly():
            return self._result(self._wait.resume(self, event))

    @contextlib.contextmanager
    def _softly(self) -> Iterator[None]:
        """Apply ``soft_fail`` to all of our errors; Airflow's own poke modes apply it to timeouts only."""
        try:
            yield
        except VisioProviderError as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipped instead of failed, as asked for: {error}") from error
            if isinstance(error, WaitTimeoutError):
                raise SensorWaitTimeoutError(
                    str(error), waiting=error.waiting, conn_id=error.conn_id
                ) from error
            raise

    def _look_at_deadline(self) -> dict[str, Any]:
        """Return what has arrived by the end of a poke or reschedule wait that goes on with that."""
        with self._softly():
            return self._result(self._wait.settle(self._wait.last_look(self._ids())))

    def _timed_out(self) -> SensorWaitTimeoutError:
        """Return the error of a poke or reschedule wait whose time is over, in the words of a deferred one."""
        wait = self._wait
        error = wait.error_at_deadline(self._ids())
        waiting = error.waiting if isinstance(error, WaitTimeoutError) else self._ids()
        return SensorWaitTimeoutError(str(error), waiting=waiting, conn_id=wait.conn_id)

    def _result(self, verdict: Verdict) -> dict[str, Any]:
        result = {
            "arrived": list(verdict.arrived),
            "ended": dict(verdict.ended),
            "waiting": list(verdict.waiting),
        }
        return (
            result if is_many(self._target()) or not verdict.arrived else {"id": verdict.arrived[0], **result}
        )

    def _ids(self) -> list[str]:
        return ids_of(self._target(), self._target_name)

    def _target(self) -> Any:
        return getattr(self, self._target_name)

    _target_name: str

    @cached_property
    def _wait(self) -> TaskWait:
        """The wait that this sensor makes; one for all its looks, so that it says things once."""
        return self._make_wait()

    @abstractmethod
    def _make_wait(self) -> TaskWait:
        """Return the wait that this sensor makes."""

    @abstractmethod
    def _remember(self, context: Context, states: States) -> None:
        """Keep the link that the task's button leads to."""
