"""One request per intent: whatever happens to a task between two tries, what it asks for is made once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_visio import clock
from airflow_provider_visio.exceptions import NotFoundError, VisioProviderError
from airflow_provider_visio.intent import Intent, OnExisting, Record, existing_step, first_step
from airflow_provider_visio.waiting import epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.sdk import Context

    from airflow_provider_visio.waiting import Phase

log = logging.getLogger(__name__)

STORE_KEY = "visio_intent"

# How far clocks may be apart, and a run may begin after it was due.
SLACK = 3600.0

Made = TypeVar("Made", bound=Mapping[str, Any])


class Once:
    """
    What a running task asks for, and what it has written down of it.

    :param context: the task's context; without a ``task_state_store`` (before Airflow 3.3) nothing is written down.
    :param asked: what it asks for.
    :param on_existing: what becomes of what an earlier run has made and is still open.
    """

    def __init__(self, context: Context, asked: Mapping[str, Any], on_existing: OnExisting) -> None:
        self._ti = context["ti"]
        self._context = context
        self._store: Any = context.get("task_state_store")
        self._on_existing = on_existing
        self.intent = Intent.of(context, asked)
        self.record = Record.from_json(self._store.get(STORE_KEY)) if self._store is not None else None

    @property
    def since(self) -> float:
        """When the task first asked, or meant to, in seconds since 1970."""
        return self.record.asked_at if self.record else clock.now()

    def get(
        self,
        *,
        ask: Callable[[dict[str, str]], Made],
        look_at: Callable[[str], Made],
        look_up: Callable[[Intent, float | None], Sequence[Made]] | None,
        phase_of: Callable[[Made], Phase | None],
        discard: Callable[[str], None] | None,
    ) -> Made:
        """
        Return what the task asks for: made now, or found.

        :param ask: makes it, with the metadata by which it can be found again.
        :param look_at: gets one by its id.
        :param look_up: finds those of an intent that were made after a moment; None where the service cannot tell.
        :param phase_of: tells how one is doing.
        :param discard: takes one back; None where the service cannot.
        :raises VisioProviderError: it cannot be made, or nobody can tell whether it was made before.
        """
        found = self._existing(look_at, look_up, phase_of)
        if found is not None:
            over = self.record is not None and self.record.over and self.record.id == found["id"]
            step = existing_step(phase_of(found), self._on_existing, over=over)
            if step == "fail":
                raise VisioProviderError(
                    f"{found['id']}, which an earlier run of this task has made, is still open, and on_existing is "
                    "'fail'. Wait for it, delete it, or use on_existing='reuse' or 'replace'."
                )
            if step == "reuse":
                return self._take_up(found)
            if step == "replace":
                self._replace(found, discard)
        return self._ask(ask, look_up, phase_of)

    def close(self) -> None:
        """Write down that the task has got what it wanted."""
        if self.record is not None:
            self._write(replace(self.record, over=True), at_all_costs=False)

    def _existing(
        self,
        look_at: Callable[[str], Made],
        look_up: Callable[[Intent, float | None], Sequence[Made]] | None,
        phase_of: Callable[[Made], Phase | None],
    ) -> Made | None:
        step = first_step(self.record, tried_before=(getattr(self._ti, "try_number", 1) or 1) > 1)
        if step == "look at" and self.record is not None and self.record.id:
            try:
                return look_at(self.record.id)
            except NotFoundError:
                log.info("%s, which an earlier run has made, is no longer there.", self.record.id)
                return None
        if step == "look up":
            if look_up is None:
                log.warning(
                    "An earlier try may have started this already; the service has no way to tell. It is started again."
                )
                return None
            return self._found(look_up, phase_of)
        return None

    def _found(
        self,
        look_up: Callable[[Intent, float | None], Sequence[Made]],
        phase_of: Callable[[Made], Phase | None],
    ) -> Made | None:
        made = list(look_up(self.intent, self._earliest()))
        ranks = {None: 0, "open": 0, "arrived": 1}
        return min(made, key=lambda one: ranks.get(phase_of(one), 2), default=None)

    def _earliest(self) -> float | None:
        if self.record is not None:
            return self.record.asked_at - SLACK
        # Not the run's start, which is another one after the run was cleared.
        due = epoch(getattr(self._context.get("dag_run"), "run_after", None))
        return None if due is None else due - SLACK

    def _take_up(self, found: Made) -> Made:
        log.info("%s was made by an earlier run of this task; it is not asked for again.", found["id"])
        before = self.record.intent if self.record else None
        metadata = found.get("metadata")
        told = metadata.get("airflow_input") if isinstance(metadata, Mapping) else None
        if (before.input if before else told or self.intent.input) != self.intent.input:
            log.warning(
                "This task asks for something else than the run that made %s. What was asked for then still stands; "
                "use on_existing='replace', or delete it, to ask anew.",
                found["id"],
            )
        asked_at = self.record.asked_at if self.record else epoch(found.get("created_at")) or clock.now()
        intent = before or replace(self.intent, input=str(told or self.intent.input))
        self._write(Record(intent, asked_at, id=str(found["id"])), at_all_costs=False)
        return found

    def _replace(self, found: Made, discard: Callable[[str], None] | None) -> None:
        if discard is None:
            log.info("%s goes on, for the service cannot take it back; another is started.", found["id"])
            return
        log.info("%s is replaced, as on_existing says.", found["id"])
        discard(str(found["id"]))

    def _ask(
        self,
        ask: Callable[[dict[str, str]], Made],
        look_up: Callable[[Intent, float | None], Sequence[Made]] | None,
        phase_of: Callable[[Made], Phase | None],
    ) -> Made:
        record = Record(self.intent, clock.now())
        self._write(record, at_all_costs=True)
        try:
            made = ask(self.intent.tag)
        except VisioProviderError as error:
            if not error.ambiguous:
                self._write(replace(record, sent=False), at_all_costs=False)
                raise
            found = self._found(look_up, phase_of) if look_up else None
            if found is None:
                raise
            log.warning("%s It was made all the same: %s.", error, found["id"])
            made = found
        self._write(replace(record, id=str(made["id"])), at_all_costs=False)
        return made

    def _write(self, record: Record, *, at_all_costs: bool) -> None:
        self.record = record
        if self._store is None:
            return
        try:
            self._store.set(STORE_KEY, record.as_json())
        except Exception:
            if at_all_costs:
                raise  # nothing was asked yet
            # The request carries its tag, so a later try will find it even so.
            log.warning("What this task has made could not be written down.", exc_info=True)
