"""
Whether a wait is over: pure decisions that every mode shares (poke, reschedule, deferred, blocking).

No I/O, and the clock is an argument. A *state* is what the service says of one id: ``{"status": ..., "expires_at":
...}``. A *phase* is what that means. A *verdict* is what it means for a wait over one or more ids.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, Protocol, get_args

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

# Our own word for an id that the service will not tell of. It is none that a service could say: "refused" may mean, for
# example, that the recipient has refused, so it is a word that we do not know.
WITHHELD = "<withheld>"

# Literals: pending, in_progress, submitted (docs, plugin). Inferred: expired, cancelled, completed. "deleted" is also
# our own word, for an id that the service no longer knows.
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

# No page prints the word for an expired request, so one that stays open so long after its own expiry has expired.
EXPIRY_GRACE = 300.0

# Polls in a row that may fail before a wait gives up on the service.
MAX_POLL_FAILURES = 5

# What a status word may look like, to be repeated in logs and errors; the service could say anything.
_WORD = re.compile(r"[a-z]+([ _-]+[a-z]+)*[ _-]*\d{0,2}", re.IGNORECASE)
LONGEST_WORD = 40
NO_WORD = "<not a word>"

# Ids that an error text names; the others it counts.
MAX_NAMED = 5

GROWTH = 1.5
LONGEST_INTERVAL = 30.0

# A wait that is older than an hour is in no hurry any more: polls grow apart with its age, up to five minutes.
FRESH = 3600.0
LONGEST_POLL_INTERVAL = 300.0

# Below this part of the calls that polls may make, they go further and further apart.
SCARCE = 0.2
LONGEST_SCARCE_INTERVAL = 900.0

_ENDINGS = [phase for phase in get_args(Phase) if phase not in {"open", "arrived"}]

_ENDED: Mapping[Phase, str] = {
    "expired": "expired before the photos were submitted; a retry does not ask again: clear the task that made it to "
    "do so, with more expires_in_hours if need be",
    "cancelled": "was cancelled at Visiono; a retry does not ask again: clear the task that made it to do so",
    "refused": "may not be read with this connection's key; check the key's scopes and the id",
    "deleted": "was deleted at Visiono, or never was this workspace's; check the id and the connection. A retry does "
    "not ask again: clear the task that made it to do so",
}


class ExportWords(Protocol):
    """The status words of an export contract."""

    @property
    def done_words(self) -> Sequence[str]:
        """Words of an export whose file is ready."""

    @property
    def failed_words(self) -> Sequence[str]:
        """Words of an export that will never be."""

    @property
    def open_words(self) -> Sequence[str]:
        """Words of an export that is still being made."""


_EXPORT_ENDED: Mapping[Phase, str] = {
    "failed": "failed at Vizdom",
    "deleted": "is unknown to Vizdom: it was deleted or has lapsed",
    "refused": "may not be read with this connection's key",
}


_STARTED = "Clear the task that started it to export again."


@dataclass(frozen=True)
class Goal:
    """
    When a wait over several ids is good.

    :param needed: how many must arrive; None for all.
    :param proceed: whether to go on with what has arrived when the deadline comes, or when no more can.
    """

    needed: int | None = None
    proceed: bool = False

    @classmethod
    def of(cls, minimum: object, on_deadline: object, count: int | None = None) -> Goal:
        """
        Return the goal that a user means.

        :param minimum: how many must arrive: a whole number from 1, a share above 0 and up to 1.0, or None for all.
        :param on_deadline: ``"fail"`` or ``"proceed"``.
        :param count: how many ids are waited for, or None while that is not known.
        :raises InvalidRequestError: it is none of these; or more than there are, and the wait does not proceed.
        """
        if on_deadline not in ("fail", "proceed"):
            raise InvalidRequestError.of("on_deadline", f"give 'fail' or 'proceed', not {on_deadline!r}")
        proceed = on_deadline == "proceed"
        if minimum is None:
            return cls(None, proceed)
        if isinstance(minimum, float) and 0 < minimum <= 1:
            # Rounded first, for 0.07 * 100 is a little more than 7.
            return cls(None if count is None else max(1, math.ceil(round(minimum * count, 6))), proceed)
        if not isinstance(minimum, int) or isinstance(minimum, bool) or minimum < 1:
            raise InvalidRequestError.of(
                "min_submitted",
                f"give a whole number from 1, or a share such as 0.8 (1.0 is all), not {minimum!r}",
            )
        # What proceeds goes on with what can come.
        if count is not None and minimum > count and not proceed:
            raise InvalidRequestError.of(
                "min_submitted", f"{minimum} can never arrive, for there are {count} to wait for"
            )
        return cls(minimum, proceed)

    def of_all(self, count: int) -> int:
        """Return how many of so many must arrive."""
        return count if self.needed is None else min(self.needed, count)


ALL = Goal()


@dataclass(frozen=True)
class Verdict:
    """
    What the states of a wait's ids mean.

    :param outcome: go on waiting, or how the wait ends.
    :param arrived: ids that are ready.
    :param ended: phase by id, of those that never will be.
    :param waiting: ids that are still open.
    :param unknown: status word by id, of those whose word we do not know; they count as open.
    :param trouble: what kept the service from being asked, for the outcome "trouble".
    :param fatal: whether that does not pass by itself, as with a key that is refused.
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
        event = asdict(self)
        return {
            **event,
            "arrived": list(self.arrived),
            "waiting": list(self.waiting),
            "ended": dict(self.ended),
        }

    @classmethod
    def from_event(cls, event: object, goal: Goal = ALL) -> Verdict:
        """
        Read a trigger event.

        :param event: what the trigger fired.
        :param goal: when the wait is good.
        :raises UnexpectedReplyError: it is not one of ours; a wait must not pass as done by mistake.
        """
        if isinstance(event, Mapping) and event.get("outcome") in ("done", "failed", "timeout", "trouble"):
            lists = [event.get(name) or [] for name in ("arrived", "waiting")]
            dicts = [event.get(name) or {} for name in ("ended", "unknown")]
            trouble = event.get("trouble")
            whole = all(isinstance(ids, list) and all(isinstance(i, str) for i in ids) for ids in lists)
            whole = whole and all(isinstance(words, dict) for words in dicts)
            whole = whole and all(isinstance(i, str) for words in dicts for i in words)
            whole = whole and all(phase in _ENDINGS for phase in dicts[0].values())
            whole = whole and all(isinstance(word, str) for word in dicts[1].values())
            whole = whole and isinstance(trouble, str | None)
            count = sum(map(len, [*lists, dicts[0]])) if whole else 0
            good = count > 0 and (goal.proceed or goal.of_all(count) <= len(lists[0]))
            if whole and (event["outcome"] != "done" or good):
                return cls(
                    outcome=event["outcome"],
                    arrived=tuple(lists[0]),
                    ended=dicts[0],
                    waiting=tuple(lists[1]),
                    unknown={i: safe_status(word) for i, word in dicts[1].items()},
                    trouble=trouble,
                    fatal=event.get("fatal") is True,
                )
        raise UnexpectedReplyError(
            "The wait was resumed without an event of its own trigger; clear the task to wait again."
        )


