"""The permanent links of the Visiono hook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow_provider_visio.api import visiono_permanent_links as api
from airflow_provider_visio.api.pages import Pages
from airflow_provider_visio.api.plain_values import check_id
from airflow_provider_visio.api.reply import unexpected_reply
from airflow_provider_visio.api.visiono import with_items
from airflow_provider_visio.exceptions import PhotoRequestFailedError
from airflow_provider_visio.hooks.visiono_base import VisionoBaseHook
from airflow_provider_visio.storage.destination import folder_at

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visio.api.call import Call
    from airflow_provider_visio.api.visiono import QrCode
    from airflow_provider_visio.api.visiono_permanent_links import LinkPhoto, PermanentLink
    from airflow_provider_visio.storage.manifest import Manifest
    from airflow_provider_visio.storage.transfer import OnFileError

_SHORT = "says that there are more photos than it sends, so some would be missing"


class VisionoLinksMixin(VisionoBaseHook):
    """
    Permanent links, which never expire and take any number of submissions.

    They are ``/permanent-links``, or ``/smart-links`` where the connection's ``dialect`` is ``plugin``. The calls
    below a link (submissions, photos, QR code) are known from the plugin only; that they exist below
    ``/permanent-links``, too, is assumed.
    """

    def list_permanent_links(
        self,
        *,
        is_active: bool | None = None,
        tags: Sequence[str] | str | None = None,
        limit: int | None = None,
        whole: bool = False,
    ) -> Iterator[PermanentLink]:
        """
        Iterate over permanent links, through all pages (source: seed; the filters: plugin, inferred).

        :param is_active: only those that are switched on, or off, where the service filters.
        :param tags: only those that have these tags, where the service filters.
        :param limit: stop after so many.
        :param whole: fail where the service answers without a list, rather than yield nothing.
        :raises UnexpectedReplyError: as the items are taken: one has no id, or the list cannot be followed to its end.
        """
        request = api.list_permanent_links(is_active=is_active, tags=tags, dialect=self.dialect)
        return (
            cast("PermanentLink", with_items(self._with_field(found, request, "id")))
            for found in self.get_conn().pages(request, limit=limit, whole=whole)
        )

    def create_permanent_link(self, instructions: str, **fields: Any) -> PermanentLink:
        """
        Create a permanent link (source: seed; field names: plugin, inferred).

        :param instructions: what the recipient reads.
        :param fields: ``custom_slug`` (3 to 30 lower-case letters, digits and hyphens), ``unique_field_label``,
            ``show_full_name_field``, ``full_name_required``, ``require_gps``, ``tags``, ``items``.
        :return: the link, with ``id`` and ``request_url``.
        :raises InvalidRequestError: the input is refused, by us or by the service; a slug may be taken.
        :raises ConnectionFailedError: no reply; with ``.ambiguous``, the link may exist.
        """
        return self._link(api.create_permanent_link(instructions, fields, dialect=self.dialect))

    def get_permanent_link(self, link_id: str) -> PermanentLink:
        """
        Return one permanent link (source: seed, plugin).

        :raises NotFoundError: there is none, or the service has links under the other dialect's name only.
        """
        return self._link(api.get_permanent_link(link_id, dialect=self.dialect))

    def update_permanent_link(self, link_id: str, **changes: Any) -> PermanentLink:
        """
        Change a permanent link (source: seed, plugin) and return it.

        Only the changes are sent; that the plugin's PUT, too, leaves the rest as it is, is assumed.

        :param changes: as in :meth:`create_permanent_link`, and ``instructions`` and ``is_active`` (assumed). None
            takes ``custom_slug`` or ``unique_field_label`` away (assumed).
        :raises InvalidRequestError: the input is refused, by us or by the service.
        :raises NotFoundError: there is no such link.
        """
        return self._link(api.update_permanent_link(link_id, changes, dialect=self.dialect))

    def delete_permanent_link(self, link_id: str) -> None:
        """
        Delete a permanent link (source: seed; the plugin calls it archiving).

        :raises NotFoundError: there is none, or it was deleted before.
        """
        self._data(api.delete_permanent_link(link_id, dialect=self.dialect))

    def list_permanent_link_submissions(
        self, link_id: str, *, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """
        Iterate over the submissions of a link, through all pages (source: plugin; path and shape are assumed).

        :param limit: stop after so many.
        :raises NotFoundError: as the first is taken: there is no such link, or this service does not have the call.
        """
        request = api.list_permanent_link_submissions(link_id, dialect=self.dialect)
        return self.get_conn().pages(request, limit=limit)

    def list_permanent_link_photos(
        self, link_id: str, *, submission_ids: Collection[str] | None = None
    ) -> list[LinkPhoto]:
        """
        Return the photos that came through a link, each with a signed link that lapses (source: plugin, assumed).

        Do not keep the signed links: call again for fresh ones.

        :param submission_ids: only those of these submissions: ids, or one id; None for all.
        :return: photos as of :meth:`VisionoHook.list_photos`, and ``submission_id``.
        :raises NotFoundError: there is no such permanent link, or this service does not have the call.
        :raises UnexpectedReplyError: the service does not say which submission a photo belongs to, and one was named.
        """
        return self._photos_of_link(link_id, _checked(submission_ids))

    def get_permanent_link_download_urls(self, link_id: str) -> dict[str, Any]:
        """
        Return signed links to all photos that came through a link, as the service gives them (source: plugin, assumed).

        They lapse after 24 hours, and anybody who has one can fetch the photo: do not log or keep them. Where the
        service gives them in pages, this is the first; :meth:`list_permanent_link_photos` reads all.

        :raises NotFoundError: there is no such permanent link, or this service does not have the call.
        """
        return self._object(self._download_urls(link_id), needs=None)

    def get_permanent_link_qr_code(self, link_id: str) -> QrCode:
        """
        Return ``{"qrcode_url"}``: where a picture of a link's QR code is (source: plugin, assumed).

        :raises NotFoundError: there is no such permanent link, or this service does not have the call.
        """
        request = api.get_permanent_link_qr_code(link_id, dialect=self.dialect)
        return cast("QrCode", self._object(request, needs="qrcode_url"))

    def download_permanent_link_photos(
        self,
        link_id: str,
        destination: ObjectStoragePath | str,
        *,
        submission_ids: Collection[str] | None = None,
        folder: str | None = None,
        on_file_error: OnFileError = "fail",
        parallel_downloads: int | None = None,
    ) -> Manifest:
        """
        Store photos that came through a link in ``<destination>/<link id>/``, with a ``manifest.json``.

        Files that the manifest of an earlier run lists are not fetched again. The manifest has the submissions of this
        call only: where calls take different submissions, give each a folder of its own, for example the run's id.

        :param link_id: id of the link.
        :param destination: an object store's URL, such as ``s3://bucket/photos``, or an absolute path.
        :param submission_ids: only the photos of these submissions: ids, or one id; None for all that have come so far.
        :param folder: the folder below the destination; None for the link's id, "" for none.
        :param on_file_error: as of :meth:`VisionoHook.download_photos`.
        :param parallel_downloads: how many files to fetch at once; None for the connection's setting.
        :return: the manifest, as of :meth:`VisionoHook.download_photos`, with ``submission_id`` for each file.
        :raises PhotoRequestFailedError: nothing was submitted yet, or one of the submissions has no photos.
        :raises TransferError: files could not be fetched or stored; the others are stored, and ``.failed`` names these.
        """
        place = folder_at(destination, link_id, folder)
        wanted = _checked(submission_ids)
        link = self.get_permanent_link(link_id)
        photos = self._photos_of_link(link_id, wanted, link)
        lacking = sorted((wanted or set()) - {photo["submission_id"] for photo in photos})
        if lacking or not photos:
            raise self._nothing_came(link_id, lacking)
        about = ("instructions", "request_url", "custom_slug", "tags", "is_active", "created_at")
        return self._store(
            photos,
            place,
            link_id,
            origin=("permanent-links", link_id),
            about={name: link.get(name) for name in about},
            links_again=lambda: self._photos_of_link(link_id, wanted, link),
            shared_folder=folder is not None,
            on_file_error=on_file_error,
            parallel_downloads=parallel_downloads,
        )

    def _photos_of_link(
        self, link_id: str, wanted: Collection[str] | None, link: PermanentLink | None = None
    ) -> list[LinkPhoto]:
        """Return a link's photos; those of some submissions where ``wanted`` says which."""
        request = self._download_urls(link_id)
        photos = self._photos_of_pages(request, link)
        if any(photo["submission_id"] is None for photo in photos):
            owners = api.submission_by_photo(self.list_permanent_link_submissions(link_id))
            for photo in photos:
                photo["submission_id"] = photo["submission_id"] or owners.get(photo["id"])
        if wanted is None:
            return photos
        if any(photo["submission_id"] is None for photo in photos):
            what = (
                "does not tell which submission each photo belongs to, so those of one cannot be picked out"
            )
            raise unexpected_reply(request, self.get_conn().config, what)
        return [photo for photo in photos if photo["submission_id"] in wanted]

    def _photos_of_pages(self, request: Call, link: PermanentLink | None) -> list[LinkPhoto]:
        """
        Return the photos of all pages, where the reply says that there are several (whether it does is unknown).

        :raises UnexpectedReplyError: there are more photos than can be had: rather none than some.
        """
        client, pages, found = self.get_conn(), Pages(request), list[Any]()
        while pages.next is not None:
            envelope = client.send(pages.next)
            data = self._with_field(envelope["data"], request, None)
            # A reply without an envelope has its own words about pages.
            about = {name: envelope[name] or _dict(data.get(name)) for name in ("links", "meta")}
            photos = api.photos_of_link(data, link)
            found += pages.take({"data": photos, **about})
            if pages.cut:
                raise unexpected_reply(request, client.config, pages.cut)
            if pages.guessing:
                # It does not say where the next page is, so this is the last, unless it counts more.
                total = about["meta"].get("total")
                if isinstance(total, int) and total > max(len(found), api.entries_of_link(data)):
                    raise unexpected_reply(request, client.config, _SHORT)
                break
        return found

    def _download_urls(self, link_id: str) -> Call:
        return api.get_permanent_link_download_urls(link_id, dialect=self.dialect)

    def _link(self, request: Call) -> PermanentLink:
        return cast("PermanentLink", with_items(self._object(request)))

    def _nothing_came(self, link_id: str, lacking: Sequence[str]) -> PhotoRequestFailedError:
        what = f"has no photos of {', '.join(lacking)}" if lacking else "has no photos yet"
        return PhotoRequestFailedError(
            f"Permanent link {link_id} {what}. Wait for submissions with VisionoPermanentLinkSensor, and take the ids "
            f"from list_permanent_link_submissions(). [connection {self.conn_id}]",
            conn_id=self.conn_id,
        )


def _checked(submission_ids: Collection[str] | None) -> set[str] | None:
    if submission_ids is None:
        return None
    # A text is a collection, too: of letters, each of which could be an id.
    ids = [submission_ids] if isinstance(submission_ids, str) else submission_ids
    return {check_id(one, "submission_ids") for one in ids}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
