"""A wait for submissions through a permanent link, as a task runs it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_visio import clock
from airflow_provider_visio.api.one_time_queries import read_submissions
from airflow_provider_visio.exceptions import RateLimitedError
from airflow_provider_visio.submissions import (
    decide_link,
    error_of_link,
    new_submissions,
    untimed,
)
from airflow_provider_visio.task_wait import TaskWait
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


class LinkWait(TaskWait["VisionoHook"]):
    """
    A wait for submissions through a permanent link.

    :param hook: the hook that looks.
    :param poke_interval: seconds between two looks.
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

    def _describe_end(self, verdict: Verdict) -> str:  # noqa: ARG002
        return f"{len(self.found)} submission(s) have arrived, of {self.needed} that the wait needs."

    def _judge(self, ids: Sequence[str], deadline: float | None) -> tuple[Verdict, States]:
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
