"""Many tasks at once on a few workers, each with a stack of its own, on a clock that moves when all of them wait."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any

from airflow.providers.common.compat.sdk import TaskDeferred
from greenlet import getcurrent, greenlet

from airflow_provider_visio.triggers.moment import MomentTrigger


class Workers:
    """
    :param clock: the clock of the tests; its ``sleep`` must not be what tasks call.
    :param slots: how many tasks run at once; deferred ones take no slot.
    """

    def __init__(self, clock: Any, slots: int) -> None:
        self._clock = clock
        self._free = slots
        self._hub = getcurrent()
        self._order = itertools.count()
        self._queue: list[greenlet] = []
        self._asleep: list[tuple[float, int, greenlet]] = []
        self.deferred = 0
        self.longest_hold = 0.0

    def sleep(self, seconds: float) -> None:
        """Wait, on a worker, and let the others go on."""
        self.longest_hold = max(self.longest_hold, seconds)
        self._sleep_until(self._clock.now() + seconds)

    def run(self, operators: list[Any], context: Callable[[Any], Any]) -> list[Any]:
        """Return the tasks' results, or errors."""
        results: list[Any] = [None] * len(operators)

        def task(number: int, operator: Any) -> None:
            try:
                results[number] = self._run(operator, context(operator))
            except Exception as error:  # noqa: BLE001
                results[number] = error

        for number, operator in enumerate(operators):
            self._queue.append(greenlet(lambda n=number, o=operator: task(n, o), self._hub))
        while self._queue or self._asleep:
            while self._queue and self._free:
                self._free -= 1
                self._go(self._queue.pop(0))
            if self._asleep:
                moment, _, sleeper = heapq.heappop(self._asleep)
                self._clock._advance(moment - self._clock.now())
                self._go(sleeper)
        return results

    def _go(self, task: greenlet) -> None:
        task.switch()
        if task.dead:
            self._free += 1

    def _run(self, operator: Any, context: Any) -> Any:
        step: Callable[[], Any] = lambda: operator.execute(context)  # noqa: E731
        while True:
            try:
                return step()
            except TaskDeferred as deferral:
                trigger, method = deferral.trigger, deferral.method_name
            assert isinstance(trigger, MomentTrigger)
            self.deferred += 1
            self._free += 1
            self._sleep_until(trigger.moment)
            self._queue.append(getcurrent())
            self._hub.switch()  # until there is a slot again
            step = lambda t=trigger, m=method: operator.resume_execution(m, {"event": t.event}, context)  # noqa: E731

    def _sleep_until(self, moment: float) -> None:
        heapq.heappush(self._asleep, (moment, next(self._order), getcurrent()))
        self._hub.switch()
