"""The control interface: recipients, time, faults and settings go in; calls, counters and events come out.

docs/sandbox.md describes every call; `GET /control` lists them.
"""

from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Body, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException

from . import control_actions as actions
from .bulk_requests import BulkBody, create_in_bulk
from .exports import Export
from .fault_injection import FaultSpec
from .options import ControlBody, Person, Seconds, explain
from .photo_requests import NotPossibleError, PhotoRequest
from .replies import fields_of
from .team import Role
from .visiono_serializers import items_view
from .workflow_mode import Workflow
from .workspace import CurrentWorkspace, Workspace

Answer = JSONResponse
_REQUEST_FIELDS = (
    "id unique_code numeric_code status instructions recipient_email send_email require_gps allow_submitter_notes "
    "internal_notes metadata created_at expires_at opened_at visits submitted_at notes"
)

router = APIRouter()


class TimeBody(ControlBody):
    """POST /control/time."""

    advance: Seconds = 0.0
    speed: Annotated[float, Field(ge=0, le=1e6)] | None = None


class KeysBody(ControlBody):
    """PUT /control/keys."""

    visiono: list[str] | None = None
    vizdom: list[str] | None = None
    vizdom_roles: dict[str, Role] | None = None


class KeyBody(ControlBody):
    """POST /control/keys/{service}/{action}."""

    key: str


class ReleaseBody(ControlBody):
    """POST /control/faults/{number}/let-go."""

    drop: bool = False


def control_app(workspace: Workspace) -> FastAPI:
    """Build the application under `/control`."""
    app = FastAPI(title="visio-sandbox control", openapi_url=None, redirect_slashes=False)
    app.state.workspace = workspace
    app.router.routes.extend(router.routes)

    async def handle(request: Request, problem: Exception) -> Answer:
        status, text = (404 if isinstance(problem, actions.UnknownError) else 409), str(problem)
        if isinstance(problem, RequestValidationError | ValidationError):
            status, text = 422, explain(problem.errors())
            if not request.headers.get("content-type", "application/json").startswith("application/json"):
                text += ". Send the body with Content-Type: application/json (curl --json)."
        elif isinstance(problem, HTTPException):
            status = problem.status_code
            text = f"There is no {request.method} {request.url.path}. GET /control lists the calls."
        return Answer({"error": text}, status)

    ours, others = (actions.UnknownError, NotPossibleError), (RequestValidationError, ValidationError)
    for kind in (*ours, *others, HTTPException):
        app.add_exception_handler(kind, handle)
    return app


@router.get("/")
async def index() -> Answer:
    """List the calls of the control interface."""
    return Answer(
        [
            {
                "method": method,
                "path": f"/control{route.path.rstrip('/')}",
                "does": (route.endpoint.__doc__ or "").split("\n")[0],
                "body": _body_fields(route),
            }
            for route in router.routes
            if isinstance(route, APIRoute)
            for method in route.methods
        ]
    )


@router.get("/health")
async def health() -> Answer:
    """Answer once the sandbox is ready."""
    return Answer({"ok": True})


@router.post("/reset")
async def reset(workspace: CurrentWorkspace) -> Answer:
    """Forget everything and return to the state at the start."""
    workspace.close()
    workspace.reset()
    return Answer({"ok": True})


@router.get("/settings")
async def get_settings(workspace: CurrentWorkspace) -> Answer:
    """Return all settings."""
    return Answer(workspace.context.settings.model_dump())


@router.patch("/settings")
async def change_settings(workspace: CurrentWorkspace, changes: Annotated[dict[str, Any], Body()]) -> Answer:
    """Change the settings that are given, and return all; GET shows their names."""
    workspace.set_settings(**changes)
    return await get_settings(workspace)


@router.put("/keys")
async def replace_keys(workspace: CurrentWorkspace, body: KeysBody) -> Answer:
    """Replace the accepted keys of a service, or the roles of Vizdom keys."""
    workspace.keys.update(body.model_dump(exclude_none=True, exclude={"vizdom_roles"}))
    if body.vizdom_roles is not None:
        workspace.vizdom_roles = body.vizdom_roles
    return Answer(workspace.keys)


