"""Many photo requests at once, outside rate limit and counters, for measurements."""

import random
from functools import partial
from typing import Annotated

from pydantic import Field

from .options import ControlBody, Seconds
from .photo_requests import PhotoRequest
from .workspace import Workspace


class BulkBody(ControlBody):
    """POST /control/photo-requests; times are virtual seconds from now."""

    count: Annotated[int, Field(ge=0, le=100_000)]
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    submit_after: Seconds = 0.0
    submit_within: Seconds | None = None
    expires_in_hours: Annotated[int, Field(ge=1, le=8760)] = 72


def create_in_bulk(workspace: Workspace, body: BulkBody) -> list[str]:
    """Create requests; with `submit_within` a share is submitted without photos at random times. Return their ids."""
    now = workspace.catch_up()
    new = workspace.requests.new
    created = [new("One of many", now, body.expires_in_hours) for _ in range(body.count)]
    for request in created:
        workspace.add_request(request)
    if body.submit_within is not None:
        start = now + body.submit_after
        for request in random.sample(created, round(body.count * body.share)):
            moment = start + random.random() * body.submit_within
            workspace.context.scheduler.at(moment, partial(_submit, workspace, request))
    workspace.catch_up()
    return [request.id for request in created]


def _submit(workspace: Workspace, request: PhotoRequest, moment: float) -> None:
    if request.is_open:
        workspace.requests.submit(request, moment)
