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
    known_ids,
    require,
    seconds,
)
from airflow_provider_visio.exceptions import (
    InvalidRequestError,
    NotFoundError,
    PhotoRequestFailedError,
    VisioProviderError,
    retried,
)
from airflow_provider_visio.extra_links import remember_link
from airflow_provider_visio.idempotency.on_existing import check_on_existing
from airflow_provider_visio.operators.base import MaskedField, chosen_fields, run_in_thread
from airflow_provider_visio.operators.stored_files import StoresFiles
from airflow_provider_visio.operators.visiono_base import PHOTO_LINKS, VisionoDeleteOperator, VisionoOperator
from airflow_provider_visio.storage.destination import folder_at

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import timedelta

    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_visio.hooks.visiono import VisionoHook
    from airflow_provider_visio.idempotency.create_once import CreateOnce
    from airflow_provider_visio.idempotency.on_existing import OnExisting
    from airflow_provider_visio.task_wait import PhotoRequestWait
    from airflow_provider_visio.waiting import Phase

# Fields of a request that later tasks need. The recipient's address is not among them.
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
# Fields of a request that the task needs after its wait.
_KEPT = (*_OUTPUT, "instructions", "metadata", "items")

# Ends after which no photos come.
ENDED: Collection[Phase] = frozenset({"expired", "cancelled", "deleted"})


