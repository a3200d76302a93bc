"""Everything the server knows, in memory, in one place."""

from typing import Annotated

from fastapi import Depends, Request

from .clock import Clock
from .context import Addresses, Context
from .dashboards import SEEDED, Dashboard
from .data_sources import DataSources
from .exports import Exports
from .fault_injection import Faults
from .options import Options, Person
from .permanent_links import Links
from .photo_requests import PhotoRequest, PhotoRequests
from .rate_limit import RateLimiter
from .simulated_recipients import Visit
from .team import Role, Team
from .webhooks import Webhooks


class Workspace:
    """The state of both services; `catch_up` brings it to the clock's present."""

    context: Context
    requests: PhotoRequests
    links: Links
    webhooks: Webhooks
    exports: Exports
    dashboards: dict[str, Dashboard]
    data_sources: DataSources
    team: Team
    faults: Faults
    keys: dict[str, list[str]]
    inactive_keys: dict[str, list[str]]
    vizdom_roles: dict[str, Role]
    person: Person
    rate_limiters: dict[str, RateLimiter]

    def __init__(self, options: Options) -> None:
        self.options = options
        self.addresses = Addresses()
        self.reset()

    def reset(self) -> None:
        """Forget everything and be as at start."""
        options = self.options
        self.context = Context(self.addresses, options.settings, Clock(options.speed))
        self.requests = PhotoRequests(self.context)
        self.links = Links(self.context)
        self.webhooks = Webhooks(self.context)
        self.exports = Exports(self.context)
        self.dashboards = {dashboard.id: dashboard for dashboard in SEEDED}
        self.data_sources = DataSources(self.context)
        self.team = Team(self.context)
        if hasattr(self, "faults"):
            self.faults.clear()
        self.faults = Faults()
        self.keys = {"visiono": [options.visiono_key], "vizdom": [options.vizdom_key]}
        self.inactive_keys = {"visiono": [], "vizdom": []}
        self.vizdom_roles = {}
        self.person = options.person
        self.rate_limiters = {}

    def now(self) -> float:
        """Return the virtual time."""
        return self.context.clock.now()

    def catch_up(self) -> float:
        """Let everything happen that is due by now; returns now."""
        now = self.now()
        self.context.scheduler.catch_up(now)
        return now

    def add_request(self, request: PhotoRequest) -> None:
        """Take in a new request; its recipient starts to behave."""
        self.requests.add(request)
        self.start_visit(request, self.person, request.created_at)

    def start_visit(self, request: PhotoRequest, person: Person, moment: float) -> None:
        """Have a person visit a request's link, instead of whoever was to."""
        Visit(self.context, self.requests, request, person).begin(moment)

    def set_settings(self, **changes: object) -> None:
        """Replace settings; the result is checked as a whole."""
        merged = {**self.context.settings.model_dump(exclude_unset=True), **changes}
        self.context.settings = type(self.context.settings).model_validate(merged)

    def vizdom_role(self, key: str) -> Role:
        """Return the role of the user who made a key."""
        return self.vizdom_roles.get(key, self.context.settings.vizdom_role)

    def rate_limiter(self, name: str) -> RateLimiter:
        """Return the call counts kept under a name."""
        return self.rate_limiters.setdefault(name, RateLimiter())


async def _workspace(request: Request) -> Workspace:
    workspace = request.app.state.workspace
    assert isinstance(workspace, Workspace)  # noqa: S101  for mypy
    return workspace


# The parameter of a route that needs the workspace.
CurrentWorkspace = Annotated[Workspace, Depends(_workspace)]
