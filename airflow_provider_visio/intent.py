"""
What a task means to ask for, so that a later try finds what an earlier one has made. Pure decisions, and a record.

Neither service documents an idempotency key. So a task writes down what it is about to ask before it asks, and the id
of what was made after that (Airflow's task state store, 3.3 and later); and the request itself carries a tag, by which
it is found in the service's list when the record is missing or ends before the answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_visio.exceptions import InvalidRequestError

if TYPE_CHECKING:
    from airflow_provider_visio.waiting import Phase

OnExisting = Literal["reuse", "replace", "fail"]

# Keys of the tag in a request's metadata.
TASK_KEY = "airflow_task"
INPUT_KEY = "airflow_input"

# No clock tells a later time, in seconds since 1970: it is in the year 5138.
LATEST = 1e11


@dataclass(frozen=True)
class Intent:
    """
    What one task instance means to ask for. The number of its try is no part of it.

    :param task: fingerprint of DAG, run, task and map index.
    :param input: fingerprint of what is asked for.
    """

    task: str
    input: str

    @classmethod
    def of(cls, context: Mapping[str, Any], asked: Mapping[str, Any]) -> Intent:
        """Return the intent of a running task that asks for something."""
        ti = context["ti"]
        place = [ti.dag_id, ti.run_id, ti.task_id, getattr(ti, "map_index", -1)]
        return cls(_fingerprint(place, 32), _fingerprint(asked, 16))

    @property
    def tag(self) -> dict[str, str]:
        """The metadata by which its request is found again."""
        return {TASK_KEY: self.task, INPUT_KEY: self.input}

    @property
    def mark(self) -> dict[str, str]:
        """The part of the tag that says whose a request is, whatever was asked for."""
        return {TASK_KEY: self.task}


@dataclass(frozen=True)
class Record:
    """
    What a task instance has written down.

    :param intent: what it meant to ask for.
    :param asked_at: when it was about to ask, in seconds since 1970.
    :param sent: whether it may have been asked; False once the service has said no.
    :param id: id of what was made, or None while that is not known.
    :param over: whether the task has got what it wanted.
    """

    intent: Intent
    asked_at: float
    sent: bool = True
    id: str | None = None
    over: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> Record | None:
        """Return a record that was written as JSON, or None for what is not one."""
        if not isinstance(value, Mapping) or not isinstance(value.get("intent"), Mapping):
            return None
        intent, asked_at, found = value["intent"], value.get("asked_at"), value.get("id")
        words = [intent.get("task"), intent.get("input")]
        if not all(isinstance(word, str) for word in words) or not isinstance(asked_at, int | float):
            return None
        if not 0 <= asked_at < LATEST:
            return None
        known = found if isinstance(found, str) and found else None
        return cls(
            Intent(*words), float(asked_at), value.get("sent") is not False, known, value.get("over") is True
        )


def first_step(record: Record | None, *, tried_before: bool) -> Literal["ask", "look up", "look at"]:
    """
    Decide what a task that is about to ask does first.

    :param record: what an earlier run of it has written down.
    :param tried_before: whether there was an earlier try.
    :return: ask; or look up in the service's list whether an earlier try has asked; or look at what it has made.
    """
    if record is None:
        return "look up" if tried_before else "ask"
    if record.id:
        return "look at"
    return "look up" if record.sent else "ask"


def existing_step(
    phase: Phase | None, on_existing: OnExisting, *, over: bool
) -> Literal["reuse", "replace", "fail", "ask"]:
    """
    Decide what becomes of what an earlier run has made.

    :param phase: how it is doing.
    :param on_existing: what the user wants to become of one that is still open.
    :param over: whether that run got what it wanted.
    """
    if phase in {None, "open"}:
        return on_existing
    # What has arrived and was not fetched yet would be lost, were it asked for again.
    return "reuse" if phase == "arrived" and not over else "ask"


def check_on_existing(on_existing: object) -> None:
    """
    Refuse what is none of the choices.

    :raises InvalidRequestError: it is none of them.
    """
    if on_existing not in {"reuse", "replace", "fail"}:
        raise InvalidRequestError.of("on_existing", f"give 'reuse', 'replace' or 'fail', not {on_existing!r}")


def _fingerprint(value: object, length: int) -> str:
    # Read back first, which makes all keys text: others cannot be sorted.
    plain = json.loads(json.dumps(value, default=str, skipkeys=True))
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]
