"""
Decides whether a wait is over, for every mode (poke, reschedule, deferred, blocking). No I/O; the clock is an argument.

A *state* is the service's answer about one id: ``{"status": ..., "expires_at": ...}``. A *phase* is the meaning of that
state. A *verdict* is the meaning of all states for a wait over one or more ids.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import Any, Literal, Protocol

from airflow_provider_visio.clock import epoch
from airflow_provider_visio.exceptions import (
    ExportFailedError,
    InvalidRequestError,
    PhotoRequestFailedError,
    UnexpectedReplyError,
    VisioProviderError,
    WaitTimeoutError,
)

States = Mapping[str, Mapping[str, Any]]
Phase = Literal["open", "arrived", "expired", "cancelled", "deleted", "failed", "refused"]
Outcome = Literal["wait", "done", "failed", "timeout", "trouble"]
OnDeadline = Literal["fail", "proceed"]

# Our own word for an id that the service refuses to show. No service can send it: "refused", for example, may mean that
# the recipient refused, so it is an unknown word.
WITHHELD = "<withheld>"

# Literal: pending, in_progress, submitted (docs, plugin). Inferred: expired, cancelled, completed. "deleted" is also
# our own word for an id that the service does not know.
PHOTO_REQUEST_PHASES: Mapping[str, Phase] = {
    "pending": "open",
    "in_progress": "open",
    "submitted": "arrived",
    "completed": "arrived",
    "complete": "arrived",
    "expired": "expired",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "deleted": "deleted",
    WITHHELD: "refused",
}

# No page has the word for an expired request, so one that is open so many seconds after its expiry has expired.
EXPIRY_GRACE = 300.0
# Failed polls in a row after which a wait gives up on the service.
MAX_POLL_FAILURES = 5
# The form of a status word that logs and errors may repeat; a service could send anything.
_WORD = re.compile(r"[a-z]+([ _-]+[a-z]+)*[ _-]*\d{0,2}", re.IGNORECASE)
LONGEST_WORD = 40
NO_WORD = "<not a word>"
# How many ids an error names; it counts the others.
MAX_NAMED = 5

GROWTH = 1.5
LONGEST_INTERVAL = 30.0
# When a wait is older than an hour, the time between polls grows with its age, up to five minutes.
FRESH = 3600.0
LONGEST_POLL_INTERVAL = 300.0
# Below this part of the calls that polls may make, the time between polls grows.
SCARCE = 0.2
LONGEST_SCARCE_INTERVAL = 900.0

_ENDED: Mapping[Phase, str] = {
    "expired": "expired before the photos were submitted. A retry does not ask again: clear the task that created it, "
    "with more expires_in_hours if needed",
    "cancelled": "was cancelled at Visiono. A retry does not ask again: clear the task that created it",
    "refused": "may not be read with this connection's key; check the key's scopes and the id",
    "deleted": "was deleted at Visiono, or never was this workspace's; check the id and the connection. A retry does "
    "not ask again: clear the task that created it",
}


def trouble_of_triggerer(trouble: str, conn_id: str) -> str:
    """
    Return why a poll cannot work in the triggerer, and what to do.

    :param trouble: the poll's error, by its type and its status.
    """
    kind = trouble.partition(" ")[0]
    if kind == "AirflowNotFoundException":
        return (
            f"The triggerer has no connection {conn_id!r}. Define it where the triggerer reads it, too: in Airflow's "
            "database, or in the triggerer's own environment or secrets backend."
        )
    if kind in {"ConnectionFailedError", "UnexpectedReplyError"}:
        return (
            f"The triggerer has no way to the service ({trouble}). Check the network, the proxy and the trusted "
            f"certificates of its host, and the Host that the connection {conn_id!r} has there."
        )
    return (
        f"The triggerer's poll does not work with the connection {conn_id!r} ({trouble}). Compare the key and the "
        "extras that the triggerer reads with the worker's; the triggerer's log has the whole error."
    )


class ExportWords(Protocol):
    """The status words of an export contract: its file is ready, it failed, or it is not finished."""

    @property
    def done_words(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def failed_words(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def open_words(self) -> Sequence[str]: ...  # noqa: D102


_EXPORT_ENDED: Mapping[Phase, str] = {
    "failed": "failed at Vizdom",
    "deleted": "is unknown to Vizdom: it was deleted or has lapsed",
    "refused": "may not be read with this connection's key",
}
_EXPORTS_AGAIN = "A retry of this task exports again, as clearing it does"
_NO_MORE_TIME = (
    "has no more time: clear the task to wait as long once more, with a longer timeout if necessary."
)


@dataclass(frozen=True)
class Goal:
    """
    When a wait over several ids succeeds.

    :param needed: how many must arrive; None for all.
    :param proceed: whether the wait also succeeds at the deadline, or when no more can arrive, with fewer.
    """

    needed: int | None = None
    proceed: bool = False

    @classmethod
    def of(cls, minimum: object, on_deadline: object, count: int | None = None) -> Goal:
        """
        Return the goal of a user's parameters.

        :param minimum: how many must arrive: a whole number from 1, a share above 0 and up to 1.0, or None for all.
        :param on_deadline: ``"fail"`` or ``"proceed"``.
        :param count: how many ids the wait is for, or None while that is unknown.
        :raises InvalidRequestError: a value is none of these, or more are needed than there are and the wait does not
            proceed.
        """
        if on_deadline not in ("fail", "proceed"):
            raise InvalidRequestError.of("on_deadline", f"give 'fail' or 'proceed', not {on_deadline!r}")
        proceed = on_deadline == "proceed"
        if minimum is None:
            return cls(None, proceed)
        if isinstance(minimum, float) and 0 < minimum <= 1:
            # Rounded first, because 0.07 * 100 is a little more than 7.
            return cls(None if count is None else max(1, math.ceil(round(minimum * count, 6))), proceed)
        if not isinstance(minimum, int) or isinstance(minimum, bool) or minimum < 1:
            problem = f"give a whole number from 1, or a share such as 0.8 (1.0 is all), not {minimum!r}"
            raise InvalidRequestError.of("min_submitted", problem)
        if count is not None and minimum > count and not proceed:
            problem = f"{minimum} can never arrive, because there are {count} to wait for"
            raise InvalidRequestError.of("min_submitted", problem)
        return cls(minimum, proceed)

    def of_all(self, count: int) -> int:
        """Return how many of so many must arrive."""
        return count if self.needed is None else min(self.needed, count)


ALL = Goal()


@dataclass(frozen=True)
class Verdict:
    """
    The meaning of the states of a wait's ids.

    :param outcome: "wait", or how the wait ends.
    :param arrived: ids that are ready.
    :param ended: the phase by id, of ids that will never be ready.
    :param waiting: ids that are still open.
    :param unknown: the status word by id, of ids with an unknown word; they count as open.
    :param trouble: why the service could not be polled, for the outcome "trouble".
    :param fatal: whether the trouble will not pass by itself, such as a refused key.
    """

    outcome: Outcome
    arrived: tuple[str, ...] = ()
    ended: Mapping[str, Phase] = field(default_factory=dict)
    waiting: tuple[str, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)
    trouble: str | None = None
    fatal: bool = False

    def as_event(self) -> dict[str, Any]:
        """Return it as plain JSON for a trigger event: ids and statuses only."""
        lists = {"arrived": list(self.arrived), "waiting": list(self.waiting)}
        return {**asdict(self), **lists, "ended": dict(self.ended)}

    @classmethod
    def from_event(cls, event: object, goal: Goal = ALL) -> Verdict:
        """
        Read a trigger event.

        :param event: the event's payload.
        :param goal: when the wait succeeds.
        :raises UnexpectedReplyError: it is not an event of ours; a wait must not pass as done by mistake.
        """
        given = event if isinstance(event, Mapping) else {}
        with contextlib.suppress(ValueError):
            verdict: Verdict = _verdict_type().validate_python(
                {n: v for n, v in given.items() if v is not None}
            )
            count = len(verdict.arrived) + len(verdict.ended) + len(verdict.waiting)
            met = count > 0 and (goal.proceed or goal.of_all(count) <= len(verdict.arrived))
            final = verdict.outcome != "wait" and not {"open", "arrived"} & set(verdict.ended.values())
            if final and (verdict.outcome != "done" or met):
                return replace(verdict, unknown={i: safe_status(w) for i, w in verdict.unknown.items()})
        raise UnexpectedReplyError(
            "The wait was resumed without an event of its own trigger; clear the task to wait again."
        )


@lru_cache(maxsize=1)
def _verdict_type() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Verdict)


def photo_request_phase(state: Mapping[str, Any], *, now: float) -> Phase | None:
    """Return the phase of a photo request, or None for an unknown status word."""
    word = normalize_status(state.get("status"))
    phase = PHOTO_REQUEST_PHASES.get(word) if word else "open"
    expiry = epoch(state.get("expires_at")) if phase == "open" else None
    return "expired" if expiry is not None and now > expiry + EXPIRY_GRACE else phase


def is_surely_open(reply: object, request_id: str, *, now: float) -> bool:
    """Return whether a reply shows, by its id and a known status word, that this request is open."""
    return (
        isinstance(reply, Mapping)
        and str(reply.get("id")) == request_id
        and bool(normalize_status(reply.get("status")))
        and photo_request_phase(reply, now=now) == "open"
    )


def ends_by_itself(state: Mapping[str, Any]) -> float | None:
    """Return the Unix timestamp from which an open photo request counts as expired, or None for never."""
    if photo_request_phase({"status": state.get("status")}, now=0.0) is None:
        return None  # an unknown word keeps waiting
    expiry = epoch(state.get("expires_at"))
    # A second more, because at the very moment it has not expired yet.
    return None if expiry is None else expiry + EXPIRY_GRACE + 1.0


def permanent_link_phase(link: Mapping[str, Any]) -> Phase:
    """Return the phase of a permanent link."""
    if link.get("status") == "deleted":
        return "deleted"
    # The plugin's delete archives a link, which can still be read.
    return "cancelled" if link.get("is_active") is False else "open"


def export_phase(state: Mapping[str, Any], words: ExportWords) -> Phase | None:
    """Return the phase of an export by a contract's words, or None for a word that is not in the contract."""
    word = normalize_status(state.get("status"))
    known: list[tuple[Phase, Sequence[str]]] = [("arrived", words.done_words), ("failed", words.failed_words)]
    for phase, listed in [*known, ("open", words.open_words)]:
        if word in map(normalize_status, listed):
            return phase
    return {"": "open", "deleted": "deleted", WITHHELD: "refused"}.get(word)  # type: ignore[return-value]


