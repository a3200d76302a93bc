"""The control interface: people, time, faults and settings in; calls, counters and the story out.

Beside what a body's class says of itself:

* `POST /control/permanent-links/{id}/submit` has somebody leave photos under a link (by id, code or slug): as many
  as `photos` says, else one an item, else one. `unique_field_value`, `full_name`, `external_source` and
  `external_reference` are kept with them. The answer has the submission's `id`, and as `return_url` the signed
  address that a visitor in workflow mode is sent to.
* `PUT /control/permanent-links/{id}/workflow` has a link open by signed addresses only, for `valid_seconds` from
  their `ts`; visitors are then sent to `return_url`. In that, `{submission_id}`, `{unique_value}`, `{reference}`,
  `{photo_count}`, `{timestamp}` and `{signature}` are filled in; without any of these, the plugin's `sub`, `uv`,
  `ref`, `cnt`, `ts` and `sig` are added. The answer has the `secret`. `DELETE` there ends it.
* `POST /control/keys/{service}/{action}` does what the dashboard does with a key, `{"key": ...}`: `deactivate` and
  `activate` it, or `regenerate` it; the answer has its new value, and the old one is dead at once.
  `PUT /control/keys` replaces all keys that are accepted.
"""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import Body, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field, ValidationError

from . import ids
from .bulk_requests import BulkBody, make_many
from .event_log import EventLog
from .exports import Export
from .fault_injection import FaultSpec
from .options import Person, Strict
from .permanent_links import Link, Submission
from .photo_requests import NotPossibleError, PhotoRequest
from .photos import generated_photo, new_photo_id
from .simulated_recipients import next_photo, random_place, wanted_photos
from .team import Role
from .visiono_serializers import items_view
from .workflow_mode import Workflow
from .workspace import Workspace

Answer = JSONResponse
Action = Literal["open", "upload", "submit", "expire", "cancel", "delete"]
KeyAction = Literal["activate", "deactivate", "regenerate"]
Service = Literal["visiono", "vizdom"]


class TimeBody(Strict):
    """POST /control/time."""

    advance: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    speed: Annotated[float, Field(ge=0, le=1e6)] | None = None


class KeysBody(Strict):
    """PUT /control/keys."""

    visiono: list[str] | None = None
    vizdom: list[str] | None = None
    vizdom_roles: dict[str, Role] | None = None


class LetGoBody(Strict):
    """POST /control/faults/{id}/let-go."""

    drop: bool = False


class ActionBody(Strict):
    """What an action may be told; most need nothing."""

    item: int | str | None = None
    bytes: Annotated[int, Field(ge=0)] | None = None
    gps: bool | None = None
    fill: bool = True


class LinkSubmissionBody(Strict):
    """POST /control/permanent-links/{id}/submit."""

    photos: Annotated[int, Field(ge=0, le=50)] | None = None
    unique_field_value: str | None = None
    full_name: str | None = None
    external_source: str | None = None
    external_reference: str | None = None


class WorkflowBody(Strict):
    """PUT /control/permanent-links/{id}/workflow; a secret is made up where none is given."""

    secret: Annotated[str, Field(min_length=1)] | None = None
    return_url: str | None = None
    valid_seconds: Annotated[float, Field(gt=0, le=1e9)] = 3600.0


class KeyBody(Strict):
    """POST /control/keys/{service}/{action}."""

    key: str


class UnknownError(Exception):
    """There is no such thing here."""


def control_app(workspace: Workspace) -> FastAPI:
    """Build the application under `/control`."""
    app = FastAPI(title="visio-sandbox control", openapi_url=None, redirect_slashes=False)
    _add_error_shapes(app)
    _add_settings(app, workspace)
    _add_time_and_faults(app, workspace)
    _add_observation(app, workspace)
    _add_actions(app, workspace)
    return app


