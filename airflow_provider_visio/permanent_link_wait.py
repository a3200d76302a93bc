"""The wait for submissions on a permanent link, as a task has it."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_visio import clock
from airflow_provider_visio.api.status_queries import read_submissions
from airflow_provider_visio.exceptions import RateLimitedError
from airflow_provider_visio.submissions import (
    decide_link,
    error_of_link,
    new_submissions,
    untimed,
)
from airflow_provider_visio.task_wait import LONGEST_HOLD, TaskWait
from airflow_provider_visio.waiting import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import BaseOperator
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_visio.exceptions import VisioProviderError
    from airflow_provider_visio.hooks.visiono import VisionoHook
    from airflow_provider_visio.submissions import Submission
    from airflow_provider_visio.waiting import States

log = logging.getLogger(__name__)


class LinkWait(TaskWait):
    """
    A wait for submissions.

    :param since: only what is submitted from then on, in seconds since 1970.
    :param needed: how many it takes.
    :param unique_value: only those with this value in the link's own field; None for all.
    """

    def __init__(
        self, conn_id: str, poke_interval: float, *, since: float, needed: int, unique_value: str | None
    ) -> None:
        super().__init__(conn_id, poke_interval)
        self.since = since
        self.needed = needed
        self.unique_value = unique_value
        self.found: list[Submission] = []

    @cached_property
    def _hook(self) -> VisionoHook:
        from airflow_provider_visio.hooks.visiono import VisionoHook

        return VisionoHook(self.conn_id, longest_wait=LONGEST_HOLD)

    def resume(self, task: BaseOperator, event: Any) -> Verdict:
        """Go on after a deferred wait; for what has come, a look tells more than the event does."""
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
            log.info("The wait goes on, for what has come cannot be told now.")
            self.defer(task, ids, event.get("deadline"))
        return self.settle(verdict)

    def _judge(self, ids: Sequence[str], deadline: float | None) -> tuple[Verdict, States]:
        states: dict[str, dict[str, Any]] = {}
        (link_id,) = ids
        hook = self._hook
        hook.get_conn().query(read_submissions(link_id, hook.dialect, states.__setitem__))
        submissions = states[link_id]["submissions"]
        if (count := untimed(submissions)) and "untimed" not in self._warned:
            self._warned.add("untimed")
            log.warning("The service does not tell when %d submission(s) came; they are left out.", count)
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
