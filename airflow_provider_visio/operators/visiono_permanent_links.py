"""Operators for permanent links: create, change and delete them, and store their photos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.api.permanent_link_fields import (
    CREATE_FIELDS,
    UPDATE_FIELDS,
    check_names,
    check_permanent_link,
)
from airflow_provider_visio.api.photo_request_fields import check_photo_request
from airflow_provider_visio.api.plain_values import text_of
from airflow_provider_visio.arguments import (
    check_if_known,
    id_of,
    ids_of,
    is_literal,
    known_id,
    known_ids,
    require,
    require_resolved,
)
from airflow_provider_visio.exceptions import InvalidRequestError, VisioProviderError
from airflow_provider_visio.extra_links import remember_link
from airflow_provider_visio.idempotency.on_existing import check_on_existing
from airflow_provider_visio.idempotency.tag import ASK_KEY
from airflow_provider_visio.operators.base import chosen_fields
from airflow_provider_visio.operators.stored_files import StoresFiles
from airflow_provider_visio.operators.visiono_base import PHOTO_LINKS, VisionoDeleteOperator, VisionoOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_visio.idempotency.create_once import CreateOnce
    from airflow_provider_visio.idempotency.on_existing import OnExisting

# Key, in the task's state store, of the mark of a link that was created without the provider's tag.
UNTAGGED = "visio_untagged"

_OUTPUT = ("id", "request_url", "unique_code", "custom_slug", "is_active", "created_at")


class VisionoCreatePermanentLinkOperator(VisionoOperator):
    """
    Create a link that never expires and takes any number of submissions; once, however often the task is retried.

    The output is a dict with ``id``, ``request_url``, ``unique_code``, ``custom_slug``, ``is_active`` and
    ``created_at``, as far as the service gives them.

    The link has one tag of the provider beside yours, ``airflow-<task>-<request>``. A later try finds the link by it if
    the reply to the first was lost. If the service accepts or returns no tags, the later try uses the ``custom_slug``.
    Without that, the task fails and creates nothing. If the link was deleted or switched off, another is created.

    :param instructions: what the recipient reads. (templated)
    :param custom_slug: last part of the link: 3 to 30 lower-case letters, digits and hyphens. (templated)
    :param items: the photos to take, as of :class:`VisionoCreatePhotoRequestOperator`. (templated)
    :param fields: other fields of the link, such as ``unique_field_label``, ``require_gps`` or ``tags`` (their names
        are the plugin's, inferred). (templated)
    :param on_existing: what a cleared task does with its link: ``"reuse"`` keeps it, ``"replace"`` deletes it and
        creates another, ``"fail"`` fails. If the task's input has changed, a kept link is changed too; fields that are
        left out stay as they are. (Airflow 3.3 and later; before that the link stays as it is.)
    :param deferrable: give the worker back when the rate limit is used up for longer than a minute.
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :raises InvalidRequestError: the input is refused, for example a slug that is taken.
    :raises VisioProviderError: it cannot be looked up whether an earlier try has created it; nothing is created.
    """

    template_fields: Sequence[str] = ("instructions", "custom_slug", "items", "fields", "visiono_conn_id")
    template_fields_renderers = {"items": "json", "fields": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        instructions: str,
        custom_slug: str | None = None,
        items: Sequence[str | Mapping[str, Any]] | None = None,
        fields: Mapping[str, Any] | None = None,
        on_existing: OnExisting = "reuse",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.instructions = instructions
        self.custom_slug = custom_slug
        self.items = items
        self.fields = fields
        self.on_existing = on_existing
        check_on_existing(on_existing)
        require(instructions, "instructions")
        check_if_known(check_photo_request, instructions=instructions, items=items)
        check_if_known(
            check_permanent_link,
            **{"custom_slug": custom_slug, **(_fields(fields) if _is_known(fields) else {})},
        )

    def _run(self, context: Context) -> dict[str, Any]:
        """Create the link, or find it."""
        from airflow_provider_visio.idempotency.create_once import CreateOnce

        self.instructions, slug = text_of(self.instructions), text_of(self.custom_slug)
        asked = {"custom_slug": slug, "items": self.items, **_fields(self.fields)}
        asked = {name: value for name, value in asked.items() if value is not None}
        once = CreateOnce(context, self._done, {"instructions": self.instructions, **asked}, self.on_existing)
        link = self._link(once, asked)
        remember_link(context, link.get("request_url"))
        return chosen_fields(link, _OUTPUT)

    def _link(self, once: CreateOnce, asked: dict[str, Any]) -> Mapping[str, Any]:
        from airflow_provider_visio.idempotency.create_once import ResourceAdapter
        from airflow_provider_visio.idempotency.find_by_tag import find_link, link_tag
        from airflow_provider_visio.idempotency.lookup_window import LookupWindow
        from airflow_provider_visio.waiting import permanent_link_phase

        hook, store = self.hook, once.store
        # Marks of the links that were created without the tag.
        untagged: list[Any] = [store.get(UNTAGGED)]
        whole = {"instructions": self.instructions, **asked}

        def ask(tag: dict[str, str]) -> Mapping[str, Any]:
            try:
                made = hook.create_permanent_link(
                    self.instructions, **{**asked, "tags": [*_tags(asked), link_tag(tag)]}
                )
            except InvalidRequestError as error:
                # The field's name is the plugin's. A service without it may refuse it, and creates nothing.
                if error.ambiguous or not any(str(name).startswith("tags") for name in error.fields):
                    raise
                self.log.warning(
                    "The service refuses the provider's tag, so the link goes without it: %s", error
                )
                # Before the call, because a later try must not look for the tag.
                untagged.append(tag[ASK_KEY])
                store.set(UNTAGGED, tag[ASK_KEY])
                once.asks_now()
                made = hook.create_permanent_link(self.instructions, **asked)
            self.log.info("Permanent link %s is created: %s", made["id"], made.get("request_url"))
            return made

        def look_up(mark: dict[str, str], since: float | None) -> list[Mapping[str, Any]]:
            asked_as = mark.get(ASK_KEY)
            return find_link(
                hook.list_permanent_links(whole=True),
                mark,
                whole,
                since,
                hook.conn_id,
                untagged=None if asked_as is None else asked_as in untagged,
            )

        def change(link: Mapping[str, Any]) -> Mapping[str, Any]:
            changes = dict(whole)
            if "tags" in asked and once.record is not None and once.record.ask not in untagged:
                changes["tags"] = [*_tags(asked), link_tag(once.record.mark)]
            return hook.update_permanent_link(link["id"], **changes)

        return once.get(
            ResourceAdapter(
                ask=ask,
                look_at=hook.get_permanent_link,
                look_up=look_up,
                phase_of=permanent_link_phase,
                discard=lambda link_id, _: hook.delete_permanent_link(link_id),
                window=LookupWindow.of(hook.get_conn().config),
                change=change,
            )
        )


class VisionoUpdatePermanentLinkOperator(VisionoOperator):
    """
    Change a permanent link.

    A retry sets the same values again, which does no harm. New ``tags`` replace all tags except the provider's
    (``airflow-...``), by which the task that created the link finds it. The output is as of
    :class:`VisionoCreatePermanentLinkOperator`.

    :param link_id: its id, or the output of the task that created it. (templated)
    :param changes: the new values, by field. (templated)
    :param deferrable: give the worker back when the rate limit is used up for longer than a minute.
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :raises NotFoundError: there is no such link.
    :raises InvalidRequestError: a change is refused.
    """

    template_fields: Sequence[str] = ("link_id", "changes", "visiono_conn_id")
    template_fields_renderers = {"changes": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        link_id: Any,
        changes: Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.link_id = link_id
        self.changes = changes
        known_id(link_id, "link_id")
        require(changes, "changes")
        if _is_known(changes):
            check_if_known(check_permanent_link, **check_names(changes, "changes", UPDATE_FIELDS))

    def _run(self, context: Context) -> dict[str, Any]:
        """Change the link."""
        link_id = id_of(self.link_id, "link_id")
        try:
            link = self.hook.update_permanent_link(link_id, **self._changes(link_id))
        except VisioProviderError as error:
            if not error.ambiguous:
                raise
            raise error.saying(
                "The link may be changed: a retry sets the same values once more, which does no harm.",
                instead_of_hint=True,
            ) from error
        remember_link(context, link.get("request_url"))
        return chosen_fields(link, _OUTPUT)

    def _changes(self, link_id: str) -> dict[str, Any]:
        from airflow_provider_visio.idempotency.find_by_tag import provider_tags

        changes = check_names(self.changes, "changes", UPDATE_FIELDS)
        if isinstance(changes.get("tags"), list | tuple):
            ours = provider_tags(self.hook.get_permanent_link(link_id))
            changes["tags"] = list(dict.fromkeys([*changes["tags"], *ours]))
        return changes


class VisionoDeletePermanentLinkOperator(VisionoDeleteOperator):
    """
    Delete permanent links; in the plugin's dialect, archive them.

    The output is ``{"id", "deleted"}``; for several links a list of these.

    :param link_id: an id, the output of the task that created the link, or a list of either. (templated)
    :param ignore_missing: count a link that does not exist (any more) as deleted, and return ``"deleted": False``.
    :param deferrable: give the worker back when the rate limit is used up for longer than a minute.
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :raises NotFoundError: there is no such link, unless ``ignore_missing``.
    """

    template_fields: Sequence[str] = ("link_id", "visiono_conn_id")

    def __init__(self, *, link_id: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.link_id = link_id
        known_ids(link_id, "link_id")

    def _run(self, context: Context) -> Any:
        """Delete the links."""
        return self._delete_all(context, self.link_id, "link_id", self.hook.delete_permanent_link)


class VisionoDownloadPermanentLinkPhotosOperator(StoresFiles, VisionoOperator):
    """
    Store photos that came through a permanent link in an object store.

    They are stored in ``<destination>/<link id>/``, with a ``manifest.json`` that has each file's path, length, sha256,
    media type, item, submission, GPS position and time. A photo is stored as it was sent, also one that looks damaged:
    the manifest and the output have the result of a check. A file that an earlier try has stored is not fetched again.
    The manifest has only the submissions of this task, so where runs take different submissions, give each a folder of
    its own, such as ``{{ run_id }}``. The output is ``{"id", "manifest", "files": [{"path", "uri", "bytes", "sha256",
    "mime_type", "check", "check_note", "item", "gps", "taken_at"}], "failed": [{"key", "item", "reason"}]}``. The list
    of photos is the plugin's; that it exists below ``/permanent-links`` too is assumed.

    :param link_id: id of the link, or the output of the task that created it or waited for submissions. (templated)
    :param destination: an object store's URL or an absolute path. (templated)
    :param folder: the folder below the destination; None for the link's id, "" for none. (templated)
    :param on_file_error: when a file cannot be fetched: ``fail`` raises an error after all others are stored;
        ``proceed`` succeeds with the file in the output's ``failed``.
    :param parallel_downloads: how many files to fetch at once; None for the connection's setting, 4 by default.
    :param photo_details: whether the output's files have ``gps`` and ``taken_at``; the manifest always has them.
    :param asset: the asset that the stored files update. Its event has ``{"ids", "manifests": [{"id", "path", "uri",
        "files", "failed"}]}`` in ``extra``. Give the asset to ``.partial(outlets=[...])`` of a mapped task as well.
    :param submission_ids: only the photos of these submissions: ids, or the output of the sensor that waited for them;
        None for all that have come so far. (templated)
    :param deferrable: give the worker back when the rate limit is used up for longer than a minute.
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :raises PhotoRequestFailedError: nothing was submitted yet, or one of the submissions has no photos.
    :raises TransferError: a file could not be fetched or stored; run the task again for the rest.
    :raises NotFoundError: there is no such link, or this service does not have the call.
    """

    template_fields: Sequence[str] = ("link_id", "destination", "folder", "submission_ids", "visiono_conn_id")
    operator_extra_links = PHOTO_LINKS

    def __init__(
        self,
        *,
        link_id: Any,
        destination: ObjectStoragePath | str,
        submission_ids: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(destination=destination, **kwargs)
        self.link_id = link_id
        self.submission_ids = submission_ids
        self._chooses = submission_ids is not None
        known_id(link_id, "link_id")
        if submission_ids is not None:
            check_if_known(_submissions, submission_ids=submission_ids)

    def _run(self, context: Context) -> dict[str, Any]:
        """Fetch and store the photos."""
        self._check_storage()
        require_resolved(self.submission_ids, "submission_ids", given=self._chooses)
        wanted = None if self.submission_ids is None else _submissions(self.submission_ids)
        manifest = self.hook.download_permanent_link_photos(
            id_of(self.link_id, "link_id"), submission_ids=wanted, **self._storage
        )
        remember_link(context, manifest["about"].get("request_url"))
        return self._summary(context, manifest)


def _submissions(submission_ids: object) -> list[str]:
    if isinstance(submission_ids, Mapping) and isinstance(submission_ids.get("submissions"), list | tuple):
        submission_ids = submission_ids["submissions"]
    return ids_of(submission_ids, "submission_ids")


def _is_known(fields: object) -> bool:
    """Return whether at least the names of fields are known while the DAG file is parsed."""
    return isinstance(fields, Mapping) or is_literal(fields)


def _fields(fields: object) -> dict[str, Any]:
    if isinstance(fields, Mapping) and "instructions" in fields:
        raise InvalidRequestError.of("instructions", "give them as a parameter of their own, not in fields")
    return {} if fields is None or fields == "" else check_names(fields, "fields", CREATE_FIELDS)


def _tags(fields: Mapping[str, Any]) -> list[Any]:
    return list(fields.get("tags") or [])
