"""
The budget of a connection, shared by all processes of this host and user that use it.

Each task is a process of its own, and knows nothing of the calls of its neighbours: so they keep one small file, in the
folder for temporary files, with the times of their calls and nothing else. Where that cannot be, each process keeps its
own count, and the service's headers tell of the others.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_visio.api.rate_limit import RateLimit
from airflow_provider_visio.api.reply import retry_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_visio.api.call import Reply
    from airflow_provider_visio.api.config import ServiceConfig

log = logging.getLogger(__name__)

# How long to try for the file while another process has it. Its work takes about a millisecond, but a process may be
# stopped in the middle of it, and an event loop must not stand still for that.
LONGEST_LOCK = 2.0
LONGEST_LOCK_IN_LOOP = 0.02
SHORTEST_LOCK = 0.02

# Seconds after which a file that could not be used is tried again.
GIVEN_UP_FOR = 300.0

# Far more than the calls of an hour take; a file that is larger is not ours.
LARGEST_FILE = 2**20


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


def _folder() -> Path | None:
    folder = Path(tempfile.gettempdir()) / f"airflow-provider-visio-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        # A folder that somebody else made there could be read, or filled, by them.
        mine = folder.lstat().st_uid == os.getuid() and not folder.is_symlink()
    except OSError:
        return None
    return folder if mine else None
