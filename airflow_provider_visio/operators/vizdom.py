"""Operators for Vizdom: export a dashboard and download an export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.api.export_format import check_format, check_options
from airflow_provider_visio.arguments import (
    check_if_known,
    id_of,
    ids_of,
    is_literal,
    known_id,
    known_ids,
    require,
    require_resolved,
    seconds,
)
from airflow_provider_visio.exceptions import (
    ExportFailedError,
    InvalidRequestError,
    TransferError,
    WaitTimeoutError,
)
from airflow_provider_visio.extra_links import VizdomDashboardLink, VizdomFilesLink, remember_link
from airflow_provider_visio.idempotency.on_existing import check_on_existing
from airflow_provider_visio.operators.base import chosen_fields
from airflow_provider_visio.operators.stored_files import StoresFiles
from airflow_provider_visio.operators.vizdom_base import VizdomOperator
from airflow_provider_visio.operators.vizdom_workspace import (
    VizdomCreateDashboardOperator,
    VizdomCreateDataSourceOperator,
    VizdomInviteMemberOperator,
    VizdomTestDataSourceOperator,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_visio.idempotency.create_once import CreateOnce
    from airflow_provider_visio.idempotency.on_existing import OnExisting
    from airflow_provider_visio.task_wait import ExportWait

__all__ = [
    "VizdomCreateDashboardOperator",
    "VizdomCreateDataSourceOperator",
    "VizdomDownloadExportOperator",
    "VizdomExportDashboardOperator",
    "VizdomInviteMemberOperator",
    "VizdomTestDataSourceOperator",
]

# Without the link to the file, which is signed and expires.
_OUTPUT = ("id", "dashboard_id", "format", "status", "created_at")

# Where the id of the export that this try has started is kept while the task defers for the rate limit.
_STARTED = "started"


class _VizdomExportOperator(VizdomOperator):
    """An operator with links to the dashboard and to the stored files."""

    operator_extra_links = (VizdomDashboardLink(), VizdomFilesLink())


class VizdomExportDashboardOperator(StoresFiles, _VizdomExportOperator):
    """
    Export a dashboard, wait for the file and, with ``destination``, store it.

    The calls behind this are **assumed**, see docs/contract.md.

    The output is a dict with ``id``, ``dashboard_id``, ``format``, ``status`` and ``created_at``, as far as the reply
    has them. With ``destination`` it has ``manifest``, ``failed``, ``files``, a list of ``{"path", "uri", "bytes",
    "sha256", "mime_type", "check"}``, and ``file``, the first of these.

    :param dashboard_id: id of the dashboard, or the output of the task that created it. (templated)
    :param export_format: ``pdf``, ``png`` or ``csv``; also ``jpg`` and ``xlsx`` if ``formats`` in the connection's
        ``contract`` has them. (templated)
    :param options: further fields for the call that starts the export, such as filters, parameters, a time zone or a
        page layout, by the service's names, which no page has (assumed). (templated)
    :param wait_for_completion: wait until the file is ready.
    :param destination: where to store the file: an object store's URL or an absolute path. (templated)
    :param folder: the folder below the destination; None for the export's id, "" for none. (templated)
    :param on_file_error: when a file cannot be fetched: ``fail`` raises an error after all others are stored;
        ``proceed`` succeeds with the file in the output's ``failed``.
    :param parallel_downloads: how many files to fetch at once; None for the connection's setting, 4 by default.
    :param asset: the asset that the stored files update. Its event has ``{"ids", "manifests": [{"id", "path", "uri",
        "files", "failed"}]}`` in ``extra``. Give the asset to ``.partial(outlets=[...])`` of a mapped task as well.
    :param timeout: seconds or timedelta to wait for the file at most, from when the export was started; None for no
        limit. ``execution_timeout`` counts from then, too. An export that is not finished by then counts as stuck.
    :param poke_interval: seconds or timedelta between the first two looks; later ones are up to 30 s apart.
    :param on_existing: what a cleared task does if the export that it started is not finished: ``"reuse"`` waits for
        it again, ``"replace"`` starts another (no call to cancel one is known), ``"fail"`` fails. A retry continues to
        wait for it. A retry and a clear both start another, one in each try, if that one has failed, is gone or stuck,
        or if its file could not be fetched. A retry does so too if the reply to the start was lost, since Vizdom has
        no list of exports.
    :param deferrable: wait in the triggerer instead of on the worker; also for the service's rate limit, where that
        takes longer than a minute.
    :param vizdom_conn_id: id of the Airflow connection. (templated)
    :raises InvalidRequestError: the input is refused; already while the DAG is parsed, where it is known then.
    :raises ExportFailedError: the export failed, or is gone.
    :raises WaitTimeoutError: ``timeout`` passed; the export continues at Vizdom.
    :raises TransferError: the file could not be fetched, or the destination failed.
    """

    template_fields: Sequence[str] = (
        "dashboard_id",
        "export_format",
        "options",
        "destination",
        "folder",
        "vizdom_conn_id",
    )
    template_fields_renderers = {"options": "json"}  # noqa: RUF012
    _needs_destination = False
    _retried = (WaitTimeoutError,)  # a retry starts another export

    def __init__(
        self,
        *,
        dashboard_id: Any,
        export_format: str = "pdf",
        options: Mapping[str, Any] | None = None,
        wait_for_completion: bool = True,
        destination: ObjectStoragePath | str | None = None,
        timeout: float | timedelta | None = 3600.0,
        poke_interval: float | timedelta = 2.0,
        on_existing: OnExisting = "reuse",
        **kwargs: Any,
    ) -> None:
        super().__init__(destination=destination, **kwargs)
        self.dashboard_id = dashboard_id
        self.export_format = export_format
        self.options = options
        self._has_options = options is not None
        self.wait_for_completion = wait_for_completion
        self.timeout = seconds(timeout, "timeout")
        self.poke_interval = seconds(poke_interval, "poke_interval") or 2.0
        self.on_existing = on_existing
        check_on_existing(on_existing)
        known_id(dashboard_id, "dashboard_id")
        require(export_format, "export_format")
        check_if_known(check_format, export_format=export_format)
        if isinstance(options, Mapping) or is_literal(options):
            check_options(options)
        if destination is not None and not wait_for_completion:
            raise InvalidRequestError.of(
                "destination",
                "a file can be stored only after the export has finished; leave wait_for_completion True",
            )

    @property
    def _dashboard(self) -> str:
        return id_of(self.dashboard_id, "dashboard_id")

    def _run(self, context: Context) -> dict[str, Any]:
        """Start the export; wait for its file and store it if asked to."""
        require_resolved(self.options, "options", given=self._has_options)
        self._check_storage()
        remember_link(context, self.hook.dashboard_url(self._dashboard))
        once = self._once(context)
        export = self._export(once)
        if not self.wait_for_completion:
            once.close()
            return chosen_fields(export, _OUTPUT)
        self._wait().begin(self, export, self._deadline_of(once), deferrable=self.deferrable)
        return self._finish(context, export["id"])

    def _resume(self, context: Context, event: Any) -> dict[str, Any]:
        """Go on after the wait for the file."""
        self._check_storage()
        wait = self._wait()
        wait.kept = self._done
        return self._finish(context, wait.resume(self, event).arrived[0])

    def _once(self, context: Context) -> CreateOnce:
        from airflow_provider_visio.idempotency.create_once import CreateOnce

        asked = {
            "dashboard_id": self._dashboard,
            "format": self.export_format,
            "options": self.options or None,
        }
        return CreateOnce(context, self._done, asked, self.on_existing)

    def _export(self, once: CreateOnce) -> Mapping[str, Any]:
        """Return this task's export, started now or by an earlier try."""
        if _STARTED in self._done:
            # The task has deferred for the rate limit since then. It starts one export a try, even if that one ends.
            return self.hook.get_export(self._done[_STARTED])
        from airflow_provider_visio.idempotency.create_once import ResourceAdapter
        from airflow_provider_visio.idempotency.lookup_window import LookupWindow
        from airflow_provider_visio.waiting import export_phase

        hook = self.hook

        def ask(_: dict[str, str]) -> Mapping[str, Any]:
            made = hook.create_export(self._dashboard, self.export_format, self.options)
            self._done[_STARTED] = str(made["id"])
            number = once.record.number if once.record and once.remembers else None
            count = f" ({_ordinal(number)} export of this task)" if number else ""
            self.log.info("Started export %s of dashboard %s%s.", made["id"], self._dashboard, count)
            return made

        # No list of exports and no call to cancel one is known.
        return once.get(
            ResourceAdapter(
                ask=ask,
                look_at=hook.get_export,
                look_up=None,
                phase_of=lambda export: export_phase(export, hook.contract),
                discard=None,
                window=LookupWindow.of(hook.get_conn().config),
            ),
            deadline=self._deadline_of(once) if self.wait_for_completion else None,
        )

    def _deadline_of(self, once: CreateOnce) -> float | None:
        return self._deadline(once.since, self.timeout)

    def _wait(self) -> ExportWait:
        from airflow_provider_visio.task_wait import ExportWait

        return ExportWait(self._wait_hook, self.poke_interval, starts=True)

    def _finish(self, context: Context, export_id: str) -> dict[str, Any]:
        hook, once = self.hook, self._once(context)
        output = chosen_fields(hook.get_export(export_id), _OUTPUT)
        if self.destination is not None:
            try:
                stored = self._summary(context, hook.download_export(export_id, **self._storage))
            except (ExportFailedError, TransferError) as error:
                if isinstance(error, TransferError) and not error.failed:
                    raise  # the destination has failed; the export is good
                once.give_up(str(error))
                raise error.saying("A retry of this task exports again, as clearing it does.") from error
            output |= {name: stored[name] for name in ("manifest", "files", "failed")}
            output["file"] = next(iter(stored["files"]), None)
        once.close()
        return output


