"""Visiono's webhook endpoints; only the vendor's plugin names these calls."""

from typing import get_args

from fastapi import APIRouter, Request, Response

from .evidence import plugin
from .pagination import listing
from .visiono_bodies import CreateWebhook, UpdateWebhook
from .visiono_replies import deleted, not_found, reply
from .visiono_serializers import webhook_view
from .webhooks import Event, Webhook
from .workspace import CurrentWorkspace, Workspace

router = APIRouter()


@router.get("/webhooks", **plugin("webhooks:read"))
async def list_webhooks(workspace: CurrentWorkspace, request: Request) -> Response:
    """Return webhook endpoints, in pages."""
    context, found = workspace.context, list(workspace.webhooks.all.values())
    return listing(context, request, found, lambda hook: webhook_view(context, hook))


@router.post("/webhooks", **plugin("webhooks:write", status=201))
async def create_webhook(workspace: CurrentWorkspace, body: CreateWebhook) -> Response:
    """Register an endpoint; its secret is in this reply only."""
    hook = workspace.webhooks.add(body.url, body.events, workspace.now())
    return reply(workspace.context, webhook_view(workspace.context, hook, secret=True), 201)


@router.get("/webhooks/events", **plugin("webhooks:read", "a plain list of names"))
async def list_events(workspace: CurrentWorkspace) -> Response:
    """Return the names of all events."""
    return reply(workspace.context, list(get_args(Event)))


@router.get("/webhooks/{id}", **plugin("webhooks:read"))
async def get_webhook(workspace: CurrentWorkspace, id: str) -> Response:
    """Return one endpoint."""
    return reply(workspace.context, webhook_view(workspace.context, _find(workspace, id)))


@router.patch("/webhooks/{id}", **plugin("webhooks:write", "is_active"))
async def update_webhook(workspace: CurrentWorkspace, id: str, body: UpdateWebhook) -> Response:
    """Change the given fields."""
    hook = _find(workspace, id)
    for name in body.model_fields_set:
        setattr(hook, name, getattr(body, name))
    return reply(workspace.context, webhook_view(workspace.context, hook))


@router.delete("/webhooks/{id}", **plugin("webhooks:write", "204 without a body", status=204))
async def delete_webhook(workspace: CurrentWorkspace, id: str) -> Response:
    """Remove an endpoint."""
    hook = _find(workspace, id)
    del workspace.webhooks.all[hook.id]
    return deleted(workspace.context, hook.id)


@router.post("/webhooks/{id}/test", **plugin("webhooks:write", "reply and payload"))
async def test_webhook(workspace: CurrentWorkspace, id: str) -> Response:
    """Send a test delivery, which /control/deliveries shows."""
    data = {"message": "This is a test."}
    delivery = workspace.deliveries.add(_find(workspace, id), "webhook.test", workspace.now(), data)
    return reply(workspace.context, {"id": delivery.id, "delivered": True})


def _find(workspace: Workspace, hook_id: str) -> Webhook:
    hook = workspace.webhooks.all.get(hook_id)
    if hook is None:
        raise not_found("Webhook")
    return hook