def decide_photo_requests(
    request_ids: Sequence[str], states: States, *, now: float, deadline: float | None, goal: Goal = ALL
) -> Verdict:
    """Decide whether a wait for photo requests is over; one without a state counts as open."""
    known = {i: states.get(i, {}) for i in request_ids}
    phases = {i: photo_request_phase(s, now=now) for i, s in known.items()}
    return decide(known, phases, now=now, deadline=deadline, goal=goal)


def decide_exports(
    export_ids: Sequence[str], states: States, words: ExportWords, *, now: float, deadline: float | None
) -> Verdict:
    """Decide whether a wait for exports is over; one without a state counts as open."""
    known = {i: states.get(i, {}) for i in export_ids}
    return decide(known, {i: export_phase(s, words) for i, s in known.items()}, now=now, deadline=deadline)


def decide(
    states: States,
    phases: Mapping[str, Phase | None],
    *,
    now: float,
    deadline: float | None,
    goal: Goal = ALL,
) -> Verdict:
    """
    Decide whether a wait over some ids is over.

    It is done when as many have arrived as the goal needs. It fails as soon as so many can no longer arrive, and times
    out at the deadline. A goal that proceeds is done in both of these cases: when nothing is open, or at the deadline.
    A state that is known at the deadline counts before the deadline does.

    :param states: the states by id; an id that was not polled yet has an empty state.
    :param phases: their phases by id; None for an unknown status word.
    :param now: Unix timestamp.
    :param deadline: Unix timestamp at which the wait gives up, or None for never.
    :param goal: when the wait succeeds.
    """
    arrived = tuple(i for i in states if phases[i] == "arrived")
    over = {i: phase for i, phase in phases.items() if phase not in {None, "open", "arrived"}}
    ended: dict[str, Phase] = {i: phase for i in states if (phase := over.get(i)) is not None}
    waiting = tuple(i for i in states if phases[i] in {None, "open"})
    unknown = {
        i: safe_status(states[i]["status"]) for i in states if phases[i] is None and states[i].get("status")
    }
    needed = goal.of_all(len(states))
    late = deadline is not None and now >= deadline
    outcome: Outcome = "wait"
    if len(arrived) >= needed or (goal.proceed and (late or not waiting)):
        outcome = "done"
    elif len(arrived) + len(waiting) < needed and not goal.proceed:
        outcome = "failed"
    elif late:
        outcome = "timeout"
    return Verdict(outcome, arrived, ended, waiting, unknown)


