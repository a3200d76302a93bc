"""ASGI middleware of the services: logs calls, injects faults, checks key, rate limit and body."""

import json
import math
from collections.abc import Mapping

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .evidence import in_dialect
from .fault_injection import FaultSpec, inject_fault, replay, send_reply
from .options import Settings
from .photo_jpeg import ToolMissingError
from .rate_limit import RateDecision
from .replies import ErrorReply, storage_error
from .visiono_replies import VisionoConventions
from .vizdom_replies import VizdomConventions
from .workspace import Workspace

Conventions = VisionoConventions | VizdomConventions


class ServiceMiddleware:
    """Logs every call to a service and injects the faults ordered for it."""

    def __init__(self, workspace: Workspace, service: str, app: Starlette) -> None:
        self.workspace = workspace
        self.service = service
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        workspace, method = self.workspace, scope["method"]
        moment = workspace.catch_up()
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        query = scope["query_string"].decode("latin-1")
        headers = Headers(scope=scope)
        route = self.route(scope)
        more = {"at": moment, "key_sent": "x-api-key" in headers or "authorization" in headers}
        call = workspace.context.log.record_call(
            self.service, method, f"{path}?{query}" if query else path, route.path if route else None, **more
        )
        key = self.key(headers)

        async def recording(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
            await send(message)

        fault = workspace.faults.pick(self.service, method, path, key)
        if fault is None:
            await self.serve(scope, receive, recording)
        else:
            call.fault = fault.id
            await inject_fault(
                fault, self.serve, scope, receive, recording, send_rate_limit_reply=self.send_rate_limit_reply
            )

    def route(self, scope: Scope) -> Route | APIRoute | None:
        """Return the route that answers the call, or None when the answer is 404 or 405."""
        for route in self.app.router.routes:
            if isinstance(route, Route | APIRoute) and route.matches(scope)[0] is Match.FULL:
                return route
        return None

    def key(self, headers: Mapping[str, str]) -> str | None:  # noqa: ARG002
        """Return the API key in a call's headers; storage has none."""
        return None

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer without a fault."""
        await self.app(scope, receive, send)

    async def send_rate_limit_reply(self, spec: FaultSpec, send: Send) -> None:
        """Answer as a `rate_limit` fault orders; storage answers as S3 does."""
        headers = {} if spec.retry_after is None else {"Retry-After": _number(spec.retry_after)}
        content = storage_error("SlowDown", "Please reduce your request rate.").encode()
        await send_reply(send, 503, content, {"Content-Type": "application/xml", **headers})


class ApiMiddleware(ServiceMiddleware):
    """Middleware of an API: also checks keys, scopes, rate limits and JSON bodies."""

    def __init__(self, workspace: Workspace, conventions: Conventions, app: FastAPI) -> None:
        super().__init__(workspace, conventions.name, app)
        self.conventions = conventions

    def key(self, headers: Mapping[str, str]) -> str | None:
        """Return the API key in a call's headers."""
        return self.conventions.key(headers)

    def route(self, scope: Scope) -> Route | APIRoute | None:
        """Return the route that answers the call, where the dialect has it."""
        route = super().route(scope)
        return route if self._in_dialect(route) else None

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer without a fault; an unknown path is 404 before the key is checked."""
        route = self.route(scope)
        if not isinstance(route, APIRoute):
            await self._response(self._unroutable(scope))(scope, receive, send)
            return
        try:
            key = self._check_key(Headers(scope=scope), route)
        except ErrorReply as refusal:
            await self._response(refusal)(scope, receive, send)
            return
        decision = self._admit(key)
        headers = self._rate_headers(decision)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        if not decision.allowed:
            self.workspace.context.log.count_refusal(self.service)
            await self._response(self.conventions.error(429, headers=headers))(scope, receive, send)
            return
        try:
            body = await self._checked_body(route, Request(scope, receive))
        except ErrorReply as refusal:
            await self._response(refusal)(scope, receive, with_headers)
            return
        await self.app(scope, replay(body, receive), with_headers)

    async def send_rate_limit_reply(self, spec: FaultSpec, send: Send) -> None:
        """Answer with the service's 429 and the headers that the fault orders."""
        headers: dict[str, str] = {}
        settings, clock = self.workspace.context.settings, self.workspace.context.clock
        if self.service == "visiono" and settings.rate_headers:
            reset = (
                self.workspace.context.in_caller_time(clock.now() + 60) if spec.reset is None else spec.reset
            )
            headers = _rate_headers(settings, settings.visiono_per_minute, 0, reset)
        if spec.retry_after is not None:
            headers["Retry-After"] = _number(spec.retry_after)
        refusal = self.conventions.error(429, headers={**headers, **spec.headers})
        content = json.dumps(refusal.body).encode()
        await send_reply(send, 429, content, {"Content-Type": "application/json", **refusal.headers})

    def _in_dialect(self, route: Route | APIRoute | None) -> bool:
        if not isinstance(route, APIRoute) or self.service != "visiono":
            return route is not None
        return in_dialect(route, self.workspace.context.settings.dialect)

    def _unroutable(self, scope: Scope) -> ErrorReply:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        routes = [route for route in self.app.router.routes if route.matches(scope)[0] is not Match.NONE]
        in_other_dialect = any(route.matches(scope)[0] is Match.FULL for route in routes)
        allowed = {
            method
            for route in routes
            if isinstance(route, APIRoute) and self._in_dialect(route)
            for method in route.methods
        }
        if in_other_dialect or not allowed:
            return self.conventions.no_such_route(path)
        return self.conventions.wrong_method(scope["method"], path, sorted(allowed))

    def _response(self, refusal: ErrorReply) -> Response:
        return _response(self.workspace, self.conventions, refusal)

    def _check_key(self, headers: Mapping[str, str], route: APIRoute) -> str:
        key = self.conventions.key(headers)
        if key is None or key not in self.workspace.keys[self.service]:
            raise self.conventions.error(401)
        settings = self.workspace.context.settings
        if self.service == "vizdom":
            self._check_role(self.workspace.vizdom_role(key), route)
            return key
        wanted = (route.openapi_extra or {}).get("x-scope")
        if wanted and settings.visiono_scopes is not None and wanted not in settings.visiono_scopes:
            raise self.conventions.error(403, f"This API key lacks the scope {wanted}.")
        return key

    def _check_role(self, role: str, route: APIRoute) -> None:
        if role == "viewer":
            raise self.conventions.error(403, "Viewers have no API access.")
        if role != "admin" and (route.openapi_extra or {}).get("x-role") == "admin":
            raise self.conventions.error(403, "Only Admins can do this.")

    def _admit(self, key: str) -> RateDecision:
        settings, now = self.workspace.context.settings, self.workspace.now()
        if self.service == "vizdom":
            limits = [(60.0, settings.vizdom_per_minute)]
            return self.workspace.rate_limiters[f"vizdom {key}"].admit(limits, now)
        limits = [(60.0, settings.visiono_per_minute), (3600.0, settings.visiono_per_hour)]
        return self.workspace.rate_limiters["visiono"].admit(limits, now)

    def _rate_headers(self, decision: RateDecision) -> dict[str, str]:
        settings, clock = self.workspace.context.settings, self.workspace.context.clock
        headers = {}
        if self.service == "visiono" and settings.rate_headers:
            reset = self.workspace.context.in_caller_time(decision.resets_at)
            headers = _rate_headers(settings, decision.limit, decision.remaining, reset)
        if settings.retry_after_header and not decision.allowed:
            pace = 1.0 if settings.caller_clock == "virtual" else clock.speed or 1.0
            wait = (decision.resets_at - clock.now()) / pace
            headers["Retry-After"] = str(max(1, math.ceil(wait)))
        return headers

    async def _checked_body(self, route: APIRoute, request: Request) -> bytes:
        content = await request.body()
        if route.body_field is None:
            return content
        if not content.strip():
            MutableHeaders(scope=request.scope)["content-type"] = "application/json"
            return b"{}"
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise self.conventions.error(
                400, "The Content-Type of a request with a body must be application/json."
            )
        try:
            parsed = json.loads(content)
            # Python's parser accepts NaN, infinities and unpaired surrogates, which a reply cannot contain.
            json.dumps(parsed, allow_nan=False, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise self.conventions.error(400, "The request body is not valid JSON.") from None
        if not isinstance(parsed, dict):
            raise self.conventions.error(400, "The request body must be a JSON object.")
        return content


def add_error_handlers(conventions: Conventions, app: FastAPI) -> None:
    """Give every error of the app the shape of its service."""

    async def handle(_: Request, problem: Exception) -> Response:
        if isinstance(problem, ErrorReply):
            refusal = problem
        elif isinstance(problem, RequestValidationError):
            refusal = conventions.invalid(problem.errors())
        elif isinstance(problem, HTTPException):
            refusal = conventions.error(400, str(problem.detail))
        else:
            refusal = conventions.error(500, str(problem) if isinstance(problem, ToolMissingError) else "")
        return _response(app.state.workspace, conventions, refusal)

    for kind in (ErrorReply, RequestValidationError, HTTPException, ToolMissingError, Exception):
        app.add_exception_handler(kind, handle)


def _response(workspace: Workspace, conventions: Conventions, refusal: ErrorReply) -> Response:
    return refusal.response(flat=conventions.name == "visiono" and workspace.context.settings.flat_errors)


def _rate_headers(settings: Settings, limit: int, remaining: int, reset: float | str) -> dict[str, str]:
    headers = {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(remaining)}
    return headers | ({"X-RateLimit-Reset": _number(reset)} if settings.rate_reset_header else {})


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else str(math.ceil(value))


class PrefixRouter:
    """Passes a call to the app with its path's prefix, or to the web pages."""

    def __init__(self, services: Mapping[str, ASGIApp], rest: ASGIApp) -> None:
        self._services = services
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one call to its app."""
        for prefix, app in self._services.items():
            if scope["path"] == prefix or scope["path"].startswith(prefix + "/"):
                path = prefix + "/" if scope["path"] == prefix else scope["path"]
                await app({**scope, "path": path, "root_path": prefix}, receive, send)
                return
        await self._rest(scope, receive, send)
