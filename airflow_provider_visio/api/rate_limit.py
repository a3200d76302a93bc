"""
When the next call may go: both windows of a rate limit, what the service says is left of them, and a reserve. No I/O.

Calls are counted in windows that slide, which stays inside fixed windows too, wherever the service lets those begin.
What a reply says of a window comes before our own count, for others may use the same key.
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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from airflow_provider_visio.api.reply import retry_after

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_provider_visio.api.call import Reply
    from airflow_provider_visio.api.config import ServiceConfig

log = logging.getLogger(__name__)

# The clocks of processes may seem so far apart, for they look at different moments.
TOLERANCE = 5.0

# Seconds after which a poll that others leave no room may take a turn like everybody else; one poll, once in that time.
STARVED = 300.0

# Seconds more than a window, for one call may be on its way for longer than the one that follows it.
MARGIN = 0.5

# A limit may be so many times more or less than the connection says, for plans differ.
ALIKE = 5

# For a reset that was rounded up to a whole second.
_ROUNDING = 1.0

# How long to try for the file while another process has it. Its work takes about a millisecond, but a process may be
# stopped in the middle of it, and an event loop must not stand still for that.
LONGEST_LOCK = 2.0
LONGEST_LOCK_IN_LOOP = 0.02
SHORTEST_LOCK = 0.02

# Seconds after which a file that could not be used is tried again.
GIVEN_UP_FOR = 300.0

# Far more than the calls of an hour take; a file that is larger is not ours.
LARGEST_FILE = 2**20


@dataclass
class Window:
    """
    One of the limits.

    :param seconds: its length.
    :param limit: calls it allows.
    :param left: what the service said is left of it, less what was taken since; None where that is not known.
    :param opens: until when ``left`` holds, in seconds since 1970.
    """

    seconds: float
    limit: int
    left: int | None = None
    opens: float = 0.0


class RateLimit:
    """
    The calls of one connection.

    :param limits: ``(seconds, calls)`` of each window, the shortest first.
    """

    def __init__(self, limits: Sequence[tuple[float, int]]) -> None:
        self.windows = [Window(float(seconds), int(limit)) for seconds, limit in limits]
        self._calls: list[float] = []
        self._relieved = 0.0
        self._latest = 0.0
        self._closed_until = 0.0

    def next_turn(self, now: float, *, reserve: float = 0.0) -> float:
        """
        Return when the next call may go, in seconds since 1970.

        :param now: the time, in seconds since 1970.
        :param reserve: part of each window, from 0 to 1, that is left to others.
        """
        self._forget(now)
        turn = now
        for window in self.windows:
            allowed = _allowed(window.limit, reserve)
            if len(self._calls) >= allowed:
                turn = max(turn, self._calls[-allowed] + window.seconds + MARGIN)
            if window.left is not None and window.left <= window.limit - allowed:
                turn = max(turn, window.opens)
        return turn

    def take(self, turn: float) -> None:
        """Note a call that goes at ``turn``, now or later."""
        insort(self._calls, turn)
        for window in self.windows:
            if window.left is not None and turn < window.opens:
                window.left = max(0, window.left - 1)

    def relieve(self, now: float, waited: float) -> bool:
        """Return whether a poll that has waited so many seconds may take the next turn, whatever the reserve."""
        if waited < STARVED or 0 <= now - self._relieved < STARVED:
            return False
        self._relieved = now
        return True

    def learn(
        self, status: int, headers: Mapping[str, str], *, sent: float, now: float, pause: float | None
    ) -> None:
        """
        Note what a reply says of the limit.

        :param status: its HTTP status.
        :param headers: its headers by lower-case name; nonsense in them is as good as nothing.
        :param sent: when the call was sent.
        :param now: the time.
        :param pause: the seconds that a 429 asks to wait, or None.
        """
        if not self.windows:
            return
        self._forget(now)
        limit = _count(headers.get("x-ratelimit-limit"))
        left = _count(headers.get("x-ratelimit-remaining"))
        opens = _moment(headers.get("x-ratelimit-reset"))
        if status == 429:
            # A call that was refused takes nothing from the longer window (Laravel's way, so assumed).
            refused = bisect_right(self._calls, sent) - 1
            if refused >= 0:
                del self._calls[refused]
            # Without a time there is nothing to hold to: how soon to come back is for the retry to say.
            left, opens = (0, now + pause) if pause else (None, None)
        if left is None or (limit is not None and not 0 < limit >= left):
            return
        if opens is not None and not 0 < opens - now <= self.windows[-1].seconds + _ROUNDING:
            opens = now + self.windows[-1].seconds if status == 429 and opens > now else None
        window = self._window_of(limit, None if opens is None else opens - now, refused=status == 429)
        if window is None:
            return
        if limit is not None and status != 429:
            window.limit = limit
        if opens is None or not 0 < opens - now <= window.seconds + _ROUNDING:
            opens = self._oldest(window, now) + window.seconds
        # Calls sent after this one may not be counted in its reply yet.
        later = len(self._calls) - bisect_right(self._calls, sent)
        window.left, window.opens = max(0, left - later), opens
        if status == 429:
            self._closed_until = opens

    def is_closed(self, now: float) -> bool:
        """Return whether a call was refused, and for how long that is to last is not over."""
        self._forget(now)
        return now < self._closed_until

    def left(self, now: float, *, reserve: float = 0.0) -> list[int]:
        """Return how many calls each window has left, apart from the reserve."""
        self._forget(now)
        found = []
        for window in self.windows:
            allowed = _allowed(window.limit, reserve)
            free = allowed - (len(self._calls) - bisect_right(self._calls, now - window.seconds))
            if window.left is not None:
                free = min(free, window.left - (window.limit - allowed))
            found.append(max(0, free))
        return found

    def share_left(self, now: float, *, reserve: float = 0.0) -> float:
        """Return which part, from 0 to 1, of what the longest window allows is left."""
        if not self.windows:
            return 1.0
        return self.left(now, reserve=reserve)[-1] / _allowed(self.windows[-1].limit, reserve)

    def as_state(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "calls": self._calls,
            "relieved": self._relieved,
            "latest": self._latest,
            "closed_until": self._closed_until,
            "windows": [[w.seconds, w.limit, w.left, w.opens] for w in self.windows],
        }

    def restore(self, state: object) -> None:
        """Take over a state that :meth:`as_state` gave; anything else is as good as nothing."""
        if not isinstance(state, dict):
            return
        calls, windows = state.get("calls"), state.get("windows")
        if isinstance(calls, list) and all(_is_time(call) for call in calls):
            self._calls = sorted(calls)
        relieved, latest = state.get("relieved"), state.get("latest")
        self._relieved = relieved if _is_time(relieved) else self._relieved
        self._latest = latest if _is_time(latest) else self._latest
        closed_until = state.get("closed_until")
        self._closed_until = closed_until if _is_time(closed_until) else self._closed_until
        for window in self.windows:
            for seconds, limit, left, opens in _quadruples(windows):
                if seconds == window.seconds and _is_time(opens) and (left is None or _is_count(left)):
                    window.left, window.opens = left, opens
                    window.limit = limit if _is_count(limit) and limit > 0 else window.limit

    def _forget(self, now: float) -> None:
        if now < self._latest - TOLERANCE:
            # The clock was set back: what was noted for later than now has long been.
            self._calls = self._calls[: bisect_right(self._calls, now)]
            self._latest = self._closed_until = 0.0
        self._latest = max(self._latest, now)
        longest = max((window.seconds for window in self.windows), default=0.0)
        first = bisect_right(self._calls, now - longest)
        if first:
            self._calls = self._calls[first:]
        for window in self.windows:
            if window.left is not None and not now < window.opens <= now + window.seconds + _ROUNDING:
                window.left = None

    def _window_of(self, limit: int | None, left_for: float | None, *, refused: bool) -> Window | None:
        """
        Return the window that a reply speaks of, or None for one that is none of ours.

        By its limit, else by when it opens. Only the time that a refusal asks for comes first, for clocks may differ.
        """
        lasting = [
            window for window in self.windows if left_for is None or left_for <= window.seconds + _ROUNDING
        ]
        fit = (lasting or self.windows[-1:]) if refused else self.windows
        for window in fit:
            if limit == window.limit:
                return window
        if limit is None or left_for is not None:
            return (lasting or self.windows[-1:])[0]
        # Without a time, only a limit much like one of ours can be told from that of a day or a month.
        alike = [window for window in fit if window.limit / ALIKE <= limit <= window.limit * ALIKE]
        return min(alike, key=lambda window: abs(math.log(limit / window.limit)), default=None)

    def _oldest(self, window: Window, now: float) -> float:
        first = bisect_right(self._calls, now - window.seconds)
        return min(self._calls[first], now) if first < len(self._calls) else now


class SharedRateLimit:
    """
    The book of a connection's calls.

    :param config: the connection's settings.
    :param in_loop: whether it is for an event loop, which cannot wait for others for long.
    """

    def __init__(self, config: ServiceConfig, *, in_loop: bool = False) -> None:
        self._budget = RateLimit(config.limits)
        self._patience = self._longest_lock = LONGEST_LOCK_IN_LOOP if in_loop else LONGEST_LOCK
        # Turns that could not be written down where the others see them.
        self._unwritten: list[float] = []
        self._given_up = 0.0
        self._path: Path | None = None
        if config.limits:
            name = hashlib.sha256(
                f"{config.conn_id}\n{config.base_url}\n{config.limits}".encode()
            ).hexdigest()[:24]
            folder = _folder()
            self._path = folder and folder / f"{name}.json"

    def book(self, now: float, at_most: float) -> float:
        """
        Take the next turn, unless it is further away than ``at_most`` seconds.

        :return: how many seconds it is away.
        """
        with self._open() as budget:
            pause = budget.next_turn(now) - now
            if pause <= at_most:
                self._take(now + pause)
            return pause

    def ask(self, now: float, reserve: float, waited: float) -> tuple[bool, float]:
        """
        Take a turn for a poll: one that is there right now beyond the reserve.

        :param waited: seconds that the poll has waited for its turn.
        :return: whether it has one, and how many seconds that is away; else after how many to ask again.
        """
        with self._open() as budget:
            if budget.relieve(now, waited):
                turn = budget.next_turn(now)
                self._take(turn)
                return True, turn - now
            pause = budget.next_turn(now, reserve=reserve) - now
            if pause <= 0:
                self._take(now)
            return pause <= 0, max(0.0, pause)

    def learn(self, reply: Reply, *, sent: float, now: float) -> None:
        """Note what a reply says of the limit."""
        if reply.status != 429 and "x-ratelimit-remaining" not in reply.headers:
            return
        pause = retry_after(reply.headers, now=now) if reply.status == 429 else None
        with self._open() as budget:
            budget.learn(reply.status, reply.headers, sent=sent, now=now, pause=pause)

    def left(self, now: float, reserve: float) -> tuple[list[int], float]:
        """Return the calls that each window has left, and the part left of the longest, apart from the reserve."""
        with self._open(keep=False) as budget:
            return budget.left(now, reserve=reserve), budget.share_left(now, reserve=reserve)

    def is_closed(self, now: float) -> bool:
        """Return whether the service has refused a call, and for how long it does so is not over."""
        with self._open(keep=False) as budget:
            return budget.is_closed(now)

    def _take(self, turn: float) -> None:
        self._budget.take(turn)
        if self._path is not None and not self._given_up:
            self._unwritten.append(turn)

    @contextlib.contextmanager
    def _open(self, *, keep: bool = True) -> Iterator[RateLimit]:
        """Have the budget as all processes see it, and keep what becomes of it."""
        with contextlib.ExitStack() as stack:
            file = self._locked(stack)
            if file is not None:
                self._restore(file)
            yield self._budget
            if file is not None and keep:
                self._keep(file)

    def _locked(self, stack: contextlib.ExitStack) -> int | None:
        if self._path is None or (self._given_up and time.monotonic() - self._given_up < GIVEN_UP_FOR):
            return None
        self._given_up = 0.0
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, file)
            until = time.monotonic() + self._patience
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() > until:
                        # Whoever has it is likely to have it for longer.
                        self._patience = SHORTEST_LOCK
                        return None
                    time.sleep(0.001)
                else:
                    self._patience = self._longest_lock
                    return file
        except OSError as error:
            self._give_up(error)
            return None

    def _restore(self, file: int) -> None:
        try:
            size = os.fstat(file).st_size
            state = json.loads(os.pread(file, size, 0)) if 0 < size <= LARGEST_FILE else None
        except (OSError, ValueError, RecursionError):
            return  # a process was killed while it wrote
        if state is None:
            return
        self._budget.restore(state)
        for turn in self._unwritten:
            self._budget.take(turn)

    def _keep(self, file: int) -> None:
        try:
            content = json.dumps(self._budget.as_state(), separators=(",", ":")).encode()
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
        log.warning("For now the budget of calls is this process's own, for it cannot be shared: %s", error)


def _allowed(limit: int, reserve: float) -> int:
    return max(1, math.floor(limit * (1 - reserve)))


def _count(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _moment(text: str | None) -> float | None:
    try:
        moment = float(text or "")
    except ValueError:
        return None
    return moment if math.isfinite(moment) else None


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e11


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9


def _quadruples(windows: object) -> list[list[Any]]:
    found = windows if isinstance(windows, list) else []
    return [entry for entry in found if isinstance(entry, list) and len(entry) == 4]


def _folder() -> Path | None:
    folder = Path(tempfile.gettempdir()) / f"airflow-provider-visio-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        # A folder that somebody else made there could be read, or filled, by them.
        mine = folder.lstat().st_uid == os.getuid() and not folder.is_symlink()
    except OSError:
        return None
    return folder if mine else None