def error_of_photo_requests(verdict: Verdict, conn_id: str, goal: Goal = ALL) -> VisioProviderError | None:
    """Return the error of a wait for photo requests, or None where it goes on or succeeds."""
    if verdict.outcome == "failed":
        text = " ".join(
            f"Photo request {i} {_ENDED.get(phase, phase)}."
            for i, phase in islice(verdict.ended.items(), MAX_NAMED)
        )
        short = f" So {_needed(verdict, goal)} can no longer arrive." if goal.needed else ""
        return PhotoRequestFailedError(
            f"{text}{short} [connection {conn_id}]{_others(verdict)}", ended=verdict.ended, conn_id=conn_id
        )
    if verdict.outcome == "timeout":
        short = f", and {_needed(verdict, goal)} were needed" if goal.needed else ""
        advice = (
            "Nothing was cancelled: the link still works, and photos can arrive until the request's own expiry. "
            f"A retry does not ask again, and {_NO_MORE_TIME}"
        )
        return _timed_out(verdict, conn_id, "photos", short, advice)
    return None


def error_of_exports(
    verdict: Verdict, conn_id: str, reasons: Mapping[str, str] | None = None, *, starts: bool = False
) -> VisioProviderError | None:
    """
    Return the error of a wait for exports, or None where it goes on or succeeds.

    :param verdict: the verdict over the exports.
    :param conn_id: id of the Airflow connection.
    :param reasons: why exports failed, by id.
    :param starts: whether the same task starts the exports, so that a retry of it, or a clear, starts others.
    """
    if verdict.outcome == "failed":
        text = " ".join(
            f"Export {i} {_EXPORT_ENDED.get(phase, phase)}"
            f"{': ' + reasons[i].rstrip('.') if reasons and reasons.get(i) else ''}."
            for i, phase in islice(verdict.ended.items(), MAX_NAMED)
        )
        advice = "Clear the task that started it to export again."
        if starts and set(verdict.ended.values()) <= {"refused"}:
            advice = "Check the key's role, and run the task again to go on waiting for it."
        elif starts:
            advice = f"{_EXPORTS_AGAIN}."
        return ExportFailedError(f"{text} {advice} [connection {conn_id}]{_others(verdict)}", conn_id=conn_id)
    if verdict.outcome == "timeout":
        advice = "The export goes on at Vizdom. "
        if starts:
            advice += f"{_EXPORTS_AGAIN}; set a longer timeout if exports take longer."
        else:
            advice += f"A retry does not start another one meanwhile, and {_NO_MORE_TIME}"
        return _timed_out(verdict, conn_id, "file", "", advice)
    return None


