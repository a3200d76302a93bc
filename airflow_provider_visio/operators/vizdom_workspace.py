"""Operators for a Vizdom workspace: create dashboards, connect and test data sources, invite members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_visio.arguments import check_if_known, ids_of, known_ids, require
from airflow_provider_visio.exceptions import (
    InvalidRequestError,
    ServiceError,
    UnexpectedReplyError,
    VisioProviderError,
)
from airflow_provider_visio.extra_links import VizdomDashboardLink, remember_link
from airflow_provider_visio.idempotency.on_existing import check_on_existing
from airflow_provider_visio.operators.base import MaskedField, chosen_fields
from airflow_provider_visio.operators.vizdom_base import VizdomOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_visio.api.vizdom_workspace import SourceTest
    from airflow_provider_visio.idempotency.create_once import CreateOnce
    from airflow_provider_visio.idempotency.on_existing import OnExisting

# In the record and the log, where the service gives no id of an invite.
_NO_ID = "the invite"


class _CreateByNameOperator(VizdomOperator):
    """An operator that creates an object once; a later try finds it by its name."""

    def __init__(self, *, name: str, on_existing: OnExisting = "reuse", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.on_existing = on_existing
        require(name, "name")
        check_on_existing(on_existing)

    def _created(
        self,
        context: Context,
        asked: Mapping[str, Any],
        create: Callable[[], Mapping[str, Any]],
        *,
        list_all: Callable[[], Iterable[Mapping[str, Any]]],
        delete: Callable[[str], None] | None = None,
    ) -> Mapping[str, Any]:
        """Return the object: a new one, or the one that an earlier try has created."""
        from airflow_provider_visio.idempotency.create_once import CreateOnce
        from airflow_provider_visio.idempotency.find_by_name import create_by_name

        once = CreateOnce(context, self._done, {"name": self.name, **asked}, self.on_existing)
        config = self.hook.get_conn().config
        return create_by_name(once, self.name, config, list_all=list_all, create=create, delete=delete)


class VizdomCreateDashboardOperator(_CreateByNameOperator):
    """
    Create a dashboard.

    The call behind this is **assumed**, see docs/contract.md. The output is a dict
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
        self, *, description: str | None = None, fields: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.description = description
        self.fields = fields
        check_if_known(_check_fields, fields=fields)

    def _run(self, context: Context) -> dict[str, Any]:
        """Create the dashboard, or find it."""
        _check_fields(self.fields or {})
        hook = self.hook

        def create() -> Mapping[str, Any]:
            made = hook.create_dashboard(self.name, description=self.description, **(self.fields or {}))
            self.log.info("Created dashboard %s.", made["id"])
            return made

        asked = {"description": self.description, "fields": self.fields}
        found = self._created(context, asked, create, list_all=lambda: hook.list_dashboards(whole=True))
        remember_link(context, hook.dashboard_url(found["id"]))
        return chosen_fields(found, ("id", "name", "created_at"))


def _check_fields(fields: Mapping[str, Any]) -> None:
    if {"name", "description"} & set(fields):
        raise InvalidRequestError.of("fields", "give name and description as separate arguments")


def _secrets_in(settings: Mapping[str, Any]) -> Iterable[str]:
    from airflow_provider_visio.api.vizdom_workspace import secrets_in

    return secrets_in(settings)


