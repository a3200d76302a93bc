"""Base of all operators: they defer while the rate limit is used up, and work through lists of ids."""

from __future__ import annotations

import random
import threading
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from airflow.sdk import BaseOperator

from airflow_provider_visio import clock, exceptions
from airflow_provider_visio.arguments import defers_by_default, earliest_deadline, is_many, min_dwell
from airflow_provider_visio.exceptions import (
    AuthenticationError,
    RateLimitedError,
    ServiceError,
    TransferError,
    VisioProviderError,
    fail_without_retry,
    join_errors,
    retried,
)
from airflow_provider_visio.extra_links import keeping_link
from airflow_provider_visio.hooks.cached_hook import LONGEST_HOLD, CachedHook
from airflow_provider_visio.triggers.triggerer_health import warn_without_triggerer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from airflow.sdk import Context

Done = TypeVar("Done")
Step = Literal["execute", "execute_complete"]

# Seconds for which a task defers at least, since to defer has its cost; and in total at most, over all deferrals.
SHORTEST_DEFERRAL = 15.0
LONGEST_DEFERRAL = 24 * 3600.0

# Seconds that a signal handler waits for its thread: Airflow kills a process 5 s after SIGTERM.
SIGNAL_WAIT = 2.5


class VisioOperator(CachedHook, BaseOperator):
    """
    An operator of this provider.

    :param deferrable: whether it may wait in the triggerer instead of on its worker: for photos or files, and for the
        rate limit where that takes longer than a minute. None means yes, unless Airflow's ``[operators]
        default_deferrable`` is set to False.
    """

    # Errors that a retry of this operator mends, and of others does not.
    _retried: tuple[type[VisioProviderError], ...] = ()

    def __init__(self, *, deferrable: bool | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.multiple_outputs = True  # so that `output["id"]` works in later tasks
        self.deferrable = defers_by_default() if deferrable is None else deferrable
        # Results so far, kept while the task defers; plain JSON.
        self._done: dict[str, Any] = {}
        self._started = 0.0

    def execute(self, context: Context) -> Any:
        """Do the task's work."""
        self._done, self._started = {}, clock.now()
        with keeping_link(context):
            return self._paced("execute", context)

    def execute_complete(
        self, context: Context, event: Any = None, done: dict[str, Any] | None = None
    ) -> Any:
        """Go on after a deferred wait."""
        self._done = dict(done or {})
        return self._paced("execute_complete", context, event)

    def execute_again(self, context: Context, event: Any = None) -> Any:
        """Go on when the service accepts calls again."""
        self._done = dict(event["done"])
        return self._paced(event["step"], context, event["event"], since=event["since"])

    @abstractmethod
    def _run(self, context: Context) -> Any:
        """Do the task's work; called again from its start after a deferral for the rate limit."""

    def _resume(self, context: Context, event: Any) -> Any:
        """Go on after a deferred wait."""
        raise NotImplementedError

    def _each(self, ids: Sequence[str], what: str, work: Callable[[str], Done]) -> list[Done]:
        """
        Do some work for each id, also after it has failed for another.

        :param ids: the ids.
        :param what: what they are, for the error, such as ``"photo requests"``.
        :param work: called with each id.
        :return: the results, in the order of the ids.
        :raises RateLimitedError: at once; the task may defer, and continues with the ids that are left.
        :raises AuthenticationError: at once.
        :raises VisioProviderError: after all were tried: names each id that failed and the reason, and has the type
            that the errors share, or is a :class:`TransferError` where their types differ. With one id its own error.
        """
        results: list[Done] = []
        failed: dict[str, VisioProviderError] = {}
        for one in ids:
            # Not tried again after a deferral for the rate limit: that would use up the next calls, too.
            if isinstance(kept := self._done.get(one), dict):
                failed[one] = _error_from(kept)
                continue
            try:
                results.append(work(one))
            except (RateLimitedError, AuthenticationError):
                raise
            except VisioProviderError as error:
                if len(ids) == 1:
                    raise
                self.log.warning("%s failed; the task continues with the others: %s", one, error)
                failed[one] = error
                self._done[one] = {"type": type(error).__name__, "text": str(error), "status": error.status}
        if failed:
            first = next(iter(failed.values()))
            advice = f"The other {len(results)} are stored and stay; run the task again for the rest."
            raise join_errors(failed, len(ids), what).saying(advice) from first
        return results

    def _deadline(self, since: float, timeout: float | None) -> float | None:
        """Return the deadline of a wait that began at ``since`` as a Unix timestamp, or None for no deadline."""
        limits = [earliest_deadline(since, timeout, self.execution_timeout)]
        if not self.deferrable:
            # Airflow counts from the start of each try, which may be earlier.
            limits.append(earliest_deadline(self._started or since, None, self.execution_timeout))
        return min((limit for limit in limits if limit is not None), default=None)

    def _one_or_all(self, given: object, results: list[Done]) -> Done | list[Done]:
        """Return the output for an argument that takes an id or several: one result, or all."""
        self.multiple_outputs = not is_many(given)
        return results[0] if self.multiple_outputs else results

    @property
    def _longest_wait(self) -> float | None:
        return LONGEST_HOLD if self.deferrable else None

    @property
    def _wait_hook(self) -> Any:
        """The hook of a wait: a blocking wait looks in time for its deadline, also while the rate limit is used up."""
        return self.hook if self.deferrable else self.hook.with_longest_wait(LONGEST_HOLD)

    def _paced(self, step: Step, context: Context, event: Any = None, since: float | None = None) -> Any:
        try:
            return self._run(context) if step == "execute" else self._resume(context, event)
        except (RateLimitedError, ServiceError) as error:
            now = clock.now()
            since = self._started or now if since is None else since
            # A service error without a time, or after a call that may have been carried out, is for Airflow's retry.
            passing = isinstance(error, RateLimitedError) or (error.retry_after and not error.ambiguous)
            if not passing or not self.deferrable or now - since > LONGEST_DEFERRAL:
                raise
            # Spread, so that many tasks do not come back as one.
            pause = max(SHORTEST_DEFERRAL, min_dwell(), error.retry_after) * (1 + random.random() / 10)
            limit = earliest_deadline(since, None, self.execution_timeout)
            if limit is not None and now + pause > limit:
                raise error.saying(
                    "The task would wait beyond its execution_timeout; a retry continues from here."
                ) from error
            self.log.info("%s The task defers and continues in %.0f s.", error, pause)
            self._defer(now + pause, {"step": step, "event": event, "since": since, "done": self._done})
        except VisioProviderError as error:
            if isinstance(error, self._retried):
                retried(error)
            # A retry_policy decides alone; Airflow would not ask it.
            if getattr(self, "retry_policy", None) is None:
                fail_without_retry(error)
            raise
        return None  # not reached: to defer raises

    def _defer(self, moment: float, event: dict[str, Any]) -> None:
        from airflow_provider_visio.triggers.moment import MomentTrigger

        warn_without_triggerer()
        self.defer(trigger=MomentTrigger(moment, event), method_name="execute_again")


def _error_from(kept: dict[str, Any]) -> VisioProviderError:
    """Return the error that a task kept before it deferred."""
    error: VisioProviderError = getattr(exceptions, kept["type"], TransferError)(kept["text"])
    error.status = kept["status"]
    return error


class MaskedField:
    """
    A templated field whose value is masked in logs once the running task has rendered it.

    Airflow stores rendered fields in clear text, except masked values. Rendering sets the field a second time.

    :param secrets_in: returns the secrets in a value; None where the whole value is one.
    """

    def __init__(self, secrets_in: Callable[[Any], Iterable[str]] | None = None) -> None:
        self._secrets_in = secrets_in

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"_{name}"

    def __get__(self, task: object, owner: type | None = None) -> Any:
        return self if task is None else getattr(task, self._name)

    def __set__(self, task: object, value: Any) -> None:
        if value and hasattr(task, self._name):
            from airflow.sdk.log import mask_secret

            for secret in self._secrets_in(value) if self._secrets_in else [value]:
                mask_secret(secret.strip() if isinstance(secret, str) else secret)
        setattr(task, self._name, value)


def chosen_fields(found: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return those fields of an object that the output has, as far as the service gives them."""
    return {name: found[name] for name in names if found.get(name) is not None}


def run_in_thread(work: Callable[[], None]) -> None:
    """
    Do work of a signal handler in a thread, and wait for it at most ``SIGNAL_WAIT`` seconds.

    The interrupted code may hold a lock, such as the one on Airflow's messages. A handler that needs it would wait
    forever; a thread gets the lock when the handler has returned.
    """
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(SIGNAL_WAIT)
