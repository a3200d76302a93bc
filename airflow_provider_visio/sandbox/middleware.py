"""The gate in front of a service: log the call, play a fault, check key, rate and body, then let it in."""

import json
import math
from collections.abc import Mapping, MutableMapping

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

from .error_reply import Refusal, Vendor
from .evidence import spoken
from .fault_injection import answer, misbehave, replay
from .faults import FaultSpec
from .options import Settings
from .photo_jpeg import ToolMissingError
from .rate_limit import Verdict
from .workspace import World


class Gate:
    """Logs every call to a service and plays the faults ordered for it."""

    def __init__(self, world: World, service: str, app: Starlette) -> None:
        self.world = world
        self.service = service
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        world, method = self.world, scope["method"]
        moment = world.catch_up()
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        query = scope["query_string"].decode("latin-1")
        headers = Headers(scope=scope)
        route = self.route(scope)
        call = world.ground.journal.arrived(
            self.service,
            method,
            f"{path}?{query}" if query else path,
            route.path if route else None,
            moment,
            key_sent="x-api-key" in headers or "authorization" in headers,
        )
        key = self.key(headers)

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
            await send(message)

        fault = world.faults.pick(self.service, method, path, key)
        if fault is None:
            await self.serve(scope, receive, noting)
        else:
            call.fault = fault.id
            await misbehave(fault, self.serve, scope, receive, noting, refuse=self.refuse_by_fault)

    def route(self, scope: Scope) -> Route | APIRoute | None:
        """Return the route that will answer, or None when the answer is 404 or 405."""
        for route in self.app.router.routes:
            if isinstance(route, Route | APIRoute) and route.matches(scope)[0] is Match.FULL:
                return route
        return None

    def key(self, headers: Mapping[str, str]) -> str | None:  # noqa: ARG002
        """Return the key in a call's headers; storage knows none."""
        return None

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for real."""
        await self.app(scope, receive, send)

    async def refuse_by_fault(self, spec: FaultSpec, send: Send) -> None:
        """Send the 429 of a `rate_limit` fault; for storage, what S3 says."""
        headers = {} if spec.retry_after is None else {"Retry-After": _number(spec.retry_after)}
        await answer(send, 503, b"<Error><Code>SlowDown</Code></Error>", headers)


class ApiGate(Gate):
    """The gate of an API: keys, scopes, rate limits and JSON bodies too."""

    def __init__(self, world: World, vendor: Vendor, app: FastAPI) -> None:
        super().__init__(world, vendor.name, app)
        self.vendor = vendor

    def key(self, headers: Mapping[str, str]) -> str | None:
        """Return the key in a call's headers."""
        return self.vendor.key(headers)

    def route(self, scope: Scope) -> Route | APIRoute | None:
        """Return the route that will answer, if the dialect has it."""
        route = super().route(scope)
        return route if self._spoken(route) else None

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for real; paths that do not exist are 404 before any key is looked at."""
        route = self.route(scope)
        if not isinstance(route, APIRoute):
            await self._response(self._unroutable(scope))(scope, receive, send)
            return
        try:
            key = self._check_key(Headers(scope=scope), route)
        except Refusal as refusal:
            await self._response(refusal)(scope, receive, send)
            return
        verdict = self._take(key)
        headers = self._rate_headers(verdict)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        if not verdict.allowed:
            self.world.ground.journal.refused(self.service)
            await self._response(self.vendor.too_many(headers))(scope, receive, send)
            return
        try:
            body = await self._checked_body(route, Request(scope, receive))
        except Refusal as refusal:
            await self._response(refusal)(scope, receive, with_headers)
            return
        await self.app(scope, replay(body, receive), with_headers)

    async def refuse_by_fault(self, spec: FaultSpec, send: Send) -> None:
        """Send the service's own 429, with headers as ordered."""
        headers: dict[str, str] = {}
        settings, clock = self.world.ground.settings, self.world.ground.clock
        if self.service == "visiono" and settings.rate_headers:
            reset = self.world.ground.for_caller(clock.now() + 60) if spec.reset is None else spec.reset
            headers = _rate_headers(settings, settings.visiono_per_minute, 0, reset)
        if spec.retry_after is not None:
            headers["Retry-After"] = _number(spec.retry_after)
        refusal = self.vendor.too_many({**headers, **spec.headers})
        content = json.dumps(refusal.body).encode()
        await answer(send, 429, content, {"Content-Type": "application/json", **refusal.headers})

    def _spoken(self, route: Route | APIRoute | None) -> bool:
        if not isinstance(route, APIRoute) or self.service != "visiono":
            return route is not None
        return spoken(route, self.world.ground.settings.dialect)

    def _unroutable(self, scope: Scope) -> Refusal:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        routes = [route for route in self.app.router.routes if route.matches(scope)[0] is not Match.NONE]
        unspoken = any(route.matches(scope)[0] is Match.FULL for route in routes)
        allowed = {
            method
            for route in routes
            if isinstance(route, APIRoute) and self._spoken(route)
            for method in route.methods
        }
        if unspoken or not allowed:
            return self.vendor.no_such_route(path)
        return self.vendor.wrong_method(scope["method"], path, sorted(allowed))

    def _response(self, refusal: Refusal) -> Response:
        return _response(self.world, self.vendor, refusal)

    def _check_key(self, headers: Mapping[str, str], route: APIRoute) -> str:
        key = self.vendor.key(headers)
        if key is None or key not in self.world.keys[self.service]:
            raise self.vendor.unauthenticated()
        settings = self.world.ground.settings
        if self.service == "vizdom":
            self._check_role(self.world.vizdom_role(key), route)
            return key
        wanted = (route.openapi_extra or {}).get("x-scope")
        if wanted and settings.visiono_scopes is not None and wanted not in settings.visiono_scopes:
            raise self.vendor.forbidden(f"This API key lacks the scope {wanted}.")
        return key

    def _check_role(self, role: str, route: APIRoute) -> None:
        if role == "viewer":
            raise self.vendor.forbidden("Viewers have no API access.")
        if role != "admin" and (route.openapi_extra or {}).get("x-role") == "admin":
            raise self.vendor.forbidden("Only Admins may do this.")

    def _take(self, key: str) -> Verdict:
        settings, now = self.world.ground.settings, self.world.now()
        if self.service == "vizdom":
            return self.world.throttle(f"vizdom {key}").take([(60, settings.vizdom_per_minute)], now)
        limits = [(60.0, settings.visiono_per_minute), (3600.0, settings.visiono_per_hour)]
        return self.world.throttle("visiono").take(limits, now)

    def _rate_headers(self, verdict: Verdict) -> dict[str, str]:
        settings, clock = self.world.ground.settings, self.world.ground.clock
        headers = {}
        if self.service == "visiono" and settings.rate_headers:
            reset = self.world.ground.for_caller(verdict.resets_at)
            headers = _rate_headers(settings, verdict.limit, verdict.remaining, reset)
        if settings.retry_after_header and not verdict.allowed:
            pace = 1.0 if settings.caller_clock == "virtual" else clock.speed or 1.0
            wait = (verdict.resets_at - clock.now()) / pace
            headers["Retry-After"] = str(max(1, math.ceil(wait)))
        return headers

    async def _checked_body(self, route: APIRoute, request: Request) -> bytes:
        content = await request.body()
        if route.body_field is None:
            return content
        if not content.strip():
            _set_content_type(request.scope)
            return b"{}"
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise self.vendor.bad_request(
                "The Content-Type of a request with a body must be application/json."
            )
        try:
            parsed = json.loads(content)
            # NaN, infinities and lone surrogates pass Python's parser and could not be sent back.
            json.dumps(parsed, allow_nan=False, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise self.vendor.bad_request("The request body is not valid JSON.") from None
        if not isinstance(parsed, dict):
            raise self.vendor.bad_request("The request body must be a JSON object.")
        return content


def speak_as(vendor: Vendor, app: FastAPI) -> None:
    """Have every error of the app come out in the vendor's shape."""

    async def refused(_: Request, problem: Exception) -> Response:
        assert isinstance(problem, Refusal)  # noqa: S101  for mypy
        return _response(app.state.world, vendor, problem)

    async def invalid(_: Request, problem: Exception) -> Response:
        assert isinstance(problem, RequestValidationError)  # noqa: S101  for mypy
        return _response(app.state.world, vendor, vendor.invalid(problem.errors()))

    async def unreadable(_: Request, problem: Exception) -> Response:
        assert isinstance(problem, HTTPException)  # noqa: S101  for mypy
        return _response(app.state.world, vendor, vendor.bad_request(str(problem.detail)))

    async def broken(_: Request, problem: Exception) -> Response:
        return vendor.broken(str(problem) if isinstance(problem, ToolMissingError) else None).response()

    app.add_exception_handler(Refusal, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, unreadable)
    app.add_exception_handler(ToolMissingError, broken)
    app.add_exception_handler(Exception, broken)


def _response(world: World, vendor: Vendor, refusal: Refusal) -> Response:
    return refusal.response(flat=vendor.name == "visiono" and world.ground.settings.flat_errors)


def _rate_headers(settings: Settings, limit: int, remaining: int, reset: float | str) -> dict[str, str]:
    headers = {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(remaining)}
    return headers | ({"X-RateLimit-Reset": _number(reset)} if settings.rate_reset_header else {})


def _set_content_type(scope: MutableMapping[str, object]) -> None:
    headers = MutableHeaders(scope=scope)
    headers["content-type"] = "application/json"


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else str(math.ceil(value))


class Prefixes:
    """The main origin: each service under its own prefix, pages for the rest."""

    def __init__(self, services: Mapping[str, ASGIApp], rest: ASGIApp) -> None:
        self._services = services
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one call on."""
        for prefix, app in self._services.items():
            if scope["path"] == prefix or scope["path"].startswith(prefix + "/"):
                await app({**scope, "root_path": prefix}, receive, send)
                return
        await self._rest(scope, receive, send)
