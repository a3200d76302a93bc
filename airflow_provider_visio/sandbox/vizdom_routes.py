"""Vizdom's dashboards and exports. Only the list of dashboards is documented by the vendor."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import Field, StringConstraints

from . import ids
from .clock import iso
from .dashboards import Dashboard, blank
from .evidence import known
from .exports import Export
from .options import Strict
from .visiono_routes import CurrentWorkspace
from .vizdom_replies import not_found, reply
from .workspace import Workspace

SEED = "docs.flowstatehq.com/api-reference/introduction"
PROPOSAL = "this project's proposal, after what comparable products do"

router = APIRouter()


class CreateDashboard(Strict):
    """POST /dashboards; of the fields of the documented list, those that a caller can know."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=255, strip_whitespace=True)]
    description: Annotated[str, Field(max_length=5000)] = ""


class CreateExport(Strict):
    """POST /exports."""

    dashboard_id: Annotated[str, Field(min_length=1)]
    format: Literal["pdf", "png", "csv"]


@router.get("/dashboards", **known("seed", SEED))
async def list_dashboards(workspace: CurrentWorkspace) -> Response:
    """All dashboards of the workspace."""
    found = [_dashboard_view(dashboard) for dashboard in workspace.dashboards.values()]
    return reply(workspace.context, found, total=len(found))


@router.get(
    "/dashboards/{id}", **known("inferred", SEED, assumed="the path, from the reference's 404 example")
)
async def get_dashboard(workspace: CurrentWorkspace, id: str) -> Response:  # noqa: A002  the reference's name
    """One dashboard."""
    return reply(workspace.context, _dashboard_view(_dashboard(workspace, id)))


@router.post("/dashboards", **known("assumed", PROPOSAL, status=201, role="editor"))
async def create_dashboard(workspace: CurrentWorkspace, body: CreateDashboard) -> Response:
    """Make an empty dashboard; names need not be unique."""
    moment = workspace.now()
    made = blank(f"dash_{ids.token(8)}", body.name, body.description, iso(moment))
    workspace.dashboards[made.id] = made
    workspace.context.event_log.record(
        moment, "dashboard_created", made.id, f"{made.id}: {made.name!r} is made"
    )
    return reply(workspace.context, _dashboard_view(made), 201)


@router.post("/exports", **known("assumed", PROPOSAL, status=201))
async def create_export(workspace: CurrentWorkspace, body: CreateExport) -> Response:
    """Start an export."""
    dashboard = _dashboard(workspace, body.dashboard_id)
    export = workspace.exports.start(dashboard, body.format, workspace.now())
    view = _export_view(workspace, export)
    workspace.catch_up()
    return reply(workspace.context, view, 201)


@router.get("/exports/{id}", **known("assumed", PROPOSAL))
async def get_export(workspace: CurrentWorkspace, id: str) -> Response:  # noqa: A002
    """How an export is doing; once completed, with a fresh signed link."""
    export = workspace.exports.all.get(id)
    if export is None:
        raise not_found("Export", id)
    return reply(workspace.context, _export_view(workspace, export))


def _dashboard(workspace: Workspace, dashboard_id: str) -> Dashboard:
    dashboard = workspace.dashboards.get(dashboard_id)
    if dashboard is None:
        raise not_found("Dashboard", dashboard_id)
    return dashboard


def _dashboard_view(dashboard: Dashboard) -> dict[str, Any]:
    return {
        "id": dashboard.id,
        "name": dashboard.name,
        "description": dashboard.description,
        "created_at": dashboard.created_at,
        "updated_at": dashboard.updated_at,
        "visualization_count": dashboard.visualization_count,
    }


def _export_view(workspace: Workspace, export: Export) -> dict[str, Any]:
    view: dict[str, Any] = {
        "id": export.id,
        "dashboard_id": export.dashboard.id,
        "format": export.format,
        "status": export.status,
        "created_at": iso(export.created_at),
    }
    if export.status == "completed":
        seconds = workspace.context.settings.export_link_seconds
        view["download_url"] = workspace.context.link(export.path, seconds)
        view["expires_at"] = iso(workspace.now() + seconds)
    if export.error:
        view["error"] = {"code": export.error[0], "message": export.error[1]}
    return view
