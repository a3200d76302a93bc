"""
Decides which submissions are news, of a permanent link and of photo requests, and when a wait for a link's is over.

No I/O; for every mode. No page shows the list of a link's submissions. Its fields ``id``, ``submitted_at``,
``unique_field_value`` and ``photos`` are assumed from the plugin's webhook.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from airflow_provider_visio.clock import epoch
from airflow_provider_visio.exceptions import NotFoundError, VisioProviderError, WaitTimeoutError
from airflow_provider_visio.waiting import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Submission = dict[str, Any]
State = dict[str, Any]

# The state of a link that the service does not know, or whose submissions it has no call for.
GONE: State = {"gone": True}

# Seconds by which a submission may be listed after a later one, or the service's clock may be behind. A watcher keeps
# ids for so long.
OVERLAP = 600.0


def new_submissions(
    submissions: Iterable[Submission], since: float, unique_value: str | None = None
) -> list[Submission]:
    """
    Return the submissions since a moment, in the order of their times.

    A submission without a time is left out, because it may be an old one.

    :param submissions: all submissions of a link.
    :param since: Unix timestamp; its fraction is ignored, because services send whole seconds.
    :param unique_value: only those with this value in the link's unique field; None for all.
    """
    timed = [
        (moment, submission)
        for submission in submissions
        if (moment := epoch(submission["submitted_at"])) is not None
        and moment >= math.floor(since)
        and (unique_value is None or (submission["unique_value"] or "").strip() == unique_value.strip())
    ]
    return [submission for _, submission in sorted(timed, key=lambda entry: entry[0])]


def untimed(submissions: Iterable[Submission]) -> int:
    """Return how many submissions have no time."""
    return sum(submission["submitted_at"] is None for submission in submissions)


def decide_link(
    link_id: str,
    state: State | None,
    submissions: Sequence[Submission],
    *,
    needed: int,
    now: float,
    deadline: float | None,
) -> Verdict:
    """
    Decide whether a wait for submissions is over. Submissions by the deadline count before the deadline does.

    :param state: the state of the link; None while it is unknown.
    :param submissions: the submissions that count.
    :param needed: how many there must be.
    :param deadline: Unix timestamp at which the wait gives up, or None for never.
    """
    if len(submissions) >= needed:
        return Verdict("done", arrived=(link_id,))
    if state is not None and state.get("gone"):
        return Verdict("trouble", waiting=(link_id,), trouble=f"{NotFoundError.__name__} (404)", fatal=True)
    late = deadline is not None and now >= deadline
    return Verdict("timeout" if late else "wait", waiting=(link_id,))


def error_of_link(
    verdict: Verdict, conn_id: str, needed: int, submissions: Sequence[Submission], unique_value: str | None
) -> VisioProviderError | None:
    """Return the error of a wait for submissions, or None where it goes on or succeeds."""
    if verdict.outcome != "timeout":
        return None
    whose = "" if unique_value is None else f" for {unique_value!r}"
    return WaitTimeoutError(
        f"{len(submissions)} of {needed} submission(s){whose} have come through the permanent link "
        f"{verdict.waiting[0]} by the wait's deadline. The link still works. A retry has no more time: clear the task "
        f"to wait as long once more, with a longer timeout if necessary. [connection {conn_id}]",
        waiting=verdict.waiting,
        conn_id=conn_id,
    )


T = TypeVar("T")


def _read_as(kind: type[T], value: object) -> T | None:
    """Return a stored cursor, or None for anything else."""
    if not isinstance(value, dict) or "seen" not in value:
        return None
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return None


# A Unix timestamp; text is not read as one.
_Time = Annotated[float, Field(strict=True)]


@dataclass
class Cursor:
    """
    How far a watcher has come. All times are Unix timestamps.

    :param since: earlier submissions do not count.
    :param seen: the times by id of reported submissions of the last minutes, because others may be listed late.
    :param given: the ``since`` of the watcher's user; None for when it started.
    :param began: when it started, until it knows which submissions were there before; then None.
    """

    since: _Time
    seen: dict[str, _Time] = field(default_factory=dict)
    given: _Time | None = None
    began: _Time | None = None

    @classmethod
    def at_start(cls, given: float | None, now: float) -> Cursor:
        """Return the cursor of a watcher that starts: at the user's moment, or now."""
        # A service whose clock is behind dates new submissions earlier.
        return cls(now - OVERLAP, began=now) if given is None else cls(given, given=given)

    @classmethod
    def from_json(cls, value: object) -> Cursor | None:
        """Return a cursor from :meth:`as_json`, or None for anything else."""
        return _read_as(cls, value)

    @property
    def is_new(self) -> bool:
        """Whether its first look is still to come."""
        return self.began is not None

    @property
    def progress(self) -> float:
        """How far it has come; of two cursors of a watcher the one with less reports more."""
        return self.since

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)

    def take(
        self,
        submissions: Iterable[Submission],
        unique_value: str | None = None,
        *,
        now: float,
        whole: bool = True,
    ) -> list[str]:
        """
        Return the ids that were not reported yet, and move on past them. The first look leaves out older submissions.

        :param submissions: all submissions of a link.
        :param unique_value: only those with this value in the link's unique field; None for all.
        :param now: Unix timestamp; a submission dated later does not hide those before it.
        :param whole: whether the list was read to its end; otherwise the cursor does not move past missing ones.
        """
        new = new_submissions(submissions, self.since, unique_value)
        fresh = {s["id"]: epoch(s["submitted_at"]) or self.since for s in new if s["id"] not in self.seen}
        if self.began is not None:
            old = {i: at for i, at in fresh.items() if at < math.floor(self.began)}
            self.seen |= old
            fresh = {i: at for i, at in fresh.items() if i not in old}
            self.began = None if whole else self.began
        if fresh:
            self.seen |= fresh
            if whole:
                self.since = max(self.since, min(max(fresh.values()), now) - OVERLAP)
            self.seen = {i: at for i, at in self.seen.items() if at >= math.floor(self.since)}
        return list(fresh)


