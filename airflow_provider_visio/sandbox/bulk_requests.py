"""Many photo requests at once, outside rate limit and counters, for measurements."""

import random
from typing import Annotated

from pydantic import Field

from . import ids
from .options import ControlBody
from .photo_requests import PhotoRequest
from .workspace import Workspace


class BulkBody(ControlBody):
    """POST /control/photo-requests; times are virtual seconds from now."""

    count: Annotated[int, Field(ge=0, le=100_000)]
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    submit_after: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    submit_within: Annotated[float, Field(ge=0, le=1e9)] | None = None
    expires_in_hours: Annotated[int, Field(ge=1, le=8760)] = 72


def create_in_bulk(workspace: Workspace, body: BulkBody) -> list[str]:
    """Create requests; with `submit_within` a share is submitted without photos at random times. Return their ids."""
    now = workspace.catch_up()
    created = [_request(workspace, now, body.expires_in_hours) for _ in range(body.count)]
    for request in created:
        workspace.add_request(request)
    if body.submit_within is not None:
        start = now + body.submit_after
        for request in random.sample(created, round(body.count * body.share)):
            _submit_at(workspace, request, start + random.random() * body.submit_within)
    workspace.catch_up()
    return [request.id for request in created]


def _request(workspace: Workspace, now: float, hours: int) -> PhotoRequest:
    return PhotoRequest(
        id=workspace.requests.new_id(),
        unique_code=ids.code(),
        numeric_code=ids.digits(),
        instructions="One of many",
        created_at=now,
        expires_at=now + hours * 3600,
        items=[],
    )


def _submit_at(workspace: Workspace, request: PhotoRequest, moment: float) -> None:
    def submit(due: float) -> None:
        if request.is_open:
            workspace.requests.submit(request, due)

    workspace.context.scheduler.at(moment, submit)