class VizdomDownloadExportOperator(StoresFiles, _VizdomExportOperator):
    """
    Store the files of a finished export in an object store.

    They are stored in ``<destination>/<export id>/``, with a ``manifest.json``. The output is ``{"id", "manifest",
    "files": [{"path", "uri", "bytes", "sha256", "mime_type", "check"}], "failed"}``; for several exports a list of
    these. If one export fails, the others are stored first. The error is raised at the end, as in
    ``VisionoDownloadPhotosOperator``.

    :param export_id: an id, the output of the task that started the export, or a list of either. (templated)
    :param destination: an object store's URL or an absolute path. (templated)
    :param folder: the folder below the destination; None for the export's id, "" for none. (templated)
    :param on_file_error: when a file cannot be fetched: ``fail`` raises an error after all others are stored;
        ``proceed`` succeeds with the file in the output's ``failed``.
    :param parallel_downloads: how many files to fetch at once; None for the connection's setting, 4 by default.
    :param asset: the asset that the stored files update. Its event has ``{"ids", "manifests": [{"id", "path", "uri",
        "files", "failed"}]}`` in ``extra``. Give the asset to ``.partial(outlets=[...])`` of a mapped task as well.
    :param deferrable: defer while the service's rate limit is used up for longer than a minute.
    :param vizdom_conn_id: id of the Airflow connection. (templated)
    :raises ExportFailedError: the export has no file.
    :raises TransferError: the file could not be fetched or stored.
    """

    template_fields: Sequence[str] = ("export_id", "destination", "folder", "vizdom_conn_id")

    def __init__(
        self,
        *,
        export_id: Any,
        destination: ObjectStoragePath | str,
        **kwargs: Any,
    ) -> None:
        super().__init__(destination=destination, **kwargs)
        self.export_id = export_id
        known_ids(export_id, "export_id")

    def _run(self, context: Context) -> dict[str, Any] | list[dict[str, Any]]:
        """Fetch and store the files."""
        self._check_storage()
        hook = self.hook
        dashboards = []

        def store(export_id: str) -> dict[str, Any]:
            manifest = hook.download_export(export_id, **self._storage)
            dashboards.append(manifest["about"].get("dashboard_id"))
            return self._summary(context, manifest)

        stored = self._each(ids_of(self.export_id, "export_id"), "exports", store)
        if dashboards[0]:
            remember_link(context, hook.dashboard_url(dashboards[0]))
        return self._one_or_all(self.export_id, stored)


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
