"""
Registry of active waits and of what is known of their ids; an update wakes only the waits that it affects.

A poll publishes its results here. With thousands of waits, waking all of them after every poll would block the event
loop. Everything runs on one event loop, so there are no locks.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_visio import clock
from airflow_provider_visio.triggers.nudges import Nudges
from airflow_provider_visio.waiting import MAX_POLL_FAILURES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, KeysView, Mapping, Sequence

    from airflow_provider_visio.api.one_time_queries import State
    from airflow_provider_visio.webhooks.inbox import Inbox


@dataclass(frozen=True)
class PollFailure:
    """
    Why a poll learns nothing.

    :param failures: polls in a row that have failed.
    :param text: the last failure, without secrets.
    :param fatal: whether it does not pass by itself, such as a refused key.
    :param at: when it happened, on the clock of pauses.
    """

    failures: int
    text: str
    fatal: bool
    at: float

    @property
    def lasting(self) -> bool:
        """Whether the waits end because of it."""
        return self.fatal or self.failures >= MAX_POLL_FAILURES


@dataclass(eq=False, slots=True)
class Subscription:
    """
    One wait's subscription.

    :param ids: the ids that it waits for.
    :param interval: seconds between two polls that it asks for.
    :param since: when it subscribed, on the clock of pauses.
    :param updated: set when there is an update for it.
    """

    ids: Sequence[str]
    interval: float
    since: float
    updated: asyncio.Event = field(default_factory=asyncio.Event)


class SubscriptionHub:
    """
    The waits on one connection, and what is known of their ids.

    :param conn_id: id of the Airflow connection.
    :param subject: what they wait for, as a word for metrics: ``photo_requests``, ``permanent_link`` or ``exports``.
    :param shared: whether it is for all waits of the triggerer, or for one.
    """

    def __init__(self, conn_id: str, subject: str, *, shared: bool = False) -> None:
        self.conn_id = conn_id
        self.subject = subject
        self.shared = shared
        self.states: dict[str, State] = {}
        self.failure: PollFailure | None = None
        # When a poll last worked, on the clock of pauses.
        self.worked_at = -math.inf
        self.context: Any = None
        # What webhooks mean for the poll: nothing, unless it listens for them.
        self.nudges = Nudges()
        self._by_id: dict[str, list[Subscription]] = {}
        self._all: dict[Subscription, None] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        """Return the number of waits."""
        return len(self._all)

    @property
    def ids(self) -> KeysView[str]:
        """The ids waited for, each once."""
        return self._by_id.keys()

    @property
    def interval(self) -> float | None:
        """The shortest interval in seconds that any wait asks for, or None without waits."""
        return min((one.interval for one in self._all), default=None)

    @property
    def youngest(self) -> float:
        """Seconds since the last wait subscribed."""
        # A dict keeps the order of its keys.
        last = next(reversed(self._all), None)
        return 0.0 if last is None else clock.ticks() - last.since

    def subscribe(
        self, ids: Sequence[str], interval: float, seen: Mapping[str, State] | None = None
    ) -> Subscription:
        """Have some ids polled until :meth:`unsubscribe`; ``seen`` was known of them when the wait began."""
        if not self._all:
            self.failure = None  # of earlier waits
        subscription = Subscription(ids, interval, clock.ticks())
        self._all[subscription] = None
        for found in ids:
            self._by_id.setdefault(found, []).append(subscription)
            if seen and found in seen:
                # What the hub knows is newer.
                self.states.setdefault(found, seen[found])
        self.nudges.joined(ids)
        self._changed.set()
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription."""
        del self._all[subscription]
        for found in subscription.ids:
            others = self._by_id[found]
            others.remove(subscription)
            if not others:
                del self._by_id[found]
                self.states.pop(found, None)

    def publish(self, found: str, state: State) -> None:
        """Publish the state of an id."""
        if found not in self._by_id or self.states.get(found) == state:
            return
        self.states[found] = state
        self._wake(self._by_id[found])

    def poll_worked(self) -> None:
        """Note that a poll has worked."""
        self.failure, self.worked_at = None, clock.ticks()

    def poll_failed(self, text: str, *, fatal: bool) -> int:
        """Note that a poll failed, and return how many failed in a row."""
        # The waits that gave up have left; for those that came since, the count starts again.
        before = 0 if self.failure is None or self.failure.lasting else self.failure.failures
        self.failure = PollFailure(before + 1, text, fatal, clock.ticks())
        if self.failure.lasting:
            self._wake(self._all)
        return self.failure.failures

    def failure_for(self, subscription: Subscription) -> PollFailure | None:
        """Return the failure that ends a wait, or None. One from before the wait does not end it: it may be over."""
        failure = self.failure
        return failure if failure and failure.lasting and failure.at >= subscription.since else None

    def listen_for(self, kind: str, *, any_id: bool = False) -> Nudges:
        """
        Let webhooks end the poll's pauses.

        :param kind: the kind of id that they name: ``photo_request`` or ``permanent_link``.
        :param any_id: whether any id makes the poll look, and not only those that are waited for.
        """
        if not self.nudges.kind:
            self.nudges = Nudges(kind, None if any_id else self.ids)
        return self.nudges

    def nudged(self, inbox: Inbox) -> None:
        """Take what is new in the webhooks' inbox."""
        self.nudges.read(inbox)
        self._changed.set()

    async def pause(self, until: float, interval: Callable[[], float]) -> float:
        """
        Wait until a moment, and return it; both on the clock of pauses.

        A wait that subscribes, with which ``interval`` gives a shorter pause, brings the moment forward. A nudge ends
        the pause before it.
        """
        while (left := until - clock.ticks()) > 0 and (nudge := self.nudges.look_in()) > 0:
            self._changed.clear()
            await clock.wait(self._changed, min(left, nudge, self.nudges.judged_in()))
            until = min(until, clock.ticks() + interval())
        return until

    def _wake(self, subscriptions: Iterable[Subscription]) -> None:
        for subscription in subscriptions:
            subscription.updated.set()


_HUBS: dict[tuple[int, str, str, str], SubscriptionHub] = {}


def hub_of(conn_id: str, subject: str, key: str = "") -> SubscriptionHub:
    """
    Return the shared hub of a connection on the running event loop.

    :param key: tells several hubs for one subject apart, such as the id of a permanent link.
    """
    place = (id(asyncio.get_running_loop()), conn_id, subject, key)
    return _HUBS.setdefault(place, SubscriptionHub(conn_id, subject, shared=True))


def count_waits(conn_id: str, subject: str) -> int:
    """Return the number of waits for a subject in all shared hubs of a connection on the running event loop."""
    mine = (id(asyncio.get_running_loop()), conn_id, subject)
    return sum(len(hub) for place, hub in _HUBS.items() if place[:3] == mine)
