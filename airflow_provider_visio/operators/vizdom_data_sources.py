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

    With ``source_conn_id`` no secret stands in the DAG file. What is given in ``settings`` is masked in logs and
    rendered fields, save host, port, database and username; written out in a DAG file, it is in the DAG's source and
    the serialized DAG all the same.

    A retry makes none where an earlier try has made it, also where the reply to that was lost: it is then found in the
    list by its name, as one that was not there before. Another of the same name that somebody makes in that moment can
    be taken for it.

    :param name: the data source's name. (templated)
    :param source_type: what it is, in the service's words: ``postgresql``, ``mysql``, ... (assumed). (templated)
    :param settings: how to reach it: for a database ``host``, ``port``, ``database``, ``username`` and ``password``.
        (templated)
    :param source_conn_id: id of an Airflow connection to take these from; ``settings`` comes on top. (templated)
    :param on_existing: what becomes, when the task is cleared, of the data source that it made: ``"reuse"`` keeps it as
        it is, ``"replace"`` deletes it and connects another, ``"fail"`` fails.
    :param deferrable: give the worker back where the service's rate limit is used up for longer than a minute.
    :param vizdom_conn_id: id of the Airflow connection; its key must be an Editor's or Admin's. (templated)
    :raises InvalidRequestError: the input is refused; where it is known then, while the DAG is parsed.
    :raises PermissionDeniedError: the key's maker may not.
    :raises VisioProviderError: it cannot be looked up whether an earlier try has made it; nothing is made.
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
        """How to reach the data source."""
        return self._settings

    @settings.setter
    def settings(self, settings: Mapping[str, Any] | None) -> None:
        # Airflow stores rendered fields in the clear, save what it was told to mask. It is told here, where rendering
        # puts the value, for only then is this a running task.
        if settings and hasattr(self, "_settings"):
            from airflow.sdk.log import mask_secret

            from airflow_provider_visio.api.vizdom_workspace import secrets_in

            for secret in secrets_in(settings):
                mask_secret(secret)
        self._settings = settings

    def _run(self, context: Context) -> dict[str, Any]:
        """Connect the data source, unless it was connected."""
        from airflow_provider_visio.idempotency.create_once import CreateOnce
        from airflow_provider_visio.idempotency.find_by_name import create_by_name
        from airflow_provider_visio.idempotency.lookup_window import LookupWindow

        hook = self.hook

        def create() -> Mapping[str, Any]:
            made = hook.create_data_source(
                self.name, self.source_type, self.settings, source_conn_id=self.source_conn_id
            )
            self.log.info("Data source %s is connected.", made["id"])
            return made

        # Not the settings: even a fingerprint of a password is more of it than need be kept.
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
    Have Vizdom test a data source; fail where it cannot be reached.

    The call behind this is **assumed**, see :mod:`airflow_provider_visio.api.vizdom_contract`. The output is ``{"id",
    "success": True, "message"}``; for several data sources a list of these.

    :param data_source_id: an id, the output of the task that connected it, or a list of either. (templated)
    :param deferrable: give the worker back where the service's rate limit is used up for longer than a minute.
    :param vizdom_conn_id: id of the Airflow connection; its key must be an Editor's or Admin's. (templated)
    :raises ServiceError: a test failed; with the service's words.
    :raises NotFoundError: there is no such data source.
    :raises UnexpectedReplyError: the service says something that the contract does not know.
    """

    template_fields: Sequence[str] = ("data_source_id", "vizdom_conn_id")

    def __init__(self, *, data_source_id: Any, vizdom_conn_id: str = "vizdom_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_source_id = data_source_id
        self.vizdom_conn_id = vizdom_conn_id
        known_ids(data_source_id, "data_source_id")

    def _run(self, context: Context) -> Any:  # noqa: ARG002
        """Test the data sources, all of them before it fails for one."""
        hook = self.hook
        results = [hook.test_data_source(one) for one in ids_of(self.data_source_id, "data_source_id")]
        unknown = [one for one in results if one["success"] is None]
        failed = [one for one in results if one["success"] is False]
        if failed:
            raise ServiceError(
                f"Vizdom could not reach {_told(failed)}. Check its settings, and that Vizdom's addresses (Settings > "
                f"Data Sources > Vizdom IP Addresses) may connect to it. [connection {self.vizdom_conn_id}]",
                conn_id=self.vizdom_conn_id,
            )
        if unknown:
            raise UnexpectedReplyError(
                f"Vizdom tested {_told(unknown)}, and says {unknown[0]['status']!r}, which is neither success nor "
                "failure as far as is known. Name the word in `contract.test_passed_words` or `test_failed_words`, or "
                f"its field in `test_status_field`, in the connection's extras. [connection {self.vizdom_conn_id}]",
                conn_id=self.vizdom_conn_id,
            )
        output = [{name: one.get(name) for name in ("id", "success", "message")} for one in results]
        self.multiple_outputs = not is_many(self.data_source_id)
        return output[0] if self.multiple_outputs else output


def _told(tests: Sequence[SourceTest]) -> str:
    several = (
        f"data source {one['id']} ({one['message'].rstrip('.') or 'no reason given'})" for one in tests
    )
    return " and ".join(several)
