"""Operators for permanent links: make, change and delete them, and store their photos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_visio.api.photo_request import check_photo_request
from airflow_provider_visio.arguments import (
    check_if_known,
    given,
    ids_of,
    known_ids,
)
from airflow_provider_visio.links import remember_link
from airflow_provider_visio.operators.visiono_base import VisionoDeleteOperator, VisionoOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context


class VisionoCreatePermanentLinkOperator(VisionoOperator):
    """
    Make a link that never expires and takes any number of submissions.

    The output is a dict with ``id``, ``request_url``, ``unique_code``, ``custom_slug``, ``is_active`` and
    ``created_at``, as far as the service gives them.

    :param instructions: what the recipient reads. (templated)
    :param custom_slug: last part of the link: 3 to 30 lower-case letters, digits and hyphens. (templated)
    :param items: the pictures wanted, as of :class:`VisionoCreatePhotoRequestOperator`. (templated)
    :param fields: other fields of the link, such as ``unique_field_label``, ``require_gps`` or ``tags`` (their names
        are the plugin's, inferred). (templated)
    :param deferrable: give the worker back where the service's rate limit is used up for longer than a minute.
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :raises InvalidRequestError: the input is refused, for example a slug that is taken.
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
        visiono_conn_id: str = "visiono_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.multiple_outputs = True
        self.instructions = instructions
        self.custom_slug = custom_slug
        self.items = items
        self.fields = fields
        self.visiono_conn_id = visiono_conn_id
        given(instructions, "instructions")
        check_if_known(check_photo_request, instructions=instructions, items=items)

    def _run(self, context: Context) -> dict[str, Any]:
        """Make the link."""
        fields = {"custom_slug": self.custom_slug, "items": self.items, **(self.fields or {})}
        link = self.hook.create_permanent_link(
            self.instructions, **{name: value for name, value in fields.items() if value is not None}
        )
        remember_link(context, link.get("request_url"))
        return _link_output(link)


class VisionoUpdatePermanentLinkOperator(VisionoOperator):
    """
    Change a permanent link.

    The output is as of :class:`VisionoCreatePermanentLinkOperator`.

    :param link_id: its id, or the output of the task that made it. (templated)
    :param changes: the new values, by field. (templated)
    :param deferrable: give the worker back where the service's rate limit is used up for longer than a minute.
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
        visiono_conn_id: str = "visiono_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.multiple_outputs = True
        self.link_id = link_id
        self.changes = changes
        self.visiono_conn_id = visiono_conn_id
        known_ids(link_id, "link_id")
        given(changes, "changes")

    def _run(self, context: Context) -> dict[str, Any]:
        """Change the link."""
        (link_id,) = ids_of(self.link_id, "link_id")
        link = self.hook.update_permanent_link(link_id, **self.changes)
        remember_link(context, link.get("request_url"))
        return _link_output(link)


class VisionoDeletePermanentLinkOperator(VisionoDeleteOperator):
    """
    Delete permanent links.

    The output is ``{"id", "deleted"}``; for several links a list of these.

    :param link_id: an id, the output of the task that made the link, or a list of either. (templated)
    :param ignore_missing: take a link that is not there (any more) as deleted, and say ``"deleted": False``.
    :param deferrable: give the worker back where the service's rate limit is used up for longer than a minute.
    :param visiono_conn_id: id of the Airflow connection. (templated)
    :raises NotFoundError: there is no such link, unless ``ignore_missing``.
    """

    template_fields: Sequence[str] = ("link_id", "visiono_conn_id")

    def __init__(
        self,
        *,
        link_id: Any,
        ignore_missing: bool = False,
        visiono_conn_id: str = "visiono_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.link_id = link_id
        self.ignore_missing = ignore_missing
        self.visiono_conn_id = visiono_conn_id
        known_ids(link_id, "link_id")

    def _run(self, context: Context) -> Any:
        """Delete the links."""
        return self._delete_all(context, self.link_id, "link_id", self.hook.delete_permanent_link)


def _link_output(link: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("id", "request_url", "unique_code", "custom_slug", "is_active", "created_at")
    return {name: link[name] for name in kept if link.get(name) is not None}
