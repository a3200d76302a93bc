"""The storage origin: serves files by signed URL, with the errors of S3. It needs no API key."""

import asyncio
from email.utils import formatdate
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from .photo_jpeg import ToolMissingError
from .replies import storage_error
from .workspace import Workspace


def storage_app(workspace: Workspace) -> Starlette:
    """Build the application on the storage origin's own port."""

    async def fetch(request: Request) -> Response:
        path = request.url.path
        refusal = _refusal(workspace, request, path)
        if refusal is not None:
            return refusal
        file = workspace.context.files.get(path)
        if file is None:
            return _error(404, "NoSuchKey", "The specified key does not exist.")
        try:
            size = await asyncio.to_thread(file.size)
            etag = await asyncio.to_thread(file.etag)
        except ToolMissingError as problem:
            return _error(500, "InternalError", str(problem))
        name = path.rsplit("/", 1)[-1]
        workspace.context.log.record(workspace.now(), "file_fetched", path, f"{name} was fetched", bytes=size)
        headers = {
            "Content-Length": str(size),
            "ETag": f'"{etag}"',
            "Last-Modified": formatdate(workspace.now(), usegmt=True),
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
        }
        return StreamingResponse(file.chunks(), headers=headers, media_type=file.media_type)

    names = ("photos", "thumbnails", "exports")
    routes = [Route(f"/{name}/{{name}}", fetch, methods=["GET"]) for name in names]
    return Starlette(routes=routes)


def _refusal(workspace: Workspace, request: Request, path: str) -> Response | None:
    expires = request.query_params.get("expires", "")
    signature = request.query_params.get("signature", "")
    signer = workspace.context.signer
    if not signer.matches(path, expires, signature):
        return _error(403, "SignatureDoesNotMatch", "The request signature does not match.")
    if request.scope.get("expire_link"):
        signer.expired.add(signature)
    if workspace.now() >= float(expires) or signature in signer.expired:
        return _error(403, "AccessDenied", "Request has expired")
    return None


def _error(status: int, code: str, message: str) -> Response:
    return Response(storage_error(code, message), status, media_type="application/xml")