def photo_request_phase(state: Mapping[str, Any], *, now: float) -> Phase | None:
    """Return what a photo request's state means, or None for a status word that we do not know."""
    word = normalize_status(state.get("status"))
    phase = PHOTO_REQUEST_PHASES.get(word) if word else "open"
    if phase == "open":
        expiry = epoch(state.get("expires_at"))
        if expiry is not None and now > expiry + EXPIRY_GRACE:
            return "expired"
    return phase


def is_surely_open(reply: object, request_id: str, *, now: float) -> bool:
    """Return whether the service says, of this request and in a word that we know, that it is open."""
    return (
        isinstance(reply, Mapping)
        and str(reply.get("id")) == request_id
        and bool(normalize_status(reply.get("status")))
        and photo_request_phase(reply, now=now) == "open"
    )


def ends_by_itself(state: Mapping[str, Any]) -> float | None:
    """Return the Unix timestamp from which an open photo request counts as expired, or None for never."""
    if photo_request_phase({**state, "expires_at": None}, now=0.0) is None:
        return None  # a word that we do not know keeps waiting
    expiry = epoch(state.get("expires_at"))
    # A second more, for one that is looked at on the very moment has not expired yet.
    return None if expiry is None else expiry + EXPIRY_GRACE + 1.0


def permanent_link_phase(link: Mapping[str, Any]) -> Phase:
    """Return what a permanent link's state means."""
    if link.get("status") == "deleted":
        return "deleted"
    # The plugin's delete archives a link, which then can still be read.
    return "cancelled" if link.get("is_active") is False else "open"


