"""Two listeners in one process and event loop: the main origin, and storage on a port of its own."""

import asyncio
import contextlib
import importlib.util
import json
import os
import signal
import socket
from collections.abc import Generator
from pathlib import Path

import uvicorn
from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from . import visiono_link_routes, visiono_routes, visiono_webhook_routes, vizdom_routes
from .control import control_app
from .middleware import ApiMiddleware, Conventions, PrefixRouter, ServiceMiddleware, add_error_handlers
from .options import Options
from .storage import storage_app
from .visiono_replies import VisionoConventions
from .vizdom_replies import VizdomConventions
from .web_pages import pages_app
from .workspace import Workspace

_TICK_SECONDS = 0.2


class PortBusyError(Exception):
    """The port is in use."""


class _Server(uvicorn.Server):
    """A uvicorn server without signal handlers of its own; `ready` is set once it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def visiono_app(workspace: Workspace) -> FastAPI:
    """Build the Visiono API."""
    routers = (visiono_routes.router, visiono_link_routes.router, visiono_webhook_routes.router)
    return _api("Visiono", VisionoConventions(), workspace, *routers)


def vizdom_app(workspace: Workspace) -> FastAPI:
    """Build the Vizdom API."""
    return _api("Vizdom", VizdomConventions(), workspace, vizdom_routes.router)


def _api(title: str, conventions: Conventions, workspace: Workspace, *routers: APIRouter) -> FastAPI:
    app = FastAPI(title=title, openapi_url=None, redirect_slashes=False)
    app.state.workspace = workspace
    for router in routers:
        # `include_router` builds every route a second time, a tenth of the start-up time.
        app.router.routes.extend(router.routes)
    add_error_handlers(conventions, app)
    return app


def main_origin(workspace: Workspace) -> ASGIApp:
    """Build the main origin: both APIs, control interface and web pages."""
    services: dict[str, ASGIApp] = {
        "/visiono/v1": ApiMiddleware(workspace, VisionoConventions(), visiono_app(workspace)),
        "/vizdom/v1": ApiMiddleware(workspace, VizdomConventions(), vizdom_app(workspace)),
        "/control": control_app(workspace),
    }
    return PrefixRouter(services, pages_app(workspace))


def bind(host: str, port: int) -> socket.socket:
    """Open a listening socket; raises PortBusyError where the port is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio switches Nagle's algorithm off; without it every reply takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as problem:
        listener.close()
        raise PortBusyError(f"cannot listen on {host}:{port}: {problem.strerror}") from problem
    listener.settimeout(0)
    return listener


async def serve(options: Options, *, info_file: Path | None = None, as_json: bool = False) -> None:
    """Run until SIGINT or SIGTERM."""
    sockets = [bind(options.host, options.port), bind(options.host, options.storage_port)]
    workspace = Workspace(options)
    workspace.addresses.main, workspace.addresses.storage = (_url(options.host, one) for one in sockets)
    storage = ServiceMiddleware(workspace, "storage", storage_app(workspace))
    servers = [_Server(_config(app)) for app in (main_origin(workspace), storage)]

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    pairs = zip(servers, sockets, strict=True)
    running = asyncio.gather(*(server.serve([listener]) for server, listener in pairs))
    await asyncio.gather(*(server.ready.wait() for server in servers))
    _announce(workspace, info_file, as_json=as_json)
    ticking = asyncio.create_task(_tick(workspace))
    await running
    ticking.cancel()
    workspace.close()


async def _tick(workspace: Workspace) -> None:
    """Run scheduled actions on time, also while no call arrives."""
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        workspace.catch_up()


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        # Dropping a connection needs the transport, which both of these expose.
        http="httptools" if importlib.util.find_spec("httptools") else "h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )


def _url(host: str, listener: socket.socket) -> str:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{reachable}:{listener.getsockname()[1]}"


def _announce(workspace: Workspace, info_file: Path | None, *, as_json: bool) -> None:
    main, storage, options = workspace.addresses.main, workspace.addresses.storage, workspace.options
    info = {
        "pid": os.getpid(),
        "url": main,
        "visiono_url": f"{main}/visiono/v1",
        "vizdom_url": f"{main}/vizdom/v1",
        "control_url": f"{main}/control",
        "recipients_url": f"{main}/recipients",
        "storage_url": storage,
        "visiono_key": options.visiono_key,
        "vizdom_key": options.vizdom_key,
        "dialect": options.settings.dialect,
    }
    if info_file is not None:
        partial = info_file.with_name(f".{info_file.name}.{os.getpid()}")
        partial.write_text(json.dumps(info) + "\n")
        partial.replace(info_file)
    lines = [
        "visio-sandbox is ready",
        f"  Visiono API     {info['visiono_url']:<39} X-API-Key: {options.visiono_key}",
        f"  Vizdom API      {info['vizdom_url']:<39} Authorization: Bearer {options.vizdom_key}",
        f"  recipients      {info['recipients_url']:<39} (every open request, with its link)",
        f"  control         {info['control_url']}",
        f"  storage         {storage:<39} (signed links only)",
    ]
    print(json.dumps(info) if as_json else "\n".join(lines), flush=True)
