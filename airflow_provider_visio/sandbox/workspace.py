"""The state of both services, in memory."""

from collections import defaultdict
from typing import Annotated

from fastapi import Depends, Request

from .clock import Clock
from .context import Addresses, Context
from .dashboards import SEEDED
from .data_sources import DataSources
from .exports import Exports
from .fault_injection import Faults
from .options import Options, Person
from .permanent_links import Links
from .photo_requests import PhotoRequest, PhotoRequests
from .rate_limit import RateLimiter
from .simulated_recipients import Visit
from .team import Role, Team
from .webhook_deliveries import Deliveries
from .webhooks import Webhooks


class Workspace:
    """The state of both services; `catch_up` runs the actions that are due."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.addresses = Addresses()
        self.reset()

    def reset(self) -> None:
        """Return to the state at the start."""
        options = self.options
        self.context = Context(self.addresses, options.settings, Clock(options.speed))
        self.requests = PhotoRequests(self.context)
        self.links = Links(self.context)
        self.faults = Faults()
        self.webhooks = Webhooks(self.context)
        self.deliveries = Deliveries(self.context, self.webhooks, self.faults)
        self.exports = Exports(self.context)
        self.dashboards = {dashboard.id: dashboard for dashboard in SEEDED}
        self.data_sources = DataSources(self.context)
        self.team = Team(self.context)
        self.keys = {"visiono": [options.visiono_key], "vizdom": [options.vizdom_key]}
        self.inactive_keys: dict[str, list[str]] = {"visiono": [], "vizdom": []}
        self.vizdom_roles: dict[str, Role] = {}
        self.person = options.person
        # By caller.
        self.rate_limiters: dict[str, RateLimiter] = defaultdict(RateLimiter)

    def close(self) -> None:
        """End what is under way: calls that a fault holds, and deliveries."""
        self.faults.clear()
        self.deliveries.cancel()

    def now(self) -> float:
        """Return the virtual time."""
        return self.context.clock.now()

    def catch_up(self) -> float:
        """Run every scheduled action that is due, and return the virtual time."""
        now = self.now()
        self.context.scheduler.catch_up(now)
        return now

    def add_request(self, request: PhotoRequest) -> None:
        """Add a request and start the visit of its recipient."""
        self.requests.add(request)
        self.start_visit(request, self.person, request.created_at)

    def start_visit(self, request: PhotoRequest, person: Person, moment: float) -> None:
        """Start the visit of a person to a request's link; it replaces an earlier visit."""
        Visit(self.context, self.requests, request, person).begin(moment)

    def set_settings(self, **changes: object) -> None:
        """Change settings; the result is validated as a whole."""
        merged = {**self.context.settings.model_dump(exclude_unset=True), **changes}
        self.context.settings = type(self.context.settings).model_validate(merged)

    def vizdom_role(self, key: str) -> Role:
        """Return the role of a key's creator."""
        return self.vizdom_roles.get(key, self.context.settings.vizdom_role)


async def _workspace(request: Request) -> Workspace:
    workspace = request.app.state.workspace
    assert isinstance(workspace, Workspace)  # noqa: S101  for mypy
    workspace.catch_up()
    return workspace


# Type of a route's parameter that receives the workspace.
CurrentWorkspace = Annotated[Workspace, Depends(_workspace)]