def export_phase(state: Mapping[str, Any], words: ExportWords) -> Phase | None:
    """Return what an export's state means under a contract's words, or None for a word that is not in it."""
    word = normalize_status(state.get("status"))
    if word in map(normalize_status, words.done_words):
        return "arrived"
    if word in map(normalize_status, words.failed_words):
        return "failed"
    if word in map(normalize_status, words.open_words) or not word:
        return "open"
    return {"deleted": "deleted", WITHHELD: "refused"}.get(word)  # type: ignore[return-value]


def decide_photo_requests(
    request_ids: Sequence[str], states: States, *, now: float, deadline: float | None, goal: Goal = ALL
) -> Verdict:
    """Decide whether a wait for photo requests is over; one not asked for yet counts as open."""
    known = {i: states.get(i, {}) for i in request_ids}
    phases = {i: photo_request_phase(s, now=now) for i, s in known.items()}
    return decide(known, phases, now=now, deadline=deadline, goal=goal)


def decide_exports(
    export_ids: Sequence[str], states: States, words: ExportWords, *, now: float, deadline: float | None
) -> Verdict:
    """Decide whether a wait for exports is over; one not asked for yet counts as open."""
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

    It is done when as many have arrived as the goal needs, failed as soon as so many never can, and timed out at the
    deadline; a goal that proceeds is done in both of these cases (when nothing is open any more, or at the deadline).
    What has happened by the deadline counts before the deadline does.

    :param states: what the service says, by id; an id it has not been asked for yet has an empty state.
    :param phases: what that means, by id.
    :param now: the time, in seconds since 1970.
    :param deadline: when the wait gives up, on the same clock, or None for never.
    :param goal: when the wait is good.
    """
    arrived = tuple(i for i in states if phases[i] == "arrived")
    ended: dict[str, Phase] = {
        i: phase
        for i in states
        if (phase := phases[i]) not in {None, "open", "arrived"} and phase is not None
    }
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
    """Return the error that a verdict over photo requests ends the wait with, or None where it does not."""
    if verdict.outcome == "failed":
        text = " ".join(f"Photo request {i} {_ENDED.get(phase, phase)}." for i, phase in _some(verdict.ended))
        short = f" So {_needed(verdict, goal)} can no longer arrive." if goal.needed else ""
        return PhotoRequestFailedError(
            f"{text}{short} [connection {conn_id}]{_others(verdict)}", ended=verdict.ended, conn_id=conn_id
        )
    if verdict.outcome == "timeout":
        return WaitTimeoutError(
            f"No photos for {_list(verdict.waiting)} by the wait's deadline{_odd(verdict)}"
            f"{', and ' + _needed(verdict, goal) + ' were needed' if goal.needed else ''}. Nothing was cancelled: the "
            "link still works, and photos can arrive until the request's own expiry. A retry does not ask again, and "
            "has no more time; clear the task to wait as long once more, with a longer timeout if need be. "
            f"[connection {conn_id}]{_others(verdict)}",
            waiting=verdict.waiting,
            conn_id=conn_id,
        )
    return None


def error_of_exports(
    verdict: Verdict, conn_id: str, reasons: Mapping[str, str] | None = None, *, starts: bool = False
) -> VisioProviderError | None:
    """
    Return the error that a verdict over exports ends the wait with, or None where it does not.

    :param verdict: what the states of the exports mean.
    :param conn_id: id of the Airflow connection.
    :param reasons: why those that failed did, by id.
    :param starts: whether the task that waits starts the exports as well, so that a retry of it starts another.
    """
    if verdict.outcome == "failed":
        text = " ".join(
            f"Export {i} {_EXPORT_ENDED.get(phase, phase)}"
            f"{': ' + reasons[i].rstrip('.') if reasons and reasons.get(i) else ''}."
            for i, phase in _some(verdict.ended)
        )
        return ExportFailedError(
            f"{text} {_starts_again(verdict) if starts else _STARTED} [connection {conn_id}]{_others(verdict)}",
            conn_id=conn_id,
        )
    if verdict.outcome == "timeout":
        return WaitTimeoutError(
            f"No file for {_list(verdict.waiting)} by the wait's deadline{_odd(verdict)}. The export goes on at "
            "Vizdom. A retry does not start another while it does, and has no more time; clear the task to wait as "
            f"long once more, with a longer timeout if need be. [connection {conn_id}]{_others(verdict)}",
            waiting=verdict.waiting,
            conn_id=conn_id,
        )
    return None


def _starts_again(verdict: Verdict) -> str:
    if set(verdict.ended.values()) <= {"refused"}:
        return "Check the key's role, and run the task again to go on waiting for it."
    return "A retry of this task exports again, as clearing it does."


def normalize_status(word: object) -> str:
    """Return a status word in the form that is compared: the dialects differ in case and separators."""
    return str(word or "").strip().lower().replace("-", "_").replace(" ", "_")


def safe_status(word: object) -> str:
    """Return a status word that we do not know as it may be told: as it is, if it looks like a word."""
    text = str(word).strip()
    return text if len(text) <= LONGEST_WORD and _WORD.fullmatch(text) else NO_WORD


def epoch(moment: object) -> float | None:
    """Return an ISO 8601 time, or a datetime with a zone, as seconds since 1970; None where it is neither."""
    if isinstance(moment, str):
        return _epoch_of(moment)
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return moment.timestamp()
    return None


# Thousands of waits have each of their times looked at again and again.
@lru_cache(maxsize=2**14)
def _epoch_of(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.timestamp() if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def growing(first: float, rounds: int) -> float:
    """
    Return the interval to the next poll of an export, in seconds, after so many polls.

    An export takes minutes: polls begin close together and grow apart, up to 30 s (facts/vizdom_api.md, section 15).
    """
    return min(max(LONGEST_INTERVAL, first), first * GROWTH ** min(rounds, 50))


def stretched(interval: float, age: float, share_left: float) -> float:
    """
    Return the interval to the next poll of photo requests, in seconds.

    :param interval: what the waits asked for.
    :param age: seconds since the youngest of them joined.
    :param share_left: part, from 0 to 1, of the calls that polls may make which is left.
    """
    aged = interval * max(1.0, age / FRESH)
    aged = min(aged, max(interval, LONGEST_POLL_INTERVAL))
    scarce = aged * min(10.0, max(1.0, SCARCE / max(share_left, 1e-6)))
    return min(scarce, max(aged, LONGEST_SCARCE_INTERVAL))


def jittered(interval: float, draw: float) -> float:
    """Return an interval up to a tenth shorter or longer, for a ``draw`` from 0 to 1, so that polls spread out."""
    return interval * (0.9 + 0.2 * draw)


def _needed(verdict: Verdict, goal: Goal) -> str:
    count = len(verdict.arrived) + len(verdict.ended) + len(verdict.waiting)
    return f"{goal.of_all(count)} of {count}"


def _some(ended: Mapping[str, Phase]) -> list[tuple[str, Phase]]:
    return list(ended.items())[:MAX_NAMED]


def _list(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:MAX_NAMED])
    return shown if len(ids) <= MAX_NAMED else f"{shown} and {len(ids) - MAX_NAMED} more"


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
