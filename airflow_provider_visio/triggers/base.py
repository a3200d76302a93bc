"""Base of all triggers: how a wait ends, and how a killed task is cleaned up. No exception escapes from here."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TriggerEvent
from asgiref.sync import sync_to_async

from airflow_provider_visio import clock
from airflow_provider_visio.arguments import moment_of, seconds
from airflow_provider_visio.waiting import Verdict, stretched

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from airflow_provider_visio.api.one_time_queries import State
    from airflow_provider_visio.triggers.poll_client import PollClient
    from airflow_provider_visio.triggers.subscriptions import Subscription, SubscriptionHub

log = logging.getLogger(__name__)

LONGEST_SLEEP = 900.0

# Seconds between looks at whether anybody waits; a poll ends with its last wait, so this is never for long.
IDLE_INTERVAL = 60.0

# States of a task instance after which it does not continue.
_ENDED = {"failed", "success", "skipped", "upstream_failed", "removed"}

# The event loop keeps only weak references to its tasks.
_under_way: set[asyncio.Task[None]] = set()


class WaitTrigger:
    """
    A trigger that waits for some ids.

    :param ids: the ids.
    :param deadline: Unix timestamp at which the wait gives up, or None for never. It holds on another host, too.
    :param poke_interval: seconds between two polls.
    :param min_dwell: seconds before which the trigger does not fire: Airflow 3.3 may fail a task whose trigger fires
        before the scheduler has seen it defer (apache/airflow#72716).
    :raises InvalidRequestError: the deadline is not a moment, or the dwell is not a duration.
    """

    def __init__(
        self, ids: Sequence[str], deadline: float | None, poke_interval: float, min_dwell: float
    ) -> None:
        super().__init__()
        self.ids = list(ids)
        self.deadline = moment_of(deadline, "deadline")
        self.poke_interval = poke_interval
        self.min_dwell = (seconds(min_dwell, "min_dwell") if min_dwell else None) or 0.0
        self._warned: set[str] = set()

    @abstractmethod
    def judge(self, hub: SubscriptionHub, now: float) -> Verdict:
        """Return what the hub's states mean for this wait."""

    async def follow(self, hub: SubscriptionHub, seen: Mapping[str, State] | None = None) -> TriggerEvent:
        """
        Follow a hub's updates until the wait is over, and return the one event that says how.

        :param seen: what was known of the ids when the wait began.
        """
        not_before = clock.ticks() + self.min_dwell
        subscription = hub.subscribe(self.ids, self.poke_interval, seen)
        try:
            verdict = await self._verdict(hub, subscription)
        except Exception as error:
            log.exception("The wait failed unexpectedly.")
            verdict = Verdict("trouble", waiting=tuple(self.ids), trouble=type(error).__name__)
        finally:
            hub.unsubscribe(subscription)
        await clock.asleep(max(0.0, not_before - clock.ticks()))
        late = self.deadline is not None and clock.now() >= self.deadline
        log.info("The wait ends: %s. The task continues on a worker.", _reason(verdict, late=late))
        event = {**verdict.as_event(), "deadline": self.deadline}
        if verdict.outcome == "trouble":
            event["polled"] = hub.worked_at >= subscription.since
        return TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _verdict(self, hub: SubscriptionHub, subscription: Subscription) -> Verdict:
        while True:
            subscription.updated.clear()
            now = clock.now()
            verdict = self.judge(hub, now)
            for word in set(verdict.unknown.values()) - self._warned:
                self._warned.add(word)
                log.warning("The service says %r, a status unknown to this provider. The wait goes on.", word)
            failure = hub.failure_for(subscription)
            if verdict.outcome in {"wait", "timeout"} and failure:
                return replace(verdict, outcome="trouble", trouble=failure.text, fatal=failure.fatal)
            if verdict.outcome != "wait":
                return verdict
            await clock.wait(subscription.updated, self._next_check(verdict, hub, now))

    def _next_check(self, verdict: Verdict, hub: SubscriptionHub, now: float) -> float | None:
        """Return the seconds after which the wait may be over without an update, or None for never."""
        moments = [self.deadline] if self.deadline is not None else []
        moments += [moment for i in verdict.waiting if (moment := self.expires_at(hub, i)) is not None]
        # Checked now and then, because the wall clock may jump.
        return min(LONGEST_SLEEP, max(0.0, min(moments) - now)) if moments else None

    def expires_at(self, hub: SubscriptionHub, found: str) -> float | None:  # noqa: ARG002
        """Return the Unix timestamp at which an id ends without an update, or None for never."""
        return None


def _reason(verdict: Verdict, *, late: bool) -> str:
    if verdict.outcome == "trouble":
        return f"the service cannot be polled ({verdict.trouble})"
    if late and verdict.waiting:
        return "its deadline has passed"
    return "it can no longer succeed" if verdict.outcome == "failed" else "its goal is reached"


def poll_interval(hub: SubscriptionHub, client: PollClient | None, age: float = 0.0) -> float:
    """
    Return the seconds to the next poll at Visiono for the waits on a hub.

    :param client: the poll's client, which knows the calls that are left; None before the first poll.
    :param age: seconds since the youngest wait joined.
    """
    share_left = client.budget_left()[1] if client else 1.0
    return stretched(hub.interval or IDLE_INTERVAL, age, share_left)


async def run_to_end(work: Coroutine[Any, Any, None]) -> None:
    """
    Run some work to its end, also when the caller is cancelled.

    Airflow 3.3 cancels a trigger each second until it has ended, which would interrupt its ``on_kill``.
    """
    task = asyncio.create_task(work)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    await asyncio.shield(task)


async def task_continues(task_instance: Any) -> bool:
    """
    Return whether a task continues, so that nothing it waits for may be cancelled.

    Airflow 3.3 calls ``on_kill`` also when a trigger moves to another triggerer (apache/airflow#73454), and for a task
    that was cleared, whose next try continues the wait. True where Airflow does not say.
    """
    if task_instance is None:
        return True
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    try:
        states = await sync_to_async(RuntimeTaskInstance.get_task_states)(
            dag_id=task_instance.dag_id,
            task_ids=[task_instance.task_id],
            run_ids=[task_instance.run_id],
            map_index=task_instance.map_index,
        )
    except Exception:
        log.exception("Cannot read the task's state from Airflow, so nothing is cancelled.")
        return True
    found = [getattr(state, "value", state) for state in states.get(task_instance.run_id, {}).values()]
    return not found or not _ENDED.issuperset(found)
