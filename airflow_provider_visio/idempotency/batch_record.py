"""What a task that makes many requests has written down: which are planned, which are made, which are on their way."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_visio import clock
from airflow_provider_visio.idempotency.state_store import StateStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow.sdk import Context

log = logging.getLogger(__name__)

HEAD = "visio_batch"
# A value of Airflow's store has 64 KiB at most.
PAGE = 100


@dataclass(frozen=True)
class BatchHeader:
    """
    What holds for the whole list.

    :param began: when the first request was about to be made, in seconds since 1970.
    :param asked_at: when the last ones were.
    :param run: what tells a retry from a clear.
    :param ask: mark of these requests: another Airflow with the same DAG and run has another.
    :param pending: keys of those that were about to be made then.
    :param broken: keys of those at which the service broke; they come last.
    :param over: whether the task has got what it wanted.
    :param pages: how many pages of requests there are.
    """

    began: float
    asked_at: float
    run: int | None
    ask: str = field(default_factory=lambda: uuid.uuid4().hex[:16])
    pending: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    over: bool = False
    pages: int = 0

    @classmethod
    def from_json(cls, value: object) -> BatchHeader | None:
        """Return what was written as JSON, or None for what was not."""
        if not isinstance(value, Mapping):
            return None
        times, run, ask = (value.get("began"), value.get("asked_at")), value.get("run"), value.get("ask")
        pages, pending, broken = value.get("pages"), value.get("pending"), value.get("broken")
        whole = all(isinstance(at, int | float) and not isinstance(at, bool) for at in times)
        if (
            not whole
            or not isinstance(ask, str)
            or not isinstance(pages, int)
            or not isinstance(pending, list)
        ):
            return None
        return cls(
            began=float(times[0]),  # type: ignore[arg-type]
            asked_at=float(times[1]),  # type: ignore[arg-type]
            run=run if isinstance(run, int) else None,
            ask=ask,
            pending=tuple(map(str, pending)),
            broken=tuple(map(str, broken)) if isinstance(broken, list) else (),
            over=value.get("over") is True,
            pages=pages,
        )


class BatchRecord:
    """
    The book of a running task.

    :param context: the task's context.
    :param done: where to keep it while the task defers, for an Airflow that has no store.
    """

    def __init__(self, context: Context, done: dict[str, Any]) -> None:
        self._store = StateStore(context, done)
        self.lasts = bool(self._store)
        self.head = BatchHeader.from_json(self._store.get(HEAD))
        # By key: id and link of what is made, or None.
        self.entries: dict[str, tuple[str, str | None] | None] = {}
        # Keys whose entry the store did not take (yet); what is on its way must not be forgotten before it has.
        self._unwritten: set[str] = set()
        for number in range(self.head.pages if self.head else 0):
            page = self._store.get(_page(number))
            for key, entry in page.items() if isinstance(page, Mapping) else ():
                self.entries[str(key)] = _entry(entry)

    @property
    def made(self) -> dict[str, tuple[str, str | None]]:
        """Id and link of what is made, by key."""
        return {key: entry for key, entry in self.entries.items() if entry}

    @property
    def pending(self) -> list[str]:
        """Keys of what may be on its way."""
        return [key for key in (self.head.pending if self.head else ()) if not self.entries.get(key)]

    def open(self, run: int | None, *, anew: bool, began: float | None = None) -> BatchHeader:
        """
        Begin a list, or go on with it.

        :param run: what tells a retry from a clear.
        :param anew: whether what is made from now on has another mark than what was made before.
        :param began: when the first request may have been made, in seconds since 1970; None for now.
        """
        now = clock.now()
        head = self.head or BatchHeader(now if began is None else began, now, run)
        if anew:
            head = replace(
                head, run=run, over=False, pending=(), broken=(), ask=BatchHeader(now, now, run).ask
            )
        self.head = head
        return head

    def plan(self, keys: Iterable[str]) -> None:
        """Write down what is to be made, beside what is; each keeps its page, so that a crash here loses none."""
        new = [key for key in keys if key not in self.entries]
        self.entries.update(dict.fromkeys(new))
        self._write_pages(new)
        self.head = replace(self._head, pages=-(-len(self.entries) // PAGE))
        self._write_head()

    def forget(self, keys: Iterable[str]) -> None:
        """Write down that what was made for these does not count any more."""
        gone = list(keys)
        self.entries.update(dict.fromkeys(gone))
        self._write_pages(gone)

    def begin(self, keys: Sequence[str]) -> None:
        """Write down that these are about to be made; an error ends the task, for nothing was asked yet."""
        self._write_pages(())
        self.head = replace(self._head, asked_at=clock.now(), pending=tuple(keys))
        self._write_head()

    def note(self, made: Mapping[str, Mapping[str, Any]]) -> None:
        """Write down what was made."""
        for key, one in made.items():
            url = one.get("request_url")
            self.entries[key] = (str(one["id"]), url if isinstance(url, str) else None)
        try:
            self._write_pages(made)
        except Exception:
            # They are still on their way in the book, so a later try will find them by their tag even so.
            log.warning("What this task has made could not be written down.", exc_info=True)

    def doubt(self, key: str) -> None:
        """Write down that the service broke at one."""
        self.head = replace(self._head, broken=(*self._head.broken, key))
        self._write_head()

    def rest(self) -> None:
        """Write down that nothing is on its way."""
        self._write_pages(())
        self.head = replace(self._head, pending=())
        self._write_head()

    def close(self) -> None:
        """Write down that the task has got what it wanted."""
        try:
            self._write_pages(())
            self.head = replace(self._head, over=True, pending=())
            self._write_head()
        except Exception:
            log.warning("That this task is done could not be written down.", exc_info=True)

    @property
    def _head(self) -> BatchHeader:
        assert self.head is not None  # noqa: S101  for mypy
        return self.head

    def _write_head(self) -> None:
        lists = {"pending": list(self._head.pending), "broken": list(self._head.broken)}
        self._store.set(HEAD, {**asdict(self._head), **lists})

    def _write_pages(self, changed: Iterable[str]) -> None:
        self._unwritten |= set(changed)
        keys = list(self.entries)
        for number in range(-(-len(keys) // PAGE)):
            page = keys[number * PAGE : (number + 1) * PAGE]
            if self._unwritten.intersection(page):
                # Airflow's store takes what is JSON as it stands, so no tuples.
                entries = {key: self.entries[key] for key in page}
                self._store.set(
                    _page(number), {key: list(one) if one else None for key, one in entries.items()}
                )
                self._unwritten.difference_update(page)


def _page(number: int) -> str:
    return f"{HEAD}_{number}"


def _entry(value: object) -> tuple[str, str | None] | None:
    if isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[0], str) and value[0]:
        return value[0], value[1] if isinstance(value[1], str) else None
    return None
