"""The record of a task that creates many photo requests: which it planned, created, and was about to send."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_visio import clock
from airflow_provider_visio.idempotency.record import Moment, Word, read_as
from airflow_provider_visio.idempotency.tag import ASK_KEY, TASK_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_visio.idempotency.state_store import StateStore

log = logging.getLogger(__name__)

HEAD = "visio_batch"
# A value of Airflow's store has 64 KiB at most.
PAGE = 100


@dataclass(frozen=True)
class BatchHeader:
    """
    What holds for the whole list.

    :param began: Unix timestamp of the first call.
    :param asked_at: Unix timestamp of the last call.
    :param run: what tells a retry from a clear, see :func:`~.record.clear_count`.
    :param ask: mark of these requests: another Airflow with the same DAG and run has another.
    :param pending: keys of the requests that the last call was about.
    :param over: whether the task has got what it wanted.
    :param pages: how many pages of requests there are.
    :param clears: :func:`~.record.run_clears` of the last try.
    """

    began: Moment
    asked_at: Moment
    run: int | None
    ask: Word = field(default_factory=lambda: uuid.uuid4().hex[:16])
    pending: tuple[str, ...] = ()
    over: bool = False
    pages: int = 0
    clears: int | None = None


class BatchRecord:
    """
    The record of a batch in a store.

    :param task: fingerprint of the task.
    """

    def __init__(self, store: StateStore, task: str) -> None:
        self._store = store
        self.task = task
        self.head = read_as(BatchHeader, store.get(HEAD))
        # By key: id and link of a request that is created, or None.
        self.entries: dict[str, tuple[str, str | None] | None] = {}
        # Keys whose entry is not in the store yet. Until it is, their request stays pending.
        self._unwritten: set[str] = set()
        for number in range(self.head.pages if self.head else 0):
            page = store.get(_page(number))
            for key, entry in page.items() if isinstance(page, Mapping) else ():
                self.entries[str(key)] = _entry(entry)

    @property
    def sure_head(self) -> BatchHeader:
        """The header of a list that was opened."""
        assert self.head is not None  # noqa: S101
        return self.head

    @property
    def mark(self) -> dict[str, str]:
        """The part of the tag that all requests of the list have."""
        return {TASK_KEY: self.task, ASK_KEY: self.sure_head.ask}

    @property
    def made(self) -> dict[str, tuple[str, str | None]]:
        """Id and link of each request that is created, by key."""
        return {key: entry for key, entry in self.entries.items() if entry}

    @property
    def pending(self) -> list[str]:
        """Keys of the requests that may be created, without that we know."""
        return [key for key in (self.head.pending if self.head else ()) if not self.entries.get(key)]

    def open(
        self,
        run: int | None,
        clears: int | None = None,
        *,
        cleared: bool = False,
        began: float | None = None,
    ) -> None:
        """
        Begin a list, or go on with it.

        :param cleared: whether the task was cleared, so that new requests need another mark.
        :param began: Unix timestamp of the first call; None for now.
        """
        now = clock.now()
        new = BatchHeader(now if began is None else began, now, run)
        head = self.head or new
        self.head = replace(head, over=False, pending=(), ask=new.ask) if cleared else head
        self.head = replace(self.head, run=run, clears=clears)

    def plan(self, keys: Iterable[str]) -> None:
        """Write down what is to be created. Each key keeps its page, so that a crash here loses none."""
        new = [key for key in keys if key not in self.entries]
        self.entries.update(dict.fromkeys(new))
        self._unwritten |= set(new)
        self._update(pages=-(-len(self.entries) // PAGE))

    def forget(self, keys: Iterable[str]) -> None:
        """Write down that these are to be created again."""
        gone = list(keys)
        self.entries.update(dict.fromkeys(gone))
        self._write_pages(gone)

    def begin(self, keys: Iterable[str]) -> None:
        """Write down that these are about to be sent."""
        self._update(asked_at=clock.now(), pending=tuple(keys))

    def note(self, made: Mapping[str, Mapping[str, Any]]) -> None:
        """Write down what was created."""
        for key, one in made.items():
            url = one.get("request_url")
            self.entries[key] = (str(one["id"]), url if isinstance(url, str) else None)
        try:
            self._write_pages(made)
        except Exception:
            # They are still pending in the record, so a later try finds them by their tag.
            log.warning("What this task has created could not be written down.", exc_info=True)

    def rest(self) -> None:
        """Write down that no call is under way."""
        self._update(pending=())

    def close(self) -> None:
        """Write down that the task has got what it wanted."""
        try:
            self._update(over=True, pending=())
        except Exception:
            log.warning("That this task is done could not be written down.", exc_info=True)

    def _update(self, **changes: Any) -> None:
        self._write_pages(())
        self.head = replace(self.sure_head, **changes)
        # Airflow's store takes JSON as it stands, so no tuples.
        self._store.set(HEAD, {**asdict(self.head), "pending": list(self.head.pending)})

    def _write_pages(self, changed: Iterable[str]) -> None:
        self._unwritten |= set(changed)
        keys = list(self.entries)
        for number in range(-(-len(keys) // PAGE)):
            page = keys[number * PAGE : (number + 1) * PAGE]
            if self._unwritten.intersection(page):
                entries = {key: self.entries[key] for key in page}
                self._store.set(_page(number), {k: list(one) if one else None for k, one in entries.items()})
                self._unwritten.difference_update(page)


def _page(number: int) -> str:
    return f"{HEAD}_{number}"


def _entry(value: object) -> tuple[str, str | None] | None:
    if isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[0], str) and value[0]:
        return value[0], value[1] if isinstance(value[1], str) else None
    return None
