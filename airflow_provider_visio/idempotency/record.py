"""
What a task wants to create, and what it writes down of it, so that a later try finds what an earlier one has created.

Neither service documents an idempotency key. So a task writes its intent down before it asks, and the object's id after
that (Airflow's task state store, 3.3 and later). The object itself has a tag, by which a later try finds it in the
service's list when the record is missing or ends before the answer.

A *retry* is another try that Airflow starts by itself. A *clear* is a person's order to run the task again.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast

from pydantic import Field, TypeAdapter, ValidationError

from airflow_provider_visio.idempotency.tag import ASK_KEY, INPUT_KEY, TASK_KEY, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Mapping, Sequence

    from airflow_provider_visio.idempotency.on_existing import OnExisting
    from airflow_provider_visio.waiting import Phase

T = TypeVar("T")

Word = Annotated[str, Field(min_length=1)]
# A Unix timestamp, up to the year 9999.
Moment = Annotated[float, Field(gt=0, lt=253_402_300_800, strict=True)]


@dataclass(frozen=True)
class Intent:
    """
    What one task instance wants to create, as two fingerprints. The number of its try is not part of it.

    :param task: of DAG, run, task and map index.
    :param input: of what it asks for.
    """

    task: Word
    input: Word

    @classmethod
    def of(cls, context: Mapping[str, Any], asked: Mapping[str, Any]) -> Intent:
        """Return the intent of a running task."""
        ti = context["ti"]
        place = [ti.dag_id, ti.run_id, ti.task_id, getattr(ti, "map_index", -1)]
        # Without None, so that a field of a later version does not change the fingerprint.
        given = {name: value for name, value in asked.items() if value is not None}
        return cls(fingerprint(place, 32), fingerprint(given, 16))


@dataclass(frozen=True)
class Record:
    """
    What a task instance has written down.

    :param intent: what it wanted to create.
    :param asked_at: Unix timestamp of the moment before it asked.
    :param wait_from: Unix timestamp from which its wait counts; later than that where the task was cleared meanwhile.
    :param run: what tells a retry from a clear, see :func:`clear_count`.
    :param ask: mark of this one request: another Airflow with the same DAG and run has another.
    :param sent: whether it may have been sent; False once the service has refused it.
    :param id: id of the object, or None while it is not known.
    :param over: whether the task has got what it wanted.
    :param taken_back: whether the task, when it was killed, has deleted it.
    :param unusable: why it is of no use, so that the next try creates another; None where it may be used.
    :param number: how many objects the task has created, with this one.
    :param clears: :func:`run_clears` of the last try.
    """

    intent: Intent
    asked_at: Moment
    wait_from: Moment
    run: int | None = None
    ask: Word = field(default_factory=lambda: uuid.uuid4().hex[:16])
    sent: bool = True
    id: Word | None = None
    over: bool = False
    taken_back: bool = False
    unusable: str | None = None
    number: int = 1
    clears: int | None = None

    @property
    def tag(self) -> dict[str, str]:
        """The metadata by which its object is found again."""
        return {TASK_KEY: self.intent.task, INPUT_KEY: self.intent.input, ASK_KEY: self.ask}

    @property
    def mark(self) -> dict[str, str]:
        """The part of the tag that names the request, whatever it asked for."""
        return {TASK_KEY: self.intent.task, ASK_KEY: self.ask}

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> Record | None:
        """Return a record that was written as JSON, or None for anything else."""
        return read_as(cls, value)


def read_as(kind: type[T], value: object) -> T | None:
    """Return a stored JSON value as a dataclass, or None where it is not one."""
    try:
        found: T = _reader(cast("Hashable", kind)).validate_python(value)
    except ValidationError:
        return None
    return found


@cache  # not at import: it takes milliseconds, and a DAG file needs none
def _reader(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def clear_count(context: Mapping[str, Any]) -> int | None:
    """
    Return a number that stays the same for all retries of a task instance, and changes when it is cleared.

    A clear raises ``max_tries`` to allow as many retries again. A later Airflow may raise it for other reasons too
    (airflow#66405), so :func:`was_cleared` also needs :func:`run_clears`.
    """
    found = getattr(context["ti"], "max_tries", None)
    return found if isinstance(found, int) else None


def run_clears(context: Mapping[str, Any]) -> int | None:
    """Return how often tasks of the DAG run were cleared, this one or others; None where Airflow does not say."""
    found = getattr(context.get("dag_run"), "clear_number", None)
    return found if isinstance(found, int) else None


def is_first_try(context: Mapping[str, Any]) -> bool:
    """Return whether this is the first try of a task instance, or the first after it was cleared."""
    retries = getattr(context.get("task"), "retries", None)
    run = clear_count(context)
    number = getattr(context["ti"], "try_number", None) or 1
    return number == 1 or (run is not None and isinstance(retries, int) and number == run - retries + 1)


def was_cleared(context: Mapping[str, Any], run: int | None, clears: int | None = None) -> bool:
    """
    Return whether a task was cleared since its record was written.

    :param run: the record's :func:`clear_count`; None without a record.
    :param clears: the record's :func:`run_clears`.
    """
    if run is None:
        return is_first_try(context)
    return run != clear_count(context) and (clears is None or clears != run_clears(context))


def may_lack_record(context: Mapping[str, Any]) -> bool:
    """
    Return whether a clear may have discarded a task's record (airflow#72100).

    A clear of a task that runs does not always change :func:`clear_count`, so any clear in the DAG run counts.
    """
    return is_first_try(context) or bool(run_clears(context))


def best_match(made: Sequence[T], phase_of: Callable[[T], Phase | None]) -> T:
    """Return, of the objects that were created for one intent, the best: one that is open, or has arrived."""
    ranks = {None: 0, "open": 0, "arrived": 1}
    return min(made, key=lambda one: ranks.get(phase_of(one), 2))


def first_step(
    record: Record | None, *, tried_before: bool, has_store: bool
) -> Literal["ask", "look up", "look at"]:
    """
    Decide what a task does first: ask, look up in the list what an earlier try has asked for, or look at that.

    :param has_store: whether a record of what an earlier try has asked for would be there.
    """
    if record is None:
        return "look up" if tried_before and not has_store else "ask"
    if record.id:
        return "look at"
    return "look up" if record.sent else "ask"


def existing_step(
    phase: Phase | None,
    on_existing: OnExisting,
    *,
    cleared: bool,
    over: bool,
    final: Collection[Phase],
    foreign: bool = False,
    taken_back: bool = False,
) -> Literal["reuse", "replace", "fail", "ask"]:
    """
    Decide what to do with what an earlier try has created.

    :param phase: its phase; None for an unknown status word, which counts as open.
    :param on_existing: what a user who clears the task wants to happen to one that is open.
    :param cleared: whether the task was cleared since; otherwise this is a retry.
    :param over: whether that try got what it wanted.
    :param final: the ends that a retry must not ask again after.
    :param foreign: whether it may belong to somebody else: when the list of a mapped task changes, its index stands for
        another entry, which may have been asked under another index.
    :param taken_back: whether the task itself ended it when it was killed, so that a retry asks again.
    """
    is_open = phase in {None, "open"}
    counts = is_open or phase == "arrived"
    if not cleared:
        if phase in final and not taken_back:
            return "reuse"
        if foreign and (counts or phase in final):
            return "fail"
        return "reuse" if counts else "ask"
    if over and not is_open:
        return "ask"
    # The new input may be open under another index, even where what this index has created has ended.
    if foreign and on_existing != "replace" and (counts or phase in final):
        return "fail"
    if is_open:
        return on_existing
    # Photos that have arrived and are not stored yet would be lost.
    return "reuse" if counts and not foreign else "ask"
