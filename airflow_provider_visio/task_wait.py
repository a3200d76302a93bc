"""A wait as a task runs it: on its worker, or deferred to the triggerer and resumed."""

from __future__ import annotations

import logging
import random
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

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
from airflow_provider_visio.submissions import decide_link, error_of_link, new_submissions, untimed
from airflow_provider_visio.triggers.triggerer_health import warn_without_triggerer
from airflow_provider_visio.waiting import (
    ALL,
    MAX_NAMED,
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
    trouble_of_triggerer,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow.sdk import BaseOperator
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_visio.hooks.base import VisioBaseHook
    from airflow_provider_visio.hooks.visiono import VisionoHook
    from airflow_provider_visio.hooks.vizdom import VizdomHook
    from airflow_provider_visio.submissions import Submission
    from airflow_provider_visio.waiting import States

log = logging.getLogger(__name__)

Hook = TypeVar("Hook", bound="VisioBaseHook")

# Airflow's own timeout ends a deferred task without our error, so it comes this many seconds later than our deadline.
TIMEOUT_BUFFER = 120.0

# Kept while a task defers again: no poll of the round before worked in the triggerer.
FAILED_ROUND = "triggerer_failed"

# For more ids than these no states are stored with the trigger: its poll reads them from a list as quickly.
MAX_SEEN = 200


class TaskWait(ABC, Generic[Hook]):
    """A wait for ids of one kind: ``hook`` looks every ``poke_interval`` seconds."""

    def __init__(self, hook: Hook, poke_interval: float) -> None:
        self.hook = hook
        self.conn_id = hook.conn_id
        self.poke_interval = poke_interval
        self.goal = ALL
        self.states: States = {}
        #: Results so far that the task gets back when it is resumed; plain JSON, which Airflow stores.
        self.kept: dict[str, Any] = {}
        self._last: Verdict | None = None
        self._failures = 0
        self._warned: set[str] = set()

    def announce(self, ids: Sequence[str], deadline: float | None, where: str) -> None:
        """Log what the task waits for, where, how often it looks and until when."""
        named = ", ".join(ids[:MAX_NAMED])
        if len(ids) > MAX_NAMED:
            named += f" and {len(ids) - MAX_NAMED} more"
        limit = "without a deadline"
        if deadline is not None:
            limit = f"for {max(0.0, deadline - clock.now()):.0f} s at most"
        log.info("Waiting for %s %s, %s; looking every %g s.", named, where, limit, self.poke_interval)

    def look(self, ids: Sequence[str], deadline: float | None = None) -> Verdict:
        """
        Ask the service once.

        :raises VisioProviderError: the service could not be asked.
        """
        self.hook.get_conn().refresh()
        verdict, self.states = self._judge(ids, deadline)
        self._last, self._failures = verdict, 0
        for word in set(verdict.unknown.values()) - self._warned:
            self._warned.add(word)
            log.warning("The service says %r, a status unknown to this provider; the wait continues.", word)
        return verdict

    def try_look(self, ids: Sequence[str], deadline: float | None = None) -> Verdict:
        """
        Ask the service once; a failure keeps the wait going, unless too many follow each other.

        :raises VisioProviderError: the service could not be asked, and to wait longer does not help.
        """
        try:
            return self.look(ids, deadline)
        except RateLimitedError as error:
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
        """Ask the service at the deadline; where that fails, return the verdict of the last look."""
        try:
            return self.look(ids, clock.now())
        except (ConnectionFailedError, RateLimitedError, ServiceError, UnexpectedReplyError) as error:
            if self.goal.proceed and self._last is None:
                raise  # nothing is known, which is not the same as nothing arrived
            log.warning("%s", error)
            return self._known_at_deadline(ids)

    def settle(self, verdict: Verdict) -> Verdict:
        """
        Return a verdict that does not fail the wait.

        :raises VisioProviderError: the wait has failed or timed out.
        """
        if verdict.outcome != "wait":
            log.info("%s", self._end_of(verdict))
        error = self._error_of(verdict)
        if error is not None:
            raise error
        return verdict

    def begin(
        self, task: BaseOperator, state: Mapping[str, Any], deadline: float | None, *, deferrable: bool
    ) -> Verdict:
        """
        Wait for what the task has just created or found; return at once where it has ended already.

        :param state: the service's reply, with ``id``.
        :param deadline: when the wait gives up, a Unix timestamp; None for never.
        :raises VisioProviderError: the wait has failed or timed out.
        """
        verdict = self.check(state, deadline)
        if verdict.outcome != "wait":
            return verdict
        ids = [str(state["id"])]
        if deferrable:
            self.defer(task, ids, deadline)
        return self.block(ids, deadline)

    def check(self, state: Mapping[str, Any], deadline: float | None = None) -> Verdict:
        """
        Decide by the service's reply to the call that created or found something.

        :raises VisioProviderError: a wait for it has failed or timed out.
        """
        found = str(state["id"])
        self.states = {found: state}
        return self.settle(self._decide([found], deadline))

    def block(self, ids: Sequence[str], deadline: float | None) -> Verdict:
        """Wait on this worker until the wait is over."""
        self.announce(ids, deadline, "on this worker")
        rounds = 0
        while (verdict := self.try_look(ids, deadline)).outcome == "wait":
            now = clock.now()
            if deadline is not None and now >= deadline:
                # The rate limit has refused this look: the verdict of the last one counts.
                return self.settle(self._known_at_deadline(ids))
            pause = jittered(self._interval(rounds), random.random())
            ends = [end - now for end in (deadline, *self._expiries(ids)) if end is not None and end > now]
            clock.sleep(min([pause, *ends]))
            rounds += 1
        return self.settle(verdict)

    def defer(self, task: BaseOperator, ids: Sequence[str], deadline: float | None) -> None:
        """Give the worker back; Airflow calls the task's ``execute_complete`` when the wait is over."""
        dwell, timeout = min_dwell(), None
        if deadline is not None:
            left = max(0.0, deadline - clock.now())
            timeout = timedelta(seconds=left + self.poke_interval + dwell + TIMEOUT_BUFFER)
        self.announce(ids, deadline, "in the triggerer")
        warn_without_triggerer()
        task.defer(
            trigger=self._trigger(list(ids), deadline, dwell),
            method_name="execute_complete",
            kwargs={"done": self.kept} if self.kept else None,
            timeout=timeout,
        )

    def resume(self, task: BaseOperator, event: Any) -> Verdict:
        """
        Return the verdict of a deferred wait.

        Unless all went well, the service is asked once more: photos may have come with the deadline, this worker may
        reach a service that the triggerer could not, and the error needs the service's own words. A wait that is still
        open, for example after an outage, defers again with the same deadline, but not after two rounds in which no
        poll in the triggerer worked.

        :raises VisioProviderError: the wait has failed or timed out, or the triggerer cannot poll.
        """
        verdict = Verdict.from_event(event, self.goal)
        if verdict.outcome == "done" and not (self.goal.proceed and verdict.waiting):
            return self.settle(verdict)
        deadline = event.get("deadline")
        ids = [*verdict.arrived, *verdict.ended, *verdict.waiting]
        if verdict.fatal and str(verdict.trouble).startswith(f"{AuthenticationError.__name__} ("):
            # No look: a thousand waits would each spend a call to get the same 401.
            raise AuthenticationError(
                f"The service answered 401 to the triggerer's poll on the connection {self.conn_id!r}, also after the "
                "connection was read again. Check the API key in its Password: it may be mistyped, revoked or "
                "regenerated, or the triggerer's environment or secrets backend has another than the worker's. "
                "Nothing was cancelled; clear this task when the key is good.",
                status=401,
                conn_id=self.conn_id,
            )
        if verdict.trouble:
            log.warning("The triggerer's poll has failed (%s); asking from this worker.", verdict.trouble)
        trouble = "" if event.get("polled", not verdict.fatal) else str(verdict.trouble)
        try:
            verdict = self.look(ids, deadline)
        except RateLimitedError as error:
            # Many workers ask at once after an outage; the one poll asks for all of them.
            log.warning("%s", error)
            verdict = replace(verdict, outcome="wait") if verdict.outcome == "trouble" else verdict
        except VisioProviderError:
            if verdict.outcome == "trouble":
                raise
            log.warning("The last look has failed; the poll's result counts.", exc_info=True)
        else:
            if verdict.outcome == "wait":
                self._count_round(trouble)
        if verdict.outcome == "wait":
            self.defer(task, ids, deadline)
        return self.settle(verdict)

    def _count_round(self, trouble: str) -> None:
        """
        Fail in the second round in a row in which no poll in the triggerer worked, while this worker's look did.

        :param trouble: why none worked; empty where one did.
        :raises ConnectionFailedError: this is the second.
        """
        failed_before = self.kept.pop(FAILED_ROUND, False)
        # A fault of the service passes, and is the same on all hosts.
        if not trouble or trouble.startswith(ServiceError.__name__):
            return
        if failed_before:
            raise ConnectionFailedError(
                f"{trouble_of_triggerer(trouble, self.conn_id)} This worker reaches the service, so deferrable=False "
                "helps as well.",
                conn_id=self.conn_id,
            )
        self.kept[FAILED_ROUND] = True

    def _known_at_deadline(self, ids: Sequence[str]) -> Verdict:
        last = self._last or Verdict("timeout", waiting=tuple(ids))
        return replace(last, outcome="done" if self.goal.proceed else "timeout")

    def _end_of(self, verdict: Verdict) -> str:
        return describe_end(verdict, self.goal)

    def _interval(self, rounds: int) -> float:  # noqa: ARG002
        return self.poke_interval

    def _expiries(self, ids: Sequence[str]) -> Iterable[float | None]:  # noqa: ARG002
        return ()

    @abstractmethod
    def _judge(self, ids: Sequence[str], deadline: float | None) -> tuple[Verdict, States]:
        """Ask the service and decide."""

    @abstractmethod
    def _decide(self, ids: Sequence[str], deadline: float | None) -> Verdict:
        """Decide by the states that are known."""

    @abstractmethod
    def _error_of(self, verdict: Verdict) -> VisioProviderError | None:
        """Return the error that a verdict means."""

    @abstractmethod
    def _trigger(self, ids: list[str], deadline: float | None, min_dwell: float) -> BaseTrigger:
        """Return the trigger that waits in the triggerer."""


class PhotoRequestWait(TaskWait["VisionoHook"]):
    """
    A wait for photo requests.

    :param goal: when the wait is good.
    :param cancel_on_kill: whether the requests are deleted when the task is killed while it is deferred.
    """

    def __init__(
        self, hook: VisionoHook, poke_interval: float, goal: Goal = ALL, *, cancel_on_kill: bool = False
    ) -> None:
        super().__init__(hook, poke_interval)
        self.goal = goal
        self.cancel_on_kill = cancel_on_kill

    def _judge(self, ids: Sequence[str], deadline: float | None) -> tuple[Verdict, States]:
        return self.hook.judge(ids, deadline=deadline, goal=self.goal)

    def _decide(self, ids: Sequence[str], deadline: float | None) -> Verdict:
        return decide_photo_requests(ids, self.states, now=clock.now(), deadline=deadline, goal=self.goal)

    def _expiries(self, ids: Sequence[str]) -> Iterable[float | None]:
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
        """Return the states that spare the poll its first calls; without links, since Airflow stores them."""
        if len(ids) > MAX_SEEN:
            return {}
        fields = ("status", "created_at", "expires_at")
        return {
            i: {name: self.states[i][name] for name in fields if isinstance(self.states[i].get(name), str)}
            for i in ids
            if i in self.states
        }


class ExportWait(TaskWait["VizdomHook"]):
    """
    A wait for dashboard exports; the pauses between its looks grow.

    :param starts: whether the waiting task also starts the exports, so that its retry starts another.
    """

    def __init__(self, hook: VizdomHook, poke_interval: float, *, starts: bool = False) -> None:
        super().__init__(hook, poke_interval)
        self.starts = starts

    def _judge(self, ids: Sequence[str], deadline: float | None) -> tuple[Verdict, States]:
        return self.hook.judge(ids, deadline=deadline)

    def _decide(self, ids: Sequence[str], deadline: float | None) -> Verdict:
        return decide_exports(ids, self.states, self.hook.contract, now=clock.now(), deadline=deadline)

    def _error_of(self, verdict: Verdict) -> VisioProviderError | None:
        from airflow_provider_visio.api.vizdom import failure_of

        # The first state may be the service's own reply, with links in its text.
        reasons = {i: failure_of(state, self.hook.get_conn().config) for i, state in self.states.items()}
        return error_of_exports(verdict, self.conn_id, reasons, starts=self.starts)

    def _trigger(self, ids: list[str], deadline: float | None, min_dwell: float) -> BaseTrigger:
        from airflow_provider_visio.triggers.vizdom import VizdomExportTrigger

        return VizdomExportTrigger(ids, self.conn_id, deadline, self.poke_interval, min_dwell)

    def _interval(self, rounds: int) -> float:
        return growing(self.poke_interval, rounds)


class LinkWait(TaskWait["VisionoHook"]):
    """
    A wait for submissions through a permanent link.

    :param since: only submissions from then on count, a Unix timestamp.
    :param needed: how many submissions the wait needs.
    :param unique_value: only submissions with this value in the link's own field; None for all.
    """

    def __init__(
        self, hook: VisionoHook, poke_interval: float, *, since: float, needed: int, unique_value: str | None
    ) -> None:
        super().__init__(hook, poke_interval)
        self.since = since
        self.needed = needed
        self.unique_value = unique_value
        self.found: list[Submission] = []

    def resume(self, task: BaseOperator, event: Any) -> Verdict:
        """Return the verdict of a deferred wait; the event has no submissions, so the service is asked for them."""
        verdict = Verdict.from_event(event, self.goal)
        if verdict.outcome != "done":
            return super().resume(task, event)
        ids = list(verdict.arrived)
        try:
            verdict = self.look(ids, event.get("deadline"))
        except RateLimitedError as error:
            log.warning("%s", error)
            verdict = Verdict("wait", waiting=tuple(ids))
        if verdict.outcome == "wait":
            self.defer(task, ids, event.get("deadline"))
        return self.settle(verdict)

    def _end_of(self, verdict: Verdict) -> str:  # noqa: ARG002
        return f"{len(self.found)} submission(s) have arrived, of {self.needed} that the wait needs."

    def _judge(self, ids: Sequence[str], deadline: float | None) -> tuple[Verdict, States]:
        from airflow_provider_visio.api.one_time_queries import read_submissions

        states: dict[str, dict[str, Any]] = {}
        (link_id,) = ids
        self.hook.get_conn().query(read_submissions(link_id, self.hook.dialect, states.__setitem__))
        submissions = states[link_id]["submissions"]
        if (count := untimed(submissions)) and "untimed" not in self._warned:
            self._warned.add("untimed")
            log.warning("%d submission(s) have no time in the service's reply; they are left out.", count)
        self.found = new_submissions(submissions, self.since, self.unique_value)
        self.states = states
        return self._decide(ids, deadline), states

    def _decide(self, ids: Sequence[str], deadline: float | None) -> Verdict:
        state = dict(self.states[ids[0]]) if ids[0] in self.states else None
        return decide_link(ids[0], state, self.found, needed=self.needed, now=clock.now(), deadline=deadline)

    def _error_of(self, verdict: Verdict) -> VisioProviderError | None:
        return error_of_link(verdict, self.conn_id, self.needed, self.found, self.unique_value)

    def _trigger(self, ids: list[str], deadline: float | None, min_dwell: float) -> BaseTrigger:
        from airflow_provider_visio.triggers.visiono_permanent_links import VisionoPermanentLinkTrigger

        return VisionoPermanentLinkTrigger(
            ids[0],
            self.conn_id,
            since=self.since,
            unique_value=self.unique_value,
            poke_interval=self.poke_interval,
            once=True,
            min_submissions=self.needed,
            deadline=deadline,
            min_dwell=min_dwell,
        )


def describe_end(verdict: Verdict, goal: Goal = ALL) -> str:
    """Return how a wait has ended, in a sentence for the log."""
    ids = [*verdict.arrived, *verdict.ended, *verdict.waiting]
    if len(verdict.arrived) == len(ids):
        return f"{ids[0]} has arrived." if len(ids) == 1 else f"All {len(ids)} have arrived."
    counts = [f"{len(verdict.arrived)} of {len(ids)} arrived"]
    counts += [f"{count} {phase}" for phase, count in Counter(verdict.ended.values()).items()]
    counts += [f"{len(verdict.waiting)} still open"] if verdict.waiting else []
    text = ", ".join(counts)
    if verdict.outcome == "trouble":
        return f"The service could not be asked ({verdict.trouble}): {text}."
    if verdict.outcome == "failed":
        return f"Too few can still arrive: {text}."
    if verdict.outcome == "done" and len(verdict.arrived) >= goal.of_all(len(ids)):
        return f"Enough have arrived: {text}."
    why = "The deadline has passed" if verdict.waiting else "No more can arrive"
    return f"{why}: {text}{'; the task continues' if verdict.outcome == 'done' else ''}."
