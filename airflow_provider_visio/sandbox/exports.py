"""Export jobs: pending, processing, then completed or failed, on the virtual clock."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from . import export_files, ids
from .context import Context
from .dashboards import Dashboard
from .options import ExportOutcome
from .stored_files import File

MEDIA_TYPES = {"pdf": "application/pdf", "png": "image/png", "csv": "text/csv; charset=utf-8"}
_FAILURE = ("render_failed", "A data source of this dashboard did not answer; nothing was exported.")

ExportOptions = dict[str, Any]


@dataclass
class Export:
    """One export job."""

    id: str
    dashboard: Dashboard
    format: str
    created_at: float
    options: ExportOptions
    outcome: ExportOutcome
    status: str = "pending"
    finished_at: float | None = None
    error: tuple[str, str] | None = None
    #: Names of the files by their paths on the storage origin.
    files: dict[str, str] = field(default_factory=dict)

    @property
    def is_running(self) -> bool:
        """Whether the job has not ended yet."""
        return self.status in ("pending", "processing")


class Exports:
    """All exports of the workspace."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.all: dict[str, Export] = {}

    def start(
        self, dashboard: Dashboard, export_format: str, moment: float, options: ExportOptions
    ) -> Export:
        """Start an export; it is pending for the first third of its time."""
        outcome = self._context.settings.export_outcome
        export = Export(f"exp_{ids.token(10)}", dashboard, export_format, moment, options, outcome)
        self.all[export.id] = export
        text = f"{export.id}: {export_format} export of {dashboard.name!r} started"
        self._context.log.record(moment, "export_started", export.id, text, dashboard=dashboard.id)
        takes = self._context.settings.export_seconds
        self._context.scheduler.at(moment + takes / 3, lambda _: self._process(export))
        ending = self.fail if dashboard.always_fails else self.complete
        if export.outcome != "stuck":
            self._context.scheduler.at(moment + takes, lambda due: ending(export, due))
        return export

    def complete(self, export: Export, moment: float) -> None:
        """Complete a running export."""
        if not export.is_running:
            return
        export.status, export.finished_at = "completed", moment
        of = (export.dashboard, export.format, int(export.created_at))
        kind = "zip" if export.outcome == "zip" else export.format
        whole = {"": partial(export_files.content, *of, export.outcome)}
        makers = export_files.parts(*of) if export.outcome == "several" else whole
        for number, (name, make) in enumerate(makers.items(), 1):
            path = f"/exports/{export.id}{f'-{number}' if name else ''}.{kind}"
            export.files[path] = name
            if export.outcome != "gone":
                self._context.files[path] = File(MEDIA_TYPES.get(kind, "application/zip"), make)
        text = f"{export.id}: {export.format} of {export.dashboard.name!r} is ready"
        self._context.log.record(moment, "export_ready", export.id, text, dashboard=export.dashboard.id)

    def fail(self, export: Export, moment: float) -> None:
        """Fail a running export."""
        if not export.is_running:
            return
        export.status, export.finished_at, export.error = "failed", moment, _FAILURE
        text = f"{export.id}: export failed: {_FAILURE[1]}"
        self._context.log.record(moment, "export_failed", export.id, text, dashboard=export.dashboard.id)

    def _process(self, export: Export) -> None:
        if export.status == "pending":
            export.status = "processing"
