"""Hook for Vizdom: dashboards and their exports; :mod:`.vizdom_workspace` has the rest of the workspace."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_visio import clock
from airflow_provider_visio.api import vizdom as api
from airflow_provider_visio.api.export_format import FORMATS
from airflow_provider_visio.api.one_time_queries import query_exports
from airflow_provider_visio.api.vizdom_contract import VizdomContract
from airflow_provider_visio.connection_form import VIZDOM_FORM
from airflow_provider_visio.exceptions import ExportFailedError
from airflow_provider_visio.hooks.vizdom_workspace import VizdomWorkspace
from airflow_provider_visio.storage.destination import folder_at
from airflow_provider_visio.waiting import decide_exports, export_phase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visio.api.config import ServiceConfig
    from airflow_provider_visio.api.one_time_queries import State
    from airflow_provider_visio.api.vizdom import Dashboard, Export
    from airflow_provider_visio.storage.manifest import Manifest
    from airflow_provider_visio.storage.remote_file import RemoteFile
    from airflow_provider_visio.storage.transfer import OnFileError
    from airflow_provider_visio.waiting import States, Verdict


class VizdomHook(VizdomWorkspace):
    """
    Calls of the Vizdom REST API.

    Only ``GET /dashboards`` is documented. All other calls follow an **assumed** contract; the connection's extra
    ``contract`` can replace each part of it, see docs/contract.md.

    :param vizdom_conn_id: id of the Airflow connection: ``host`` is the base URL (optional), ``password`` the API key.
    """

    conn_name_attr = "vizdom_conn_id"
    default_conn_name = "vizdom_default"
    conn_type = VIZDOM_FORM.conn_type
    hook_name = VIZDOM_FORM.hook_name
    service = api.VIZDOM
    form = VIZDOM_FORM

    def __init__(self, vizdom_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(vizdom_conn_id, **kwargs)
        self.vizdom_conn_id = vizdom_conn_id

    @property
    def contract(self) -> VizdomContract:
        """The contract of the undocumented calls, as this connection has it."""
        return contract_of(self.get_conn().config)

    def list_dashboards(self, *, whole: bool = False) -> Iterator[Dashboard]:
        """
        Iterate over the dashboards that the key can see, through all pages (source: seed).

        :param whole: raise an error if the service answers without a list, instead of yielding nothing.
        """
        request = api.list_dashboards()
        pages = self.get_conn().pages(request, whole=whole)
        return cast("Iterator[Dashboard]", pages)

    def get_dashboard(self, dashboard_id: str) -> Dashboard:
        """
        Return one dashboard (source: inferred).

        :param dashboard_id: id of the dashboard.
        :raises NotFoundError: the key can see no such dashboard.
        """
        return cast("Dashboard", self._object(api.get_dashboard(dashboard_id, self.contract)))

    def create_export(
        self, dashboard_id: str, export_format: str, options: Mapping[str, Any] | None = None
    ) -> Export:
        """
        Start an export (source: assumed).

        :param dashboard_id: id of the dashboard.
        :param export_format: ``pdf``, ``png`` or ``csv``; also ``jpg`` and ``xlsx`` if the contract's ``formats`` has
            them.
        :param options: further fields for the service, such as filters, parameters, a time zone or a page layout, by
            its names (assumed).
        :return: the export, with ``id`` and ``status``.
        :raises InvalidRequestError: the format does not exist, or an option would replace a field of the contract.
        :raises ConnectionFailedError: no reply; with ``.ambiguous``, the export may still have been started.
        """
        contract = self.contract
        request = api.create_export(dashboard_id, export_format, contract, options)
        return api.read_export(self._object(request, needs=contract.id_field), contract)

    def get_export(self, export_id: str) -> Export:
        """
        Return the state of an export (source: assumed).

        :param export_id: id of the export.
        :return: the export; ``files`` has the links to its files, each with ``url`` and ``name``, or None for a name.
        :raises NotFoundError: the export does not exist, or has expired.
        """
        contract = self.contract
        return api.read_export(
            self._object(api.get_export(export_id, contract), needs=contract.status_field), contract
        )

    def download_export(
        self,
        export_id: str,
        destination: ObjectStoragePath | str,
        *,
        folder: str | None = None,
        on_file_error: OnFileError = "fail",
        parallel_downloads: int | None = None,
    ) -> Manifest:
        """
        Store the files of an export in ``<destination>/<export id>/``, with a ``manifest.json``.

        A file that the manifest of an earlier run lists is not fetched again.

        :param export_id: id of the export.
        :param destination: an object store's URL, such as ``s3://bucket/reports``, or an absolute path.
        :param folder: the folder below the destination; None for the export's id, "" for none. In a folder that is
            given, the manifest is called ``manifest-<export id>.json``.
        :param on_file_error: as of :meth:`~airflow_provider_visio.hooks.visiono.VisionoHook.download_photos`.
        :param parallel_downloads: how many files to fetch at once; None for the connection's setting.
        :return: the manifest, as in :meth:`~airflow_provider_visio.hooks.visiono.VisionoHook.download_photos`.
        :raises ExportFailedError: the export has no file (yet).
        :raises TransferError: the file could not be fetched or stored.
        """
        place = folder_at(destination, export_id, folder)
        export = self.get_export(export_id)
        contract = self.contract
        phase = export_phase(export, contract)
        if phase != "arrived":
            reason = api.failure_of(export, self.get_conn().config)
            lost = phase in {"failed", "deleted"}
            remedy = "Start another." if lost else "Wait for it with VizdomExportSensor, or start another."
            raise ExportFailedError(
                f"Export {export_id} has no file: its status is {export.get('status')!r}"
                f"{f' ({reason})' if reason else ''}. {remedy} [connection {self.conn_id}]",
                conn_id=self.conn_id,
            )
        about = ("dashboard_id", "format", "status", "created_at")
        dashboard = export.get("dashboard_id")
        return self._store_files(
            _files_of(export, export_id, FORMATS.get(contract.format_of(export.get("format")))),
            place,
            export_id,
            # The dashboard is the same in each run.
            origin=("dashboards", dashboard) if dashboard else ("exports", export_id),
            about={name: export.get(name) for name in about},
            links=_links_of(export, export_id),
            links_again=lambda: _links_of(self.get_export(export_id), export_id),
            shared_folder=folder is not None,
            on_file_error=on_file_error,
            parallel_downloads=parallel_downloads,
        )

    def judge(self, export_ids: Sequence[str], *, deadline: float | None = None) -> tuple[Verdict, States]:
        """
        Get the states of some exports, and decide whether a wait for them is over.

        :param export_ids: ids of the exports.
        :param deadline: when the wait gives up, a Unix timestamp; None for never.
        :return: the verdict, and the states by id.
        """
        contract = self.contract
        client = self.get_conn()
        states: dict[str, State] = {}
        client.query(query_exports(export_ids, contract, states.__setitem__))
        for state in states.values():
            state["error"] = api.failure_of(state, client.config)
        return decide_exports(export_ids, states, contract, now=clock.now(), deadline=deadline), states

    def dashboard_url(self, dashboard_id: str) -> str:
        """
        Return the URL of a dashboard's page in Vizdom's app (docs; the part after the workspace is assumed).

        It is empty if it needs a workspace and the connection names none.

        :param dashboard_id: id of the dashboard.
        """
        extra = self.get_conn().config.extra
        pattern, workspace = str(extra["dashboard_url"]), extra.get("workspace")
        if "{workspace}" in pattern and not workspace:
            return ""
        return pattern.replace("{workspace}", str(workspace)).replace("{dashboard_id}", dashboard_id)

    def _probe(self) -> str:
        contract_of(
            self.get_conn().config
        )  # a mistake in it fails the test of the connection, not the first task
        seen = sum(1 for _ in self.get_conn().pages(api.list_dashboards(), limit=1))
        return "GET /dashboards answered" + ("." if seen else ", but this key sees no dashboard.")


def contract_of(config: ServiceConfig) -> VizdomContract:
    """Return the contract of the undocumented calls, as a connection has it."""
    return VizdomContract.with_changes(config.extra.get("contract"))


def _links_of(export: Export, export_id: str) -> dict[str, str]:
    """Return the links to an export's files by key: its id, or for several files its id with their number."""
    urls = [file["url"] for file in export.get("files", [])] or [""]
    return {f"{export_id}-{n}" if len(urls) > 1 else export_id: url for n, url in enumerate(urls, 1)}


def _files_of(export: Export, export_id: str, mime_type: str | None) -> list[RemoteFile]:
    """Return the files of an export, named as the service names them, or by the dashboard."""
    from airflow_provider_visio.storage.remote_file import RemoteFile

    title = str(export.get("dashboard_id") or "dashboard")
    names = [file["name"] for file in export.get("files", [])] or [None]
    return [
        RemoteFile(key, PurePosixPath(name).stem if name else title, mime_type)
        for key, name in zip(_links_of(export, export_id), names, strict=True)
    ]