class VizdomCreateDataSourceOperator(_CreateByNameOperator):
    """
    Connect a data source.

    The call behind this is **assumed**, see docs/contract.md. The output is a dict
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
    settings = MaskedField(_secrets_in)

    def __init__(
        self,
        *,
        source_type: str,
        settings: Mapping[str, Any] | None = None,
        source_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source_type = source_type
        self.settings = settings
        self.source_conn_id = source_conn_id
        require(source_type, "source_type")
        if source_conn_id is None:
            require(settings, "settings", "give it, or the id of an Airflow connection as source_conn_id")

    def _run(self, context: Context) -> dict[str, Any]:
        """Connect the data source, or find it."""
        hook = self.hook

        def create() -> Mapping[str, Any]:
            made = hook.create_data_source(
                self.name, self.source_type, self.settings, source_conn_id=self.source_conn_id
            )
            self.log.info("Connected data source %s.", made["id"])
            return made

        # Without the settings: no fingerprint of a password is stored.
        asked = {"source_type": self.source_type, "source_conn_id": self.source_conn_id}
        found = self._created(
            context,
            asked,
            create,
            list_all=lambda: hook.list_data_sources(whole=True),
            delete=hook.delete_data_source,
        )
        return chosen_fields(found, ("id", "name", "type", "status", "created_at"))


class VizdomTestDataSourceOperator(VizdomOperator):
    """
    Have Vizdom test a data source, and fail if Vizdom cannot reach it.

    The call behind this is **assumed**, see docs/contract.md. The output is ``{"id",
    "success": True, "message"}``; for several data sources a list of these.

    :param data_source_id: an id, the output of the task that connected it, or a list of either. (templated)
    :param deferrable: defer while the service's rate limit is used up for longer than a minute.
    :param vizdom_conn_id: id of the Airflow connection; its key must be an Editor's or Admin's. (templated)
    :raises ServiceError: a test failed; the error has the service's message.
    :raises NotFoundError: the data source does not exist.
    :raises UnexpectedReplyError: the contract does not know the status of the reply.
    """

    template_fields: Sequence[str] = ("data_source_id", "vizdom_conn_id")

    def __init__(self, *, data_source_id: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_source_id = data_source_id
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
        return self._one_or_all(self.data_source_id, output)


def _listed(tests: Sequence[SourceTest]) -> str:
    several = (
        f"data source {one['id']} ({one['message'].rstrip('.') or 'no reason given'})" for one in tests
    )
    return " and ".join(several)


class VizdomInviteMemberOperator(VizdomOperator):
    """
    Invite a person to the workspace by e-mail.

    The call behind this is **assumed**, see docs/contract.md. The output is ``{"id",
    "role", "invited": True}``, without the address, and without ``id`` where the service gives none; with
    ``ignore_existing``, for a person who is a member or invited already, ``{"role", "invited": False}``.

    No list of invites is known. If the reply is lost, the task cannot find out whether the mail was sent: it fails with
    an error that says so, and a retry invites again. If the service then answers that the address is invited already,
    the task succeeds. Airflow before 3.3 keeps nothing between tries, so there any retry accepts that answer.

    :param email: the address. It is masked in logs and rendered fields. (templated)
    :param role: ``viewer``, ``editor`` or ``admin``. (templated)
    :param ignore_existing: succeed if the person is a member or invited already; the role does not change.
    :param deferrable: defer while the service's rate limit is used up for longer than a minute.
    :param vizdom_conn_id: id of the Airflow connection; its key must be an Admin's. (templated)
    :raises InvalidRequestError: the input is refused, or the person is a member or invited already.
    :raises PermissionDeniedError: the key is not an Admin's.
    """

    template_fields: Sequence[str] = ("email", "role", "vizdom_conn_id")
    email = MaskedField()

    def __init__(
        self, *, email: str, role: str = "viewer", ignore_existing: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.email = email
        self.role = role
        self.ignore_existing = ignore_existing
        require(email, "email")
        require(role, "role")

    def _run(self, context: Context) -> dict[str, Any]:
        """Send the invite, unless an earlier try has sent it."""
        from airflow_provider_visio.api.vizdom_workspace import is_there_already
        from airflow_provider_visio.idempotency.create_once import CreateOnce

        hook = self.hook
        once = CreateOnce(context, self._done, {"email": self.email, "role": self.role}, "reuse")
        may_be_ours = once.in_doubt
        try:
            invite_id = str(self._invite(once)["id"])
        except InvalidRequestError as error:
            if not is_there_already(error, hook.contract):
                raise
            if not (self.ignore_existing or may_be_ours):
                raise error.saying(
                    "To send the mail again, use Pending invites in Vizdom's settings; with ignore_existing=True this "
                    "task succeeds for a person who is there already."
                ) from error
            self.log.info("The person is a member or invited already; no mail was sent.")
            return {"role": self.role, "invited": False}
        except VisioProviderError as error:
            if not error.ambiguous:
                raise
            raise error.saying(
                "If the service answers to that retry that the address is invited already, the task succeeds."
            ) from error
        once.close()
        about = {} if invite_id == _NO_ID else {"id": invite_id}
        return {**about, "role": self.role, "invited": True}

    def _invite(self, once: CreateOnce) -> Mapping[str, Any]:
        from airflow_provider_visio.idempotency.create_once import ResourceAdapter
        from airflow_provider_visio.idempotency.lookup_window import LookupWindow

        def ask(_: dict[str, str]) -> Mapping[str, Any]:
            invite_id = self.hook.invite_member(self.email, self.role).get("id", _NO_ID)
            self.log.info("Sent %s.", invite_id)
            return {"id": invite_id}

        return once.get(
            ResourceAdapter(
                ask=ask,
                look_at=lambda invite_id: {"id": invite_id},
                look_up=None,
                phase_of=lambda _: "arrived",
                discard=None,
                window=LookupWindow.of(self.hook.get_conn().config),
            )
        )