class VisionoCreatePhotoRequestOperator(StoresFiles, VisionoOperator):
    """
    Ask a person for photos. With ``wait_for_photos`` also wait for them, with ``destination`` also store them.

    The output is a dict with ``id``, ``status``, ``request_url`` (the link to give to the recipient),
    ``unique_code``, ``numeric_code``, ``code_entry_url``, ``created_at`` and ``expires_at``, as far as the service
    gives them, and ``photos`` (as of :class:`VisionoDownloadPhotosOperator`) where they were stored.

    :param instructions: what the recipient reads. (templated)
    :param recipient_email: address of the recipient; paid plans only. Kept out of logs and rendered fields. (templated)
    :param send_email: whether the service mails the link; paid plans only. Give True and an address to have it mailed.
        The service's answer to only one of them is not known.
    :param expires_in_hours: whole hours, or a timedelta (rounded up), until the link ends. (templated)
    :param items: the photos to take: a text each, or ``{"instructions": ..., "is_required": ...}``. (templated)
    :param require_gps: whether photos must have a GPS position.
    :param allow_submitter_notes: whether the recipient may add notes.
    :param internal_notes: notes that the recipient does not see. (templated)
    :param metadata: JSON data that the service keeps with the request. (templated)
    :param wait_for_photos: wait until the photos are submitted; True where a ``destination`` is given.
    :param destination: where to store the photos: an object store's URL or an absolute path. (templated)
    :param folder: the folder below the destination; None for the request's id, "" for none. (templated)
    :param on_file_error: when a photo cannot be fetched: ``fail`` raises an error after all others are stored;
        ``proceed`` succeeds with the photo in ``failed``.
    :param parallel_downloads: how many files to fetch at once; None for the connection's setting, 4 by default.
    :param photo_details: whether the output's files have ``gps`` and ``taken_at``; the manifest always has them.
    :param asset: the asset that the stored files update. Its event has ``{"ids", "manifests": [{"id", "path", "uri",
        "files", "failed"}]}`` in ``extra``. Give the asset to ``.partial(outlets=[...])`` of a mapped task as well.
    :param timeout: the longest wait for the photos, in seconds or as a timedelta, from the creation of the request;
        None waits as long as the request is open. ``execution_timeout`` counts from the same moment.
    :param poke_interval: seconds or timedelta between two polls.
    :param on_existing: what a cleared task does with its request that is still open: ``"reuse"`` waits for it again,
        ``"replace"`` deletes it and asks again, ``"fail"`` fails. (``"replace"`` also fails if the service does not say
        in a known word that the request is open, because photos may be there.) If the request has ended, a cleared task
        asks again, unless it has photos that are not stored yet. A retry asks nobody again; docs/reliability.md lists
        the exceptions.
    :param cancel_on_kill: whether to delete the open request when its task is killed on its worker, or somebody marks
        the task as failed or success. If an orderly shutdown of the worker killed the task, its retry asks again.
    :param deferrable: wait in the triggerer rather than on the worker, also for the rate limit if that takes longer
        than a minute.
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :raises InvalidRequestError: the input is refused; while the DAG is parsed, where it is known then.
    :raises PermissionDeniedError: the plan's quota is used up, or the key may not create requests.
    :raises PhotoRequestFailedError: the request expired, was cancelled or was deleted.
    :raises WaitTimeoutError: ``timeout`` passed; the request stays open.
    :raises VisioProviderError: it cannot be looked up whether an earlier try has asked; nothing is created.
    """

    _needs_destination = False
    template_fields: Sequence[str] = (
        "instructions",
        "recipient_email",
        "expires_in_hours",
        "items",
        "internal_notes",
        "metadata",
        "destination",
        "folder",
        "visiono_conn_id",
    )
    template_fields_renderers = {"items": "json", "metadata": "json"}  # noqa: RUF012
    operator_extra_links = PHOTO_LINKS
    recipient_email = MaskedField()

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
        **kwargs: Any,
    ) -> None:
        super().__init__(destination=destination, **kwargs)
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
        self.timeout = seconds(timeout, "timeout")
        self.poke_interval = seconds(poke_interval, "poke_interval") or 60.0
        self.on_existing = on_existing
        self.cancel_on_kill = cancel_on_kill
        # What on_kill deletes, with its hook: a signal handler must not read a connection.
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
        if destination is not None and not self.wait_for_photos:
            raise InvalidRequestError.of(
                "destination", "photos can only be stored once they are there; leave wait_for_photos out"
            )

    def _run(self, context: Context) -> dict[str, Any]:
        """Create the request; wait for the photos and store them if asked to."""
        self._check_storage()
        once = self._once(context)
        request = self._request(once)
        remember_link(context, request.get("request_url"))
        if not self.wait_for_photos:
            with self._explaining_retry(once):
                self._wait().check(request)
            self._open = None
            once.close()
            return chosen_fields(request, _OUTPUT)
        deadline = self._deadline(once.since, self.timeout)
        wait = self._wait()
        wait.kept = {"request": {name: request[name] for name in _KEPT if name in request}}
        with self._explaining_retry(once):
            wait.begin(self, request, deadline, deferrable=self.deferrable)
        return self._finish(context, {**request, **wait.states.get(request["id"], {})})

    def _resume(self, context: Context, event: Any) -> dict[str, Any]:
        """Go on when the photos are there, or will not come."""
        wait = self._wait()
        wait.kept = self._done
        with self._explaining_retry(self._once(context)):
            (request_id,) = wait.resume(self, event).arrived
        kept = self._done.get("request")
        if kept is None:  # it deferred with an earlier version of this provider
            return self._finish(context, self.hook.get_photo_request(request_id))
        # The trigger gives no word; this one is the documented one for photos that have come.
        seen = wait.states.get(request_id, {"status": "submitted"})
        return self._finish(context, {**kept, "status": seen.get("status")})

    def on_kill(self) -> None:
        """Delete the open request with ``cancel_on_kill``; for a deferred wait its trigger does."""
        # Airflow calls this at the execution_timeout too, which is no reason to delete.
        if not self.cancel_on_kill or isinstance(sys.exception(), AirflowTaskTimeout):
            return
        # Only once: Airflow may send its signal again.
        kept, self._open = self._open, None
        if kept is not None:
            run_in_thread(lambda: self._take_back(*kept))

    def _take_back(self, hook: VisionoHook, once: CreateOnce, request_id: str) -> None:
        from airflow_provider_visio.waiting import is_surely_open

        try:
            request = hook.get_photo_request(request_id)
            # Only one that the service calls open: photos may be there.
            if is_surely_open(request, request_id, now=clock.now()):
                once.take_back(request_id, hook.delete_photo_request)
                self.log.info("Photo request %s is deleted, because its task was killed.", request_id)
        except NotFoundError:
            pass  # it was gone
        except VisioProviderError as error:
            self.log.warning(
                "Photo request %s may still be there, although its task was killed: %s", request_id, error
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
        """Return the request that this task asks for: a new one, or an earlier one."""
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
            mail = "Visiono is asked to e-mail the link" if self.send_email else "no e-mail was asked for"
            self.log.info("Created photo request %s (%s): %s", made["id"], mail, made.get("request_url"))
            return made

        def phase_of(request: Mapping[str, Any]) -> Phase | None:
            return photo_request_phase(request, now=clock.now())

        def discard(request_id: str, request: Mapping[str, Any]) -> None:
            hook.check_open(request, request_id)
            hook.delete_photo_request(request_id)

        found = once.get(
            ResourceAdapter(
                ask=ask,
                look_at=hook.get_photo_request,
                look_up=lambda mark, since: hook.find_photo_requests(mark, since=since),
                phase_of=phase_of,
                discard=discard,
                # No person is asked again because Airflow retries.
                final=ENDED,
                window=LookupWindow.of(hook.get_conn().config),
                is_over=self._is_over,
            )
        )
        self._open = hook, once, str(found["id"])
        return found

    def _is_over(self, request: Mapping[str, Any]) -> bool:
        """Return whether a task without a record had what it wanted: the request, or its photos in the folder."""
        from airflow_provider_visio.storage.manifest import stored_manifest

        if self.destination is None:
            return not self.wait_for_photos
        folder = folder_at(self.destination, request["id"], self.folder)
        return stored_manifest(folder, request["id"], shared=self.folder is not None) is not None

    def _wait(self) -> PhotoRequestWait:
        from airflow_provider_visio.task_wait import PhotoRequestWait

        return PhotoRequestWait(self._wait_hook, self.poke_interval, cancel_on_kill=self.cancel_on_kill)

    @contextlib.contextmanager
    def _explaining_retry(self, once: CreateOnce) -> Iterator[None]:
        """Add to the error of a request that has ended whether a retry asks again."""
        try:
            yield
        except PhotoRequestFailedError as error:
            if once.record is not None and once.taken_back:
                what = f"{once.record.id} is deleted: its task was killed, as cancel_on_kill says; a retry asks again"
            elif not once.remembers and "deleted" in error.ended.values():
                # One that the list still has is found by its tag, and its end stands.
                what = (
                    f"{', '.join(error.ended)} was deleted at Visiono, and Airflow before 3.3 keeps no record; a retry "
                    "asks again, unless Visiono still lists it"
                )
            else:
                raise
            text = f"Photo request {what}. [connection {error.conn_id}]"
            raise retried(PhotoRequestFailedError(text, ended=error.ended, conn_id=error.conn_id)) from error

    def _finish(self, context: Context, request: Mapping[str, Any]) -> dict[str, Any]:
        self._open = None
        hook, once = self.hook, self._once(context)
        self._check_storage()
        output = chosen_fields(request, _OUTPUT)
        if self.destination is not None:
            manifest = hook.download_photos(request["id"], **self._storage, request=request)
            output["photos"] = self._summary(context, manifest)
        once.close()
        return output


class VisionoDownloadPhotosOperator(StoresFiles, VisionoOperator):
    """
    Store the photos of a submitted request in an object store.

    They are stored in ``<destination>/<request id>/``, with a ``manifest.json`` that has each file's path, length,
    sha256, media type, item, GPS position and time. A photo is stored as it was sent, also one that looks damaged: the
    manifest and the output have the result of a check. A file that an earlier try has stored is not fetched again. The
    output is ``{"id", "manifest", "files": [{"path", "uri", "bytes", "sha256", "mime_type", "check", "check_note",
    "item", "gps", "taken_at"}], "failed": [{"key", "item", "reason"}]}``; for several requests a list of these.

    If a photo or a request fails, the others are still stored. The error comes at the end and names each failure. It
    has the type that the requests' errors share; if their types differ it is a ``TransferError``.

    :param request_id: an id, the output of the task that created the request or waited for it, or a list of either.
        (templated)
    :param destination: an object store's URL or an absolute path. (templated)
    :param folder: the folder below the destination; None for the request's id, "" for none. (templated)
    :param on_file_error: when a file cannot be fetched: ``fail`` raises an error after all others are stored;
        ``proceed`` succeeds with the file in the output's ``failed``, as it does with a request that has no photos or
        does not exist.
    :param parallel_downloads: how many files to fetch at once; None for the connection's setting, 4 by default.
    :param photo_details: whether the output's files have ``gps`` and ``taken_at``; the manifest always has them.
    :param asset: the asset that the stored files update. Its event has ``{"ids", "manifests": [{"id", "path", "uri",
        "files", "failed"}]}`` in ``extra``. Give the asset to ``.partial(outlets=[...])`` of a mapped task as well.
    :param deferrable: give the worker back when the rate limit is used up for longer than a minute.
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :raises PhotoRequestFailedError: a request has no photos (yet).
    :raises TransferError: a file could not be fetched or stored, or several requests failed in different ways; run the
        task again for the rest.
    :raises AuthenticationError: at once: the service does not accept the key.
    """

    template_fields: Sequence[str] = ("request_id", "destination", "folder", "visiono_conn_id")
    operator_extra_links = PHOTO_LINKS

    def __init__(
        self,
        *,
        request_id: Any,
        destination: ObjectStoragePath | str,
        **kwargs: Any,
    ) -> None:
        super().__init__(destination=destination, **kwargs)
        self.request_id = request_id
        known_ids(request_id, "request_id")

    def _run(self, context: Context) -> dict[str, Any] | list[dict[str, Any]]:
        """Fetch and store the photos."""
        self._check_storage()
        ids = ids_of(self.request_id, "request_id")
        requests = self.hook.find_listed_photo_requests([one for one in ids if one not in self._done])
        stored = self._each(ids, "photo requests", lambda one: self._stored(context, one, requests.get(one)))
        return self._one_or_all(self.request_id, stored)

    def _stored(self, context: Context, request_id: str, request: Mapping[str, Any] | None) -> dict[str, Any]:
        from airflow_provider_visio.storage.manifest import stored_manifest

        # Requests that were done before the task deferred for the rate limit cost no further calls.
        done, manifest = self._done.get(request_id), None
        if isinstance(done, str):
            return _without_photos(request_id, done)
        if done:
            folder = folder_at(self.destination or "", request_id, self.folder)
            shared = self.folder is not None
            manifest = stored_manifest(folder, request_id, shared=shared)
            if manifest is not None:
                files = manifest["files"]
                self.hook.collect_lineage("photo-requests", request_id, files, shared_folder=shared)
        if manifest is None:
            try:
                manifest = self.hook.download_photos(request_id, **self._storage, request=request)
            except (PhotoRequestFailedError, NotFoundError) as error:
                if self.on_file_error == "fail":
                    raise
                self.log.warning("%s", error)
                self._done[request_id] = str(error)
                return _without_photos(request_id, str(error))
            self._done[request_id] = True
        remember_link(context, manifest["about"].get("request_url"))
        return self._summary(context, manifest)


def _without_photos(request_id: str, reason: str) -> dict[str, Any]:
    failed = [{"key": request_id, "item": None, "reason": reason}]
    return {"id": request_id, "manifest": None, "files": [], "failed": failed}


class VisionoDeletePhotoRequestOperator(VisionoDeleteOperator):
    """
    Delete photo requests; their links stop working at once.

    The vendor's plugin calls this cancelling: such a request may then have the status ``cancelled``. Whether photos
    that have arrived are deleted too is not known.

    The output is ``{"id", "deleted"}``; for several requests a list of these.

    :param request_id: an id, the output of the task that created the request, or a list of either. (templated)
    :param ignore_missing: count a request that does not exist (any more) as deleted, and return ``"deleted": False``.
    :param deferrable: give the worker back when the rate limit is used up for longer than a minute.
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :raises NotFoundError: there is no such request, unless ``ignore_missing``.
    """

    template_fields: Sequence[str] = ("request_id", "visiono_conn_id")

    def __init__(self, *, request_id: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.request_id = request_id
        known_ids(request_id, "request_id")

    def _run(self, context: Context) -> Any:
        """Delete the requests."""
        return self._delete_all(context, self.request_id, "request_id", self.hook.delete_photo_request)
