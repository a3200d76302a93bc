"""
Decides when a poll looks because of webhooks, what it looks at, and how far it relies on them. No I/O.

A webhook is a nudge: it makes the poll look now, and is never believed. While nudges arrive as expected the poll itself
slows down. It returns to its own pace when it finds something that no nudge has announced.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from airflow_provider_visio import clock
from airflow_provider_visio.api.photo_request_poller import FEW
from airflow_provider_visio.webhooks.delivery import ANY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from airflow_provider_visio.webhooks.inbox import Inbox

log = logging.getLogger(__name__)

# Nudges within so many seconds cost one look.
GATHER = 3.0
# Calls that nudges may spend at once, and in an hour. Together with the slower poll they are at most what the poll
# spends without webhooks.
BURST = 12.0
CALLS_AN_HOUR = 125.0
# While these are used up, nudges cost a look in so many intervals of the poll: nearly as often as without webhooks.
WITHOUT_CALLS = 1.2
# Seconds for which the delivery of what a poll has found may still be under way.
UNDER_WAY = 15.0
# Webhooks count as set up so many seconds after the last delivery, until a poll finds otherwise.
REMEMBERED = 86_400.0


class CallBudget:
    """The calls that nudges of a connection may spend: a token bucket."""

    def __init__(self) -> None:
        self._left, self._at = BURST, clock.ticks()

    def delay(self) -> float:
        """Return the seconds until a call may be spent."""
        self._refill()
        return max(0.0, 1.0 - self._left) * 3600.0 / CALLS_AN_HOUR

    def spend(self, calls: int) -> None:
        """Spend calls; a look may cost more than is left, which then takes longer to come back."""
        self._refill()
        self._left = max(-BURST, self._left - calls)

    def _refill(self) -> None:
        now = clock.ticks()
        self._left = min(BURST, self._left + (now - self._at) * CALLS_AN_HOUR / 3600.0)
        self._at = now


class Nudges:
    """
    What webhooks mean for one poll.

    :param kind: the kind of id that the poll looks at, ``photo_request`` or ``permanent_link``; empty for a poll that
        no webhook is about.
    :param waited: the ids waited for, as a live view; None if any id of the kind makes the poll look.
    """

    def __init__(self, kind: str = "", waited: Collection[str] | None = ()) -> None:
        self.kind = kind
        self.budget = CallBudget()
        self.slow_interval = 0.0
        self._without_calls = math.inf
        self._waited = waited
        self._inbox: Inbox | None = None
        # What to look at next, and whether at everything.
        self._named: dict[str, None] = {}
        self._all = False
        # What the look under way was announced.
        self._asked: set[str] = set()
        self._asked_all = False
        self._looked = -math.inf
        # Whether a look confirmed the last nudge; None before the first.
        self._confirmed: bool | None = None
        # What was found unannounced, and when it is too late for its announcement.
        self._missing: dict[str, float] = {}

    def read(self, inbox: Inbox) -> None:
        """Take what is new in the inbox."""
        named, more = inbox.since(self._inbox)
        self._inbox = inbox
        mine = self._of_kind(named)
        self._all |= more or ANY in mine
        late = list(self._missing) if self._all else [one for one in self._missing if one in mine]
        for one in late:
            del self._missing[one]
            self._confirm()
        self._named.update(dict.fromkeys(self._relevant(mine)))

    def joined(self, ids: Iterable[str]) -> None:
        """Look at ids that a new wait waits for, if a webhook named them lately: nobody waited for them then."""
        if self._inbox is not None and self.kind:
            named = self._of_kind(self._inbox.ids)
            self._named.update(dict.fromkeys(one for one in ids if one in named))

    def look_in(self) -> float:
        """Return the seconds until a look that nudges ask for may begin; infinite if none is asked for."""
        if not self._all and not any(True for _ in self._relevant(self._named)):
            return math.inf
        since = clock.ticks() - self._looked
        delay = max(0.0, GATHER - since, min(self.budget.delay(), self._without_calls - since))
        return round(delay, 3)  # a rest of a sum of floats is no time to wait for

    def judged_in(self) -> float:
        """Return the seconds until :meth:`interval` may change by itself; infinite if it does not."""
        return max(0.0, min(self._missing.values(), default=math.inf) - clock.ticks())

    def begin_look(self, *, whole: bool) -> list[str] | None:
        """
        Note that a look begins, and return the few ids to ask for singly; None for a look at everything.

        :param whole: whether it looks at everything anyway.
        """
        named = list(self._relevant(self._named))
        self._asked, self._asked_all = set(named), self._all
        self._named, self._all, self._looked = {}, False, clock.ticks()
        return None if whole or self._asked_all or len(named) > FEW else named

    def found(self, found: str) -> None:
        """Note that a look found something new of an id. Not for the first look, before which nobody looked."""
        if self._inbox is None:
            return
        if self._asked_all or self._all or found in self._asked or found in self._named:
            self._confirm()
        else:
            self._missing.setdefault(found, clock.ticks() + UNDER_WAY)

    def interval(self, regular: float) -> float:
        """Return the seconds to the poll's next look: longer than its regular ones while webhooks can be relied on."""
        self._without_calls = WITHOUT_CALLS * regular
        return max(regular, self.slow_interval) if self.trusted else regular

    @property
    def trusted(self) -> bool:
        """Whether nudges arrive as expected."""
        if self._missing and not self.judged_in():
            self._missing.clear()
            if self._confirmed is not False:
                log.info(
                    "A poll found something that no webhook had announced: it looks as often as without webhooks."
                )
            self._confirmed = False
        if self._confirmed is None:
            return self._inbox is not None and clock.now() - self._inbox.at <= REMEMBERED
        return self._confirmed

    def _confirm(self) -> None:
        if self._confirmed is False:
            log.info("A webhook has announced what a poll found: the poll slows down.")
        self._confirmed = True

    def _relevant(self, ids: Iterable[str]) -> Iterable[str]:
        return (one for one in ids if one != ANY and (self._waited is None or one in self._waited))

    def _of_kind(self, ids: Iterable[str]) -> set[str]:
        split = (one.partition(":") for one in ids)
        return {name for kind, _, name in split if kind == self.kind}
