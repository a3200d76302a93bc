"""One request per intent: whatever happens to a task between two tries, what it asks for is made once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from airflow_provider_visio import clock
from airflow_provider_visio.api.error_hints import AMBIGUOUS_HINT
from airflow_provider_visio.exceptions import VisioProviderError
from airflow_provider_visio.idempotency.lookup_window import lookups_until
from airflow_provider_visio.idempotency.record import (
    INPUT_KEY,
    TASK_KEY,
    Intent,
    OnExisting,
    Record,
    best_match,
    clear_count,
    existing_step,
    first_step,
    is_first_try,
    was_cleared,
)
from airflow_provider_visio.idempotency.state_store import StateStore
from airflow_provider_visio.waiting import epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from airflow.sdk import Context

    from airflow_provider_visio.idempotency.lookup_window import LookupWindow
    from airflow_provider_visio.waiting import Phase

log = logging.getLogger(__name__)

STORE_KEY = "visio_intent"

# Seconds by which clocks may be apart, and a run may begin before it was due.
SLACK = 3600.0

Made = TypeVar("Made", bound=Mapping[str, Any])

_CHANGED = "This task asks for something else than when it made %s. %s"
_STANDS = (
    "What was asked for then still stands; clear the task with on_existing='replace', or delete that one and clear it, "
    "to ask anew."
)


@dataclass(frozen=True)
class ResourceAdapter(Generic[Made]):
    """
    The calls of a service that :class:`CreateOnce` needs.

    :param ask: makes what is asked for, with the metadata by which it can be found again.
    :param look_at: gets one by its id and the time after which it was made, or None where nobody can tell; one that is
        gone has a status that says so.
    :param look_up: finds those with some metadata that were made after a time; None where the service has no list.
    :param phase_of: tells how one is doing.
    :param discard: takes one back; None where the service cannot.
    :param patience: for how long what is asked for may not be there yet.
    :param final: the ends that a retry has to live with; after any other it asks anew.
    :param undone: those of them that may be the work of the task itself, which was killed: a retry asks anew.
    :param change: brings one that is taken up to what is asked for now; None where that cannot be changed.
    """

    ask: Callable[[dict[str, str]], Made]
    look_at: Callable[[str, float | None], Made]
    look_up: Callable[[dict[str, str], float | None], Sequence[Made]] | None
    phase_of: Callable[[Made], Phase | None]
    discard: Callable[[str], None] | None
    patience: LookupWindow
    final: Collection[Phase] = ()
    undone: Collection[Phase] = ()
    change: Callable[[Made], Made] | None = None


class CreateOnce:
    """
    What a running task asks for, and what it has written down of it.

    :param context: the task's context; without a ``task_state_store`` (before Airflow 3.3) no other try reads what is
        written down.
    :param done: where it is written down then, for the task itself once it has deferred for the rate limit.
    :param asked: what it asks for.
    :param on_existing: what becomes of what was made before the task was cleared, and is still open.
    """

    def __init__(
        self, context: Context, done: dict[str, Any], asked: Mapping[str, Any], on_existing: OnExisting
    ) -> None:
        self._context = context
        self.store = StateStore(context, done)
        self._on_existing = on_existing
        self.intent = Intent.of(context, asked)
        self.record = Record.from_json(self.store.get(STORE_KEY))

    @property
    def since(self) -> float:
        """From when the task's wait counts, in seconds since 1970."""
        now = clock.now()
        return min(self.record.wait_from, now) if self.record else now

    @property
    def remembers(self) -> bool:
        """Whether a later try will know what this one writes down."""
        return bool(self.store)

    @property
    def in_doubt(self) -> bool:
        """Whether an earlier try may have asked for it without learning what came of that."""
        if self.record is not None:
            return self.record.sent and not self.record.id
        # With a store, whatever was asked was written down first.
        return not self.store and not is_first_try(self._context)

    def get(self, calls: ResourceAdapter[Made]) -> Made:
        """
        Return what the task asks for: made now, or found.

        :param calls: how to make it, and how to find it.
        :raises VisioProviderError: it cannot be made, or nobody can tell whether it was made before.
        """
        cleared = self._cleared
        found = self._existing(calls)
        if found is not None:
            changed = self._intent_behind(found).input != self.intent.input
            foreign = changed and getattr(self._context["ti"], "map_index", -1) >= 0
            phase = calls.phase_of(found)
            step = existing_step(
                phase,
                self._on_existing,
                cleared=cleared,
                over=self.record is not None and self.record.over,
                final=calls.final,
                foreign=foreign,
                undone=self.taken_back or phase in calls.undone,
            )
            if step == "fail":
                raise VisioProviderError(_why_not(found["id"], foreign=foreign))
            if changed and (step != "reuse" or calls.change is None):
                log.warning(_CHANGED, found["id"], "Another is asked for." if step != "reuse" else _STANDS)
            if step == "reuse":
                if changed and calls.change is not None:
                    log.info(_CHANGED, found["id"], "That one is changed accordingly.")
                    return self._take_up(calls.change(found), cleared=cleared, intent=self.intent)
                return self._take_up(found, cleared=cleared)
            if step == "replace":
                self._replace(found, calls)
        return self._ask(calls)

    def asks_now(self) -> None:
        """Write down that it is asked for now, for other calls came between the intent and the one that makes it."""
        if self.record is not None:
            self._write(replace(self.record, asked_at=clock.now()), at_all_costs=True)

    def told_of_end(self) -> None:
        """Write down that the task was told how what it asked for ended: that it is gone is no work of ours."""
        if self.record is not None:
            self._write(replace(self.record, ended=not self.taken_back), at_all_costs=False)

    @property
    def taken_back(self) -> bool:
        """Whether the task itself has taken back what it had made."""
        return self.record is not None and self.record.taken_back

    def take_back(self, made: str, discard: Callable[[str], None]) -> None:
        """
        Take back what the task has made, for it is killed: a retry asks anew.

        :param made: its id.
        :param discard: takes it back.
        :raises VisioProviderError: it could not be taken back.
        """
        # Known before it is done, for the task goes on meanwhile and may see that it is gone.
        self._know(made, taken_back=True)
        try:
            discard(made)
        except VisioProviderError as error:
            self._know(made, taken_back=error.ambiguous)
            raise
        if self.record is not None:
            self._write(self.record, at_all_costs=False)

    def close(self) -> None:
        """Write down that the task has got what it wanted."""
        if self.record is not None:
            self._write(replace(self.record, over=True), at_all_costs=False)

    @property
    def _cleared(self) -> bool:
        """Whether the task was cleared since the record was written."""
        return was_cleared(self._context, self.record.run if self.record else None)

    def _existing(self, calls: ResourceAdapter[Made]) -> Made | None:
        tried_before = (getattr(self._context["ti"], "try_number", None) or 1) > 1
        step = first_step(self.record, tried_before=tried_before)
        record = self.record
        if step == "look at" and record is not None and record.id:
            return calls.look_at(record.id, _since(record))
        if step == "look up":
            return self._looked_up(calls)
        return None

    def _looked_up(self, calls: ResourceAdapter[Made]) -> Made | None:
        if calls.look_up is None:
            log.warning(
                "An earlier try may have started this already; the service has no way to tell. It is started again."
            )
            return None
        record, now = self.record, clock.now()
        if record is not None:
            mark, since = record.mark, _since(record)
            # A moment that is still to come is another clock's.
            until = min(record.asked_at, now) + calls.patience.meant
        else:
            # With a store, whatever was asked was written down first; without, it may have been asked just now.
            mark, since = {TASK_KEY: self.intent.task}, earliest_creation(self._context)
            until = now + (0.0 if self.store else calls.patience.meant)
        try:
            return self._found(calls, mark, since, until)
        except VisioProviderError as error:
            raise error.saying(
                "So it is not known whether an earlier try of this task has asked already, and nothing was made; run "
                "the task again once the service can be asked."
            ) from error

    def _found(
        self, calls: ResourceAdapter[Made], mark: dict[str, str], since: float | None, until: float
    ) -> Made | None:
        """Look for what was made, until what is not there by then was never made."""
        for left in lookups_until(until):
            made = list(calls.look_up(mark, since)) if calls.look_up else []
            if made:
                return best_match(made, calls.phase_of)
            if left:
                log.info(
                    "Not in the service's list; a call of an earlier moment may still be on its way. Looking again "
                    "for %.0f s.",
                    left,
                )
        return None

    def _take_up(self, found: Made, *, cleared: bool, intent: Intent | None = None) -> Made:
        log.info("%s was made by an earlier try of this task; it is not asked for again.", found["id"])
        now = clock.now()
        record = self.record
        if record is None:
            asked_at = epoch(found.get("created_at")) or now
            record = Record(self._intent_behind(found), asked_at, asked_at, clear_count(self._context))
        if cleared:
            # A person wants it to be waited for once more.
            record = replace(record, run=clear_count(self._context), wait_from=now, over=False, ended=False)
        record = replace(record, id=str(found["id"]), intent=intent or record.intent, taken_back=False)
        self._write(record, at_all_costs=False)
        return found

    def _intent_behind(self, found: Made) -> Intent:
        """Return what something was meant to be when it was made."""
        if self.record is not None:
            return self.record.intent
        metadata = found.get("metadata")
        told = metadata.get(INPUT_KEY) if isinstance(metadata, Mapping) else None
        return replace(self.intent, input=str(told)) if told else self.intent

    def _replace(self, found: Made, calls: ResourceAdapter[Made]) -> None:
        if calls.discard is None:
            log.info("%s goes on, for the service cannot take it back; another is started.", found["id"])
            return
        # What the task has made: a service that answers with something else must not lose that.
        made = self.record.id if self.record and self.record.id else str(found["id"])
        log.info("%s is replaced, as on_existing says.", made)
        calls.discard(made)

    def _ask(self, calls: ResourceAdapter[Made]) -> Made:
        now, in_doubt = clock.now(), calls.look_up is None and self.in_doubt
        record = Record(self.intent, now, now, clear_count(self._context))
        self._write(record, at_all_costs=True)
        try:
            made = calls.ask(record.tag)
        except VisioProviderError as error:
            if not error.ambiguous:
                # What nobody could look up stays in doubt when another call is refused.
                self._write(replace(record, sent=in_doubt), at_all_costs=False)
                raise
            made = self._after_silence(record, error, calls)
        # Not `record`: a task that was killed meanwhile knows more.
        self._write(replace(self.record or record, id=str(made["id"])), at_all_costs=False)
        return made

    def _after_silence(self, record: Record, error: VisioProviderError, calls: ResourceAdapter[Made]) -> Made:
        """Return what a call has made whose reply was lost."""
        if calls.look_up is None:
            raise error.saying(
                "It may have been done all the same: a retry does it again, for nobody can look it up.",
                instead_of=AMBIGUOUS_HINT,
            ) from error
        log.warning("%s Looking now whether it was.", error)
        try:
            found = self._found(calls, record.mark, _since(record), clock.now() + calls.patience.lost)
        except VisioProviderError as problem:
            raise problem.saying(
                f"So it is not known whether the call before it was carried out ({error}) The next try looks first, "
                "and asks only if it was not."
            ) from error
        if found is None:
            self._write(replace(record, sent=False), at_all_costs=False)
            raise error.saying(
                "It is not in the service's list, so it was not made; the next try asks again.",
                instead_of=AMBIGUOUS_HINT,
            ) from error
        log.warning("It was made: %s.", found["id"])
        return found

    def _know(self, made: str, *, taken_back: bool) -> None:
        if self.record is not None:
            self.record = replace(self.record, id=made, taken_back=taken_back)

    def _write(self, record: Record, *, at_all_costs: bool) -> None:
        self.record = record
        try:
            self.store.set(STORE_KEY, record.as_json())
        except Exception:
            if at_all_costs:
                raise  # nothing was asked yet
            # The request carries its tag, so a later try will find it even so.
            log.warning("What this task has made could not be written down.", exc_info=True)


def _why_not(found: str, *, foreign: bool) -> str:
    if foreign:
        return (
            f"{found}, which an earlier try of this mapped task made, was asked for with other words or of "
            "somebody else: the list that it is mapped over may have changed. So it is neither taken up nor asked for "
            "again. Clear the task with on_existing='replace' to ask anew, or give it the input that it had."
        )
    return (
        f"{found}, which this task made before it was cleared, is still open, and on_existing is 'fail', so nothing is "
        "asked for. Let it end, or use on_existing='reuse' or 'replace'."
    )


def earliest_creation(context: Context) -> float | None:
    """Return when a task can have asked at the earliest, in seconds since 1970, or None where nobody can tell."""
    # Not the run's start, which is another one after the run was cleared.
    moment = epoch(getattr(context.get("dag_run"), "run_after", None))
    earliest = None if moment is None else moment - SLACK
    # One that is still to come is another clock's.
    return None if earliest is None or earliest > clock.now() else earliest


def _since(record: Record) -> float | None:
    """Return when a record's request can have been made at the earliest, or None where nobody can tell."""
    # How far another clock was ahead, whose moment is still to come, is not known.
    return record.asked_at - SLACK if record.asked_at <= clock.now() else None
