"""A policy for Airflow's ``retry_policy=`` that knows this provider's errors. It needs Airflow 3.3."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.exceptions import VisioProviderError, can_be_retried

try:
    from airflow.sdk import ExceptionRetryPolicy, RetryDecision
except ImportError:
    raise ImportError(
        "visio_retry_policy needs Airflow 3.3, and this Airflow has no `retry_policy`. Leave it out: without a policy, "
        "an error that a retry cannot mend uses up no retries either."
    ) from None

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context, RetryRule


def visio_retry_policy(rules: Sequence[RetryRule] = ()) -> ExceptionRetryPolicy:
    """
    Return a retry policy that knows this provider's errors.

    * An error that a retry cannot mend, such as a refused key, fails the task at once, as without a policy.
    * If the service says how long to wait, because of its rate limit or a fault, the retry waits so long, and up to a
      tenth longer so that many tasks do not come back together.
    * All other errors, also those of other code, follow the task's ``retries`` and ``retry_delay``.

    The task needs ``retries`` of at least 1. A policy can end retries earlier, but not add any.

    :param rules: rules that go before all of this; the first that matches decides.
    :return: the policy, for ``retry_policy=`` of a task or in ``default_args``.
    """
    return _VisioRetryPolicy(list(rules))


class _VisioRetryPolicy(ExceptionRetryPolicy):
    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Context | None = None,
    ) -> RetryDecision:
        if isinstance(exception, VisioProviderError) and not any(
            rule.matches(exception) for rule in self.rules
        ):
            return _decision(exception)
        return super().evaluate(exception, try_number, max_tries, context)

    def serialize(self) -> dict[str, Any]:
        return {**super().serialize(), "__type": f"{__name__}.{type(self).__qualname__}"}


def _decision(error: VisioProviderError) -> RetryDecision:
    if not can_be_retried(error):
        return RetryDecision.fail("a retry cannot mend this")
    if seconds := getattr(error, "retry_after", 0.0):
        delay = timedelta(seconds=seconds * (1 + random.random() / 10))
        return RetryDecision.retry(delay, f"the service asks to wait {seconds:.0f} s")
    return RetryDecision.default()
