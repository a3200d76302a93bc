"""Visiono's permanent links, by the names of the reference and of the plugin."""

from fastapi import APIRouter, Request, Response

from . import ids
from .evidence import guess, plugin, seed
from .pagination import listing
from .permanent_links import Link
from .replies import ErrorReply
from .visiono_bodies import CreateLink, UpdateLink
from .visiono_replies import deleted, not_found, qr_code_address, reply, validation_error
from .visiono_routes import items_of, render_photos
from .visiono_serializers import download_meta, download_view, link_submission_view, link_view
from .workspace import CurrentWorkspace, Workspace

_NAMES = "field names (the plugin's smart links)"

router = APIRouter()


@router.get("/permanent-links", **seed("smart_links:read", _NAMES))
@router.get("/smart-links", **plugin("smart_links:read"))
async def list_links(
    workspace: CurrentWorkspace, request: Request, is_active: str | None = None, tags: str | None = None
) -> Response:
    """Return permanent links, in pages; the filters are the plugin's, their formats are assumed."""
    found = list(workspace.links)
    if workspace.context.settings.list_filters:
        if is_active is not None:
            if is_active not in ("true", "false", "1", "0"):
                raise validation_error({"is_active": ["The is active field must be true or false."]})
            wanted = is_active in ("1", "true")
            found = [link for link in found if link.is_active is wanted]
        for tag in (tags or "").split(","):
            found = [link for link in found if not tag or tag in link.tags]
    return listing(workspace.context, request, found, lambda link: _view(workspace, link))


@router.post("/permanent-links", **seed("smart_links:write", _NAMES, status=201))
@router.post("/smart-links", **plugin("smart_links:write", status=201))
async def create_link(workspace: CurrentWorkspace, body: CreateLink) -> Response:
    """Create a permanent link; the answer of a plan without links is assumed."""
    if workspace.context.settings.plan == "free":
        text = "Permanent links are not available on the free plan. Please upgrade your plan."
        raise ErrorReply(403, {"message": text})
    _check_slug(workspace, body.custom_slug, None)
    values = body.model_dump(exclude={"items"})
    for name in ("custom_slug", "unique_field_label"):
        values[name] = values[name] or None
    link = Link(
        id=workspace.links.new_id(),
        unique_code=ids.code(),
        created_at=workspace.now(),
        items=items_of(body.items),
        **values,
    )
    workspace.links.add(link)
    return reply(workspace.context, _view(workspace, link), 201)


@router.get("/permanent-links/{id}", **seed("smart_links:read", _NAMES))
@router.get("/smart-links/{id}", **plugin("smart_links:read"))
async def get_link(workspace: CurrentWorkspace, id: str) -> Response:
    """Return one permanent link."""
    return reply(workspace.context, _view(workspace, _find(workspace, id)))


@router.patch("/permanent-links/{id}", **seed("smart_links:write", _NAMES))
@router.put("/smart-links/{id}", **plugin("smart_links:write", "takes a part too"))
async def update_link(workspace: CurrentWorkspace, id: str, body: UpdateLink) -> Response:
    """Change the given fields."""
    link = _find(workspace, id)
    changes = body.model_dump(include=body.model_fields_set - {"items", "custom_slug"})
    if "custom_slug" in body.model_fields_set:
        _check_slug(workspace, body.custom_slug, link)
        workspace.links.rename(link, body.custom_slug)
    for name, value in changes.items():
        setattr(link, name, value)
    if "items" in body.model_fields_set:
        link.items = items_of(body.items)
    return reply(workspace.context, _view(workspace, link))


@router.delete("/permanent-links/{id}", **seed("smart_links:write", "204 without a body", status=204))
async def delete_link(workspace: CurrentWorkspace, id: str) -> Response:
    """Delete a permanent link and its photos."""
    link = _find(workspace, id)
    workspace.links.delete(link, workspace.now())
    return deleted(workspace.context, link.id)


@router.delete(
    "/smart-links/{id}", **plugin("smart_links:write", "it can still be read, inactive", status=204)
)
async def archive_link(workspace: CurrentWorkspace, id: str) -> Response:
    """Archive a smart link: it is inactive and can still be read."""
    link = _find(workspace, id)
    link.is_active = False
    return deleted(workspace.context, link.id)


@router.get(
    "/permanent-links/{id}/submissions", **guess("submissions:read", "that it exists under this name")
)
@router.get("/smart-links/{id}/submissions", **plugin("submissions:read", "the shape"))
async def list_submissions(workspace: CurrentWorkspace, request: Request, id: str) -> Response:
    """Return the submissions of a link, in pages."""
    link = _find(workspace, id)
    await render_photos(link.photos)
    context = workspace.context
    return listing(context, request, link.submissions, lambda one: link_submission_view(context, one))


@router.get(
    "/permanent-links/{id}/download-urls", **guess("download_urls:read", "that it exists under this name")
)
@router.get(
    "/smart-links/{id}/download-urls",
    **plugin("download_urls:read", "the name of the id; the rest as for requests"),
)
async def download_urls(workspace: CurrentWorkspace, id: str) -> Response:
    """Return all photos of a link with fresh signed links."""
    link = _find(workspace, id)
    await render_photos(link.photos)
    photos = [
        {**download_view(workspace.context, photo), "permanent_link_submission_id": submission.id}
        for submission in link.submissions
        for photo in submission.photos
    ]
    data = {"smart_link_id": link.id, "submissions": photos}
    return reply(workspace.context, data, meta=download_meta(workspace.context))


@router.get("/permanent-links/{id}/qrcode", **guess("smart_links:read", "that it exists under this name"))
@router.get("/smart-links/{id}/qrcode", **plugin("smart_links:read"))
async def qrcode(workspace: CurrentWorkspace, id: str) -> Response:
    """Return the address of a QR code of the link."""
    return qr_code_address(workspace.context, _find(workspace, id).unique_code)


def _find(workspace: Workspace, link_id: str) -> Link:
    link = workspace.links.get(link_id)
    if link is None:
        raise not_found("Permanent link")
    return link


def _view(workspace: Workspace, link: Link) -> dict[str, object]:
    return link_view(workspace.context, workspace.links, link)


def _check_slug(workspace: Workspace, slug: str | None, link: Link | None) -> None:
    if slug and workspace.links.slug_taken(slug, by_other_than=link):
        raise validation_error({"custom_slug": ["The custom slug has already been taken."]})
