"""What the control interface does in place of people: recipients, visitors of links, owners of keys."""

from typing import Annotated, Any, Literal

from pydantic import Field

from . import ids
from .options import ControlBody, Pictures
from .permanent_links import Link, Submission
from .photo_requests import NotPossibleError, PhotoRequest
from .photos import generated_photo
from .picture_kinds import kind_of
from .simulated_recipients import next_photo, random_place, wanted_photos
from .workspace import Workspace

Action = Literal["open", "upload", "submit", "expire", "cancel", "delete"]
KeyAction = Literal["activate", "deactivate", "regenerate"]
Service = Literal["visiono", "vizdom"]


class ActionBody(ControlBody):
    """POST /control/photo-requests/{id}/{action}."""

    item: int | str | None = None
    bytes: Annotated[int, Field(ge=0)] | None = None
    gps: bool | None = None
    fill: bool = True


class LinkSubmissionBody(ControlBody):
    """POST /control/permanent-links/{id}/submit."""

    photos: Annotated[int, Field(ge=0, le=50)] | None = None
    pictures: Pictures = "plain"
    unique_field_value: str | None = None
    full_name: str | None = None
    external_source: str | None = None
    external_reference: str | None = None


class UnknownError(Exception):
    """The object in the path or body does not exist."""


def act_on_request(
    workspace: Workspace, found: PhotoRequest, action: Action, body: ActionBody, moment: float
) -> None:
    """Open, upload to, submit, expire, cancel or delete a request."""
    if action == "upload":
        _upload(workspace, found, body, moment)
        return
    if action == "submit" and body.fill:
        _upload_missing_photos(workspace, found, moment)
    getattr(workspace.requests, action)(found, moment)


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
    """Open the request, and upload a photo for each required item, or a few where there are no items."""
    if not found.is_open:
        return
    if found.opened_at is None:
        workspace.requests.open(found, moment)
    for item in found.missing_items():
        _upload(workspace, found, ActionBody(item=item.id), moment)
    if not found.photos:
        for _ in range(wanted_photos(found, found.person)):
            _upload(workspace, found, ActionBody(), moment)


def submit_link(workspace: Workspace, link_id: str, body: LinkSubmissionBody) -> dict[str, Any]:
    """Submit generated photos through a permanent link: as many as the body says, else one for each item, else one."""
    moment = workspace.catch_up()
    link = find_link(workspace, link_id)
    if not link.is_active:
        raise NotPossibleError(f"{link.id} is not active.")
    count = body.photos if body.photos is not None else len(link.items) or 1
    wanted = [link.items[n % len(link.items)] if link.items else None for n in range(count)]
    place, submission_id = random_place(), f"pls_{ids.token(10)}"
    text, kinds = link.instructions, [kind_of(body.pictures, n) for n in range(count)]
    photos = [
        generated_photo(workspace.context, item, text, moment, subject=submission_id, gps=place, kind=kind)
        for item, kind in zip(wanted, kinds, strict=True)
    ]
    values = body.model_dump(exclude={"photos", "pictures"})
    return_url = workspace.links.submit(link, Submission(submission_id, moment, photos, **values), moment)
    return {"id": submission_id, "photos": count, "submitted_at": moment, "return_url": return_url}


def change_key(workspace: Workspace, service: Service, action: KeyAction, key: str) -> str:
    """Do what the dashboard does with a key, and return the key that is valid then."""
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


def find_request(workspace: Workspace, id_or_code: str) -> PhotoRequest:
    """Return a live request by id or code."""
    found = workspace.requests.find(id_or_code)
    if found is None:
        raise UnknownError(f"There is no photo request {id_or_code!r}.")
    return found


def find_link(workspace: Workspace, link_id: str) -> Link:
    """Return a live permanent link by id, code or slug."""
    link = workspace.links.get(link_id) or workspace.links.by_address(link_id)
    if link is None:
        raise UnknownError(f"There is no permanent link {link_id!r}.")
    return link
