"""
The budget of a connection, shared by all processes of this host and user that use it.

Each task is a process of its own, and knows nothing of the calls of its neighbours: so they keep one small file, in the
folder for temporary files, with the times of their calls and nothing else. Where that cannot be, each process keeps its
own count, and the service's headers tell of the others.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from airflow_provider_visio.api.budget import Budget
from airflow_provider_visio.api.reply import retry_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_visio.api.call import Reply
    from airflow_provider_visio.api.site import Site

log = logging.getLogger(__name__)

# How long to try for the file while another process has it. Its work takes about a millisecond, but a process may be
# stopped in the middle of it, and an event loop must not stand still for that.
LONGEST_LOCK = 0.1


class Ledger:
    """
    The book of a connection's calls.

    :param site: the connection's settings.
    """

    def __init__(self, site: Site) -> None:
        self._budget = Budget(site.limits)
        self._path: Path | None = None
        if site.limits:
            name = hashlib.sha256(f"{site.conn_id}\n{site.base_url}\n{site.limits}".encode()).hexdigest()[:24]
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
                budget.take(now + pause)
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
                budget.take(turn)
                return True, turn - now
            pause = budget.next_turn(now, reserve=reserve) - now
            if pause <= 0:
                budget.take(now)
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
        with self._open() as budget:
            return budget.left(now, reserve=reserve), budget.share_left(now, reserve=reserve)

    @contextlib.contextmanager
    def _open(self) -> Iterator[Budget]:
        """Have the budget as all processes see it, and keep what becomes of it."""
        with contextlib.ExitStack() as stack:
            file = self._locked(stack)
            if file is not None:
                self._budget.restore(_read(file))
            yield self._budget
            if file is not None:
                self._keep(file)

    def _locked(self, stack: contextlib.ExitStack) -> IO[str] | None:
        if self._path is None:
            return None
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            file = stack.enter_context(os.fdopen(descriptor, "r+", encoding="utf-8"))
            until = time.monotonic() + LONGEST_LOCK
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() > until:
                        return None
                    time.sleep(0.001)
                else:
                    return file
        except OSError as error:
            self._give_up(error)
            return None

    def _keep(self, file: IO[str]) -> None:
        try:
            text = json.dumps(self._budget.as_state(), separators=(",", ":"))
            file.seek(0)
            file.write(text)
            file.truncate()
            file.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._path = None
        log.warning("The budget of calls is this process's own, for it cannot be shared: %s", error)


def _folder() -> Path | None:
    folder = Path(tempfile.gettempdir()) / f"airflow-provider-visio-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        # A folder that somebody else made there could be read, or filled, by them.
        mine = folder.lstat().st_uid == os.getuid() and not folder.is_symlink()
    except OSError:
        return None
    return folder if mine else None


def _read(file: IO[str]) -> object:
    try:
        state: object = json.loads(file.read() or "null")
    except ValueError:
        return None  # a process was killed while it wrote
    return state
