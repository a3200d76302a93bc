"""
What has come through a permanent link, and whether a wait for it is over: pure decisions that every mode shares.

No page shows the list of a link's submissions. Read are ``id``, ``submitted_at``, ``unique_field_value`` and ``photos``
(assumed, from the plugin's webhook).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_visio.exceptions import NotFoundError, VisioProviderError, WaitTimeoutError
from airflow_provider_visio.waiting import Verdict, epoch

Submission = dict[str, Any]
State = dict[str, Any]

# The state of a link that the service does not know (any more), or whose submissions it has no call for.
GONE: State = {"gone": True}

# A submission may be listed so many seconds after a later one, and the service's clock may be so far behind; a watcher
# remembers the ids of so long.
OVERLAP = 600.0


def new_submissions(
    submissions: Iterable[Submission], since: float, unique_value: str | None = None
) -> list[Submission]:
    """
    Return the submissions that have come since a moment, in the order of their times.

    One whose time the service does not tell cannot be told from an old one, and is left out.

    :param submissions: all of a link.
    :param since: the moment, in seconds since 1970; services tell whole seconds, so the rest of it does not count.
    :param unique_value: only those with this value in the link's own field; None for all.
    """
    timed = [
        (moment, one)
        for one in submissions
        if (moment := epoch(one["submitted_at"])) is not None
        and moment >= math.floor(since)
        and (unique_value is None or (one["unique_value"] or "").strip() == unique_value.strip())
    ]
    return [one for _, one in sorted(timed, key=lambda entry: entry[0])]


def untimed(submissions: Iterable[Submission]) -> int:
    """Return how many submissions have no time."""
    return sum(one["submitted_at"] is None for one in submissions)


def decide_link(
    link_id: str,
    state: State | None,
    found: Sequence[Submission],
    *,
    needed: int,
    now: float,
    deadline: float | None,
) -> Verdict:
    """
    Decide whether a wait for submissions is over; what has come by the deadline counts before the deadline does.

    :param link_id: id of the link.
    :param state: what is known of it; None where nothing is.
    :param found: the submissions that count.
    :param needed: how many there must be.
    :param now: the time, in seconds since 1970.
    :param deadline: when the wait gives up, on the same clock, or None for never.
    """
    if len(found) >= needed:
        return Verdict("done", arrived=(link_id,))
    if state is not None and state.get("gone"):
        return Verdict("trouble", waiting=(link_id,), trouble=f"{NotFoundError.__name__} (404)", fatal=True)
    late = deadline is not None and now >= deadline
    return Verdict("timeout" if late else "wait", waiting=(link_id,))


def error_of_link(
    verdict: Verdict, conn_id: str, needed: int, found: Sequence[Submission], unique_value: str | None
) -> VisioProviderError | None:
    """Return the error that a verdict over a link ends the wait with, or None where it does not."""
    if verdict.outcome != "timeout":
        return None
    whose = "" if unique_value is None else f" for {unique_value!r}"
    return WaitTimeoutError(
        f"{len(found)} of {needed} submission(s){whose} have come through the permanent link {verdict.waiting[0]} by "
        "the wait's deadline. Nothing was changed: the link still works. A retry has no more time; clear the task to "
        f"wait as long once more, with a longer timeout if need be. [connection {conn_id}]",
        waiting=verdict.waiting,
        conn_id=conn_id,
    )


class Cursor:
    """
    How far a watcher has come.

    :param since: submissions from before then do not count, in seconds since 1970.
    :param seen: when those came that were told of, by id; those of the last minutes, for others may be listed late.
    :param given: where the watcher was told to begin; None for when it started.
    :param began: when it started, as long as it does not know what was there before; None when it does.
    """

    def __init__(
        self,
        since: float,
        seen: Mapping[str, float] | None = None,
        given: float | None = None,
        began: float | None = None,
    ) -> None:
        self.since = since
        self.seen = dict(seen or {})
        self.given = given
        self.began = began

    @classmethod
    def at_start(cls, given: float | None, now: float) -> Cursor:
        """Return the cursor of a watcher that starts: where it was told to, or now."""
        # What comes from now on may be dated earlier, by a clock that is behind.
        return cls(now - OVERLAP, began=now) if given is None else cls(given, given=given)

    @classmethod
    def from_json(cls, value: object) -> Cursor | None:
        """Return a cursor that was kept as JSON, or None for what is not one."""
        if not isinstance(value, Mapping):
            return None
        since, seen = value.get("since"), value.get("seen")
        if not _is_time(since) or not isinstance(seen, Mapping) or not all(map(_is_time, seen.values())):
            return None
        return cls(
            float(since),  # type: ignore[arg-type]
            {str(found): float(moment) for found, moment in seen.items()},
            *(value[name] if _is_time(value.get(name)) else None for name in ("given", "began")),
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {"since": self.since, "seen": dict(self.seen), "given": self.given, "began": self.began}

    def take(
        self,
        submissions: Iterable[Submission],
        unique_value: str | None = None,
        *,
        now: float,
        whole: bool = True,
    ) -> list[str]:
        """
        Return the ids that were not told of yet, and move on past them; at the first look, not those dated before it.

        :param submissions: all of a link.
        :param unique_value: only those with this value in the link's own field; None for all.
        :param now: the time, in seconds since 1970; one that is dated later does not hide what comes before.
        :param whole: whether the list is; past what one lacks it does not move on.
        """
        found = new_submissions(submissions, self.since, unique_value)
        fresh = {
            one["id"]: epoch(one["submitted_at"]) or self.since for one in found if one["id"] not in self.seen
        }
        if self.began is not None:
            old = {known: at for known, at in fresh.items() if at < math.floor(self.began)}
            self.seen |= old
            fresh = {known: at for known, at in fresh.items() if known not in old}
            self.began = None if whole else self.began
        if fresh:
            self.seen |= fresh
            if whole:
                self.since = max(self.since, min(max(fresh.values()), now) - OVERLAP)
            self.seen = {known: at for known, at in self.seen.items() if at >= math.floor(self.since)}
        return list(fresh)


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
