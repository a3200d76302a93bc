"""Calls of the Vizdom hook for a workspace: new dashboards, data sources, members. All are assumed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from airflow_provider_visio.api import vizdom as api
from airflow_provider_visio.api import vizdom_workspace as workspace
from airflow_provider_visio.api.plain_values import id_text
from airflow_provider_visio.api.reply import unexpected_reply
from airflow_provider_visio.exceptions import InvalidRequestError
from airflow_provider_visio.hooks.base import VisioBaseHook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_visio.api.vizdom import Dashboard
    from airflow_provider_visio.api.vizdom_contract import VizdomContract
    from airflow_provider_visio.api.vizdom_workspace import DataSource, Invite, Member, SourceTest


class VizdomWorkspace(VisioBaseHook):
    """The workspace calls of :class:`airflow_provider_visio.hooks.vizdom.VizdomHook`."""

    @property
    @abstractmethod
    def contract(self) -> VizdomContract:
        """The contract of the undocumented calls, as this connection has it."""

    def create_dashboard(self, name: str, *, description: str | None = None, **fields: Any) -> Dashboard:
        """
        Create a dashboard; needs an Editor's or Admin's key (source: assumed).

        :param name: its name.
        :param description: its description.
        :param fields: other fields, by the service's names.
        :return: the dashboard, with ``id``.
        :raises InvalidRequestError: the name is empty, or the service refuses a field.
        :raises ConnectionFailedError: no reply; with ``.ambiguous``, it may still have been created.
        """
        contract = self.contract
        request = api.create_dashboard(name, description, fields, contract)
        return api.read_dashboard(self._object(request, needs=contract.dashboard_id_field), contract)

    def list_data_sources(self, *, whole: bool = False) -> Iterator[DataSource]:
        """
        Iterate over the workspace's data sources, through all pages, without their secrets (source: assumed).

        :param whole: raise an error if the service answers without a list, instead of yielding nothing.
        """
        contract = self.contract
        request = workspace.list_data_sources(contract)
        for found in self.get_conn().pages(request, whole=whole):
            yield workspace.read_data_source(found, contract)

    def create_data_source(
        self,
        name: str,
        source_type: str,
        settings: Mapping[str, Any] | None = None,
        *,
        source_conn_id: str | None = None,
    ) -> DataSource:
        """
        Connect a data source; needs an Editor's or Admin's key (source: assumed).

        :param name: its name.
        :param source_type: its type, in the service's words: ``postgresql``, ``mysql``, ... (assumed).
        :param settings: its settings: for a database ``host``, ``port``, ``database``, ``username`` and ``password``
            (inferred). All but those known to be harmless are masked in logs and left out of errors.
        :param source_conn_id: id of an Airflow connection that gives host, port, database (its Schema), username (its
            Login) and password; ``settings`` overrides them.
        :return: the data source, with ``id``, without the secrets of its settings.
        :raises InvalidRequestError: the settings are empty, the connection does not exist, or a value is refused.
        :raises ConnectionFailedError: no reply; with ``.ambiguous``, it may still have been created.
        """
        contract = self.contract
        whole = {**self._settings_of(source_conn_id), **(settings or {})}
        for secret in workspace.secrets_in(whole, contract):
            mask_secret(secret)
        request = workspace.create_data_source(name, source_type, whole, contract)
        return workspace.read_data_source(self._object(request, needs=contract.source_id_field), contract)

    def test_data_source(self, data_source_id: str) -> SourceTest:
        """
        Have the service test a data source (source: assumed).

        :param data_source_id: id of the data source.
        :return: ``id``, ``success`` (None for a status that the contract does not know), ``status`` and ``message`` in
            the service's words. A failed test raises no error.
        :raises NotFoundError: the data source does not exist.
        """
        contract, config = self.contract, self.get_conn().config
        request = workspace.test_data_source(data_source_id, contract)
        data = self._data(request)
        if data is not None and not isinstance(data, Mapping):
            raise unexpected_reply(request, config, "answered without an object in `data`")
        return workspace.read_test(data, data_source_id, contract, config)

    def delete_data_source(self, data_source_id: str) -> None:
        """
        Delete a data source for good; charts that use it stop loading (source: assumed).

        :param data_source_id: id of the data source.
        :raises NotFoundError: the data source does not exist.
        """
        self._data(workspace.delete_data_source(data_source_id, self.contract))

    def list_members(self) -> Iterator[Member]:
        """Iterate over the workspace's members, through all pages (source: assumed)."""
        contract = self.contract
        for found in self.get_conn().pages(workspace.list_members(contract)):
            yield workspace.read_member(found, contract)

    def invite_member(self, email: str, role: str) -> Invite:
        """
        Invite a person by e-mail; needs an Admin's key (source: assumed).

        :param email: the address.
        :param role: ``viewer``, ``editor`` or ``admin``.
        :return: the invite with ``id`` and the address, as far as the reply has them.
        :raises InvalidRequestError: the role does not exist, or the person is a member or invited already.
        :raises PermissionDeniedError: the key is not an Admin's.
        :raises ConnectionFailedError: no reply; with ``.ambiguous``, a mail may still have been sent.
        """
        contract = self.contract
        request = workspace.invite_member(email, role, contract)
        data = self._data(request)
        if data is None:
            # Success without a body: the mail was sent.
            return {}
        return workspace.read_invite(self._with_field(data, request, None), contract)

    def _settings_of(self, source_conn_id: str | None) -> dict[str, Any]:
        if source_conn_id is None:
            return {}
        try:
            found = self.get_connection(str(id_text(source_conn_id)))
        except AirflowNotFoundException as error:
            raise InvalidRequestError.of(
                "source_conn_id", f"the connection {source_conn_id!r} is not defined"
            ) from error
        return workspace.connection_settings(
            host=found.host,
            port=found.port,
            schema=found.schema,
            login=found.login,
            password=found.password,
            contract=self.contract,
        )
