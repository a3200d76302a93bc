"""
The rate limit of a connection: when the next call may go, shared by all processes of a host and user.

:class:`RateLimit` counts calls in sliding windows, which stay inside fixed windows too, wherever the service lets those
begin. The headers of a reply come before our own count, because others may use the same key. It does no I/O.

:class:`SharedRateLimit` keeps it in a small file in the folder for temporary files, because each task is a process of
its own. The file has the times of calls and nothing else. Where it cannot be used, each process counts alone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import math
import os
import tempfile
import time
from bisect import bisect_right, insort
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from airflow_provider_visio.api.reply import retry_after

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_provider_visio.api.call import Reply
    from airflow_provider_visio.api.config import ServiceConfig

log = logging.getLogger(__name__)

# Seconds by which the clocks of processes may seem to differ, because they look at different moments.
TOLERANCE = 5.0
# Seconds after which one poll that others leave no room may take a turn in spite of the reserve.
STARVED = 300.0
# Seconds added to a window, because one call may be on its way for longer than the one that follows it.
MARGIN = 0.5
# Seconds by which a reset may be rounded up.
_ROUNDING = 1.0
# Seconds to try for the lock of the file. Work under it takes about a millisecond, but a process may be stopped in
# the middle of it, and an event loop must not stand still for that.
LONGEST_LOCK = 2.0
LONGEST_LOCK_IN_LOOP = 0.02
# Seconds after which a file that could not be used is tried again.
GIVEN_UP_FOR = 300.0
# Far more bytes than the calls of an hour take; a larger file is not ours.
LARGEST_FILE = 2**20


# What a file may hold: another version of this provider, or a process that died, may have written it.
Moment = Annotated[float, Field(gt=-1e11, lt=1e11)]
Count = Annotated[int, Field(ge=0, lt=10**9)]


@dataclass
class Window:
    """
    One of the limits.

    :param seconds: its length.
    :param limit: calls it allows.
    :param left: calls that the service has left, less those taken since; None where that is not known.
    :param opens: Unix timestamp until which ``left`` holds.
    """

    seconds: Moment
    limit: Annotated[Count, Field(gt=0)]
    left: Count | None = None
    opens: Moment = 0.0


@dataclass
class State:
    """
    What is known of the calls; times are Unix timestamps.

    :param windows: the limits, the shortest first.
    :param calls: when calls went, or will go.
    :param relieved: when a starved poll took a turn in spite of the reserve.
    :param latest: the latest time seen.
    :param closed_until: until when the service refuses calls.
    """

    windows: list[Window]
    calls: list[Moment] = field(default_factory=list)
    relieved: Moment = 0.0
    latest: Moment = 0.0
    closed_until: Moment = 0.0


_STATE = TypeAdapter(State)


class RateLimit:
    """
    The calls of one connection.

    :param limits: ``(seconds, calls)`` of each window, the shortest first.
    """

    def __init__(self, limits: Sequence[tuple[float, int]]) -> None:
        self._state = State([Window(seconds, limit) for seconds, limit in limits])

    def next_turn(self, now: float, *, reserve: float = 0.0) -> float:
        """Return the Unix timestamp at which the next call may go; ``reserve`` is the part left to others."""
        self._forget(now)
        turn = now
        for window in self._state.windows:
            allowed = _allowed(window.limit, reserve)
            if len(self._state.calls) >= allowed:
                turn = max(turn, self._state.calls[-allowed] + window.seconds + MARGIN)
            if window.left is not None and window.left <= window.limit - allowed:
                turn = max(turn, window.opens)
        return turn

    def take(self, turn: float) -> None:
        """Count a call that goes at ``turn``, now or later."""
        insort(self._state.calls, turn)
        for window in self._state.windows:
            if window.left is not None and turn < window.opens:
                window.left = max(0, window.left - 1)

    def relieve(self, now: float, waited: float) -> bool:
        """Return whether a poll that has waited so many seconds may take the next turn in spite of the reserve."""
        if waited < STARVED or 0 <= now - self._state.relieved < STARVED:
            return False
        self._state.relieved = now
        return True

    def learn(
        self, status: int, headers: Mapping[str, str], *, sent: float, now: float, pause: float | None
    ) -> None:
        """
        Correct the count by a reply; header values that cannot be are ignored.

        :param sent: Unix timestamp at which the call was sent.
        :param pause: the seconds that a 429 asks to wait, or None.
        """
        if not self._state.windows:
            return
        self._forget(now)
        longest, refused = self._state.windows[-1].seconds, status == 429
        limit = _count(headers.get("x-ratelimit-limit"))
        left = _count(headers.get("x-ratelimit-remaining"))
        resets_in = _resets_in(headers.get("x-ratelimit-reset"), now, longest)
        if refused:
            # A refused call takes nothing from the longer window (Laravel's way, so assumed).
            position = bisect_right(self._state.calls, sent) - 1
            if position >= 0:
                del self._state.calls[position]
            # Without a time there is nothing to hold calls back for: the retry decides how soon to come back.
            left, resets_in = (0, min(pause, longest)) if pause else (None, None)
        if left is None or (limit is not None and not 0 < limit >= left):
            return
        window = self._window_of(limit, resets_in, refused=refused)
        if window is None:
            return
        if limit is not None and not refused:
            window.limit = limit
        fits = resets_in is not None and resets_in <= window.seconds + _ROUNDING
        oldest = next((call for call in self._state.calls if now - window.seconds < call <= now), now)
        opens = now + resets_in if fits and resets_in else oldest + window.seconds
        # Calls sent after this one may not be counted in its reply yet.
        later = len(self._state.calls) - bisect_right(self._state.calls, sent)
        window.left, window.opens = max(0, left - later), opens
        if refused:
            self._state.closed_until = opens

    def is_closed(self, now: float) -> bool:
        """Return whether the service refuses calls until later than now."""
        self._forget(now)
        return now < self._state.closed_until

    def left(self, now: float, *, reserve: float = 0.0) -> list[int]:
        """Return how many calls each window has left, apart from the reserve."""
        self._forget(now)
        counts = []
        for window in self._state.windows:
            allowed = _allowed(window.limit, reserve)
            free = allowed - (len(self._state.calls) - bisect_right(self._state.calls, now - window.seconds))
            if window.left is not None:
                free = min(free, window.left - (window.limit - allowed))
            counts.append(max(0, free))
        return counts

    def share_left(self, now: float, *, reserve: float = 0.0) -> float:
        """Return which part, from 0 to 1, of the longest window is left."""
        if not self._state.windows:
            return 1.0
        return self.left(now, reserve=reserve)[-1] / _allowed(self._state.windows[-1].limit, reserve)

    def as_state(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return _STATE.dump_python(self._state)  # type: ignore[no-any-return]

    def restore(self, state: object) -> None:
        """Take over a state of :meth:`as_state`; anything else is ignored."""
        with contextlib.suppress(ValidationError):
            found = _STATE.validate_python(state)
            if [window.seconds for window in found.windows] == [w.seconds for w in self._state.windows]:
                found.calls.sort()
                self._state = found

    def _forget(self, now: float) -> None:
        state = self._state
        if now < state.latest - TOLERANCE:
            # The clock was set back: calls that seem to lie ahead are past.
            state.calls = state.calls[: bisect_right(state.calls, now)]
            state.latest = state.closed_until = 0.0
        state.latest = max(state.latest, now)
        longest = max((window.seconds for window in state.windows), default=0.0)
        del state.calls[: bisect_right(state.calls, now - longest)]
        for window in state.windows:
            if window.left is not None and not now < window.opens <= now + window.seconds + _ROUNDING:
                window.left = None

    def _window_of(self, limit: int | None, resets_in: float | None, *, refused: bool) -> Window | None:
        """
        Return the window that a reply means, or None where it means none of ours.

        It is the window of exactly this limit, else the shortest one that the reset fits.
        """
        windows = self._state.windows
        fitting = [w for w in windows if resets_in is None or resets_in <= w.seconds + _ROUNDING]
        # The time that a refusal asks for comes before its limit. Other resets may be off, because clocks differ.
        exact = (w for w in (fitting if refused else windows) if w.limit == limit)
        known = limit is None or resets_in is not None
        return next(exact, (fitting or windows)[0] if known else None)


class SharedRateLimit:
    """The rate limit of a connection, as all processes of this host and user see it."""

    def __init__(self, config: ServiceConfig, *, in_loop: bool = False) -> None:
        self._limit = RateLimit(config.limits)
        self._longest_lock = LONGEST_LOCK_IN_LOOP if in_loop else LONGEST_LOCK
        # Turns that are not in the file yet.
        self._unwritten: list[float] = []
        self._given_up = 0.0
        self._path: Path | None = None
        if config.limits:
            key = f"{config.conn_id}\n{config.base_url}\n{config.limits}"
            folder = _folder()
            self._path = folder and folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"

    def book(self, now: float, at_most: float) -> float:
        """Take the next turn, unless it is further away than ``at_most`` seconds, and return how far it is away."""
        with self._open() as limit:
            pause = limit.next_turn(now) - now
            if pause <= at_most:
                self._take(now + pause)
            return pause

    def ask(self, now: float, reserve: float, waited: float) -> tuple[bool, float]:
        """
        Take a turn for a poll that has waited so many seconds, if one is free now beyond the reserve.

        :return: whether it has a turn, and how many seconds that is away; without a turn, after how many to ask again.
        """
        with self._open() as limit:
            if limit.relieve(now, waited):
                turn = limit.next_turn(now)
                self._take(turn)
                return True, turn - now
            pause = limit.next_turn(now, reserve=reserve) - now
            if pause <= 0:
                self._take(now)
            return pause <= 0, max(0.0, pause)

    def learn(self, reply: Reply, *, sent: float, now: float) -> None:
        """Correct the count by a reply to a call that was sent at the Unix timestamp ``sent``."""
        if reply.status != 429 and "x-ratelimit-remaining" not in reply.headers:
            return
        pause = retry_after(reply.headers, now=now) if reply.status == 429 else None
        with self._open() as limit:
            limit.learn(reply.status, reply.headers, sent=sent, now=now, pause=pause)

    def left(self, now: float, reserve: float) -> tuple[list[int], float]:
        """Return the calls that each window has left, and the part left of the longest, apart from the reserve."""
        with self._open(keep=False) as limit:
            return limit.left(now, reserve=reserve), limit.share_left(now, reserve=reserve)

    def is_closed(self, now: float) -> bool:
        """Return whether the service refuses calls until later than now."""
        with self._open(keep=False) as limit:
            return limit.is_closed(now)

    def _take(self, turn: float) -> None:
        self._limit.take(turn)
        if self._path is not None and not self._given_up:
            self._unwritten.append(turn)

    @contextlib.contextmanager
    def _open(self, *, keep: bool = True) -> Iterator[RateLimit]:
        with contextlib.ExitStack() as stack:
            file = self._locked(stack)
            if file is not None:
                self._read(file)
            yield self._limit
            if file is not None and keep:
                self._write(file)

    def _locked(self, stack: contextlib.ExitStack) -> int | None:
        if self._path is None or (self._given_up and time.monotonic() - self._given_up < GIVEN_UP_FOR):
            return None
        self._given_up = 0.0
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, file)
            until = time.monotonic() + self._longest_lock
            while time.monotonic() <= until:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return file
                time.sleep(0.001)
        except OSError as error:
            self._give_up(error)
        return None

    def _read(self, file: int) -> None:
        try:
            size = os.fstat(file).st_size
            state = json.loads(os.pread(file, size, 0)) if 0 < size <= LARGEST_FILE else None
        except (OSError, ValueError, RecursionError):
            return  # a process was killed while it wrote
        if state is None:
            return
        self._limit.restore(state)
        for turn in self._unwritten:
            self._limit.take(turn)

    def _write(self, file: int) -> None:
        try:
            content = json.dumps(self._limit.as_state(), separators=(",", ":")).encode()
            if os.pwrite(file, content, 0) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.ftruncate(file, len(content))
        except OSError as error:
            self._give_up(error)
        else:
            self._unwritten.clear()

    def _give_up(self, error: OSError) -> None:
        self._given_up = time.monotonic()
        self._unwritten.clear()
        log.warning(
            "The rate limit cannot be shared with other processes: %s. This process counts alone.", error
        )


def _folder() -> Path | None:
    folder = Path(tempfile.gettempdir()) / f"airflow-provider-visio-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        # Somebody else could read or write a folder that is theirs.
        mine = folder.lstat().st_uid == os.getuid() and not folder.is_symlink()
    except OSError:
        return None
    return folder if mine else None


def _allowed(limit: int, reserve: float) -> int:
    return max(1, math.floor(limit * (1 - reserve)))


def _count(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _resets_in(text: str | None, now: float, longest: float) -> float | None:
    """Return the seconds to a reset, or None where it is past or further away than the longest window."""
    try:
        seconds = float(text or "") - now
    except ValueError:
        return None
    return seconds if 0 < seconds <= longest + _ROUNDING else None