def _add_error_shapes(app: FastAPI) -> None:
    async def unknown(_: Request, problem: Exception) -> Answer:
        return Answer({"error": str(problem)}, 404)

    async def not_possible(_: Request, problem: Exception) -> Answer:
        return Answer({"error": str(problem)}, 409)

    async def invalid(_: Request, problem: Exception) -> Answer:
        found = problem.errors() if isinstance(problem, RequestValidationError | ValidationError) else []
        where = ["; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found)]
        return Answer({"error": where[0]}, 422)

    app.add_exception_handler(UnknownError, unknown)
    app.add_exception_handler(NotPossibleError, not_possible)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(ValidationError, invalid)


def _add_settings(app: FastAPI, workspace: Workspace) -> None:
    @app.get("/health")
    async def health() -> Answer:
        return Answer({"ok": True})

    @app.post("/reset")
    async def reset() -> Answer:
        workspace.reset()
        return Answer({"ok": True})

    @app.get("/settings")
    async def settings() -> Answer:
        return Answer(workspace.context.settings.model_dump())

    @app.patch("/settings")
    async def set_settings(changes: Annotated[dict[str, Any], Body()]) -> Answer:
        workspace.set_settings(**changes)
        return await settings()

    @app.put("/keys")
    async def keys(body: KeysBody) -> Answer:
        workspace.keys.update(body.model_dump(exclude_none=True, exclude={"vizdom_roles"}))
        if body.vizdom_roles is not None:
            workspace.vizdom_roles = body.vizdom_roles
        return Answer(workspace.keys)

    @app.post("/keys/{service}/{action}")
    async def change_key(service: Service, action: KeyAction, body: KeyBody) -> Answer:
        return Answer({"key": _change_key(workspace, service, action, body.key)})

    @app.put("/person")
    async def person(body: Person) -> Answer:
        workspace.person = body
        return Answer(body.model_dump())


def _add_time_and_faults(app: FastAPI, workspace: Workspace) -> None:
    @app.get("/time")
    async def get_time() -> Answer:
        return Answer({"now": workspace.now(), "speed": workspace.context.clock.speed})

    @app.post("/time")
    async def set_time(body: TimeBody) -> Answer:
        clock = workspace.context.clock
        if body.speed is not None:
            clock.set_speed(body.speed)
        clock.advance(body.advance)
        workspace.catch_up()
        return await get_time()

    @app.get("/faults")
    async def faults() -> Answer:
        return Answer(workspace.faults.view())

    @app.post("/faults")
    async def add_fault(body: FaultSpec) -> Answer:
        return Answer({"id": workspace.faults.add(body).id})

    @app.post("/faults/{number}/let-go")
    async def let_go(number: int, body: LetGoBody | None = None) -> Answer:
        fault = workspace.faults.find(number)
        if fault is None:
            raise UnknownError(f"There is no fault {number}.")
        fault.release(drop=bool(body and body.drop))
        return Answer(fault.view())

    @app.delete("/faults")
    async def clear_faults() -> Answer:
        workspace.faults.clear()
        return Answer([])


def _add_observation(app: FastAPI, workspace: Workspace) -> None:
    def event_log() -> EventLog:
        # Asked for anew each time: a reset replaces it.
        return workspace.context.event_log

    @app.get("/counters")
    async def counters() -> Answer:
        return Answer(event_log().counters())

    @app.delete("/counters")
    async def clear_counters() -> Answer:
        event_log().clear_counters()
        return Answer(event_log().counters())

    @app.get("/calls")
    async def calls(after: int = 0) -> Answer:
        return Answer(event_log().calls(after))

    @app.get("/events")
    async def events(after: int = 0) -> Answer:
        workspace.catch_up()
        return Answer(event_log().events(after))

    @app.get("/signatures")
    async def signatures() -> Answer:
        return Answer(workspace.context.signer.given_out)

    @app.get("/photo-requests")
    async def requests() -> Answer:
        workspace.catch_up()
        return Answer([_request_view(workspace, request) for request in workspace.requests.everything()])

    @app.get("/photo-requests/{id}")
    async def request(id: str) -> Answer:  # noqa: A002
        workspace.catch_up()
        return Answer(_request_view(workspace, _find(workspace, id)))

    @app.get("/exports")
    async def exports() -> Answer:
        workspace.catch_up()
        return Answer([_export_view(export) for export in workspace.exports.all.values()])

    @app.get("/emails")
    async def emails() -> Answer:
        return Answer(workspace.requests.emails)

    @app.get("/deliveries")
    async def deliveries(after: int = 0) -> Answer:
        workspace.catch_up()
        return Answer(workspace.webhooks.deliveries[after:])


def _add_actions(app: FastAPI, workspace: Workspace) -> None:
    @app.post("/photo-requests")
    async def many(body: BulkBody) -> Answer:
        return Answer(make_many(workspace, body))

    @app.put("/photo-requests/{id}/person")
    async def person(id: str, body: Person) -> Answer:  # noqa: A002
        workspace.catch_up()
        found = _find(workspace, id)
        workspace.start_visit(found, body, workspace.now())
        workspace.catch_up()
        return Answer(_request_view(workspace, found))

    @app.post("/photo-requests/{id}/{action}")
    async def act(id: str, action: Action, body: ActionBody | None = None) -> Answer:  # noqa: A002
        moment = workspace.catch_up()
        found = _find(workspace, id)
        _act(workspace, found, action, body or ActionBody(), moment)
        return Answer(_request_view(workspace, found))

    @app.post("/permanent-links/{id}/submit")
    async def submit(id: str, body: LinkSubmissionBody | None = None) -> Answer:  # noqa: A002
        return Answer(_submit_link(workspace, id, body or LinkSubmissionBody()))

    @app.put("/permanent-links/{id}/workflow")
    async def workflow(id: str, body: WorkflowBody | None = None) -> Answer:  # noqa: A002
        given = (body or WorkflowBody()).model_dump(exclude_none=True)
        found = _find_link(workspace, id)
        found.workflow = Workflow(**given)
        return Answer({"request_url": workspace.links.url(found), **asdict(found.workflow)})

    @app.delete("/permanent-links/{id}/workflow")
    async def no_workflow(id: str) -> Answer:  # noqa: A002
        _find_link(workspace, id).workflow = None
        return Answer({"ok": True})

    @app.post("/exports/{id}/{action}")
    async def end_export(id: str, action: Literal["complete", "fail"]) -> Answer:  # noqa: A002
        moment = workspace.catch_up()
        export = workspace.exports.all.get(id)
        if export is None:
            raise UnknownError(f"There is no export {id!r}.")
        (workspace.exports.complete if action == "complete" else workspace.exports.fail)(export, moment)
        return Answer(_export_view(export))


def _act(workspace: Workspace, found: PhotoRequest, action: Action, body: ActionBody, moment: float) -> None:
    requests = workspace.requests
    if action == "open":
        requests.open(found, moment)
    elif action == "upload":
        _upload(workspace, found, body, moment)
    elif action == "submit":
        if body.fill:
            _upload_missing_photos(workspace, found, moment)
        requests.submit(found, moment)
    elif action == "expire":
        requests.expire(found, moment)
    elif action == "cancel":
        requests.cancel(found, moment)
    else:
        requests.delete(found, moment)


def _upload(workspace: Workspace, found: PhotoRequest, body: ActionBody, moment: float) -> None:
    item = None
    if body.item is not None:
        item = found.item(body.item)
        if item is None:
            raise UnknownError(f"{found.id} has no item {body.item!r}.")
    gps = random_place() if body.gps or (body.gps is None and found.person.gps) else None
    item_id = item.id if item else None
    photo = next_photo(workspace.context, found, moment, gps=gps, item_id=item_id, size=body.bytes)
    workspace.requests.upload(found, photo, moment)


def _upload_missing_photos(workspace: Workspace, found: PhotoRequest, moment: float) -> None:
    """Do what a person would have done before submitting: a photo for each required item, or a few."""
    if not found.is_open:
        return
    if found.opened_at is None:
        workspace.requests.open(found, moment)
    for item in found.missing_items():
        _upload(workspace, found, ActionBody(item=item.id), moment)
    if not found.photos:
        for _ in range(wanted_photos(found, found.person)):
            _upload(workspace, found, ActionBody(), moment)


def _submit_link(workspace: Workspace, link_id: str, body: LinkSubmissionBody) -> dict[str, Any]:
    moment = workspace.catch_up()
    link = _find_link(workspace, link_id)
    if not link.is_active:
        raise NotPossibleError(f"{link.id} is switched off.")
    count = body.photos if body.photos is not None else len(link.items) or 1
    wanted = [link.items[n % len(link.items)] if link.items else None for n in range(count)]
    spot, submission_id = random_place(), f"pls_{ids.token(10)}"
    photos = [
        generated_photo(
            new_photo_id(plugin_style=workspace.context.plugin_style),
            item.id if item else None,
            item.instructions if item else link.instructions,
            moment,
            subject=submission_id,
            request_text=link.instructions,
            gps=spot,
        )
        for item in wanted
    ]
    told = body.model_dump(exclude={"photos"})
    return_address = workspace.links.submit(link, Submission(submission_id, moment, photos, **told), moment)
    return {"id": submission_id, "photos": count, "submitted_at": moment, "return_url": return_address}


def _find_link(workspace: Workspace, link_id: str) -> Link:
    link = workspace.links.get(link_id) or workspace.links.by_address(link_id)
    if link is None:
        raise UnknownError(f"There is no permanent link {link_id!r}.")
    return link


def _change_key(workspace: Workspace, service: Service, action: KeyAction, key: str) -> str:
    """Do what the dashboard does with a key; returns the key that it has then."""
    active, inactive = workspace.keys[service], workspace.inactive_keys[service]
    if key not in active + inactive:
        raise UnknownError(f"{service} has no key {key!r}.")
    of = active if key in active else inactive
    of.remove(key)
    if action == "regenerate":
        new = key[: key.rfind("_") + 1] + ids.token(24)
        if key in workspace.vizdom_roles:
            workspace.vizdom_roles[new] = workspace.vizdom_roles.pop(key)
        of.append(new)
        return new
    (active if action == "activate" else inactive).append(key)
    return key


def _find(workspace: Workspace, id_or_code: str) -> PhotoRequest:
    found = workspace.requests.find(id_or_code)
    if found is None:
        raise UnknownError(f"There is no photo request {id_or_code!r}.")
    return found


def _request_view(workspace: Workspace, request: PhotoRequest) -> dict[str, Any]:
    return {
        "id": request.id,
        "unique_code": request.unique_code,
        "numeric_code": request.numeric_code,
        "status": request.status,
        "instructions": request.instructions,
        "request_url": workspace.requests.url(request),
        "recipient_email": request.recipient_email,
        "send_email": request.send_email,
        "require_gps": request.require_gps,
        "allow_submitter_notes": request.allow_submitter_notes,
        "internal_notes": request.internal_notes,
        "metadata": request.metadata,
        "items": items_view(request.items),
        "created_at": request.created_at,
        "expires_at": request.expires_at,
        "opened_at": request.opened_at,
        "visits": request.visits,
        "submitted_at": request.submitted_at,
        "notes": request.notes,
        "photos": [
            {"id": photo.id, "item_id": photo.item_id, "taken_at": photo.taken_at, "gps": photo.gps}
            for photo in request.photos
        ],
        "person": request.person.model_dump(),
    }


def _export_view(export: Export) -> dict[str, Any]:
    return {
        "id": export.id,
        "dashboard_id": export.dashboard.id,
        "format": export.format,
        "status": export.status,
        "created_at": export.created_at,
        "finished_at": export.finished_at,
        "error": export.error and export.error[1],
    }