@router.post("/keys/{service}/{action}")
async def change_key(
    workspace: CurrentWorkspace, service: actions.Service, action: actions.KeyAction, body: KeyBody
) -> Answer:
    """Deactivate, activate or regenerate a key, and return the key that is valid then."""
    return Answer({"key": actions.change_key(workspace, service, action, body.key)})


@router.put("/person")
async def set_person(workspace: CurrentWorkspace, body: Person) -> Answer:
    """Set how the recipients of new requests behave."""
    workspace.person = body
    return Answer(body.model_dump())


@router.get("/time")
async def get_time(workspace: CurrentWorkspace) -> Answer:
    """Return the virtual time as a Unix timestamp, and its speed."""
    return Answer({"now": workspace.now(), "speed": workspace.context.clock.speed})


@router.post("/time")
async def change_time(workspace: CurrentWorkspace, body: TimeBody) -> Answer:
    """Move the virtual clock forward, or change its speed."""
    clock = workspace.context.clock
    if body.speed is not None:
        clock.set_speed(body.speed)
    clock.advance(body.advance)
    workspace.catch_up()
    return await get_time(workspace)


@router.get("/faults")
async def get_faults(workspace: CurrentWorkspace) -> Answer:
    """Return the faults, with the number of calls that each has hit and holds."""
    return Answer([fault.view() for fault in workspace.faults])


@router.post("/faults")
async def add_fault(workspace: CurrentWorkspace, body: FaultSpec) -> Answer:
    """Order a fault, and return its number."""
    return Answer({"id": workspace.faults.add(body).id})


@router.delete("/faults")
async def clear_faults(workspace: CurrentWorkspace) -> Answer:
    """Remove all faults and release the calls that they hold."""
    workspace.faults.clear()
    return Answer([])


@router.post("/faults/{number}/let-go")
async def release(workspace: CurrentWorkspace, number: int, body: ReleaseBody | None = None) -> Answer:
    """Release the calls that a `hold` fault keeps; with `drop` their connections are closed."""
    fault = next((fault for fault in workspace.faults if fault.id == number), None)
    if fault is None:
        raise actions.UnknownError(f"There is no fault {number}.")
    fault.release(drop=bool(body and body.drop))
    return Answer(fault.view())


@router.get("/counters")
async def get_counters(workspace: CurrentWorkspace) -> Answer:
    """Return the number of calls by service, method and route, and of those refused with 429."""
    return Answer(workspace.context.log.counters())


@router.delete("/counters")
async def clear_counters(workspace: CurrentWorkspace) -> Answer:
    """Set the counters to zero; the list of calls stays."""
    workspace.context.log.clear_counters()
    return await get_counters(workspace)


@router.get("/calls")
async def get_calls(workspace: CurrentWorkspace, after: int = 0) -> Answer:
    """Return the calls to both services and to storage; `?after=N` skips the first N."""
    return Answer(workspace.context.log.calls(after))


@router.get("/events")
async def get_events(workspace: CurrentWorkspace, after: int = 0) -> Answer:
    """Return what happened to requests, links and exports; `?after=N` skips the first N."""
    return Answer(workspace.context.log.events(after))


@router.get("/signatures")
async def get_signatures(workspace: CurrentWorkspace) -> Answer:
    """Return the signatures of all storage links that were handed out."""
    return Answer(list(workspace.context.signer.given_out))


@router.get("/emails")
async def get_emails(workspace: CurrentWorkspace) -> Answer:
    """Return the e-mails that Visiono would have sent."""
    return Answer(workspace.requests.emails)


@router.get("/deliveries")
async def get_deliveries(workspace: CurrentWorkspace, after: int = 0) -> Answer:
    """Return the webhook deliveries, with their attempts; `?after=N` skips the first N."""
    return Answer([delivery.view() for delivery in workspace.deliveries.all[after:]])


