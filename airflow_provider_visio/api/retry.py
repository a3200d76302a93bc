"""Decides when a call is sent again; :class:`Retry` carries it out with tenacity."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_visio.exceptions import (
    AuthenticationError,
    ConnectionFailedError,
    RateLimitedError,
    ServiceError,
    UnexpectedReplyError,
)

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from airflow_provider_visio.api.call import Call
    from airflow_provider_visio.api.config import ServiceConfig

log = logging.getLogger(__name__)

BACKOFF_START = 0.5
BACKOFF_CAP = 30.0
LIMIT_BACKOFF_START = 2.0
LIMIT_BACKOFF_CAP = 60.0


def longest_backoff(max_attempts: int) -> float:
    """Return the seconds that a call may pause between its attempts, apart from those that the service asks for."""
    return sum(min(BACKOFF_CAP, BACKOFF_START * 2.0 ** min(number, 10)) for number in range(max_attempts - 1))


@dataclass(frozen=True)
class History:
    """
    The tries of one call so far.

    :param failures: tries that failed, other than by a 429.
    :param refusals: tries that were refused with 429.
    :param limit_waited: seconds waited because the service asked for it, or for a turn in the rate limit.
    :param reloaded: whether the connection was read again.
    """

    failures: int = 0
    refusals: int = 0
    limit_waited: float = 0.0
    reloaded: bool = False


@dataclass(frozen=True)
class Again:
    """
    Send the call again.

    :param wait: seconds to wait first, at least.
    :param spread: up to so many seconds more, drawn at random, so that many tasks do not come back together.
    :param reload: read the connection again first.
    :param history: the history to go on with.
    """

    wait: float
    spread: float
    history: History
    reload: bool = False


def decide(
    error: BaseException, call: Call, history: History, *, max_attempts: int, rate_limit_wait: float
) -> Again | None:
    """
    Decide whether a failed call is sent again.

    :param error: the error of the last try.
    :param call: the call; one that is not repeatable is sent again only when it cannot have arrived.
    :param history: the tries before this one.
    :param max_attempts: how often a call is sent at most, refusals with 429 not counted.
    :param rate_limit_wait: seconds that a call may wait in all because the service asked for it.
    :return: how to go on, or None to give up.
    """
    left = rate_limit_wait - history.limit_waited
    if isinstance(error, RateLimitedError):
        backoff = min(LIMIT_BACKOFF_CAP, LIMIT_BACKOFF_START * 2 ** min(history.refusals, 10))
        # At least a second, because a reset that has just passed would cause a tight loop.
        wait, spread = (max(1.0, error.retry_after), 0.0) if error.retry_after else (backoff / 2, backoff / 2)
        if wait > left:
            return None
        # Never less than asked for, and a little more, so that many tasks do not come back together.
        spread = min(spread or min(1.0, wait / 10), left - wait)
        waited = history.limit_waited + wait + spread
        return Again(wait, spread, replace(history, refusals=history.refusals + 1, limit_waited=waited))
    if isinstance(error, AuthenticationError):
        # The key may have been rotated since the connection was read.
        return None if history.reloaded else Again(0.0, 0.0, replace(history, reloaded=True), reload=True)
    if not _may_pass(error, call):
        return None
    failures = history.failures + 1
    if failures >= max_attempts:
        return None
    backoff = min(BACKOFF_CAP, BACKOFF_START * 2 ** min(failures - 1, 10))
    asked = error.retry_after if isinstance(error, ServiceError) else 0.0
    if asked > backoff / 2:
        if asked > left:
            return None  # every earlier try would meet the same fault
        spread = min(max(1.0, asked / 10), left - asked)
        waited = history.limit_waited + asked + spread
        return Again(asked, spread, replace(history, failures=failures, limit_waited=waited))
    return Again(backoff / 2, backoff / 2, replace(history, failures=failures))


def _may_pass(error: BaseException, call: Call) -> bool:
    if isinstance(error, ConnectionFailedError) and not error.ambiguous:
        return True
    if isinstance(error, UnexpectedReplyError) and error.status is not None and 300 <= error.status < 400:
        return False
    return call.repeatable and isinstance(error, ConnectionFailedError | ServiceError | UnexpectedReplyError)


class Retry:
    """:func:`decide` for one call, in the form that tenacity takes."""

    def __init__(self, call: Call, config: ServiceConfig) -> None:
        self._call = call
        self._config = config
        self._history = History()
        self._again: Again | None = None
        self.lost_reply = False

    @property
    def patience(self) -> float:
        """How many seconds the call may still wait for the rate limit."""
        return max(0.0, self._config.rate_limit_wait - self._history.limit_waited)

    def waited(self, seconds: float) -> None:
        """Note seconds that the call has waited for its turn."""
        self._history = replace(self._history, limit_waited=self._history.limit_waited + seconds)

    @property
    def reload(self) -> bool:
        """Whether the next try needs a fresh connection."""
        return self._again is not None and self._again.reload

    def __call__(self, state: RetryCallState) -> bool:
        """Return whether to try again."""
        error = state.outcome.exception() if state.outcome else None
        if error is None:
            return False
        self._again = decide(
            error,
            self._call,
            self._history,
            max_attempts=self._config.max_attempts,
            rate_limit_wait=self._config.rate_limit_wait,
        )
        self.lost_reply = self.lost_reply or getattr(error, "ambiguous", False)
        if self._again is None:
            return False
        self._history = self._again.history
        return True

    def wait(self, state: RetryCallState) -> float:  # noqa: ARG002
        """Return how many seconds to wait first."""
        if self._again is None:
            return 0.0
        return self._again.wait + self._again.spread * random.random()

    def announce(self, state: RetryCallState) -> None:
        """Log why and when the call is sent again."""
        error = state.outcome.exception() if state.outcome else None
        if self.reload:
            log.warning("%s Reading the connection again, in case its key has changed.", error)
        else:
            log.warning("%s Trying again in %.1f s.", error, state.upcoming_sleep)
