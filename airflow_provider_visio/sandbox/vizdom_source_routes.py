"""Vizdom's data sources: what the help pages show in the app, as calls that this project assumes."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import Field, StringConstraints, ValidationError

from .clock import iso
from .data_sources import DATABASES, DataSource
from .evidence import known
from .options import Strict, WholeNumber
from .visiono_routes import CurrentWorkspace
from .vizdom_replies import Vizdom, not_found, reply
from .vizdom_routes import PROPOSAL
from .workspace import Workspace

SOURCES = "docs.flowstatehq.com/features/data-sources"

router = APIRouter()

Word = Annotated[str, StringConstraints(min_length=1, max_length=255, strip_whitespace=True)]


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


@router.get("/data-sources", **known("assumed", PROPOSAL))
async def list_data_sources(workspace: CurrentWorkspace) -> Response:
    """All data sources of the workspace."""
    found = [_view(source) for source in workspace.data_sources.all.values()]
    return reply(workspace.context, found, total=len(found))


@router.post(
    "/data-sources",
    **known("assumed", f"{SOURCES} for what is asked of a database; {PROPOSAL}", status=201, role="editor"),
)
async def create_data_source(workspace: CurrentWorkspace, body: CreateDataSource) -> Response:
    """Connect a data source."""
    if body.type in DATABASES:
        _check(body.settings)
    source = workspace.data_sources.add(body.name, body.type, body.settings, workspace.now())
    return reply(workspace.context, _view(source), 201)


@router.post(
    "/data-sources/{id}/test",
    **known("assumed", f"{SOURCES} for success, or an error with details; {PROPOSAL}", role="editor"),
)
async def test_data_source(workspace: CurrentWorkspace, id: str) -> Response:  # noqa: A002
    """Try to connect; a test that fails is a reply, not an error."""
    source = _find(workspace, id)
    words = workspace.data_sources.test(source, workspace.now())
    status = "error" if source.status == "error" else "success"
    return reply(workspace.context, {"id": source.id, "status": status, "message": words})


@router.delete("/data-sources/{id}", **known("assumed", PROPOSAL, status=204, role="editor"))
async def delete_data_source(workspace: CurrentWorkspace, id: str) -> Response:  # noqa: A002
    """Delete a data source for good."""
    workspace.data_sources.remove(_find(workspace, id), workspace.now())
    return Response(status_code=204)


def _check(settings: dict[str, Any]) -> None:
    try:
        DatabaseSettings.model_validate(settings)
    except ValidationError as problem:
        found = [{**one, "loc": ("body", "settings", *one["loc"])} for one in problem.errors()]
        raise Vizdom().invalid(found) from problem


def _find(workspace: Workspace, source_id: str) -> DataSource:
    source = workspace.data_sources.all.get(source_id)
    if source is None:
        raise not_found("Data source", source_id)
    return source


def _view(source: DataSource) -> dict[str, Any]:
    return {
        "id": source.id,
        "name": source.name,
        "type": source.type,
        "status": source.status,
        "created_at": iso(source.created_at),
        "last_tested_at": None if source.tested_at is None else iso(source.tested_at),
    }
