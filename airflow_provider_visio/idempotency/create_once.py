"""
Create an object once per intent, also when a task fails, is retried or is killed.

:class:`Creator` makes the decisions, for one object (:class:`CreateOnce`) and for many
(:class:`~airflow_provider_visio.idempotency.create_batch.CreateBatch`): what a try does first, how it looks for what an
earlier call may have created, and what a lost reply means.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

from airflow_provider_visio import clock
from airflow_provider_visio.clock import epoch
from airflow_provider_visio.exceptions import NotFoundError, VisioProviderError
from airflow_provider_visio.idempotency.lookup_window import lookups_until
from airflow_provider_visio.idempotency.record import (
    Intent,
    Record,
    best_match,
    clear_count,
    existing_step,
    first_step,
    is_first_try,
    may_lack_record,
    run_clears,
    was_cleared,
)
from airflow_provider_visio.idempotency.state_store import StateStore
from airflow_provider_visio.idempotency.tag import INPUT_KEY, TASK_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from airflow.sdk import Context

    from airflow_provider_visio.idempotency.lookup_window import LookupWindow
    from airflow_provider_visio.idempotency.on_existing import OnExisting
    from airflow_provider_visio.waiting import Phase

log = logging.getLogger(__name__)

STORE_KEY = "visio_intent"

# Seconds by which clocks may differ, and a run may begin before it was due.
SLACK = 3600.0

# Seconds to look for what a task has created before a clear that left no record. Its process has ended by then.
AFTER_CLEAR = 30.0

Made = TypeVar("Made", bound=Mapping[str, Any])

_CHANGED = "This task asks for something else than when it created %s. %s"
_STANDS = "It stays as it is. To ask again, clear the task with on_existing='replace', or delete it and clear the task."


@dataclass(frozen=True)
class ResourceAdapter(Generic[Made]):
    """
    The calls of a service that :class:`CreateOnce` needs.

    :param ask: creates the object, with the metadata by which it can be found again.
    :param look_at: returns an object by its id; a :class:`NotFoundError` means that it is deleted.
    :param look_up: returns the objects with some metadata that were created since a Unix timestamp (None: ever). None
        where the service has no list.
    :param phase_of: returns the phase of an object.
    :param discard: deletes an object, given its id and what the service said of it. None where the service cannot.
    :param window: how long an object may take to appear.
    :param final: the ends that a retry must not ask again after.
    :param change: changes an object to what is asked for now; None where it cannot be changed.
    :param is_over: whether a task without a record has got what it wanted from an object.
    """

    ask: Callable[[dict[str, str]], Made]
    look_at: Callable[[str], Made]
    look_up: Callable[[dict[str, str], float | None], Sequence[Made]] | None
    phase_of: Callable[[Made], Phase | None]
    discard: Callable[[str, Made], None] | None
    window: LookupWindow
    final: Collection[Phase] = ()
    change: Callable[[Made], Made] | None = None
    is_over: Callable[[Made], bool] = lambda _: False


class Creator:
    """
    The decisions that creating one object and creating many share.

    :param done: where the record is kept while the task defers, for an Airflow without a state store (before 3.3).
    :param on_existing: what to do, after a clear, with what is still open.
    """

    record_key = STORE_KEY

    def __init__(self, context: Context, done: dict[str, Any], on_existing: OnExisting) -> None:
        self._context = context
        self._on_existing = on_existing
        self.store = StateStore(context, done)

    def _first_step(self, record: Record | None) -> Literal["ask", "look up", "look at"]:
        tried_before = (getattr(self._context["ti"], "try_number", None) or 1) > 1
        # A record that cannot be read is not the same as none.
        has_store = bool(self.store) and self.store.get(self.record_key) is None
        kept = has_store and not may_lack_record(self._context)
        return first_step(record, tried_before=tried_before, has_store=kept)

    def _created_since(self, asked_at: float | None = None) -> float | None:
        """Return the Unix timestamp from which to list what was asked for at a time; None for all."""
        # A time that lies ahead was written by a worker with another clock.
        if asked_at is not None and asked_at <= clock.now():
            return asked_at - SLACK
        due = epoch(getattr(self._context.get("dag_run"), "run_after", None))
        # Not the run's start, which changes when the run is cleared.
        return None if due is None or due - SLACK > clock.now() else due - SLACK

    def _look_until(self, until: float, look: Callable[[], bool]) -> bool:
        """
        Look until everything is found, or until a Unix timestamp; what is not found by then was never created.

        :param look: looks once, and returns whether it has found everything.
        """
        for left in lookups_until(until):
            if look():
                return True
            if left:
                log.info(
                    "Not in the service's list yet; an earlier call may still be under way. Looking again for %.0f s.",
                    left,
                )
        return False

    def _look_for_earlier(
        self, asked_at: float | None, window: LookupWindow, look: Callable[[], bool]
    ) -> bool:
        """Look for what an earlier try may have created; ``asked_at`` is a Unix timestamp, None without a record."""
        now = clock.now()
        if asked_at is None and self.store and self.store.get(self.record_key) is None:
            return self._look_until(now + AFTER_CLEAR, look)
        return self._look_until(min(asked_at or now, now) + window.meant, look)

    def _look_for_lost(
        self, error: VisioProviderError, window: LookupWindow, look: Callable[[], bool] | None, what: str
    ) -> bool:
        """
        Look for what a call may have created whose reply was lost; return whether everything was found.

        :param look: as of :meth:`_look_until`; None where the service has no list.
        :param what: completes "it is not known whether", for the error of a failed look-up.
        """
        if look is None:
            raise error.saying(
                "It may have been done anyway: a retry does it again, because nobody can look it up.",
                instead_of_hint=True,
            ) from error
        if error.ambiguous:  # not after a refusal, which a batch also looks up
            log.warning("%s Looking now whether it was done.", error)
        try:
            return self._look_until(clock.now() + window.lost, look)
        except VisioProviderError as problem:
            raise problem.saying(f"So it is not known whether {what}.") from error

    @staticmethod
    @contextlib.contextmanager
    def _settling() -> Iterator[None]:
        """Say of an error in a look-up that nothing was created."""
        try:
            yield
        except VisioProviderError as error:
            raise error.saying(
                "So it is not known whether an earlier try of this task has asked, and nothing was created. Run the "
                "task again when the service answers."
            ) from error

    @staticmethod
    def _look_at(get: Callable[[str], Any], found: str) -> Any:
        """Return an object by its id; for one that is gone, ``{"id", "status": "deleted"}``."""
        try:
            return get(found)
        except NotFoundError as error:
            if error.unknown_route:
                raise
            return {"id": found, "status": "deleted"}

    @staticmethod
    def _discard(delete: Callable[[], None], found: str) -> None:
        """Delete an object to replace it."""
        log.info("%s is replaced, as on_existing says.", found)
        try:
            delete()
        except NotFoundError as error:
            if error.unknown_route:
                raise
            log.info("%s was already gone.", found)


class CreateOnce(Creator):
    """One object that a running task creates, and the record of it; ``asked`` is what the task asks for."""

    def __init__(
        self, context: Context, done: dict[str, Any], asked: Mapping[str, Any], on_existing: OnExisting
    ) -> None:
        super().__init__(context, done, on_existing)
        self.intent = Intent.of(context, asked)
        self.record = Record.from_json(self.store.get(STORE_KEY))

    @property
    def since(self) -> float:
        """Unix timestamp from which the task's wait counts."""
        now = clock.now()
        return min(self.record.wait_from, now) if self.record else now

    @property
    def remembers(self) -> bool:
        """Whether a later try can read the record."""
        return bool(self.store)

    @property
    def in_doubt(self) -> bool:
        """Whether an earlier try may have asked without learning the result."""
        if self.record is not None:
            return self.record.sent and not self.record.id
        return not self.store and not is_first_try(self._context)

    @property
    def taken_back(self) -> bool:
        """Whether the task itself has deleted what it created."""
        return self.record is not None and self.record.taken_back

    def get(self, calls: ResourceAdapter[Made], *, deadline: float | None = None) -> Made:
        """
        Return the object that the task asks for: a new one, or the one that an earlier try has created.

        :param calls: how to create it, and how to find it.
        :param deadline: Unix timestamp from which one that is still open is replaced by another; None for never.
        :raises VisioProviderError: it cannot be created, or it is not known whether it was created before.
        """
        found = self._existing(calls)
        if found is None:
            return self._ask(calls)
        phase = calls.phase_of(found)
        if deadline is not None and clock.now() >= deadline and phase in {None, "open"}:
            log.warning("%s was not ready by the wait's deadline. Another is asked for.", found["id"])
            return self._ask(calls)
        record = self.record
        cleared = (
            was_cleared(self._context, record.run, record.clears) if record else is_first_try(self._context)
        )
        changed = self._intent_behind(found).input != self.intent.input
        foreign = changed and getattr(self._context["ti"], "map_index", -1) >= 0
        step = existing_step(
            phase,
            self._on_existing,
            cleared=cleared,
            over=record.over if record else cleared and calls.is_over(found),
            final=calls.final,
            foreign=foreign,
            taken_back=self.taken_back,
        )
        if step == "fail":
            raise VisioProviderError(_why_not(found["id"], foreign=foreign))
        if step == "reuse":
            return self._take_up(found, calls, cleared=cleared, changed=changed)
        if changed:
            log.warning(_CHANGED, found["id"], "Another is asked for.")
        if step == "replace":
            self._replace(found, calls)
        return self._ask(calls)

    def asks_now(self) -> None:
        """Write down that the call is made now, where other calls came after the record was written."""
        if self.record is not None:
            self._write(replace(self.record, asked_at=clock.now()), at_all_costs=True)

    def take_back(self, made: str, discard: Callable[[str], None]) -> None:
        """Delete what the task has created, because it is killed; a retry asks again."""
        # Before it is deleted: the task goes on meanwhile, and may see that it is gone.
        self._mark_taken_back(made, taken_back=True)
        try:
            discard(made)
        except VisioProviderError as error:
            self._mark_taken_back(made, taken_back=error.ambiguous)
            raise
        if self.record is not None:
            self._write(self.record, at_all_costs=False)

    def give_up(self, reason: str) -> None:
        """Write down why the object is of no use, so that the next try creates another."""
        if self.record is not None:
            self._write(replace(self.record, unusable=reason), at_all_costs=False)

    def close(self) -> None:
        """Write down that the task has got what it wanted."""
        if self.record is not None:
            self._write(replace(self.record, over=True), at_all_costs=False)

    def _existing(self, calls: ResourceAdapter[Made]) -> Made | None:
        """Return what an earlier try has created, or None."""
        record = self.record
        if record is not None and record.unusable:
            log.warning("%s is not used again: %s Another is asked for.", record.id, record.unusable)
            return None
        step = self._first_step(record)
        if step == "ask":
            return None
        if step == "look at" and record is not None:
            return cast("Made", self._look_at(calls.look_at, record.id or ""))
        if calls.look_up is None:
            log.warning(
                "An earlier try may have started this; the service has no list of them. It is started again."
            )
            return None
        # Without a record, an earlier try may have asked just now, in whatever words.
        mark = record.mark if record else {TASK_KEY: self.intent.task}
        look, found = self._look(calls, mark, record.asked_at if record else None)
        with self._settling():
            self._look_for_earlier(record.asked_at if record else None, calls.window, look)
        return best_match(found, calls.phase_of) if found else None

    def _look(
        self, calls: ResourceAdapter[Made], mark: dict[str, str], asked_at: float | None
    ) -> tuple[Callable[[], bool], list[Made]]:
        """Return a function that looks once, and the list to which it adds what it finds."""
        found: list[Made] = []
        since = self._created_since(asked_at)

        def look() -> bool:
            found.extend(calls.look_up(mark, since) if calls.look_up else [])
            return bool(found)

        return look, found

    def _take_up(self, found: Made, calls: ResourceAdapter[Made], *, cleared: bool, changed: bool) -> Made:
        """Go on with what an earlier try has created."""
        intent = self._intent_behind(found)
        if changed and calls.change is None:
            log.warning(_CHANGED, found["id"], _STANDS)
        elif changed and calls.change is not None:
            log.info(_CHANGED, found["id"], "That one is changed accordingly.")
            found, intent = calls.change(found), self.intent
        log.info("%s was created by an earlier try of this task; it is not asked for again.", found["id"])
        record, run, now = self.record, clear_count(self._context), clock.now()
        if record is None:
            asked_at = epoch(found.get("created_at")) or now
            record = Record(intent, asked_at, asked_at, run)
        if cleared:
            # Somebody wants it to be waited for once more.
            record = replace(record, wait_from=now, over=False)
        record = replace(record, id=str(found["id"]), intent=intent, taken_back=False)
        record = replace(record, run=run, clears=run_clears(self._context))
        self._write(record, at_all_costs=False)
        return found

    def _intent_behind(self, found: Made) -> Intent:
        """Return what an object was asked for as."""
        if self.record is not None:
            return self.record.intent
        metadata = found.get("metadata")
        written = metadata.get(INPUT_KEY) if isinstance(metadata, Mapping) else None
        return replace(self.intent, input=str(written)) if written else self.intent

    def _replace(self, found: Made, calls: ResourceAdapter[Made]) -> None:
        discard = calls.discard
        if discard is None:
            log.info("%s goes on, because the service cannot delete it; another is started.", found["id"])
            return
        # The id that is written down, where there is one: a service may answer with another object.
        made = self.record.id if self.record and self.record.id else str(found["id"])
        self._discard(lambda: discard(made, found), made)

    def _ask(self, calls: ResourceAdapter[Made]) -> Made:
        """Create the object, between two entries in the record."""
        now, in_doubt = clock.now(), calls.look_up is None and self.in_doubt
        # One that the service has refused does not count.
        number = self.record.number + self.record.sent if self.record else 1
        run, clears = clear_count(self._context), run_clears(self._context)
        record = Record(self.intent, now, now, run, number=number, clears=clears)
        self._write(record, at_all_costs=True)
        try:
            made = calls.ask(record.tag)
        except VisioProviderError as error:
            if not error.ambiguous:
                # An earlier call that nobody can look up stays in doubt when this one is refused.
                self._write(replace(record, sent=in_doubt), at_all_costs=False)
                raise
            made = self._found_after(error, record, calls)
        # Not `record`: a task that was killed meanwhile has marked its own.
        self._write(replace(self.record or record, id=str(made["id"])), at_all_costs=False)
        return made

    def _found_after(self, error: VisioProviderError, record: Record, calls: ResourceAdapter[Made]) -> Made:
        """Return what a call has created whose reply was lost."""
        look, found = self._look(calls, record.mark, record.asked_at)
        unknown = f"the call before it was carried out ({error}) The next try looks first, and asks only if it was not"
        if not self._look_for_lost(error, calls.window, look if calls.look_up else None, unknown):
            self._write(replace(record, sent=False), at_all_costs=False)
            raise error.saying(
                "It is not in the service's list, so it was not created; the next try creates it.",
                instead_of_hint=True,
            ) from error
        log.warning("It was created: %s.", found[0]["id"])
        return best_match(found, calls.phase_of)

    def _mark_taken_back(self, made: str, *, taken_back: bool) -> None:
        if self.record is not None:
            self.record = replace(self.record, id=made, taken_back=taken_back)

    def _write(self, record: Record, *, at_all_costs: bool) -> None:
        self.record = record
        try:
            self.store.set(STORE_KEY, record.as_json())
        except Exception:
            if at_all_costs:
                raise  # nothing was asked yet
            # The object has its tag, so a later try finds it without the record.
            log.warning("What this task has created could not be written down.", exc_info=True)


def _why_not(found: str, *, foreign: bool) -> str:
    if foreign:
        return (
            f"{found}, which an earlier try of this mapped task created, has another text or was asked of somebody "
            "else: the mapped list may have changed. So it is neither used nor created again. Clear the task with "
            "on_existing='replace' to ask again, or give it the input that it had."
        )
    return (
        f"{found}, which this task created before it was cleared, is still open, and on_existing is 'fail'. Let it "
        "end, or use on_existing='reuse' or 'replace'."
    )
