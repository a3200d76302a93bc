"""What both triggers share: how a wait ends, whatever the news come from. No exception escapes from here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_visio import clock
from airflow_provider_visio.waiting import MAX_POLL_FAILURES, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from airflow_provider_visio.waiting import States

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class News:
    """
    What a poll knows, after each of its rounds: the whole picture, so that a wait which joins late misses nothing.

    :param states: what the service says, by id.
    :param failures: polls in a row that have failed.
    :param trouble: the last failure, without anything secret; None after a good poll.
    :param fatal: whether waiting on cannot help, as with a key that is refused.
    :param context: what else it takes to judge the states, such as a contract.
    """

    states: States = field(default_factory=dict)
    failures: int = 0
    trouble: str | None = None
    fatal: bool = False
    context: Any = None


class Wait:
    """
    A wait for some ids, as a trigger has it.

    :param ids: what is waited for.
    :param deadline: when the wait gives up, in seconds since 1970: a wall clock, so that it holds on another host.
    :param poke_interval: seconds between two polls.
    :param min_dwell: seconds before which the trigger does not fire: Airflow 3.3 may fail a task whose trigger fires
        before the scheduler has seen it defer (apache/airflow#72716).
    """

    def __init__(
        self, ids: Sequence[str], deadline: float | None, poke_interval: float, min_dwell: float
    ) -> None:
        super().__init__()
        self.ids = list(ids)
        self.deadline = deadline
        self.poke_interval = poke_interval
        self.min_dwell = min_dwell
        self._warned: set[str] = set()

    @abstractmethod
    def judge(self, news: News, now: float) -> Verdict:
        """Return what the news mean for this wait."""

    async def follow(self, stream: AsyncIterator[News]) -> AsyncIterator[TriggerEvent]:
        """Follow a poll's news until the wait is over, then yield the one event that says how."""
        not_before = clock.now() + self.min_dwell
        verdict = await self._verdict(stream)
        await clock.asleep(max(0.0, not_before - clock.now()))
        log.info("The wait is over: %s (%s).", verdict.outcome, ", ".join(self.ids[:5]))
        yield TriggerEvent(  # type: ignore[no-untyped-call]
            {**verdict.as_event(), "deadline": self.deadline}
        )

    async def _verdict(self, stream: AsyncIterator[News]) -> Verdict:
        news = News()
        try:
            async with contextlib.aclosing(self._until_deadline(stream)) as latest_news:
                async for latest in latest_news:
                    news = latest or news
                    verdict = self._consider(news)
                    if verdict.outcome != "wait":
                        return verdict
        except Exception as error:
            log.exception("The poll has broken off.")
            return self._in_trouble(news, type(error).__name__)
        return self._in_trouble(news, "the poll has ended")

    def _consider(self, news: News) -> Verdict:
        verdict = self.judge(news, clock.now())
        for word in set(verdict.unknown.values()) - self._warned:
            self._warned.add(word)
            log.warning("The service says %r, a status unknown to this provider; waiting on.", word)
        if verdict.outcome in {"wait", "timeout"} and news.trouble:
            if news.fatal or news.failures >= MAX_POLL_FAILURES:
                return self._in_trouble(news, news.trouble)
            log.warning("Poll failed (%d of %d in a row): %s", news.failures, MAX_POLL_FAILURES, news.trouble)
        return verdict

    def _in_trouble(self, news: News, trouble: str) -> Verdict:
        return replace(self.judge(news, clock.now()), outcome="trouble", trouble=trouble)

    async def _until_deadline(self, stream: AsyncIterator[News]) -> AsyncGenerator[News | None, None]:
        """Pass the news on, and None once the deadline has come, though the stream be silent then."""
        pending: asyncio.Future[News] | None = None
        try:
            while True:
                pending = pending or asyncio.ensure_future(anext(stream))
                left = None if self.deadline is None else max(0.0, self.deadline - clock.now())
                # Not wait_for: cancelling a generator's step would end the generator.
                await asyncio.wait({pending}, timeout=left)
                if pending.done():
                    try:
                        news = pending.result()
                    except StopAsyncIteration:
                        return
                    pending = None
                    yield news
                elif self.deadline is not None and clock.now() >= self.deadline:
                    yield None
        finally:
            if pending is not None:
                pending.cancel()
                with contextlib.suppress(BaseException):
                    await pending