@dataclass
class RequestCursor:
    """
    Which submitted photo requests a watcher knows.

    The service may not say when a request was submitted, so this keeps ids rather than a time.

    :param seen: the ids of the requests that were reported, or were submitted before the watch began, by the day of
        their creation (ISO 8601, UTC).
    :param given: the ``since`` of the watcher's user, a Unix timestamp; None for none.
    :param is_new: whether its first look is still to come.
    """

    seen: dict[str, list[str]] = field(default_factory=dict)
    given: _Time | None = None
    is_new: bool = True

    @property
    def progress(self) -> float:
        """How far it has come; of two cursors of a watcher the one with less reports more."""
        return sum(map(len, self.seen.values()))

    @classmethod
    def from_json(cls, value: object) -> RequestCursor | None:
        """Return a cursor from :meth:`as_json`, or None for anything else."""
        return _read_as(cls, value)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)

    def take(self, submitted: Mapping[str, float], earliest: float) -> list[str]:
        """
        Return the ids that are news, in the order of their creation, and note them.

        The first look returns none, because those were submitted earlier. With ``given`` it returns those that were
        created since.

        :param submitted: all submitted requests: id -> Unix timestamp of the creation.
        :param earliest: requests that were created before this Unix timestamp do not count, and are forgotten.
        """
        earliest = math.floor(max(earliest, self.given or 0.0))
        known = {found for ids in self.seen.values() for found in ids}
        fresh = [i for i, created in submitted.items() if created >= earliest and i not in known]
        for found in sorted(fresh, key=lambda i: submitted[i]):
            self.seen.setdefault(_day(submitted[found]), []).append(found)
        self.seen = {day: ids for day, ids in self.seen.items() if day >= _day(earliest)}
        before_the_watch = self.is_new and self.given is None
        self.is_new = False
        return [] if before_the_watch else sorted(fresh, key=lambda i: submitted[i])


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()
