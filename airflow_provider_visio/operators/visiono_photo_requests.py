"""Operators for photo requests: ask for photos, fetch them, delete a request."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_visio import clock
from airflow_provider_visio.api.photo_request_fields import check_photo_request
from airflow_provider_visio.arguments import (
    check_if_known,
    ids_of,
    is_many,
    known_ids,
    require,
    require_resolved,
    seconds,
)
from airflow_provider_visio.exceptions import (
    InvalidRequestError,
    NotFoundError,
    PhotoRequestFailedError,
    VisioProviderError,
)
from airflow_provider_visio.extra_links import remember_link
from airflow_provider_visio.idempotency.record import check_on_existing
from airflow_provider_visio.operators.base import run_in_thread
from airflow_provider_visio.operators.visiono_base import (
    STILL_THERE,
    VisionoDeleteOperator,
    VisionoOperator,
    check_replaceable,
)
from airflow_provider_visio.storage.destination import check_destination, check_reachable, folder_at

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import timedelta

    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_visio.hooks.visiono import VisionoHook
    from airflow_provider_visio.idempotency.create_once import CreateOnce
    from airflow_provider_visio.idempotency.record import OnExisting
    from airflow_provider_visio.storage.manifest import Manifest
    from airflow_provider_visio.task_wait import PhotoRequestWait
    from airflow_provider_visio.waiting import Phase

# What of a request later tasks need; its recipient's address stays with the service.
_OUTPUT = (
    "id",
    "status",
    "request_url",
    "unique_code",
    "numeric_code",
    "code_entry_url",
    "created_at",
    "expires_at",
)


# Ends after which nothing comes any more.
ENDED: Collection[Phase] = frozenset({"expired", "cancelled", "deleted"})


class VisionoCreatePhotoRequestOperator(VisionoOperator):
    """
    Ask a person for photos; with ``wait_for_photos`` also wait for them, with ``destination`` also store them.

    The output is a dict with ``id``, ``status``, ``request_url`` (the link to give to the recipient),
    ``unique_code``, ``numeric_code``, ``code_entry_url``, ``created_at`` and ``expires_at``, as far as the service
    gives them, and ``photos`` (as of :class:`VisionoDownloadPhotosOperator`) where they were stored.

    :param instructions: what the recipient reads. (templated)
    :param recipient_email: address of the recipient; paid plans only. Kept out of logs and rendered fields. (templated)
    :param send_email: whether the service mails the link; paid plans only. To have it mailed give True and an address:
        what the service does with one of them alone is not known.
    :param expires_in_hours: whole hours, or a timedelta (rounded up), until the link ends. (templated)
    :param items: the pictures wanted: text each, or ``{"instructions": ..., "is_required": ...}``. (templated)
    :param require_gps: whether photos must carry a place.
    :param allow_submitter_notes: whether the recipient may add notes.
    :param internal_notes: notes that the recipient does not see. (templated)
    :param metadata: JSON data that the service keeps with the request. (templated)
    :param wait_for_photos: wait until the photos are submitted; True where a ``destination`` is given.
    :param destination: where to store the photos: an object store's URL or an absolute path. (templated)
    :param timeout: seconds or timedelta to wait for the photos at most, from when they were asked for; None for as long
        as the request is open. ``execution_timeout`` counts likewise.
    :param poke_interval: seconds or timedelta between two looks while waiting.
    :param on_existing: what becomes, when the task is cleared, of the request that it made and that is still open:
        ``"reuse"`` waits for it once more, ``"replace"`` deletes it and asks anew, ``"fail"`` fails. (``"replace"``
        fails, too, where the service does not say in a known word that it is open: photos may be there.) After one that
        has ended, a cleared task asks anew, unless its photos were not fetched yet. A retry asks nobody again; what
        cannot be excluded is in docs/reliability.md.
    :param cancel_on_kill: whether the request, while it is open, is deleted when its task is killed on its worker or
        marked as failed or success by somebody. A retry after the loss of a worker that was shut down then asks anew.
    :param deferrable: wait in the triggerer, at no cost, rather than on the worker; also, for longer than a minute, for
        the service's rate limit.
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :raises InvalidRequestError: the input is refused; where it is known then, while the DAG is parsed.
    :raises PermissionDeniedError: the plan's quota is used up, or the key may not make requests.
    :raises PhotoRequestFailedError: the request expired, was cancelled or was deleted.
    :raises WaitTimeoutError: ``timeout`` passed; the request stays open.
    :raises VisioProviderError: it cannot be looked up whether an earlier try has asked already; nothing is made.
    """

    template_fields: Sequence[str] = (
        "instructions",
        "recipient_email",
        "expires_in_hours",
        "items",
        "internal_notes",
        "metadata",
        "destination",
        "visiono_conn_id",
    )
    template_fields_renderers = {"items": "json", "metadata": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        instructions: str,
        recipient_email: str | None = None,
        send_email: bool | None = None,
        expires_in_hours: int | timedelta | str | None = None,
        items: Sequence[str | Mapping[str, Any]] | None = None,
        require_gps: bool | None = None,
        allow_submitter_notes: bool | None = None,
        internal_notes: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        wait_for_photos: bool | None = None,
        destination: ObjectStoragePath | str | None = None,
        timeout: float | timedelta | None = None,
        poke_interval: float | timedelta = 60.0,
        on_existing: OnExisting = "reuse",
        cancel_on_kill: bool = False,
        visiono_conn_id: str = "visiono_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.multiple_outputs = True  # so that `output["request_url"]` works in later tasks
        self.instructions = instructions
        self.recipient_email = recipient_email
        self.send_email = send_email
        self.expires_in_hours = expires_in_hours
        self.items = items
        self.require_gps = require_gps
        self.allow_submitter_notes = allow_submitter_notes
        self.internal_notes = internal_notes
        self.metadata = metadata
        self.wait_for_photos = destination is not None if wait_for_photos is None else wait_for_photos
        self.destination = destination
        self._stores = destination is not None
        self.timeout = seconds(timeout, "timeout")
        self.poke_interval = seconds(poke_interval, "poke_interval") or 60.0
        self.on_existing = on_existing
        self.cancel_on_kill = cancel_on_kill
        self.visiono_conn_id = visiono_conn_id
        # What on_kill takes back. With the hook that made it: a signal is no moment to read a connection.
        self._open: tuple[VisionoHook, CreateOnce, str] | None = None
        check_on_existing(on_existing)
        require(instructions, "instructions")
        check_if_known(
            check_photo_request,
            instructions=instructions,
            recipient_email=recipient_email,
            expires_in_hours=expires_in_hours,
            items=items,
            metadata=metadata,
        )
        if destination is not None:
            check_if_known(check_destination, destination=destination)
            if not self.wait_for_photos:
                raise InvalidRequestError.of(
                    "destination", "photos can only be stored once they are there; leave wait_for_photos out"
                )

    @property
    def recipient_email(self) -> str | None:
        """Address of the recipient."""
        return self._recipient_email

    @recipient_email.setter
    def recipient_email(self, address: str | None) -> None:
        # Airflow stores rendered fields in the clear, save what it was told to mask. It is told here, where rendering
        # puts the value, for only then is this a running task.
        if address and hasattr(self, "_recipient_email"):
            from airflow.sdk.log import mask_secret

            mask_secret(address)
        self._recipient_email = address

    def _run(self, context: Context) -> dict[str, Any]:
        """Make the request; wait for the photos and store them if asked to."""
        require_resolved(self.destination, "destination", given=self._stores)
        if self.destination is not None:
            check_reachable(self.destination)
        once = self._once(context)
        request = self._request(once)
        remember_link(context, request.get("request_url"))
        if not self.wait_for_photos:
            with self._told(once):
                self._wait().check(request)
            self._open = None
            once.close()
            return _output(request)
        deadline = self._deadline(once.since, self.timeout)
        with self._told(once):
            self._wait().begin(self, request, deadline, deferrable=self.deferrable)
        return self._finish(context, request["id"])

    def _resume(self, context: Context, event: Any) -> dict[str, Any]:
        """Go on when the photos are there, or will not come."""
        with self._told(self._once(context)):
            arrived = self._wait().resume(self, event).arrived
        return self._finish(context, arrived[0])

    def on_kill(self) -> None:
        """Delete the request with ``cancel_on_kill``, if it is open; for a deferred wait its trigger does."""
        # Airflow calls it at the execution_timeout, too, by which nobody says that the photos are not wanted.
        if not self.cancel_on_kill or isinstance(sys.exception(), AirflowTaskTimeout):
            return
        # Once: Airflow may send its signal again.
        kept, self._open = self._open, None
        if kept is not None:
            run_in_thread(lambda: self._take_back(*kept))

    def _take_back(self, hook: VisionoHook, once: CreateOnce, request_id: str) -> None:
        from airflow_provider_visio.waiting import is_surely_open

        try:
            request = hook.get_photo_request(request_id)
            # Not one of which we are not told how it is doing: photos may be there.
            if is_surely_open(request, request_id, now=clock.now()):
                once.take_back(request_id, hook.delete_photo_request)
                self.log.info("Photo request %s is deleted, for its task was killed.", request_id)
        except NotFoundError:
            pass  # it was gone
        except VisioProviderError as error:
            self.log.warning(
                "Photo request %s may still be there, though its task was killed: %s", request_id, error
            )

    def _once(self, context: Context) -> CreateOnce:
        from airflow_provider_visio.idempotency.create_once import CreateOnce

        return CreateOnce(context, self._done, self._asked(), self.on_existing)

    def _asked(self) -> dict[str, Any]:
        return {
            "instructions": self.instructions,
            "recipient_email": self.recipient_email,
            "send_email": self.send_email,
            "expires_in_hours": self.expires_in_hours,
            "items": self.items,
            "require_gps": self.require_gps,
            "allow_submitter_notes": self.allow_submitter_notes,
            "internal_notes": self.internal_notes,
            "metadata": self.metadata,
        }

    def _request(self, once: CreateOnce) -> Mapping[str, Any]:
        """Return the request that this task asks for: made now, or found."""
        from airflow_provider_visio.idempotency.create_once import ResourceAdapter
        from airflow_provider_visio.idempotency.lookup_window import LookupWindow
        from airflow_provider_visio.waiting import photo_request_phase

        hook = self.hook

        def ask(tag: dict[str, str]) -> Mapping[str, Any]:
            check_photo_request(metadata=self.metadata)
            metadata = {**tag, **(self.metadata or {})}
            if any(metadata[name] != word for name, word in tag.items()):
                raise InvalidRequestError.of(
                    "metadata", f"leave out {', '.join(tag)}: these are the provider's own"
                )
            made = hook.create_photo_request(**{**self._asked(), "metadata": metadata})
            self._open = hook, once, made["id"]
            self.log.info("Photo request %s is made: %s", made["id"], made.get("request_url"))
            return made

        def phase_of(request: Mapping[str, Any]) -> Phase | None:
            return photo_request_phase(request, now=clock.now())

        def discard(request_id: str) -> None:
            state = hook.get_or_gone(request_id)
            if phase_of(state) in ENDED:
                return
            check_replaceable(state, request_id, hook.conn_id)
            try:
                hook.delete_photo_request(request_id)
            except NotFoundError as error:
                # A proxy can send a 404, too.
                if phase_of(hook.get_or_gone(request_id)) not in ENDED:
                    raise error.saying(STILL_THERE) from error

        # One that ended in silence may be the work of our on_kill, which could not write it down.
        undone: set[Phase] = set()
        if self.cancel_on_kill and not (once.record and once.record.ended):
            # The plugin calls it cancelling.
            undone = {"deleted"} if once.record else {"deleted", "cancelled"}
        found = once.get(
            ResourceAdapter(
                ask=ask,
                look_at=lambda request_id, since: hook.get_or_gone(request_id, since=since),
                look_up=lambda mark, since: hook.find_photo_requests(mark, since=since),
                phase_of=phase_of,
                discard=discard,
                # No person is asked again because Airflow retries.
                final=ENDED,
                undone=undone,
                patience=LookupWindow.of(hook.get_conn().config),
            )
        )
        self._open = hook, once, str(found["id"])
        return found

    def _wait(self) -> PhotoRequestWait:
        from airflow_provider_visio.task_wait import PhotoRequestWait

        return PhotoRequestWait(self.hook, self.poke_interval, cancel_on_kill=self.cancel_on_kill)

    @contextlib.contextmanager
    def _told(self, once: CreateOnce) -> Iterator[None]:
        """Write down that the task was told of its request's end, and say so where a retry asks anew after that."""
        try:
            yield
        except PhotoRequestFailedError as error:
            once.told_of_end()
            # What the list does not have, or may be the work of our on_kill, is lost without a record.
            lost = {"deleted", "cancelled"} if self.cancel_on_kill else {"deleted"}
            anew = "a retry asks anew"
            if once.record is not None and once.taken_back:
                what = f"{once.record.id} is deleted, for its task was killed, as cancel_on_kill says"
            elif not once.remembers and (ended := lost.intersection(error.ended.values())):
                what = f"{', '.join(error.ended)} was {ended.pop()} at Visiono, and Airflow before 3.3 keeps no record"
                # One that the list has is found by its tag, and a retry has to live with its end.
                anew += "" if self.cancel_on_kill else ", unless Visiono still lists it"
            else:
                raise
            raise PhotoRequestFailedError(
                f"Photo request {what}; {anew}. [connection {error.conn_id}]",
                ended=error.ended,
                conn_id=error.conn_id,
            ) from error

    def _finish(self, context: Context, request_id: str) -> dict[str, Any]:
        from airflow_provider_visio.storage.manifest import summary

        self._open = None
        hook, once = self.hook, self._once(context)
        # Before anything can fail: that it is gone from now on is no work of our on_kill.
        once.told_of_end()
        require_resolved(self.destination, "destination", given=self._stores)
        output = _output(hook.get_photo_request(request_id))
        if self.destination is not None:
            output["photos"] = summary(hook.download_photos(request_id, self.destination))
        once.close()
        return output


