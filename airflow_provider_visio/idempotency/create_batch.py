"""How a list of photo requests is made, each once, over retries, lost replies and pauses for the rate limit."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_visio import clock
from airflow_provider_visio.api import visiono as api
from airflow_provider_visio.api.collect_partial import collect_partial
from airflow_provider_visio.api.error_hints import AMBIGUOUS_HINT, NO_MAIL_HINT, refused_mail_fields
from airflow_provider_visio.api.photo_request_fields import check_fields
from airflow_provider_visio.exceptions import (
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    RateLimitedError,
    ServiceError,
    UnexpectedReplyError,
    VisioProviderError,
)
from airflow_provider_visio.hooks.visiono import COUNTS
from airflow_provider_visio.idempotency.batch_items import (
    by_key,
    dropped,
    groups,
    matched,
    reason_in,
    reason_of,
    refused,
)
from airflow_provider_visio.idempotency.batch_record import BatchRecord
from airflow_provider_visio.idempotency.create_once import SLACK, earliest_creation
from airflow_provider_visio.idempotency.lookup_window import LookupWindow, lookups_until
from airflow_provider_visio.idempotency.record import (
    ASK_KEY,
    INPUT_KEY,
    TASK_KEY,
    Intent,
    best_match,
    clear_count,
    existing_step,
    was_cleared,
)
from airflow_provider_visio.operators.visiono_base import check_replaceable
from airflow_provider_visio.waiting import photo_request_phase

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_visio.hooks.visiono import VisionoHook
    from airflow_provider_visio.idempotency.batch_items import Item
    from airflow_provider_visio.idempotency.record import OnExisting
    from airflow_provider_visio.waiting import Phase

log = logging.getLogger(__name__)

# Statuses that may be about what was asked for; another refuses the call, whatever it asks for.
_OF_ONE = {400, 409, 413, 422}

# Seconds after which the list has what a call has made that the service has answered.
LISTED_AFTER = 5.0

_NEXT = "What is made is kept: the next try makes what is missing, and nothing else."


class CreateBatch:
    """
    One try.

    :param context: the task's context.
    :param items: what to make.
    :param maker: makes it.
    :param hook: looks up what is made, and deletes.
    :param done: what is kept while the task defers: plain JSON.
    :param batch: whether to send ten at a time; None for what the connection's dialect says.
    :param on_existing: what becomes of what is open, when the task was cleared.
    """

    def __init__(
        self,
        context: Context,
        items: Sequence[Item],
        maker: VisionoHook,
        hook: VisionoHook,
        done: dict[str, Any],
        *,
        batch: bool | None,
        on_existing: OnExisting,
    ) -> None:
        self._context = context
        self._items = items
        self._maker, self._hook = maker, hook
        self._done = done
        self._on_existing = on_existing
        self._task = Intent.of(context, {}).task
        self._book = BatchRecord(context, done)
        self._refused: dict[str, str] = done.setdefault("refused", {})
        # What the plan says to fields that it has not, by their names.
        self._prohibited: dict[str, list[str]] = done.setdefault("prohibited", {})
        self._broke_before = self._last_chance = False
        # Whether the service has answered as it should in this try, so that it is not down as a whole.
        self._works = False
        self._patience = LookupWindow.of(maker.get_conn().config)
        self._together = (hook.dialect == "plugin" if batch is None else batch) and not done.get("singly")

    def make(self) -> tuple[dict[str, tuple[str, str | None]], dict[str, str]]:
        """
        Make what is not made yet.

        :return: id and link of each that is made, and why the others are not, by key.
        :raises VisioProviderError: it cannot go on.
        """
        self._settle_earlier()
        self._check_list()
        self._book.plan(item.key for item in self._items)
        for item in self._items:
            self._check(item)
        todo = self._left()
        for group in groups(todo) if self._together else groups(todo, 1):
            self._send(group)
        self._last_chance = True
        for item in self._left():
            self._send([item])
        log.info("%d of %d photo requests are made.", len(self._book.made), len(self._items))
        return self._book.made, self._refused

    def close(self) -> None:
        """Write down that the task has got what it wanted."""
        self._book.close()

    @property
    def advice(self) -> str:
        """What to do about the requests that were refused, where more is known than the reasons say."""
        return NO_MAIL_HINT if self._prohibited else ""

    def _left(self) -> list[Item]:
        # Those at which the service broke come last: they must not keep the others from being made.
        broken = () if self._last_chance or self._book.head is None else self._book.head.broken
        settled = {*self._book.made, *self._refused, *broken}
        return [item for item in self._items if item.key not in settled]

    def _check(self, item: Item) -> None:
        """Refuse what the service would refuse, before any call."""
        if self._book.entries[item.key] or item.key in self._refused:
            return
        try:
            check_fields(item.body)
            api.create_photo_request(**item.body)
            clash = sorted({TASK_KEY, INPUT_KEY, ASK_KEY}.intersection(item.body.get("metadata") or {}))
            if clash:
                raise InvalidRequestError.of(
                    "metadata", f"leave out {', '.join(clash)}: these are the provider's"
                )
        except InvalidRequestError as error:
            self._refused[item.key] = reason_of(error)

    def _send(self, group: Sequence[Item]) -> None:
        """Make some requests together, or one by itself."""
        book, group = self._book, self._unrefused(group)
        if not group:
            return
        if len(group) > 1 and not self._together:
            for item in group:
                self._send([item])
            return
        book.begin([item.key for item in group])
        try:
            made = self._post(group)
        except VisioProviderError as error:
            if error.ambiguous:
                self._after_silence(group, error)
                return
            self._after_refusal(group, error)
            return
        self._broke_before, self._works = False, True
        book.note(matched(group, made))
        if book.pending:
            self._after_silence(group, None)

    def _unrefused(self, group: Sequence[Item]) -> list[Item]:
        """Refuse without a call what the plan is known to have not, and return the others."""
        for item in group:
            known = {name: said for name, said in self._prohibited.items() if item.body.get(name)}
            if known:
                self._refused[item.key] = reason_in(known)
        return [item for item in group if item.key not in self._refused]

    def _post(self, group: Sequence[Item]) -> Sequence[Mapping[str, Any]]:
        bodies = [
            {**item.body, "metadata": {**(item.body.get("metadata") or {}), **self._tag(item)}}
            for item in group
        ]
        # One alone goes where both dialects have it.
        return (
            [self._maker.create_photo_request(**bodies[0])]
            if len(bodies) == 1
            else self._maker.create_photo_requests(bodies)
        )

    def _after_refusal(self, group: Sequence[Item], error: VisioProviderError) -> None:
        book, together = self._book, len(group) > 1
        no_call = isinstance(error, NotFoundError) or error.status == 405
        of_call = no_call or error.status is None or isinstance(error, AuthenticationError | RateLimitedError)
        if not together or of_call:
            # Otherwise it may have made some of them, until a look shows that it has not.
            book.rest()
        if together and no_call:
            log.info("The service has no call for several requests; they are made one by one. (%s)", error)
            self._together, self._done["singly"] = False, True
            self._send(group)
        elif isinstance(error, InvalidRequestError) and error.status in _OF_ONE:
            self._broke_before, self._works = False, True
            self._prohibited.update(refused_mail_fields(error.fields))
            left = list(group)
            if together:
                # Nobody knows whether it makes all or none of them (assumed), so it may have made those before.
                clock.sleep(LISTED_AFTER)
                unmade = self._unmade(clock.now(), error)
                left = [item for item in group if item.key in unmade]
            bad = refused(group, error)
            self._refused.update({item.key: bad[item.key] for item in left if item.key in bad})
            rest = self._unrefused(left)
            # Where it does not say which it refuses, each is asked for by itself.
            if len(rest) < len(left):
                self._send(rest)
            else:
                for item in rest:
                    self._send([item])
                if len(left) == len(group) and all(book.entries[item.key] for item in rest):
                    log.info(
                        "The service takes each of them, but not together; the others are made one by one."
                    )
                    self._together, self._done["singly"] = False, True
        else:
            raise self._saying(error)

    def _after_silence(self, group: Sequence[Item], error: VisioProviderError | None) -> None:
        """Find out what a call has made of which there was no, or not the whole, reply."""
        log.warning("%s Looking now what was made.", error or "The reply does not tell of all requests.")
        missing = self._unmade(clock.now() + self._patience.lost, error)
        if not missing:
            return
        if len(group) == 1 and isinstance(error, ServiceError) and self._is_put_off(group[0], error):
            return
        by_themselves = isinstance(error, UnexpectedReplyError | ServiceError) and len(group) > 1
        if error is not None and not by_themselves:
            raise self._saying(error, "It is not in the service's list, so it was not done.") from error
        # A reply that does not tell of them, or one of them breaks the service: each gets a reply of its own.
        for item in group:
            if item.key in missing:
                self._send([item])

    def _unmade(self, until: float, error: VisioProviderError | None) -> set[str]:
        """Return which of those on their way are not in the service's list by a time, so were not made."""
        book = self._book
        try:
            self._look_up(until)
        except VisioProviderError as problem:
            raise self._saying(
                problem,
                f"So it is not known whether {len(book.pending)} photo request(s) were made; the next try looks.",
            ) from error
        missing = set(book.pending)
        book.rest()
        return missing

    def _is_put_off(self, item: Item, error: ServiceError) -> bool:
        """Decide whether to go on without one, for it may be what the service breaks at; or the service is down."""
        if self._last_chance and self._works:
            self._refused[item.key] = f"the service broke at it ({error.status}), twice"
            return True
        if not self._last_chance:
            self._book.doubt(item.key)
        first, self._broke_before = not self._broke_before, True
        return first

    def _saying(self, error: VisioProviderError, more: str = "") -> VisioProviderError:
        count = len(self._book.made)
        told = f"{more} {count} of {len(self._items)} photo requests are made. {_NEXT}".strip()
        return error.saying(told, instead_of=AMBIGUOUS_HINT)

    def _tag(self, item: Item) -> dict[str, str]:
        assert self._book.head is not None  # noqa: S101  for mypy
        return {TASK_KEY: self._task, INPUT_KEY: item.key, ASK_KEY: self._book.head.ask}

    def _look_up(self, until: float) -> None:
        """Look in the service's list for what may be on its way, until what is not there by then was never made."""
        book = self._book
        assert book.head is not None  # noqa: S101  for mypy
        mark = {TASK_KEY: self._task, ASK_KEY: book.head.ask}
        for left in lookups_until(until):
            found, doubt = self._shown(mark, self._listed_from(book.head.asked_at))
            book.note({key: found[key] for key in book.pending if key in found})
            if not book.pending:
                return
            if doubt:
                raise doubt
            if left:
                log.info(
                    "%d are not in the service's list (yet); looking again for %.0f s.",
                    len(book.pending),
                    left,
                )

    def _shown(
        self, mark: Mapping[str, str], since: float | None
    ) -> tuple[dict[str, Mapping[str, Any]], UnexpectedReplyError | None]:
        """Return what a list shows of what was made, by key, and why there may be more."""
        found, doubt = collect_partial(self._hook.tagged_photo_requests(mark, since=since))
        return {key: self._best(made) for key, made in by_key(found).items()}, doubt

    def _settle_earlier(self) -> None:
        """Find out what earlier tries have made, and what of it counts."""
        book, context = self._book, self._context
        first, cleared = book.head is None, was_cleared(context, book.head.run if book.head else None)
        tried = (getattr(context["ti"], "try_number", None) or 1) > 1
        try:
            if first and tried:
                self._adopt()
                # Once they are in the book, that alone does not say so any more; the limit may break off what follows.
                self._done["cleared"] = cleared
            elif book.pending and book.head is not None:
                # At the latest now: a time that lies ahead was another clock's.
                self._look_up(min(book.head.asked_at, clock.now()) + self._patience.meant)
                book.rest()
            if self._done.get("cleared") or (cleared and not first):
                self._after_clear()
            self._done.pop("cleared", None)
        except VisioProviderError as error:
            raise error.saying(
                "So it is not known what an earlier try of this task has asked for, and nothing was made; run the task "
                "again once the service can be asked."
            ) from error
        book.open(clear_count(context), anew=cleared and not first)

    def _adopt(self) -> None:
        """Take up, by their tags alone, what earlier tries have made that wrote nothing down."""
        book = self._book
        # With a store, whatever was asked was written down first; without, it may have been asked just now.
        until = clock.now() + (0.0 if book.lasts else self._patience.meant)
        wanted = {item.key for item in self._items}
        best: dict[str, Mapping[str, Any]] = {}
        for _ in lookups_until(until):
            best, doubt = self._shown({TASK_KEY: self._task}, earliest_creation(self._context))
            there = {key for key, one in best.items() if self._phase(one) in COUNTS}
            if wanted <= (there if doubt else best.keys()):
                break
            if doubt:
                raise doubt
        book.open(
            clear_count(self._context), anew=False, began=(earliest_creation(self._context) or 0.0) + SLACK
        )
        book.plan(best)
        book.note(best)

    def _after_clear(self) -> None:
        """Decide what becomes of what was made before somebody cleared the task."""
        book = self._book
        assert book.head is not None  # noqa: S101  for mypy
        if book.made:
            # By their ids, for somebody may have changed their metadata.
            listed, doubt = collect_partial(self._hook.list_made_since(self._listed_from(book.head.began)))
            self._judge({one["id"]: one for one in listed}, over=book.head.over, doubt=doubt)

    def _listed_from(self, moment: float) -> float | None:
        """Return from when to list what was made since a moment, in seconds since 1970; None for all."""
        # One that lies ahead says only that clocks differ, and not by how much.
        return moment - SLACK if moment <= clock.now() else earliest_creation(self._context)

    def _judge(
        self,
        states: Mapping[str, Mapping[str, Any]],
        *,
        over: bool,
        doubt: UnexpectedReplyError | None,
    ) -> None:
        book, steps = self._book, dict[str, str]()
        for key, (request_id, _) in book.made.items():
            state = states.get(request_id) or self._missing(request_id, doubt)
            steps[key] = existing_step(
                self._phase(state), self._on_existing, cleared=True, over=over, final=()
            )
            if steps[key] == "replace":
                # Before the first of them is deleted.
                check_replaceable(state, request_id, self._hook.conn_id)
        still_open = [key for key, step in steps.items() if step == "fail"]
        if still_open:
            raise VisioProviderError(
                f"{len(still_open)} photo request(s) that this task made before it was cleared are still open, such as "
                f"{book.made[still_open[0]][0]}, and on_existing is 'fail'. Let them end, or use on_existing='reuse' "
                f"or 'replace'. [connection {self._hook.conn_id}]",
                conn_id=self._hook.conn_id,
            )
        self._discard([key for key, step in steps.items() if step == "replace"])
        book.forget([key for key, step in steps.items() if step in {"ask", "replace"}])
        self._done.pop("gone", None)

    def _missing(self, request_id: str, doubt: UnexpectedReplyError | None) -> Mapping[str, Any]:
        """Return how one is doing that the list does not show; that it is gone, only where that is not in doubt."""
        # Kept while the task defers, or the calls that a window of the rate limit allows would ask for the same again.
        gone: list[str] = self._done.setdefault("gone", [])
        if request_id not in gone:
            try:
                return self._hook.get_photo_request(request_id)
            except NotFoundError:
                if doubt:
                    raise doubt from None
                gone.append(request_id)
        return {"status": "deleted"}

    def _discard(self, keys: Collection[str]) -> None:
        for key in keys:
            request_id, _ = self._book.made[key]
            log.info("%s is replaced, as on_existing says.", request_id)
            try:
                self._hook.delete_photo_request(request_id)
            except NotFoundError as error:
                # A proxy can answer so as well, and then its recipient would have two.
                state = self._hook.get_or_gone(request_id, since=earliest_creation(self._context))
                if self._phase(state) in COUNTS:
                    raise error.saying(f"{request_id} is there all the same, so no other is made.") from error
                log.info("%s was gone.", request_id)
            self._book.forget([key])

    def _check_list(self) -> None:
        """Refuse a list of which nobody can tell who on it was asked already."""
        book = self._book
        gone, new = dropped(self._items, book.entries, book.made)
        if gone and new:
            raise VisioProviderError(
                f"The list has changed since an earlier try: {len(gone)} photo request(s) that are made are not in it, "
                f"such as {book.made[min(gone)][0]}, and {len(new)} are new. A new one may be one of those, put "
                "differently, so nobody is asked. Give the task the list that it had, or delete those requests and "
                "clear the task; and keep what changes from try to try, such as the time, out of the requests. "
                f"[connection {self._hook.conn_id}]",
                conn_id=self._hook.conn_id,
            )
        if gone:
            log.warning(
                "%d photo request(s) that an earlier try made are not in the list; they stay.", len(gone)
            )

    @staticmethod
    def _phase(request: Mapping[str, Any]) -> Phase | None:
        return photo_request_phase(request, now=clock.now())

    @classmethod
    def _best(cls, made: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        return best_match(made, cls._phase)
