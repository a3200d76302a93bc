"""Operator that creates a dashboard in Vizdom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_visio.arguments import check_if_known, require
from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.extra_links import VizdomDashboardLink, remember_link
from airflow_provider_visio.idempotency.record import check_on_existing
from airflow_provider_visio.operators.vizdom_base import VizdomOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_visio.idempotency.record import OnExisting


class VizdomCreateDashboardOperator(VizdomOperator):
    """
    Create a dashboard.

    The call behind this is **assumed**, see :mod:`airflow_provider_visio.api.vizdom_contract`. The output is a dict
    with ``id``, ``name`` and ``created_at``, as far as the service gives them.

    A retry creates no second one: it finds the dashboard of an earlier try, even if the reply was lost. It then looks
    it up by name in the list, among the dashboards that were not there before. A dashboard that somebody else creates
    under the same name at that moment can be taken for it.

    :param name: the dashboard's name. (templated)
    :param description: its description. (templated)
    :param fields: other fields, by the service's names. (templated)
    :param on_existing: what a cleared task does with the dashboard that it created: ``"reuse"`` keeps it,
        ``"replace"`` creates another (no call to delete one is known), ``"fail"`` fails.
    :param deferrable: defer while the service's rate limit is used up for longer than a minute.
    :param vizdom_conn_id: id of the Airflow connection; its key must be an Editor's or Admin's. (templated)
    :raises InvalidRequestError: the input is refused; already while the DAG is parsed, where it is known then.
    :raises PermissionDeniedError: the key's creator lacks permission.
    :raises VisioProviderError: the list cannot be read to find the dashboard of an earlier try; nothing is created.
    """

    template_fields: Sequence[str] = ("name", "description", "fields", "vizdom_conn_id")
    template_fields_renderers = {"fields": "json"}  # noqa: RUF012
    operator_extra_links = (VizdomDashboardLink(),)

    def __init__(
        self,
        *,
        name: str,
        description: str | None = None,
        fields: Mapping[str, Any] | None = None,
        on_existing: OnExisting = "reuse",
        vizdom_conn_id: str = "vizdom_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.multiple_outputs = True
        self.name = name
        self.description = description
        self.fields = fields
        self.on_existing = on_existing
        self.vizdom_conn_id = vizdom_conn_id
        check_on_existing(on_existing)
        require(name, "name")
        check_if_known(_check_fields, fields=fields)

    def _run(self, context: Context) -> dict[str, Any]:
        """Create the dashboard, or find it."""
        from airflow_provider_visio.idempotency.create_once import CreateOnce
        from airflow_provider_visio.idempotency.find_by_name import create_by_name
        from airflow_provider_visio.idempotency.lookup_window import LookupWindow

        _check_fields(self.fields or {})
        hook = self.hook

        def create() -> Mapping[str, Any]:
            made = hook.create_dashboard(self.name, description=self.description, **(self.fields or {}))
            self.log.info("Created dashboard %s.", made["id"])
            return made

        asked = {"name": self.name, "description": self.description, "fields": self.fields}
        once = CreateOnce(context, self._done, asked, self.on_existing)
        found = create_by_name(
            once,
            self.name,
            list_all=lambda: hook.list_dashboards(whole=True),
            create=create,
            delete=None,
            window=LookupWindow.of(hook.get_conn().config),
        )
        remember_link(context, hook.dashboard_url(found["id"]))
        kept = ("id", "name", "created_at")
        return {name: found[name] for name in kept if found.get(name) is not None}


def _check_fields(fields: Mapping[str, Any]) -> None:
    if {"name", "description"} & set(fields):
        raise InvalidRequestError.of("fields", "give name and description as separate arguments")
