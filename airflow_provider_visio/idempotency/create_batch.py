"""Create a list of photo requests, each once, over retries, lost replies and pauses for the rate limit."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_visio import clock
from airflow_provider_visio.api import visiono as api
from airflow_provider_visio.api.error_hints import NO_MAIL_HINT, refused_mail_fields
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
from airflow_provider_visio.idempotency.batch_items import (
    by_key,
    dropped,
    groups,
    matched,
    reason_of,
    refused,
)
from airflow_provider_visio.idempotency.batch_record import HEAD, BatchRecord
from airflow_provider_visio.idempotency.create_once import SLACK, Creator
from airflow_provider_visio.idempotency.lookup_window import LookupWindow
from airflow_provider_visio.idempotency.record import (
    Intent,
    best_match,
    clear_count,
    existing_step,
    run_clears,
    was_cleared,
)
from airflow_provider_visio.idempotency.tag import ASK_KEY, INPUT_KEY, TASK_KEY
from airflow_provider_visio.waiting import photo_request_phase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_visio.hooks.visiono import VisionoHook
    from airflow_provider_visio.idempotency.batch_items import Item
    from airflow_provider_visio.idempotency.on_existing import OnExisting
    from airflow_provider_visio.waiting import Phase

log = logging.getLogger(__name__)

# Statuses that may be about the content of one request; another status refuses the call, whatever its content.
_OF_ONE = {400, 409, 413, 422}

# Seconds until the list has what an answered call has created.
LISTED_AFTER = 5.0


class CreateBatch(Creator):
    """
    One try of a batch.

    :param maker: the hook that creates the requests.
    :param hook: looks up what is created, and deletes.
    :param done: what is kept while the task defers: plain JSON.
    :param batch: whether to send ten at a time; None for what the connection's dialect says.
    """

    record_key = HEAD

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
        super().__init__(context, done, on_existing)
        self._items = items
        self._maker, self._hook = maker, hook
        self._done = done
        self._record = BatchRecord(self.store, Intent.of(context, {}).task)
        self._refused: dict[str, str] = done.setdefault("refused", {})
        # Requests at which the service failed (5xx). They come last, so that they keep no other from being created.
        self._put_off: set[str] = set()
        self._failed_before = False
        # Whether the service has answered as it should in this try, so that it is not down as a whole.
        self._works = False
        self._window = LookupWindow.of(maker.get_conn().config)
        self._together = (hook.dialect == "plugin" if batch is None else batch) and not done.get("singly")

    def make(self) -> tuple[dict[str, tuple[str, str | None]], dict[str, str]]:
        """
        Create what is not created yet.

        :return: id and link of each request that is created, and why the others are refused, by key.
        :raises VisioProviderError: it cannot go on.
        """
        self._settle_earlier()
        self._check_list()
        self._record.plan(item.key for item in self._items)
        for item in self._items:
            self._check(item)
        try:
            for group in groups(self._left()) if self._together else groups(self._left(), 1):
                self._send(group)
            for item in self._left():
                self._send([item])
        except VisioProviderError as error:
            raise error.saying(
                f"{len(self._record.made)} of {len(self._items)} photo requests are created and kept. "
                "The next try creates only the missing ones.",
                instead_of_hint=error.ambiguous,
            ) from error
        log.info("%d of %d photo requests are created.", len(self._record.made), len(self._items))
        return self._record.made, self._refused

    def close(self) -> None:
        """Write down that the task has got what it wanted."""
        self._record.close()

    @property
    def advice(self) -> str:
        """What to do about the refused requests, beside their reasons; may be empty."""
        return NO_MAIL_HINT if self._done.get("no_mail") else ""

    @property
    def retry_helps(self) -> bool:
        """Whether some are refused by a fault of the service, which a retry may mend."""
        return bool(self._done.get("fault"))

    def _left(self) -> list[Item]:
        settled = {*self._record.made, *self._refused}
        return [item for item in self._items if item.key not in settled]

    def _check(self, item: Item) -> None:
        """Refuse, before any call, what the service would refuse."""
        if self._record.entries[item.key] or item.key in self._refused:
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
        """Create some requests together, or one by itself."""
        if len(group) > 1 and not self._together:
            for item in group:
                self._send([item])
            return
        self._record.begin(item.key for item in group)
        try:
            made = self._post(group)
        except VisioProviderError as error:
            if error.ambiguous:
                self._after_lost_reply(group, error)
            else:
                self._after_refusal(group, error)
            return
        self._failed_before, self._works = False, True
        self._record.note(matched(group, made))
        if self._record.pending:
            self._after_lost_reply(group, UnexpectedReplyError("The reply does not name all requests."))

    def _post(self, group: Sequence[Item]) -> Sequence[Mapping[str, Any]]:
        bodies = []
        for item in group:
            metadata = {**(item.body.get("metadata") or {}), **self._record.mark, INPUT_KEY: item.key}
            bodies.append({**item.body, "metadata": metadata})
        if len(bodies) > 1:
            return self._maker.create_photo_requests(bodies)
        # Both dialects have the call for one alone.
        return [self._maker.create_photo_request(**bodies[0])]

    def _after_refusal(self, group: Sequence[Item], error: VisioProviderError) -> None:
        """Find out which of the requests a refusal means, and create the others."""
        together = len(group) > 1
        no_call = isinstance(error, NotFoundError) or error.status == 405
        of_call = no_call or error.status is None or isinstance(error, AuthenticationError | RateLimitedError)
        if not together or of_call:
            # Otherwise the service may have created some of them.
            self._record.rest()
        if together and no_call:
            log.info("The service has no call for several requests; they are created one by one. (%s)", error)
            self._together, self._done["singly"] = False, True
            self._send(group)
        elif isinstance(error, InvalidRequestError) and error.status in _OF_ONE:
            self._failed_before, self._works = False, True
            self._done["no_mail"] = self._done.get("no_mail") or bool(refused_mail_fields(error.fields))
            left = list(group)
            if together:
                # Nobody knows whether the service creates all or none of them (assumed).
                clock.sleep(LISTED_AFTER)
                unmade = self._unmade(error, LookupWindow(0.0, 0.0))
                left = [item for item in group if item.key in unmade]
            bad = refused(group, error)
            self._refused.update({item.key: bad[item.key] for item in left if item.key in bad})
            self._send_others(group, left, [item for item in left if item.key not in bad])
        else:
            raise error

    def _send_others(self, group: Sequence[Item], left: Sequence[Item], rest: Sequence[Item]) -> None:
        """Create those of a refused group that the refusal does not mean."""
        if rest and len(rest) < len(left):
            self._send(rest)
            return
        # The refusal does not say which, so each gets a call of its own.
        for item in rest:
            self._send([item])
        if rest and len(left) == len(group) and all(self._record.entries[item.key] for item in rest):
            log.info("The service takes each of them, but not together; the others are created one by one.")
            self._together, self._done["singly"] = False, True

    def _after_lost_reply(self, group: Sequence[Item], error: VisioProviderError) -> None:
        """Find out what a call has created whose reply was lost, or does not name all requests."""
        missing = self._unmade(error, self._window)
        if not missing:
            return
        if len(group) == 1 and isinstance(error, ServiceError) and self._is_put_off(group[0], error):
            return
        # A reply that does not name them, or one of them makes the service fail: each gets a call of its own.
        if (len(group) > 1 and isinstance(error, ServiceError | UnexpectedReplyError)) or not error.ambiguous:
            for item in group:
                if item.key in missing:
                    self._send([item])
            return
        raise error.saying(
            "It is not in the service's list, so it was not created.", instead_of_hint=True
        ) from error

    def _unmade(self, error: VisioProviderError, window: LookupWindow) -> set[str]:
        """Return the keys of the pending requests that are not in the service's list, so were not created."""
        unknown = f"{len(self._record.pending)} photo request(s) were created; the next try looks"
        self._look_for_lost(error, window, self._look, unknown)
        missing = set(self._record.pending)
        self._record.rest()
        return missing

    def _is_put_off(self, item: Item, error: ServiceError) -> bool:
        """Decide whether to go on without a request at which the service fails, or whether the service is down."""
        again = item.key in self._put_off
        if again and self._works:
            self._refused[item.key] = f"the service failed at it ({error.status}), twice"
            self._done["fault"] = True
            return True
        self._put_off.add(item.key)
        first, self._failed_before = not self._failed_before, True
        return first and not again

    def _look(self) -> bool:
        """Look once in the service's list for what is pending, and return whether everything is found."""
        record = self._record
        found = self._tagged(record.mark, self._created_since(record.sure_head.asked_at))
        record.note({key: found[key] for key in record.pending if key in found})
        return not record.pending

    def _tagged(self, mark: Mapping[str, str], since: float | None) -> dict[str, Mapping[str, Any]]:
        found = by_key(self._hook.find_photo_requests(mark, since=since))
        return {key: best_match(made, self._phase) for key, made in found.items()}

    def _settle_earlier(self) -> None:
        """Find out what earlier tries have created, and what of it counts."""
        record, context = self._record, self._context
        head = record.head
        cleared = was_cleared(context, head.run if head else None, head.clears if head else None)
        with self._settling():
            if head is None and self._first_step(None) == "look up":
                self._adopt()
                # From now on the record alone does not say so, and the rate limit may break off what follows.
                self._done["cleared"] = cleared
            elif head is not None and record.pending:
                self._look_for_earlier(head.asked_at, self._window, self._look)
                record.rest()
            if record.made and (self._done.get("cleared") or (cleared and head is not None)):
                self._after_clear()
            self._done.pop("cleared", None)
        record.open(clear_count(context), run_clears(context), cleared=cleared and head is not None)

    def _adopt(self) -> None:
        """Find, by their tags alone, the requests of earlier tries that could write nothing down."""
        wanted = {item.key for item in self._items}
        since = self._created_since()
        found: dict[str, Mapping[str, Any]] = {}

        def look() -> bool:
            found.update(self._tagged({TASK_KEY: self._record.task}, since))
            return wanted <= found.keys()

        whole = self._look_for_earlier(None, self._window, look)
        self._record.open(clear_count(self._context), began=(since or 0.0) + SLACK)
        self._record.plan(found)
        self._record.note(found)
        if whole:
            self._record.close()

    def _after_clear(self) -> None:
        """Decide what to do with the requests that were created before somebody cleared the task."""
        record, steps = self._record, dict[str, str]()
        # By their ids, because somebody may have changed their metadata.
        since = self._created_since(record.sure_head.began)
        listed = {one["id"]: one for one in self._hook.list_created_since(since)}
        for key, (request_id, _) in record.made.items():
            state = listed.get(request_id) or self._state_of(request_id)
            steps[key] = existing_step(
                self._phase(state), self._on_existing, cleared=True, over=record.sure_head.over, final=()
            )
            if steps[key] == "replace":
                self._hook.check_open(state, request_id)
        still_open = [key for key, step in steps.items() if step == "fail"]
        if still_open:
            raise VisioProviderError(
                f"{len(still_open)} photo request(s) that this task created before it was cleared are still open, such "
                f"as {record.made[still_open[0]][0]}, and on_existing is 'fail'. Let them end, or use "
                f"on_existing='reuse' or 'replace'. [connection {self._hook.conn_id}]",
                conn_id=self._hook.conn_id,
            )
        for key, step in steps.items():
            if step == "replace":
                request_id = record.made[key][0]
                self._discard(partial(self._hook.delete_photo_request, request_id), request_id)
                record.forget([key])
        record.forget([key for key, step in steps.items() if step == "ask"])
        self._done.pop("gone", None)

    def _state_of(self, request_id: str) -> Mapping[str, Any]:
        """Return what the service says of a request that its list does not have."""
        # Kept while the task defers: the rate limit may not have a call for each of them.
        gone: list[str] = self._done.setdefault("gone", [])
        if request_id in gone:
            return {"id": request_id, "status": "deleted"}
        state: Mapping[str, Any] = self._look_at(self._hook.get_photo_request, request_id)
        if self._phase(state) == "deleted":
            gone.append(request_id)
        return state

    def _check_list(self) -> None:
        """Refuse a list where a new request may be an old one with another text."""
        made = self._record.made
        gone, new = dropped(self._items, self._record.entries, made)
        if gone and new:
            raise VisioProviderError(
                f"The list has changed since an earlier try: {len(gone)} photo request(s) that exist are not in it, "
                f"such as {made[min(gone)][0]}, and {len(new)} are new. A new one may be an old one with another text, "
                "so nobody is asked. Give the task the list that it had, without values that change with each try, or "
                "delete those requests and clear the task. "
                f"[connection {self._hook.conn_id}]",
                conn_id=self._hook.conn_id,
            )
        if gone:
            log.warning(
                "%d photo request(s) that an earlier try created are not in the list; they stay.", len(gone)
            )

    @staticmethod
    def _phase(request: Mapping[str, Any]) -> Phase | None:
        return photo_request_phase(request, now=clock.now())
