"""A wait as a task has it: blocking its worker, or deferred and resumed. Both kinds of wait look alike."""

from __future__ import annotations

import logging
import random
from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_visio import clock
from airflow_provider_visio.arguments import min_dwell
from airflow_provider_visio.exceptions import (
    AuthenticationError,
    ConnectionFailedError,
    RateLimitedError,
    ServiceError,
    UnexpectedReplyError,
    VisioProviderError,
)
from airflow_provider_visio.waiting import (
    ALL,
    MAX_POLL_FAILURES,
    Goal,
    Verdict,
    decide_exports,
    decide_photo_requests,
    ends_by_itself,
    error_of_exports,
    error_of_photo_requests,
    growing,
    jittered,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow.sdk import BaseOperator
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_visio.hooks.visiono import VisionoHook
    from airflow_provider_visio.hooks.vizdom import VizdomHook
    from airflow_provider_visio.waiting import States

log = logging.getLogger(__name__)

# Airflow's own timeout ends a deferred task without our word, so it comes so much later than ours.
TIMEOUT_BUFFER = 120.0

# A worker is held for so many seconds for the rate limit at most: the task defers, or there will be another look.
LONGEST_HOLD = 60.0

# What is known of more ids than these is not stored with the wait: the poll reads them from a list as quickly.
MAX_SEEN = 200


class TaskWait(ABC):
    """
    A wait for ids of one kind.

    :param conn_id: id of the Airflow connection.
    :param poke_interval: seconds between two looks.
    """

    def __init__(self, conn_id: str, poke_interval: float) -> None:
        self.conn_id = conn_id
        self.poke_interval = poke_interval
        self.goal = ALL
        self.states: States = {}
        self._last: Verdict | None = None
        self._failures = 0
        self._warned: set[str] = set()

    def look(self, ids: Sequence[str], deadline: float | None = None) -> Verdict:
        """
        Ask the service once.

        :raises VisioProviderError: it could not be asked.
        """
        verdict, self.states = self._judge(ids, deadline)
        self._last, self._failures = verdict, 0
        for word in set(verdict.unknown.values()) - self._warned:
            self._warned.add(word)
            log.warning("The service says %r, a status unknown to this provider; waiting on.", word)
        return verdict

    def look_patiently(self, ids: Sequence[str], deadline: float | None = None) -> Verdict:
        """
        Ask the service once, and bear it when that fails, unless it has failed too often in a row.

        :raises VisioProviderError: it could not be asked, and waiting on will not help.
        """
        try:
            return self.look(ids, deadline)
        except RateLimitedError as error:
            # The service is there; when the calls are used up, a wait goes on without a look.
            log.warning("%s", error)
            return Verdict("wait", waiting=tuple(ids))
        except (ConnectionFailedError, ServiceError, UnexpectedReplyError) as error:
            self._failures += 1
            late = deadline is not None and clock.now() >= deadline
            if self._failures >= MAX_POLL_FAILURES or late:
                raise
            log.warning("Look failed (%d of %d in a row): %s", self._failures, MAX_POLL_FAILURES, error)
            return Verdict("wait", waiting=tuple(ids))

    def last_look(self, ids: Sequence[str]) -> Verdict:
        """Ask the service at the deadline; where it cannot be asked, what it said before has to do."""
        try:
            return self.look(ids, clock.now())
        except (ConnectionFailedError, RateLimitedError, ServiceError, UnexpectedReplyError) as error:
            if self._last is None:
                raise  # nothing is known, which is not the same as nothing arrived
            log.warning("%s", error)
            return replace(self._last, outcome="done" if self.goal.proceed else "timeout")

    def settle(self, verdict: Verdict) -> Verdict:
        """
        Return a verdict that is good.

        :raises VisioProviderError: the wait has ended otherwise.
        """
        error = self._error_of(verdict)
        if error is not None:
            raise error
        return verdict

    def error_at_deadline(self, ids: Sequence[str]) -> VisioProviderError | None:
        """Return the error of a wait whose deadline has passed while these were open."""
        last = self._last or Verdict("timeout", waiting=tuple(ids))
        return self._error_of(replace(last, outcome="timeout"))

    def begin(
        self, task: BaseOperator, made: Mapping[str, Any], deadline: float | None, *, deferrable: bool
    ) -> Verdict:
        """
        Wait for what the task has just made, or found: not at all where it has ended already.

        :param made: what the service says of it.
        :param deferrable: give the worker back meanwhile.
        :raises VisioProviderError: the wait has ended otherwise.
        """
        verdict = self.check(made, deadline)
        if verdict.outcome != "wait":
            return verdict
        ids = [str(made["id"])]
        if deferrable:
            self.defer(task, ids, deadline)
        return self.block(ids, deadline)

    def check(self, made: Mapping[str, Any], deadline: float | None = None) -> Verdict:
        """
        Decide by what the service says of what the task has just made, or found.

        :raises VisioProviderError: a wait for it has ended otherwise.
        """
        found = str(made["id"])
        self.states = {found: made}
        return self.settle(self._decide([found], deadline))

    def block(self, ids: Sequence[str], deadline: float | None) -> Verdict:
        """Wait here, holding the worker, until the wait is over."""
        rounds = 0
        while (verdict := self.look_patiently(ids, deadline)).outcome == "wait":
            if deadline is not None and clock.now() >= deadline:
                # It could not look; what it saw last has to do.
                error = self.error_at_deadline(ids)
                if error is not None:
                    raise error
            now = clock.now()
            next_look = now + jittered(self._interval(rounds), random.random())
            sooner = [
                moment for moment in (deadline, *self._ends(ids)) if moment is not None and moment > now
            ]
            clock.sleep(min([next_look, *sooner]) - now)
            rounds += 1
        return self.settle(verdict)

    def defer(self, task: BaseOperator, ids: Sequence[str], deadline: float | None) -> None:
        """Give the worker back; the task goes on in its ``execute_complete`` when the wait is over."""
        dwell, timeout = min_dwell(), None
        if deadline is not None:
            left = max(0.0, deadline - clock.now())
            timeout = timedelta(seconds=left + self.poke_interval + dwell + TIMEOUT_BUFFER)
        task.defer(
            trigger=self._trigger(list(ids), deadline, dwell),
            method_name="execute_complete",
            timeout=timeout,
        )

    def resume(self, task: BaseOperator, event: Any) -> Verdict:
        """
        Go on after a deferred wait.

        All but a good end is looked at once more from here: photos may have come with the deadline, a worker may reach
        what the triggerer could not, and the service's own words are for the worker to report. A wait that turns out
        to be open still, as after an outage, is deferred again with the same deadline.

        :raises VisioProviderError: the wait has ended otherwise.
        """
        verdict = Verdict.from_event(event, self.goal)
        if verdict.outcome == "done" and not (self.goal.proceed and verdict.waiting):
            return verdict
        deadline = event.get("deadline")
        ids = [*verdict.arrived, *verdict.ended, *verdict.waiting]
        if verdict.fatal and str(verdict.trouble).startswith(AuthenticationError.__name__):
            # Not asked once more: of a thousand waits, each would have to wait for its turn to hear it.
            raise AuthenticationError(
                f"The service answered 401 to the poll on the connection {self.conn_id!r}, also after that was read "
                "again. Check the API key in the connection's Password: it may be mistyped, revoked or regenerated. "
                "Nothing was cancelled; clear this task when the key is good.",
                status=401,
                conn_id=self.conn_id,
            )
        if verdict.trouble:
            log.warning(
                "The triggerer could not ask any more (%s); asking from this worker.", verdict.trouble
            )
        try:
            verdict = self.look(ids, deadline)
        except RateLimitedError as error:
            # The service is there, and this worker is one of many that ask at once: back to the one poll.
            log.warning("%s", error)
            verdict = replace(verdict, outcome="wait") if verdict.outcome == "trouble" else verdict
        except VisioProviderError:
            if verdict.outcome == "trouble":
                raise
            log.warning("The service could not be asked once more.", exc_info=True)
        if verdict.outcome == "wait":
            log.info("The wait goes on.")
            self.defer(task, ids, deadline)
        return self.settle(verdict)

    def _interval(self, rounds: int) -> float:  # noqa: ARG002
        return self.poke_interval

    def _ends(self, ids: Sequence[str]) -> Iterable[float | None]:  # noqa: ARG002
        """Return when those that are waited for end by themselves."""
        return ()

    @abstractmethod
    def _judge(self, ids: Sequence[str], deadline: float | None) -> tuple[Verdict, States]:
        """Ask the service and decide."""

    @abstractmethod
    def _decide(self, ids: Sequence[str], deadline: float | None) -> Verdict:
        """Decide by what is known."""

    @abstractmethod
    def _error_of(self, verdict: Verdict) -> VisioProviderError | None:
        """Return the error that a verdict means."""

    @abstractmethod
    def _trigger(self, ids: list[str], deadline: float | None, min_dwell: float) -> BaseTrigger:
        """Return the trigger that waits in the triggerer."""


class PhotoRequestWait(TaskWait):
    """
    A wait for photo requests.

    :param goal: when it is good.
    :param cancel_on_kill: whether the requests are deleted when the task is killed while it is deferred.
    """

    def __init__(
        self, conn_id: str, poke_interval: float, goal: Goal = ALL, *, cancel_on_kill: bool = False
    ) -> None:
        super().__init__(conn_id, poke_interval)
        self.goal = goal
        self.cancel_on_kill = cancel_on_kill

    @cached_property
    def _hook(self) -> VisionoHook:
        from airflow_provider_visio.hooks.visiono import VisionoHook

        return VisionoHook(self.conn_id, longest_wait=LONGEST_HOLD)

    def _judge(self, ids: Sequence[str], deadline: float | None) -> tuple[Verdict, States]:
        return self._hook.judge(ids, deadline=deadline, goal=self.goal)

    def _decide(self, ids: Sequence[str], deadline: float | None) -> Verdict:
        return decide_photo_requests(ids, self.states, now=clock.now(), deadline=deadline, goal=self.goal)

    def _ends(self, ids: Sequence[str]) -> Iterable[float | None]:
        return (ends_by_itself(self.states[i]) for i in ids if i in self.states)

    def _error_of(self, verdict: Verdict) -> VisioProviderError | None:
        return error_of_photo_requests(verdict, self.conn_id, self.goal)

    def _trigger(self, ids: list[str], deadline: float | None, min_dwell: float) -> BaseTrigger:
        from airflow_provider_visio.triggers.visiono import VisionoPhotoRequestTrigger

        return VisionoPhotoRequestTrigger(
            ids,
            self.conn_id,
            deadline,
            self.poke_interval,
            min_dwell,
            needed=self.goal.needed,
            proceed=self.goal.proceed,
            states=self._seen(ids),
            cancel_on_kill=self.cancel_on_kill,
        )

    def _seen(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        """Return what the poll in the triggerer would otherwise have to ask for; no links, for those are stored."""
        if len(ids) > MAX_SEEN:
            return {}
        told = ("status", "created_at", "expires_at")
        return {
            i: {name: self.states[i][name] for name in told if isinstance(self.states[i].get(name), str)}
            for i in ids
            if i in self.states
        }


class ExportWait(TaskWait):
    """
    A wait for dashboard exports.

    :param starts: whether the task that waits starts them as well, so that a retry of it starts another.
    """

    def __init__(self, conn_id: str, poke_interval: float, *, starts: bool = False) -> None:
        super().__init__(conn_id, poke_interval)
        self.starts = starts

    @cached_property
    def _hook(self) -> VizdomHook:
        from airflow_provider_visio.hooks.vizdom import VizdomHook

        return VizdomHook(self.conn_id, longest_wait=LONGEST_HOLD)

    def _judge(self, ids: Sequence[str], deadline: float | None) -> tuple[Verdict, States]:
        return self._hook.judge(ids, deadline=deadline)

    def _decide(self, ids: Sequence[str], deadline: float | None) -> Verdict:
        return decide_exports(ids, self.states, self._hook.contract, now=clock.now(), deadline=deadline)

    def _error_of(self, verdict: Verdict) -> VisioProviderError | None:
        from airflow_provider_visio.api.vizdom import failure_of

        # What began the wait may be the service's own reply, with links in it.
        reasons = {i: failure_of(state, self._hook.get_conn().config) for i, state in self.states.items()}
        return error_of_exports(verdict, self.conn_id, reasons, starts=self.starts)

    def _trigger(self, ids: list[str], deadline: float | None, min_dwell: float) -> BaseTrigger:
        from airflow_provider_visio.triggers.vizdom import VizdomExportTrigger

        return VizdomExportTrigger(ids, self.conn_id, deadline, self.poke_interval, min_dwell)

    def _interval(self, rounds: int) -> float:
        return growing(self.poke_interval, rounds)
