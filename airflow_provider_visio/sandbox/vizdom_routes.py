"""Vizdom's calls: dashboards, exports, data sources and team.

Only `GET /dashboards` is documented. The help pages show the rest in the app; that there are calls for it is assumed.
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Response
from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from . import ids
from .clock import iso
from .dashboards import Dashboard, blank
from .data_sources import DATABASES, DataSource
from .evidence import known
from .exports import Export
from .options import Strict, WholeNumber, is_email
from .replies import fields_of
from .team import Invite, Role
from .vizdom_replies import VizdomConventions, error, not_found, reply
from .workspace import CurrentWorkspace, Workspace

SEED = "docs.flowstatehq.com/api-reference/introduction"
SOURCES = "docs.flowstatehq.com/features/data-sources"
ACCESS = "docs.flowstatehq.com/configuration/access-control"
PROPOSAL = "this project's proposal, after what comparable products do"

router = APIRouter()
proposed = partial(known, "assumed", PROPOSAL)
T = TypeVar("T")

Word = Annotated[str, StringConstraints(min_length=1, max_length=255, strip_whitespace=True)]


class CreateDashboard(Strict):
    """POST /dashboards; the fields of the documented list that a caller can set."""

    name: Word
    description: Annotated[str, Field(max_length=5000)] = ""


class CreateExport(Strict):
    """POST /exports; all but the first two are the options, which change nothing in the file."""

    dashboard_id: Annotated[str, Field(min_length=1)]
    format: Literal["pdf", "png", "csv"]
    filters: dict[str, Any] = Field(default_factory=dict)
    parameters: dict[str, Any] = Field(default_factory=dict)
    timezone: Word = "UTC"
    page: Literal["A4 portrait", "A4 landscape"] = "A4 portrait"


class DatabaseSettings(Strict):
    """The fields of a database in the app; their names in the API are assumed."""

    host: Word
    port: Annotated[WholeNumber, Field(ge=1, le=65_535)] = 5432
    database: Word
    username: Word
    password: Annotated[str, Field(max_length=1000)]
    ssl_mode: Literal["disable", "require", "verify-ca", "verify-full"] = "require"


class CreateDataSource(Strict):
    """POST /data-sources; warehouses, files and REST APIs take any settings."""

    name: Word
    type: Literal[
        "postgresql", "mysql", "mariadb", "sqlserver", "bigquery", "snowflake", "redshift", "csv", "rest_api"
    ]
    settings: dict[str, Any]


def _email(value: str) -> str:
    if not is_email(value):
        raise ValueError("must be an e-mail address")
    return value


class InviteMember(Strict):
    """POST /invites."""

    email: Annotated[str, Field(max_length=255), AfterValidator(_email)]
    role: Role


@router.get("/dashboards", **known("seed", SEED))
async def list_dashboards(workspace: CurrentWorkspace) -> Response:
    """Return all dashboards."""
    found = [_dashboard_view(dashboard) for dashboard in workspace.dashboards.values()]
    return reply(workspace.context, found, total=len(found))


@router.get(
    "/dashboards/{id}", **known("inferred", SEED, assumed="the path, from the reference's 404 example")
)
async def get_dashboard(workspace: CurrentWorkspace, id: str) -> Response:
    """Return one dashboard."""
    return reply(workspace.context, _dashboard_view(_find(workspace.dashboards, "Dashboard", id)))


@router.post("/dashboards", **proposed(role="editor", status=201))
async def create_dashboard(workspace: CurrentWorkspace, body: CreateDashboard) -> Response:
    """Create an empty dashboard; names need not be unique."""
    moment = workspace.now()
    created = blank(f"dash_{ids.token(8)}", body.name, body.description, iso(moment))
    workspace.dashboards[created.id] = created
    text = f"{created.id}: {created.name!r} was created"
    workspace.context.log.record(moment, "dashboard_created", created.id, text)
    return reply(workspace.context, _dashboard_view(created), 201)


@router.post("/exports", **proposed(status=201))
async def create_export(workspace: CurrentWorkspace, body: CreateExport) -> Response:
    """Start an export."""
    dashboard = _find(workspace.dashboards, "Dashboard", body.dashboard_id)
    options = body.model_dump(exclude={"dashboard_id", "format"}, exclude_unset=True)
    export = workspace.exports.start(dashboard, body.format, workspace.now(), options)
    view = _export_view(workspace, export)
    workspace.catch_up()
    return reply(workspace.context, view, 201)


@router.get("/exports/{id}", **proposed())
async def get_export(workspace: CurrentWorkspace, id: str) -> Response:
    """Return an export; once completed, with a fresh signed link, or several with names."""
    return reply(workspace.context, _export_view(workspace, _find(workspace.exports.all, "Export", id)))


@router.get("/data-sources", **proposed())
async def list_data_sources(workspace: CurrentWorkspace) -> Response:
    """Return all data sources."""
    found = [_source_view(source) for source in workspace.data_sources.all.values()]
    return reply(workspace.context, found, total=len(found))


@router.post(
    "/data-sources",
    **known("assumed", f"{SOURCES} for what is asked of a database; {PROPOSAL}", role="editor", status=201),
)
async def create_data_source(workspace: CurrentWorkspace, body: CreateDataSource) -> Response:
    """Create a data source."""
    if body.type in DATABASES:
        _check(body.settings)
    source = workspace.data_sources.add(body.name, body.type, body.settings, workspace.now())
    return reply(workspace.context, _source_view(source), 201)


@router.post(
    "/data-sources/{id}/test",
    **known("assumed", f"{SOURCES} for success, or an error with details; {PROPOSAL}", role="editor"),
)
async def test_data_source(workspace: CurrentWorkspace, id: str) -> Response:
    """Test the connection; a failed test is a reply with status 200."""
    source = _find(workspace.data_sources.all, "Data source", id)
    words = workspace.data_sources.test(source, workspace.now())
    status = "error" if source.status == "error" else "success"
    return reply(workspace.context, {"id": source.id, "status": status, "message": words})


@router.delete("/data-sources/{id}", **proposed(role="editor", status=204))
async def delete_data_source(workspace: CurrentWorkspace, id: str) -> Response:
    """Delete a data source."""
    workspace.data_sources.remove(_find(workspace.data_sources.all, "Data source", id), workspace.now())
    return Response(status_code=204)


@router.get("/members", **proposed())
async def list_members(workspace: CurrentWorkspace) -> Response:
    """Return all members, without invites."""
    found = [asdict(member) for member in workspace.team.members.values()]
    return reply(workspace.context, found, total=len(found))


@router.post(
    "/invites",
    **known(
        "assumed", f"{ACCESS} for roles, the seven days and who may; {PROPOSAL}", role="admin", status=201
    ),
)
async def invite_member(workspace: CurrentWorkspace, body: InviteMember) -> Response:
    """Invite a member; 422 for a member or a valid invite, as the reference does not list 409."""
    problem = workspace.team.membership_problem(body.email, workspace.now())
    if problem:
        raise error(422, "validation_failed", f"Field 'email': {body.email} {problem}.")
    invite = workspace.team.invite(body.email, body.role, workspace.now())
    return reply(workspace.context, _invite_view(invite), 201)


def _find(resources: Mapping[str, T], kind: str, wanted: str) -> T:
    found = resources.get(wanted)
    if found is None:
        raise not_found(kind, wanted)
    return found


def _dashboard_view(dashboard: Dashboard) -> dict[str, Any]:
    return fields_of(dashboard, "id name description created_at updated_at visualization_count")


def _export_view(workspace: Workspace, export: Export) -> dict[str, Any]:
    view: dict[str, Any] = {
        **fields_of(export, "id format status"),
        "dashboard_id": export.dashboard.id,
        "created_at": iso(export.created_at),
    }
    if export.status == "completed":
        seconds = workspace.context.settings.export_link_seconds
        link = workspace.context.link
        files = [{"url": link(path, seconds), "name": name} for path, name in export.files.items()]
        view |= {"files": files} if len(files) > 1 else {"download_url": files[0]["url"]}
        view["expires_at"] = iso(workspace.now() + seconds)
    if export.error:
        view["error"] = {"code": export.error[0], "message": export.error[1]}
    return view


def _check(settings: dict[str, Any]) -> None:
    try:
        DatabaseSettings.model_validate(settings)
    except ValidationError as problem:
        found = [{**one, "loc": ("body", "settings", *one["loc"])} for one in problem.errors()]
        raise VizdomConventions().invalid(found) from problem


def _source_view(source: DataSource) -> dict[str, Any]:
    return {
        **fields_of(source, "id name type status"),
        "created_at": iso(source.created_at),
        "last_tested_at": None if source.tested_at is None else iso(source.tested_at),
    }


def _invite_view(invite: Invite) -> dict[str, Any]:
    return {
        **fields_of(invite, "id email role"),
        "status": "pending",
        "created_at": iso(invite.created_at),
        "expires_at": iso(invite.expires_at),
    }
