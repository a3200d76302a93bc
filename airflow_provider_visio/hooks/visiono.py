"""Hook for Visiono: ask a person for photos, and fetch them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import pendulum

from airflow_provider_visio import clock
from airflow_provider_visio.api import visiono as api
from airflow_provider_visio.api.one_time_queries import LIST_PAGE, NO_LIST
from airflow_provider_visio.api.photo_request_poller import FEW, query_photo_requests
from airflow_provider_visio.api.reply import unexpected_reply
from airflow_provider_visio.exceptions import (
    NotFoundError,
    PermissionDeniedError,
    PhotoRequestFailedError,
    UnexpectedReplyError,
    VisioProviderError,
)
from airflow_provider_visio.hooks.visiono_base import VisionoBaseHook
from airflow_provider_visio.hooks.visiono_permanent_links import VisionoLinksMixin
from airflow_provider_visio.hooks.visiono_signed_links import VisionoWorkflowMixin
from airflow_provider_visio.hooks.visiono_webhooks import VisionoWebhooksMixin
from airflow_provider_visio.storage.destination import folder_at
from airflow_provider_visio.waiting import (
    ALL,
    Goal,
    decide_photo_requests,
    is_surely_open,
    photo_request_phase,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime, timedelta

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visio.api.call import Call
    from airflow_provider_visio.api.one_time_queries import State
    from airflow_provider_visio.api.visiono import Photo, PhotoRequest, QrCode, Stats
    from airflow_provider_visio.storage.manifest import Manifest
    from airflow_provider_visio.storage.transfer import OnFileError
    from airflow_provider_visio.waiting import States, Verdict

log = logging.getLogger(__name__)

# Requests without metadata in the list are asked for singly; more than so many are too many to.
MOST_SILENT = 50


class VisionoHook(VisionoLinksMixin, VisionoWebhooksMixin, VisionoWorkflowMixin, VisionoBaseHook):
    """
    Calls of the Visiono REST API.

    Every method returns the service's ``data`` as plain dicts, with fields we do not know kept, and raises the errors
    of :mod:`airflow_provider_visio.exceptions`. docs/contract.md says for each call where it is known from.

    :param visiono_conn_id: id of the Airflow connection: ``host`` is the base URL (optional), ``password`` the API key.
    """

    def get_status(self) -> dict[str, Any]:
        """
        Return the service's health (source: seed; its fields are not public).

        :raises NotFoundError: this service does not have the call: the vendor's plugin does not know it.
        """
        return self._object(api.get_status(), needs=None)

    def get_stats(self) -> Stats:
        """
        Return usage and plan (source: seed): ``{"plan": {"email_enabled", ...}, "usage": {...}, ...}``.

        On the free plan ``usage.is_lifetime_quota`` is true and both ``usage.billing_period_*`` are None.

        :raises NotFoundError: this service does not have the call: the vendor's plugin does not know it.
        """
        return cast("Stats", self._object(api.get_stats(), needs=None))

    def list_photo_requests(
        self,
        *,
        status: str | None = None,
        created_after: datetime | str | None = None,
        created_before: datetime | str | None = None,
        page_size: int | None = None,
        limit: int | None = None,
        whole: bool = False,
    ) -> Iterator[PhotoRequest]:
        """
        Iterate over photo requests, through all pages (source: seed; the filters: plugin).

        :param status: only those with this status, where the service filters.
        :param created_after: only later ones; a datetime with a time zone, or ISO 8601 text.
        :param created_before: only earlier ones.
        :param page_size: how many to ask for at once, where the service lets one choose (assumed).
        :param limit: stop after so many.
        :param whole: fail where the service answers without a list, rather than yield nothing.
        :raises UnexpectedReplyError: as the items are taken: one has no id, or the list cannot be followed to its end.
        """
        request = api.list_photo_requests(
            status=status, created_after=created_after, created_before=created_before, page_size=page_size
        )
        return (
            cast("PhotoRequest", api.with_items(self._with_field(found, request, "id")))
            for found in self.get_conn().pages(request, limit=limit, whole=whole)
        )

    def create_photo_request(
        self,
        instructions: str,
        *,
        recipient_email: str | None = None,
        send_email: bool | None = None,
        expires_in_hours: int | timedelta | None = None,
        items: Sequence[str | Mapping[str, Any]] | None = None,
        require_gps: bool | None = None,
        allow_submitter_notes: bool | None = None,
        internal_notes: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> PhotoRequest:
        """
        Create a photo request (source: seed and plugin).

        :param instructions: what the recipient reads.
        :param recipient_email: address of the recipient; paid plans only.
        :param send_email: whether the service mails the link; paid plans only. To have it mailed give True and an
            address: what the service does with one of them alone is not known.
        :param expires_in_hours: whole hours, or a timedelta (rounded up), until the link ends.
        :param items: the pictures wanted: text each, or ``{"instructions": ..., "is_required": ...}``. They are sent as
            ``photo_slots`` (docs), or as ``items`` where the connection's ``dialect`` is ``plugin``.
        :param require_gps: whether photos must carry a place.
        :param allow_submitter_notes: whether the recipient may add notes.
        :param internal_notes: notes that the recipient does not see.
        :param metadata: JSON data that the service keeps with the request and gives back.
        :return: the request, with ``id``, ``status`` and ``request_url``, the link to give to the recipient.
        :raises InvalidRequestError: the input is refused, by us or by the service.
        :raises PermissionDeniedError: the plan's quota is used up, or the key may not create requests.
        :raises ConnectionFailedError: no reply; with ``.ambiguous``, the request may exist.
        """
        request = api.create_photo_request(
            instructions,
            recipient_email=recipient_email,
            send_email=send_email,
            expires_in_hours=expires_in_hours,
            items=items,
            require_gps=require_gps,
            allow_submitter_notes=allow_submitter_notes,
            internal_notes=internal_notes,
            metadata=metadata,
            dialect=self.dialect,
        )
        return self._photo_request(request, items)

    def create_photo_requests(self, requests: Sequence[Mapping[str, Any]]) -> list[PhotoRequest]:
        """
        Make up to ten photo requests in one call (source: plugin; body and reply are assumed).

        Whether the service can accept only a part of them is not known; the sandbox creates all or none.

        :param requests: 1 to 10 mappings, each with the parameters of :meth:`create_photo_request` by their names.
        :return: the requests, in the same order.
        :raises InvalidRequestError: a request is refused, by us (``.fields`` has ``requests.<index>.<name>``, counted
            from 0) or by the service.
        :raises PermissionDeniedError: as of :meth:`create_photo_request`.
        :raises NotFoundError: this service does not have the call: the vendor's reference does not know it.
        :raises ConnectionFailedError: no reply; with ``.ambiguous``, they may exist.
        :raises UnexpectedReplyError: the reply does not have a request for each; some, or all, may exist.
        """
        batch = api.create_photo_requests(requests, dialect=self.dialect)
        data = self._data(batch)
        made = data.get("photo_requests", data.get("items")) if isinstance(data, Mapping) else data
        entries = [one for one in made if isinstance(one, Mapping)] if isinstance(made, list) else []
        if len(entries) != len(requests) or not all(one.get("id") for one in entries):
            what = f"answered without one of the {len(requests)} photo requests that were asked for"
            raise unexpected_reply(batch, self.get_conn().config, what)
        return [
            self._checked_items({**one, "id": str(one["id"])}, asked.get("items"))
            for one, asked in zip(entries, requests, strict=True)
        ]

    def get_photo_request(self, request_id: str) -> PhotoRequest:
        """
        Return one photo request (source: seed).

        :param request_id: its id, or its code (plugin).
        :raises NotFoundError: there is none, or it was deleted.
        """
        return self._photo_request(api.get_photo_request(request_id))

    def find_listed_photo_requests(self, request_ids: Collection[str]) -> dict[str, PhotoRequest]:
        """
        Return some photo requests from list pages, as long as a page can cost less than asking for the rest singly.

        :param request_ids: their ids; up to three are left to :meth:`get_photo_request`.
        :return: those that were found, by id.
        """
        missing = set(request_ids)
        found: dict[str, PhotoRequest] = {}
        if len(missing) > FEW:
            with contextlib.suppress(*NO_LIST):
                for number, request in enumerate(self.list_photo_requests(page_size=LIST_PAGE)):
                    if number >= LIST_PAGE * len(missing):
                        break
                    if request["id"] in missing:
                        found[request["id"]] = request
                        missing.discard(request["id"])
        return found

    def find_photo_requests(
        self, tag: Mapping[str, str], *, since: float | None = None
    ) -> list[PhotoRequest]:
        """
        Return all photo requests that have some metadata (source: seed; ``metadata``: plugin).

        :param tag: the metadata that they must have, among other.
        :param since: Unix timestamp before which none was created, where the service filters; None for all.
        :raises UnexpectedReplyError: the list cannot be read to its end, or the service does not return the metadata of
            its requests, so nobody can say.
        """
        listed = list(self.list_created_since(since))
        has_metadata = any(_has_metadata(one) for one in listed)
        # A service that lists the metadata of some lists an empty value for the others.
        silent = [
            one for one in listed if not _has_metadata(one) and ("metadata" not in one or not has_metadata)
        ]
        singly = [self.get_photo_request(one["id"]) for one in silent[:MOST_SILENT]]
        found = [one for one in [*listed, *singly] if _has_tag(one, tag)]
        has_metadata = has_metadata or (len(silent) <= MOST_SILENT and any(map(_has_metadata, singly)))
        if silent and not found and not has_metadata:
            raise UnexpectedReplyError(
                "Visiono does not return the metadata of its photo requests, so it is not known whether this one was "
                "created before. Look in its dashboard; to ask again anyway, start another run of the DAG. "
                f"[connection {self.conn_id}]",
                conn_id=self.conn_id,
            )
        return found

    def list_created_since(self, since: float | None) -> Iterator[PhotoRequest]:
        """
        Iterate over the photo requests that were created since a time.

        :param since: Unix timestamp, where the service filters; None for all.
        :raises UnexpectedReplyError: the list cannot be read to its end.
        """
        moment = None if since is None else pendulum.from_timestamp(since)
        return self.list_photo_requests(created_after=moment, page_size=LIST_PAGE, whole=True)

    def delete_photo_request(self, request_id: str) -> None:
        """
        Delete a photo request (source: seed); its link stops working.

        The plugin calls it cancelling: it may be read as ``cancelled`` from then on, and whether photos that have
        arrived are deleted with it is not known.

        :raises NotFoundError: there is none, or it was deleted before.
        """
        self._data(api.delete_photo_request(request_id))

    def check_open(self, request: Mapping[str, Any], request_id: str) -> None:
        """
        Check that a photo request may be deleted to be replaced.

        :param request: what the service says of it.
        :raises VisioProviderError: the service does not say that it is open, so photos may be there.
        """
        if is_surely_open(request, request_id, now=clock.now()):
            return
        raise VisioProviderError(
            f"Visiono does not say that photo request {request_id} is open (it reads {request.get('id')!r} with the "
            f"status {request.get('status')!r}), so it is neither deleted nor replaced: photos may be there. Clear the "
            "task with on_existing='reuse' to go on with it, or delete it in Visiono first. "
            f"[connection {self.conn_id}]",
            conn_id=self.conn_id,
        )

    def list_submissions(self, request_id: str, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """
        Iterate over the submissions of a request so far, without links (source: plugin; the shape is assumed).

        :param limit: stop after so many.
        :raises NotFoundError: as the first is taken: there is no such request, or the service has no such call; the
            reference has none.
        """
        return self.get_conn().pages(api.list_submissions(request_id), limit=limit)

    def get_download_urls(self, request_id: str) -> dict[str, Any]:
        """
        Return signed links to a request's photos as the service gives them (source: plugin).

        They lapse after 24 hours, and anybody who has one can fetch the photo: do not log or keep them.
        :meth:`list_photos` reads the same in one shape, and :meth:`download_photos` stores the files.

        :return: ``{"photo_request_id", "submissions": [{"id", "item_id", "download_url", ...}]}``.
        :raises NotFoundError: there is no such request, or the service has no such call; the reference has none.
        """
        return self._object(api.get_download_urls(request_id), needs=None)

    def get_qr_code(self, request_id: str) -> QrCode:
        """
        Return ``{"qrcode_url"}``: where a picture of the QR code of a request's link is (source: plugin).

        :raises NotFoundError: there is no such request, or the service has no such call; the reference has none.
        """
        return cast("QrCode", self._object(api.get_qr_code(request_id), needs="qrcode_url"))

    def list_photos(self, request_id: str) -> list[Photo]:
        """
        Return the photos that were submitted for a request, each with a signed link that lapses.

        Where the request itself carries none (that it may is assumed), the plugin's ``download-urls`` is asked. Do not
        keep the links: call again for fresh ones.
        """
        return self._photos(self.get_photo_request(request_id), request_id)

    def download_photos(
        self,
        request_id: str,
        destination: ObjectStoragePath | str,
        *,
        folder: str | None = None,
        on_file_error: OnFileError = "fail",
        parallel_downloads: int | None = None,
        request: Mapping[str, Any] | None = None,
    ) -> Manifest:
        """
        Store the photos of a request in ``<destination>/<request id>/``, with a ``manifest.json``.

        Files that the manifest of an earlier run lists are not fetched again. A photo that looks damaged, or is of
        another type than declared, is stored as it was sent, and marked in the manifest.

        :param request_id: id of the request.
        :param destination: an object store's URL, such as ``s3://bucket/photos``, or an absolute path.
        :param folder: the folder below the destination; None for the request's id, "" for none. In a folder that is
            given, the manifest is called ``manifest-<request id>.json``.
        :param on_file_error: ``fail`` raises an error after all files were tried; ``proceed`` returns a manifest with
            ``failed``.
        :param parallel_downloads: how many files to fetch at once; None for the connection's setting.
        :param request: the request, as :meth:`get_photo_request` or a list gave it, if it was read before: saves a
            call.
        :return: the manifest: ``{"id", "path", "uri", "complete", "about", "files": [{"key", "path", "uri", "bytes",
            "sha256", "mime_type", "check", "check_note", "declared_type", "item", "item_id", "gps", "taken_at",
            "submitted_at"}], "failed": [{"key", "item", "reason", "first_words"}], ...}``.
        :raises PhotoRequestFailedError: it has no photos (yet).
        :raises TransferError: files could not be fetched or stored; the others are stored, and ``.failed`` names these.
        """
        place = folder_at(destination, request_id, folder)
        known = request if request is not None else self.get_photo_request(request_id)
        photos = self._photos(known, request_id)
        if request is not None and (not photos or any(_lacks_item(photo) for photo in photos)):
            # It was read before the photos came, or without its items.
            known = self.get_photo_request(request_id)
            photos = self._photos(known, request_id)
        if not photos:
            raise self._no_photos(known, request_id)
        about = ("status", "instructions", "request_url", "metadata", "created_at", "expires_at")

        def links_again() -> list[Photo]:
            return self.list_photos(request_id) if api.photos_in(known) else self._photos(known, request_id)

        return self._store(
            photos,
            place,
            request_id,
            origin=("photo-requests", request_id),
            about={name: known.get(name) for name in about},
            links_again=links_again,
            shared_folder=folder is not None,
            on_file_error=on_file_error,
            parallel_downloads=parallel_downloads,
        )

    def judge(
        self, request_ids: Sequence[str], *, deadline: float | None = None, goal: Goal = ALL
    ) -> tuple[Verdict, States]:
        """
        Ask how some photo requests are doing, and decide whether a wait for them is over.

        :param request_ids: ids of the requests.
        :param deadline: Unix timestamp at which the wait gives up; None for never.
        :param goal: what the wait needs to succeed.
        :return: the verdict, and the service's answers by id.
        """
        states: dict[str, State] = {}
        self.get_conn().query(query_photo_requests(request_ids, states.__setitem__))
        verdict = decide_photo_requests(request_ids, states, now=clock.now(), deadline=deadline, goal=goal)
        return verdict, states

    def _photos(self, request: Mapping[str, Any], request_id: str) -> list[Photo]:
        photos = api.photos_in(request)
        if photos and all(photo["url"] for photo in photos):
            return photos
        try:
            links = self._object(api.get_download_urls(request_id), needs=None)
        except NotFoundError as error:
            # The reference has no such call, so a service may not have it. Then the request has all photos.
            if photos:
                raise PermissionDeniedError(
                    f"Visiono lists {len(photos)} photos for {request_id} but gives no links to them: this service "
                    f"does not have the plugin's download-urls call, or the key lacks the scope download_urls:read. "
                    f"[connection {self.conn_id}]",
                    status=error.status,
                    conn_id=self.conn_id,
                ) from error
            return []
        return api.photos_in(request, links)

    def _no_photos(self, request: Mapping[str, Any], request_id: str) -> PhotoRequestFailedError:
        status = request.get("status")
        arrived = photo_request_phase(request, now=clock.now()) == "arrived"
        remedy = (
            "Neither the request nor the plugin's download-urls call lists any; look for them in Visiono's dashboard."
            if arrived
            else "Wait for them with VisionoPhotoRequestSensor."
        )
        return PhotoRequestFailedError(
            f"Photo request {request_id} has no photos: its status is {status!r}. {remedy} "
            f"[connection {self.conn_id}]",
            conn_id=self.conn_id,
        )

    def _photo_request(self, request: Call, asked: object = None) -> PhotoRequest:
        return self._checked_items(self._object(request), asked)

    def _checked_items(self, data: Mapping[str, Any], asked: object) -> PhotoRequest:
        """Return a request with its items, and warn where the service seems to have ignored the items."""
        request = api.with_items(data)
        if asked and request.get("items") == []:
            log.warning(
                "Photo request %s was created without its items: this service may not know them as `%s`, their name in "
                "the dialect `%s`. Say in the instructions what to photograph, or set the connection's extra `dialect` "
                "to `%s`, with a Host that has it. [connection %s]",
                request["id"],
                api.ITEMS_AS[self.dialect],
                self.dialect,
                "reference" if self.dialect == "plugin" else "plugin",
                self.conn_id,
            )
        return cast("PhotoRequest", request)

    def _probe(self) -> str:
        if self.dialect == "plugin":
            # The plugin knows no /status.
            seen = sum(1 for _ in self.list_photo_requests(page_size=1, limit=1))
            answered = "GET /photo-requests answered" + ("." if seen else ", with none yet.")
        else:
            self.get_status()
            answered = "GET /status answered."
        return f"{answered} {self._webhooks_set_up()}"


def _lacks_item(photo: Photo) -> bool:
    return photo["item_id"] is not None and photo["item"] is None


def _has_metadata(request: Mapping[str, Any]) -> bool:
    # Null and an empty list may be all that a service returns of them.
    metadata = request.get("metadata")
    return isinstance(metadata, Mapping) and bool(metadata)


def _has_tag(request: Mapping[str, Any], tag: Mapping[str, str]) -> bool:
    metadata: Any = request.get("metadata")
    return _has_metadata(request) and all(metadata.get(name) == tag[name] for name in tag)