@router.get("/photo-requests")
async def get_requests(workspace: CurrentWorkspace) -> Answer:
    """Return all photo requests, deleted ones too, oldest first."""
    return Answer([_request_view(workspace, request) for request in workspace.requests.everything()])


@router.post("/photo-requests")
async def create_requests(workspace: CurrentWorkspace, body: BulkBody) -> Answer:
    """Create many photo requests, outside rate limit and counters, and return their ids."""
    return Answer(create_in_bulk(workspace, body))


@router.get("/photo-requests/{id}")
async def get_request(workspace: CurrentWorkspace, id: str) -> Answer:
    """Return one photo request, by id or code."""
    return Answer(_request_view(workspace, actions.find_request(workspace, id)))


@router.put("/photo-requests/{id}/person")
async def replace_person(workspace: CurrentWorkspace, id: str, body: Person) -> Answer:
    """Replace the recipient of one request; the times count from now."""
    found = actions.find_request(workspace, id)
    workspace.start_visit(found, body, workspace.now())
    workspace.catch_up()
    return Answer(_request_view(workspace, found))


@router.post("/photo-requests/{id}/{action}")
async def act(
    workspace: CurrentWorkspace, id: str, action: actions.Action, body: actions.ActionBody | None = None
) -> Answer:
    """Open, upload to, submit, expire, cancel or delete a request, and return it."""
    found = actions.find_request(workspace, id)
    actions.act_on_request(workspace, found, action, body or actions.ActionBody(), workspace.now())
    return Answer(_request_view(workspace, found))


@router.post("/permanent-links/{id}/submit")
async def submit_link(
    workspace: CurrentWorkspace, id: str, body: actions.LinkSubmissionBody | None = None
) -> Answer:
    """Submit photos through a permanent link, by id, code or slug."""
    return Answer(actions.submit_link(workspace, id, body or actions.LinkSubmissionBody()))


@router.put("/permanent-links/{id}/workflow")
async def start_workflow_mode(workspace: CurrentWorkspace, id: str, body: Workflow | None = None) -> Answer:
    """Let only signed addresses open a link, and return the secret that signs them."""
    found = actions.find_link(workspace, id)
    found.workflow = body or Workflow()
    return Answer({"request_url": workspace.links.url(found), **found.workflow.model_dump()})


@router.delete("/permanent-links/{id}/workflow")
async def end_workflow_mode(workspace: CurrentWorkspace, id: str) -> Answer:
    """Let everybody open the link again."""
    actions.find_link(workspace, id).workflow = None
    return Answer({"ok": True})


@router.get("/exports")
async def get_exports(workspace: CurrentWorkspace) -> Answer:
    """Return all exports."""
    return Answer([_export_view(export) for export in workspace.exports.all.values()])


@router.post("/exports/{id}/{action}")
async def end_export(workspace: CurrentWorkspace, id: str, action: Literal["complete", "fail"]) -> Answer:
    """Complete or fail a running export, and return it."""
    export = workspace.exports.all.get(id)
    if export is None:
        raise actions.UnknownError(f"There is no export {id!r}.")
    (workspace.exports.complete if action == "complete" else workspace.exports.fail)(export, workspace.now())
    return Answer(_export_view(export))


def _body_fields(route: APIRoute) -> list[str]:
    body = route.body_field and route.body_field.field_info.annotation
    models = [one for one in (body, *get_args(body)) if isinstance(one, type) and issubclass(one, BaseModel)]
    return list(models[0].model_fields) if models else []


def _request_view(workspace: Workspace, request: PhotoRequest) -> dict[str, Any]:
    photos = [fields_of(photo, "id item_id taken_at gps kind") for photo in request.photos]
    items, person = items_view(request.items), request.person.model_dump()
    return {
        **fields_of(request, _REQUEST_FIELDS),
        "request_url": workspace.requests.url(request),
        "items": items,
        "photos": photos,
        "person": person,
    }


def _export_view(export: Export) -> dict[str, Any]:
    view = fields_of(export, "id format status created_at finished_at options outcome")
    return {**view, "dashboard_id": export.dashboard.id, "error": export.error and export.error[1]}