def _timed_out(verdict: Verdict, conn_id: str, what: str, short: str, advice: str) -> WaitTimeoutError:
    return WaitTimeoutError(
        f"No {what} for {_list(verdict.waiting)} by the wait's deadline{_odd(verdict)}{short}. {advice} "
        f"[connection {conn_id}]{_others(verdict)}",
        waiting=verdict.waiting,
        conn_id=conn_id,
    )


def normalize_status(word: object) -> str:
    """Return a status word in the form that is compared, because the dialects differ in case and separators."""
    return str(word or "").strip().lower().replace("-", "_").replace(" ", "_")


def safe_status(word: object) -> str:
    """Return an unknown status word for logs and errors: unchanged if it looks like a word, else a placeholder."""
    text = str(word).strip()
    return text if len(text) <= LONGEST_WORD and _WORD.fullmatch(text) else NO_WORD


def growing(first: float, rounds: int) -> float:
    """
    Return the seconds to the next poll of an export, after so many polls.

    An export takes minutes: the time between polls grows, up to 30 s (facts/vizdom_api.md, section 15).
    """
    return min(max(LONGEST_INTERVAL, first), first * GROWTH ** min(rounds, 50))


def stretched(interval: float, age: float, share_left: float) -> float:
    """
    Return the seconds to the next poll of photo requests.

    :param interval: seconds that the waits ask for.
    :param age: seconds since the youngest of them joined.
    :param share_left: part, from 0 to 1, of the polls' calls that is left.
    """
    aged = interval * max(1.0, age / FRESH)
    aged = min(aged, max(interval, LONGEST_POLL_INTERVAL))
    scarce = aged * min(10.0, max(1.0, SCARCE / max(share_left, 1e-6)))
    return min(scarce, max(aged, LONGEST_SCARCE_INTERVAL))


def jittered(interval: float, draw: float) -> float:
    """Return an interval up to a tenth shorter or longer, for a random ``draw`` from 0 to 1, so that polls spread."""
    return interval * (0.9 + 0.2 * draw)


def _needed(verdict: Verdict, goal: Goal) -> str:
    count = len(verdict.arrived) + len(verdict.ended) + len(verdict.waiting)
    return f"{goal.of_all(count)} of {count}"


def _list(ids: Sequence[str]) -> str:
    named = ", ".join(ids[:MAX_NAMED])
    return named if len(ids) <= MAX_NAMED else f"{named} and {len(ids) - MAX_NAMED} more"


def _odd(verdict: Verdict) -> str:
    words = sorted(set(verdict.unknown.values()))
    return f" (last status, unknown to this provider: {', '.join(words)})" if words else ""


def _others(verdict: Verdict) -> str:
    more = [f"{len(verdict.arrived)} arrived"] if verdict.arrived else []
    if len(verdict.ended) > MAX_NAMED:
        more.append(f"{len(verdict.ended) - MAX_NAMED} ended likewise")
    if verdict.outcome == "failed" and verdict.waiting:
        more.append(f"{len(verdict.waiting)} still open")
    return f" [of the others: {', '.join(more)}]" if more else ""
