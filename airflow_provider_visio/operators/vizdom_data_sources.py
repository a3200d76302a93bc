"""Operators that connect a data source in Vizdom, and test one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_visio.arguments import ids_of, is_many, known_ids, require
from airflow_provider_visio.exceptions import ServiceError, UnexpectedReplyError
from airflow_provider_visio.idempotency.record import check_on_existing
from airflow_provider_visio.operators.vizdom_base import VizdomOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_visio.api.vizdom_workspace import SourceTest
    from airflow_provider_visio.idempotency.record import OnExisting


class VizdomCreateDataSourceOperator(VizdomOperator):
    """
    Connect a data source.

    The call behind this is **assumed**, see :mod:`airflow_provider_visio.api.vizdom_contract`. The output is a dict
    with ``id``, ``name``, ``type``, ``status`` and ``created_at``, as far as the service gives them.

    With ``source_conn_id`` the DAG file holds no secret. The values of ``settings`` are masked in logs and rendered
    fields, except host, port, database and username. A secret written into the DAG file is still visible in the DAG's
    source and in the serialized DAG.

    A retry creates no second one: it finds the data source of an earlier try, even if the reply was lost. It then looks
    it up by name in the list, among the data sources that were not there before. A data source that somebody else
    connects under the same name at that moment can be taken for it.

    :param name: the data source's name. (templated)
    :param source_type: its type, in the service's words: ``postgresql``, ``mysql``, ... (assumed). (templated)
    :param settings: its settings: for a database ``host``, ``port``, ``database``, ``username`` and ``password``.
        (templated)
    :param source_conn_id: id of an Airflow connection that gives these; ``settings`` overrides them. (templated)
    :param on_existing: what a cleared task does with the data source that it connected: ``"reuse"`` keeps it as it is,
        ``"replace"`` deletes it and connects another, ``"fail"`` fails.
    :param deferrable: defer while the service's rate limit is used up for longer than a minute.
    :param vizdom_conn_id: id of the Airflow connection; its key must be an Editor's or Admin's. (templated)
    :raises InvalidRequestError: the input is refused; already while the DAG is parsed, where it is known then.
    :raises PermissionDeniedError: the key's creator lacks permission.
    :raises VisioProviderError: the list cannot be read to find the data source of an earlier try; nothing is created.
    """

    template_fields: Sequence[str] = ("name", "source_type", "settings", "source_conn_id", "vizdom_conn_id")
    template_fields_renderers = {"settings": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        name: str,
        source_type: str,
        settings: Mapping[str, Any] | None = None,
        source_conn_id: str | None = None,
        on_existing: OnExisting = "reuse",
        vizdom_conn_id: str = "vizdom_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.multiple_outputs = True
        self.name = name
        self.source_type = source_type
        self.settings = settings
        self.source_conn_id = source_conn_id
        self.on_existing = on_existing
        self.vizdom_conn_id = vizdom_conn_id
        check_on_existing(on_existing)
        require(name, "name")
        require(source_type, "source_type")
        if source_conn_id is None:
            require(settings, "settings", "give it, or the id of an Airflow connection as source_conn_id")

    @property
    def settings(self) -> Mapping[str, Any] | None:
        """The settings of the data source."""
        return self._settings

    @settings.setter
    def settings(self, settings: Mapping[str, Any] | None) -> None:
        # Airflow stores rendered fields unmasked, unless a secret is registered. This setter is called when the running
        # task renders the field.
        if settings and hasattr(self, "_settings"):
            from airflow.sdk.log import mask_secret

            from airflow_provider_visio.api.vizdom_workspace import secrets_in

            for secret in secrets_in(settings):
                mask_secret(secret)
        self._settings = settings

    def _run(self, context: Context) -> dict[str, Any]:
        """Connect the data source, or find it."""
        from airflow_provider_visio.idempotency.create_once import CreateOnce
        from airflow_provider_visio.idempotency.find_by_name import create_by_name
        from airflow_provider_visio.idempotency.lookup_window import LookupWindow

        hook = self.hook

        def create() -> Mapping[str, Any]:
            made = hook.create_data_source(
                self.name, self.source_type, self.settings, source_conn_id=self.source_conn_id
            )
            self.log.info("Connected data source %s.", made["id"])
            return made

        # Without the settings: no fingerprint of a password is stored.
        asked = {"name": self.name, "source_type": self.source_type, "source_conn_id": self.source_conn_id}
        once = CreateOnce(context, self._done, asked, self.on_existing)
        found = create_by_name(
            once,
            self.name,
            list_all=lambda: hook.list_data_sources(whole=True),
            create=create,
            delete=hook.delete_data_source,
            window=LookupWindow.of(hook.get_conn().config),
        )
        kept = ("id", "name", "type", "status", "created_at")
        return {name: found[name] for name in kept if found.get(name) is not None}


class VizdomTestDataSourceOperator(VizdomOperator):
    """
    Have Vizdom test a data source, and fail if Vizdom cannot reach it.

    The call behind this is **assumed**, see :mod:`airflow_provider_visio.api.vizdom_contract`. The output is ``{"id",
    "success": True, "message"}``; for several data sources a list of these.

    :param data_source_id: an id, the output of the task that connected it, or a list of either. (templated)
    :param deferrable: defer while the service's rate limit is used up for longer than a minute.
    :param vizdom_conn_id: id of the Airflow connection; its key must be an Editor's or Admin's. (templated)
    :raises ServiceError: a test failed; the error has the service's message.
    :raises NotFoundError: the data source does not exist.
    :raises UnexpectedReplyError: the contract does not know the status of the reply.
    """

    template_fields: Sequence[str] = ("data_source_id", "vizdom_conn_id")

    def __init__(self, *, data_source_id: Any, vizdom_conn_id: str = "vizdom_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_source_id = data_source_id
        self.vizdom_conn_id = vizdom_conn_id
        known_ids(data_source_id, "data_source_id")

    def _run(self, context: Context) -> Any:  # noqa: ARG002
        """Test all data sources, then fail for those that failed."""
        hook = self.hook
        results = [hook.test_data_source(one) for one in ids_of(self.data_source_id, "data_source_id")]
        unknown = [one for one in results if one["success"] is None]
        failed = [one for one in results if one["success"] is False]
        if failed:
            raise ServiceError(
                f"Vizdom could not reach {_listed(failed)}. Check its settings, and allow Vizdom's addresses "
                f"(Settings > Data Sources > Vizdom IP Addresses) to connect to it. [connection {self.vizdom_conn_id}]",
                conn_id=self.vizdom_conn_id,
            )
        if unknown:
            raise UnexpectedReplyError(
                f"Vizdom tested {_listed(unknown)} with the status {unknown[0]['status']!r}, which the contract does "
                "not know. Add the word to `contract.test_passed_words` or `test_failed_words`, or name its field in "
                f"`test_status_field`, in the connection's extras. [connection {self.vizdom_conn_id}]",
                conn_id=self.vizdom_conn_id,
            )
        output = [{name: one.get(name) for name in ("id", "success", "message")} for one in results]
        self.multiple_outputs = not is_many(self.data_source_id)
        return output[0] if self.multiple_outputs else output


def _listed(tests: Sequence[SourceTest]) -> str:
    several = (
        f"data source {one['id']} ({one['message'].rstrip('.') or 'no reason given'})" for one in tests
    )
    return " and ".join(several)
