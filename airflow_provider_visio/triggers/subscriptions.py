"""
Who waits for what, and what is known of it: where news is handed out, wherever they come from.

A poll (or, one day, a webhook) puts what it learns on the board, and the board wakes those waits that it concerns and
no others: with thousands of them, waking all at every round would make the event loop stand still. All of it runs on
one event loop, so there are no locks.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_visio import clock
from airflow_provider_visio.waiting import MAX_POLL_FAILURES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, KeysView, Mapping, Sequence

    from airflow_provider_visio.api.status_queries import State


@dataclass(frozen=True)
class PollFailure:
    """
    What keeps a poll from learning anything.

    :param failures: polls in a row that have failed.
    :param text: the last failure, without anything secret.
    :param fatal: whether waiting on cannot help, as with a key that is refused.
    :param at: when it was met, on the clock of pauses.
    """

    failures: int
    text: str
    fatal: bool
    at: float

    @property
    def lasting(self) -> bool:
        """Whether it is time to give up on the service."""
        return self.fatal or self.failures >= MAX_POLL_FAILURES


class Bell:
    """An event for one waiter: a fifth of the memory of asyncio's, of which thousands are kept."""

    __slots__ = ("_rung", "_waiter")

    def __init__(self) -> None:
        self._rung = False
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        """Wake the waiter, now or when it comes."""
        self._rung = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def clear(self) -> None:
        """Forget that it was set."""
        self._rung = False

    def is_set(self) -> bool:
        """Return whether it was set."""
        return self._rung

    async def wait(self) -> None:
        """Wait until it is set."""
        if not self._rung:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None


@dataclass(eq=False, slots=True)
class Subscription:
    """
    One wait's place at the board.

    :param ids: what it waits for.
    :param interval: seconds between two polls that it asked for.
    :param joined: when it came, on the clock of pauses.
    :param news: set when there is something new for it.
    """

    ids: Sequence[str]
    interval: float
    joined: float
    news: Bell = field(default_factory=Bell)


class SubscriptionHub:
    """
    What is waited for on one connection, and what is known of it.

    :param shared: whether it is for all waits of the triggerer, or for one.
    """

    def __init__(self, *, shared: bool = False) -> None:
        self.shared = shared
        self.states: dict[str, State] = {}
        self.trouble: PollFailure | None = None
        self.context: Any = None
        self._places: dict[str, list[Subscription]] = {}
        self._everybody: dict[Subscription, None] = {}
        self._joined = asyncio.Event()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._everybody)

    @property
    def ids(self) -> KeysView[str]:
        """The ids waited for, each once."""
        return self._places.keys()

    @property
    def interval(self) -> float | None:
        """The shortest interval in seconds that any wait asked for, or None where nobody waits."""
        return min((place.interval for place in self._everybody), default=None)

    @property
    def youngest(self) -> float:
        """Seconds since the last wait joined."""
        # A dict keeps the order in which its keys came.
        last = next(reversed(self._everybody), None)
        return 0.0 if last is None else clock.ticks() - last.joined

    def join(
        self, ids: Sequence[str], interval: float, seen: Mapping[str, State] | None = None
    ) -> Subscription:
        """
        Have some ids looked at until the place is left.

        :param ids: what is waited for.
        :param interval: seconds between two polls.
        :param seen: what was known of them when the wait began; what the board knows is newer.
        """
        if not self._everybody:
            self.trouble = None  # of those who waited earlier
        place = Subscription(ids, interval, clock.ticks())
        self._everybody[place] = None
        for found in ids:
            self._places.setdefault(found, []).append(place)
            if seen and found in seen:
                self.states.setdefault(found, seen[found])
        self._joined.set()
        return place

    def leave(self, place: Subscription) -> None:
        """Give a place up."""
        del self._everybody[place]
        for found in place.ids:
            others = self._places[found]
            others.remove(place)
            if not others:
                del self._places[found]
                self.states.pop(found, None)

    def learn(self, found: str, state: State) -> None:
        """Put up what the service says of an id."""
        if found not in self._places or self.states.get(found) == state:
            return
        self.states[found] = state
        self._wake(self._places[found])

    def went_well(self) -> None:
        """Note that a poll went well."""
        self.trouble = None

    def went_wrong(self, text: str, *, fatal: bool) -> None:
        """Note that a poll went wrong."""
        # Those who gave up have left; with those who came since, it counts anew.
        before = 0 if self.trouble is None or self.trouble.lasting else self.trouble.failures
        self.trouble = PollFailure(before + 1, text, fatal, clock.ticks())
        if self.trouble.lasting:
            self._wake(self._everybody)

    def trouble_for(self, place: Subscription) -> PollFailure | None:
        """Return the trouble that ends a wait, or None; one that was there before does not, for it may be over."""
        trouble = self.trouble
        return trouble if trouble and trouble.lasting and trouble.at >= place.joined else None

    async def pause(self, seconds: float, interval: Callable[[], float]) -> None:
        """
        Wait some seconds, or less when a wait has joined that is in more of a hurry.

        :param seconds: how long.
        :param interval: seconds that a pause takes with the waits that are there then.
        """
        until = clock.ticks() + seconds
        while (left := until - clock.ticks()) > 0:
            self._joined.clear()
            if await clock.wait(self._joined, left):
                until = min(until, clock.ticks() + interval())

    def _wake(self, places: Iterable[Subscription]) -> None:
        for place in places:
            place.news.set()


_BOARDS: dict[tuple[int, str], SubscriptionHub] = {}


def hub_of(conn_id: str) -> SubscriptionHub:
    """Return the board of a connection, on the running event loop."""
    key = (id(asyncio.get_running_loop()), conn_id)
    return _BOARDS.setdefault(key, SubscriptionHub(shared=True))