class VisionoDownloadPhotosOperator(VisionoOperator):
    """
    Store the photos of a submitted request in an object store.

    They come to ``<destination>/<request id>/``, with a ``manifest.json`` that has each file's path, length, sha256,
    media type, item, place and time. What an earlier try has stored whole is not fetched again. The output is ``{"id",
    "manifest", "files": [{"path", "bytes", "sha256", "mime_type", "item"}]}``; for several requests a list of these.

    A photo or a request that fails keeps no other from being stored. The error comes at the end and names what failed.
    It has the type that the requests' errors share; where their types differ it is a ``TransferError``.

    :param request_id: an id, the output of the task that made the request or waited for it, or a list of either.
        (templated)
    :param destination: an object store's URL or an absolute path. (templated)
    :param deferrable: give the worker back where the service's rate limit is used up for longer than a minute.
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :raises PhotoRequestFailedError: a request has no photos (yet).
    :raises TransferError: a file could not be fetched, verified or stored, or several requests failed in different
        ways; run the task again for the rest.
    :raises AuthenticationError: at once: the service does not accept the key.
    """

    template_fields: Sequence[str] = ("request_id", "destination", "visiono_conn_id")

    def __init__(
        self,
        *,
        request_id: Any,
        destination: ObjectStoragePath | str,
        visiono_conn_id: str = "visiono_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.request_id = request_id
        self.destination = destination
        self.visiono_conn_id = visiono_conn_id
        known_ids(request_id, "request_id")
        require(destination, "destination")
        check_if_known(check_destination, destination=destination)

    def _run(self, context: Context) -> dict[str, Any] | list[dict[str, Any]]:
        """Fetch, verify and store the photos."""
        from airflow_provider_visio.storage.manifest import summary

        manifests = self._each(ids_of(self.request_id, "request_id"), "photo requests", self._stored)
        remember_link(context, manifests[0]["about"].get("request_url"))
        stored = [summary(manifest) for manifest in manifests]
        self.multiple_outputs = not is_many(self.request_id)
        return stored[0] if self.multiple_outputs else stored

    def _stored(self, request_id: str) -> Manifest:
        from airflow_provider_visio.storage.manifest import manifest_in

        # What was done before the task deferred for the rate limit costs no calls again.
        folder = folder_at(self.destination, request_id)
        manifest = manifest_in(folder) if request_id in self._done else None
        if manifest is None:
            manifest = self.hook.download_photos(request_id, self.destination)
            self._done[request_id] = True
        return manifest


class VisionoDeletePhotoRequestOperator(VisionoDeleteOperator):
    """
    Delete photo requests; their links stop working at once.

    The vendor's plugin calls this cancelling: such a request may be read as ``cancelled`` from then on, and whether
    photos that have arrived are deleted with it is not known.

    The output is ``{"id", "deleted"}``; for several requests a list of these.

    :param request_id: an id, the output of the task that made the request, or a list of either. (templated)
    :param ignore_missing: take a request that is not there (any more) as deleted, and say ``"deleted": False``;
        believed where it cannot be read either, and the service's list can.
    :param deferrable: give the worker back where the service's rate limit is used up for longer than a minute.
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :raises NotFoundError: there is no such request, unless ``ignore_missing``.
    """

    template_fields: Sequence[str] = ("request_id", "visiono_conn_id")

    def __init__(
        self,
        *,
        request_id: Any,
        ignore_missing: bool = False,
        visiono_conn_id: str = "visiono_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.request_id = request_id
        self.ignore_missing = ignore_missing
        self.visiono_conn_id = visiono_conn_id
        known_ids(request_id, "request_id")

    def _run(self, context: Context) -> Any:
        """Delete the requests."""
        from airflow_provider_visio.api.visiono import list_photo_requests
        from airflow_provider_visio.waiting import photo_request_phase

        hook = self.hook

        def ask_list() -> None:
            # A wrong base URL answers 404 for each, and so can a proxy. It need not be whole: the request is asked for.
            hook.get_conn().check_list(list_photo_requests())

        def has_ended(request_id: str) -> bool:
            return photo_request_phase(hook.get_photo_request(request_id), now=clock.now()) in ENDED

        return self._delete_all(
            context, self.request_id, "request_id", hook.delete_photo_request, has_ended, ask_list
        )


def _output(request: Mapping[str, Any]) -> dict[str, Any]:
    return {name: request[name] for name in _OUTPUT if request.get(name) is not None}
