"""Web pages: overview of requests, code entry, QR codes and dashboards."""

import asyncio
import io
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from .export_files import draw
from .photo_jpeg import ToolMissingError, needs
from .recipient_page import Recipients
from .workspace import Workspace

if TYPE_CHECKING:
    from jinja2 import Environment

_LATEST_EVENTS = 12


@cache
def _templates() -> "Environment":
    """Load the templates on first use; importing Jinja is slow."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["span"] = span
    environment.filters["clock"] = clock_time
    return environment


def render(template: str, status: int = 200, **values: object) -> HTMLResponse:
    """Return a rendered template."""
    text = _templates().get_template(template).render(**values)
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})


def span(seconds: float) -> str:
    """Return a duration as text, such as `3 minutes`."""
    for length, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length * 1.5 or (seconds >= length and unit == "minute"):
            count = round(seconds / length)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{max(0, int(seconds))} seconds"


def clock_time(moment: float) -> str:
    """Return a Unix timestamp as text, such as `22 Nov 2026, 06:50 UTC`."""
    return datetime.fromtimestamp(moment, UTC).strftime("%-d %b %Y, %H:%M UTC")


def message(title: str, text: str, status: int, *, kind: str = "info") -> HTMLResponse:
    """Return a page with one message."""
    return render("message.html", status, title=title, text=text, kind=kind)


def pages_app(workspace: Workspace) -> Starlette:
    """Build the pages on the main origin."""

    async def home(_: Request) -> Response:
        return RedirectResponse("/recipients")

    async def overview(_: Request) -> Response:
        return render("recipients.html", **_overview(workspace))

    async def enter_code(request: Request) -> Response:
        code = request.query_params.get("code", "").strip()
        if not code:
            return render("code.html", code="", unknown=False)
        found = workspace.requests.find(code)
        if found is None:
            return render("code.html", 404, code=code, unknown=True)
        return RedirectResponse(f"/p/{found.unique_code.lower()}", 303)

    async def show_qr_code(request: Request) -> Response:
        address = _address(workspace, request.path_params["code"])
        if address is None:
            return message("Code not found", "No request and no link has this code.", 404)
        return Response(qr_code(address), media_type="image/png")

    async def not_found(_: Request, __: Exception) -> Response:
        return message("Page not found", "This page does not exist.", 404)

    async def cannot_draw(_: Request, problem: Exception) -> Response:
        return message("A library is missing", str(problem), 500)

    recipients = Recipients(workspace, render, message)
    routes = [
        Route("/", home),
        Route("/recipients", overview),
        Route("/code", enter_code),
        Route("/qr/{code}.png", show_qr_code),
        *_dashboard_routes(workspace),
        *recipients.routes(),
    ]
    return Starlette(routes=routes, exception_handlers={404: not_found, ToolMissingError: cannot_draw})


def _dashboard_routes(workspace: Workspace) -> list[Route]:
    async def dashboard(request: Request) -> Response:
        workspace.catch_up()
        found = workspace.dashboards.get(request.path_params["id"])
        if found is None:
            return message("Dashboard not found", "GET /dashboards lists the dashboards.", 404)
        exports = [export for export in workspace.exports.all.values() if export.dashboard is found]
        links = {
            export.id: workspace.context.link(path, workspace.context.settings.export_link_seconds)
            for export in exports
            for path in list(export.files)[:1]
        }
        newest = exports[::-1][:10]
        return render("dashboard.html", dashboard=found, exports=newest, links=links)

    async def dashboard_picture(request: Request) -> Response:
        found = workspace.dashboards.get(request.path_params["id"])
        if found is None:
            return Response(status_code=404)
        picture = await asyncio.to_thread(draw, found, f"{found.id}, updated {found.updated_at}.")
        return Response(picture, media_type="image/png")

    return [
        Route("/app/dashboards/{id}.png", dashboard_picture),
        Route("/app/dashboards/{id}", dashboard),
    ]


def qr_code(text: str) -> bytes:
    """Return a QR code as a PNG."""
    with needs("segno"):
        import segno
    out = io.BytesIO()
    segno.make_qr(text, error="m").save(out, kind="png", scale=10)
    return out.getvalue()


def _address(workspace: Workspace, code: str) -> str | None:
    request = workspace.requests.find(code)
    if request is not None:
        return workspace.requests.url(request)
    link = workspace.links.get(code)
    return None if link is None else workspace.links.url(link)


def _overview(workspace: Workspace) -> dict[str, Any]:
    now = workspace.catch_up()
    requests = sorted(workspace.requests, key=lambda one: (not one.is_open, -one.created_at))
    return {
        "now": now,
        "requests": requests[:200],
        "count": len(requests),
        "open": sum(one.is_open for one in requests),
        "links": list(workspace.links),
        "url": workspace.requests.url,
        "link_url": workspace.links.url,
        "events": workspace.context.log.events()[::-1][:_LATEST_EVENTS],
    }
