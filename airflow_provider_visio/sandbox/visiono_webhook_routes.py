"""Visiono's webhook endpoints; only the vendor's plugin knows these calls."""

from fastapi import APIRouter, Request, Response

from .evidence import known
from .pagination import listing
from .visiono_bodies import CreateWebhook, UpdateWebhook
from .visiono_replies import not_found, reply
from .visiono_routes import PLUGIN, Here
from .visiono_serializers import webhook_view
from .webhooks import EVENTS, Webhook
from .workspace import World

router = APIRouter()


@router.get("/webhooks", **known("plugin", PLUGIN, scope="webhooks:read"))
async def list_webhooks(world: Here, request: Request) -> Response:
    """Webhook endpoints, in pages."""
    found = list(world.webhooks.all.values())
    return listing(world.ground, request, "/webhooks", found, lambda hook: webhook_view(world.ground, hook))


@router.post("/webhooks", **known("plugin", PLUGIN, scope="webhooks:write", status=201))
async def create_webhook(world: Here, body: CreateWebhook) -> Response:
    """Register an endpoint; its secret is in this reply only."""
    hook = world.webhooks.add(body.url, body.events, world.now())
    return reply(world.ground, webhook_view(world.ground, hook, secret=True), 201)


@router.get(
    "/webhooks/events", **known("plugin", PLUGIN, scope="webhooks:read", assumed="a plain list of names")
)
async def list_events(world: Here) -> Response:
    """Return the names of all events."""
    return reply(world.ground, list(EVENTS))


@router.get("/webhooks/{id}", **known("plugin", PLUGIN, scope="webhooks:read"))
async def get_webhook(world: Here, id: str) -> Response:  # noqa: A002  the reference's name
    """One endpoint."""
    return reply(world.ground, webhook_view(world.ground, _find(world, id)))


@router.patch("/webhooks/{id}", **known("plugin", PLUGIN, scope="webhooks:write", assumed="is_active"))
async def update_webhook(world: Here, id: str, body: UpdateWebhook) -> Response:  # noqa: A002
    """Change the fields given."""
    hook = _find(world, id)
    for name in body.model_fields_set:
        setattr(hook, name, getattr(body, name))
    return reply(world.ground, webhook_view(world.ground, hook))


@router.delete(
    "/webhooks/{id}",
    **known("plugin", PLUGIN, scope="webhooks:write", status=204, assumed="204 without a body"),
)
async def delete_webhook(world: Here, id: str) -> Response:  # noqa: A002
    """Remove an endpoint."""
    hook = _find(world, id)
    del world.webhooks.all[hook.id]
    if world.ground.settings.delete_reply == "body":
        return reply(world.ground, {"id": hook.id, "deleted": True})
    return Response(status_code=204)


@router.post(
    "/webhooks/{id}/test", **known("plugin", PLUGIN, scope="webhooks:write", assumed="reply and payload")
)
async def test_webhook(world: Here, id: str) -> Response:  # noqa: A002
    """Deliver a test; it is recorded at /control/deliveries, not sent."""
    hook = _find(world, id)
    delivery = world.webhooks.deliver(hook, "webhook.test", world.now(), {"message": "This is a test."})
    return reply(world.ground, {"id": delivery["headers"]["X-Visiono-Delivery"], "delivered": True})


def _find(world: World, hook_id: str) -> Webhook:
    hook = world.webhooks.all.get(hook_id)
    if hook is None:
        raise not_found("Webhook")
    return hook
