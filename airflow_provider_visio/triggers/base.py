"""What both triggers share: how a wait ends, whatever the news come from. No exception escapes from here."""

from __future__ import annotations

import logging
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow.triggers.base import TriggerEvent

from airflow_provider_visio import clock
from airflow_provider_visio.arguments import moment_of, seconds
from airflow_provider_visio.waiting import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_visio.api.status_queries import State
    from airflow_provider_visio.triggers.subscriptions import Subscription, SubscriptionHub

log = logging.getLogger(__name__)

LONGEST_SLEEP = 900.0

# Seconds between looks at whether anybody waits, which is not for long: a poll ends with its last wait.
IDLE_INTERVAL = 60.0


class WaitTrigger:
    """
    A wait for some ids, as a trigger has it.

    :param ids: what is waited for.
    :param deadline: when the wait gives up, in seconds since 1970: a wall clock, so that it holds on another host.
    :param poke_interval: seconds between two polls.
    :param min_dwell: seconds before which the trigger does not fire: Airflow 3.3 may fail a task whose trigger fires
        before the scheduler has seen it defer (apache/airflow#72716).
    :raises InvalidRequestError: the deadline is no moment, or the dwell no duration.
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
    def judge(self, board: SubscriptionHub, now: float) -> Verdict:
        """Return what is on the board means for this wait."""

    async def follow(self, board: SubscriptionHub, seen: Mapping[str, State] | None = None) -> TriggerEvent:
        """
        Follow the news on a board until the wait is over, and return the one event that says how.

        :param board: where the news are.
        :param seen: what was known of the ids when the wait began.
        """
        not_before = clock.ticks() + self.min_dwell
        place = board.join(self.ids, self.poke_interval, seen)
        try:
            verdict = await self._verdict(board, place)
        except Exception as error:
            log.exception("The wait has broken off.")
            verdict = Verdict("trouble", waiting=tuple(self.ids), trouble=type(error).__name__)
        finally:
            board.leave(place)
        await clock.asleep(max(0.0, not_before - clock.ticks()))
        log.info("The wait is over: %s%s.", verdict.outcome, _reason(verdict))
        return TriggerEvent({**verdict.as_event(), "deadline": self.deadline})  # type: ignore[no-untyped-call]

    async def _verdict(self, board: SubscriptionHub, place: Subscription) -> Verdict:
        while True:
            place.news.clear()
            now = clock.now()
            verdict = self.judge(board, now)
            for word in set(verdict.unknown.values()) - self._warned:
                self._warned.add(word)
                log.warning("The service says %r, a status unknown to this provider; waiting on.", word)
            trouble = board.trouble_for(place)
            if verdict.outcome in {"wait", "timeout"} and trouble:
                return replace(verdict, outcome="trouble", trouble=trouble.text, fatal=trouble.fatal)
            if verdict.outcome != "wait":
                return verdict
            await clock.wait(place.news, self._left(verdict, board, now))

    def _left(self, verdict: Verdict, board: SubscriptionHub, now: float) -> float | None:
        """Return the seconds after which the wait may be over without any news, or None for never."""
        moments = [self.deadline] if self.deadline is not None else []
        moments += [moment for i in verdict.waiting if (moment := self.ends_by_itself(board, i)) is not None]
        # Looked at again now and then, for the wall clock may jump.
        return min(LONGEST_SLEEP, max(0.0, min(moments) - now)) if moments else None

    def ends_by_itself(self, board: SubscriptionHub, found: str) -> float | None:  # noqa: ARG002
        """Return when an id ends though nobody says so, in seconds since 1970, or None for never."""
        return None


def _reason(verdict: Verdict) -> str:
    counts = [
        (len(verdict.arrived), "arrived"),
        (len(verdict.ended), "ended otherwise"),
        (len(verdict.waiting), "still open"),
    ]
    parts = [f"{count} {what}" for count, what in counts if count]
    parts += [f"{i} is {how}" for i, how in list(verdict.ended.items())[:3]]
    parts += [verdict.trouble] if verdict.trouble else []
    return f" ({', '.join(parts)})" if parts else ""
