"""
The gallery's FastAPI app in Airflow's API server: the page, its pictures, and downloads.

Airflow does not authenticate the apps of plugins. Each route that shows something of a task asks Airflow whether this
user may read the task instance and its XComs. Nothing is served to be shown but pages of our own, and raster pictures.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, StreamingResponse
from starlette.exceptions import HTTPException

from airflow_provider_visio.gallery.archive import CHUNK, zip_of
from airflow_provider_visio.gallery.page import read_page, render, render_page
from airflow_provider_visio.gallery.pictures import LARGEST_PHOTO, SIDES, picture_of
from airflow_provider_visio.gallery.problem import GalleryError
from airflow_provider_visio.gallery.stored_manifests import ManifestEntry, OpenJob
from airflow_provider_visio.gallery.task_output import StoredJob, TaskAddress, stored_jobs
from airflow_provider_visio.storage.destination import distinct_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

STATIC = Path(__file__).parent / "static"
# Photos that are decoded at the same time. Others wait without a thread of the server, which Airflow's own calls need.
DECODED_AT_ONCE = 2
# Seconds for which a browser keeps a picture without asking.
KEPT = 3600

_SAFE = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_HEADERS = {**_SAFE, "Cache-Control": "private, no-store"}
_SENTENCES = {
    401: "You are not logged in. Log in to Airflow, and open this page again.",
    403: "You may not see this. It needs the right to read the task instances and XComs of its DAG.",
    404: "There is no such page in the gallery.",
}

app = FastAPI(title="Visio gallery", docs_url=None, redoc_url=None, openapi_url=None)
router = APIRouter(
    dependencies=[
        Depends(requires_access_dag("GET", entity))
        for entity in (DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM)
    ]
)
# The same threads each time: the C library keeps some memory for each thread that has decoded.
_decoders = ThreadPoolExecutor(DECODED_AT_ONCE, thread_name_prefix="visio-gallery")


def _address(
    # No "~", which stands for all DAGs in Airflow's checks.
    dag_id: Annotated[str, Query(pattern=r"^[\w.\-]+$")],
    run_id: str,
    task_id: str,
    map_index: str = "",
) -> TaskAddress:
    # Airflow's UI leaves its placeholder where a task is not mapped.
    return TaskAddress(dag_id, run_id, task_id, int(map_index) if map_index.isdecimal() else -1)


Task = Annotated[TaskAddress, Depends(_address)]
Number = Annotated[int, Query(ge=0)]


@router.get("/photos")
def page(task: Task, page: Number = 1) -> HTMLResponse:
    """Show a page of what the task stored."""
    return HTMLResponse(render_page(read_page(stored_jobs(task), page), task), headers=_HEADERS)


@router.get("/picture")
async def picture(
    task: Task,
    manifest: Number,
    file: Number,
    sha256: str,
    size: str = "thumbnail",
    if_none_match: Annotated[str, Header()] = "",
) -> Response:
    """Show a photo as a raster picture."""
    work = partial(_picture, task, manifest, file, sha256, size, if_none_match)
    return await asyncio.get_running_loop().run_in_executor(_decoders, work)


def _picture(
    task: TaskAddress, manifest: int, file: int, sha256: str, size: str, if_none_match: str
) -> Response:
    if size not in SIDES:
        raise GalleryError("There is no picture of this size.")
    job, entry = _entry(task, manifest, file, sha256)
    tag = f'"{entry.sha256}-{size}"'
    headers = {**_SAFE, "Cache-Control": f"private, max-age={KEPT}", "ETag": tag}
    if tag in if_none_match:
        return Response(status_code=304, headers=headers)
    data, media_type = picture_of(job.read(entry, LARGEST_PHOTO), size)
    return Response(data, media_type=media_type, headers=headers)


@router.get("/file")
def download(task: Task, manifest: Number, file: Number, sha256: str) -> StreamingResponse:
    """Download a file as it was stored."""
    job, entry = _entry(task, manifest, file, sha256)
    return _attachment(_chunks(job.open(entry.name)), entry.name)


@router.get("/manifest")
def manifest(task: Task, manifest: Number) -> StreamingResponse:
    """Download a manifest."""
    job = OpenJob(_job(stored_jobs(task), manifest))
    return _attachment(iter([job.manifest_text]), job.manifest_name)


@router.get("/archive")
def archive(task: Task) -> StreamingResponse:
    """Download all files of the task, with their manifests, as a ZIP archive."""
    return _attachment(zip_of(_all_files(stored_jobs(task))), f"{task.task_id}.zip", "application/zip")


@app.get("/static/{name}")
def static(name: str) -> FileResponse:
    """Return the page's style or script, which anybody may read."""
    if name not in {"gallery.css", "gallery.js"}:
        raise HTTPException(404)
    return FileResponse(STATIC / name, headers={**_SAFE, "Cache-Control": "public, max-age=86400"})


app.include_router(router)


def _job(jobs: list[StoredJob], number: int) -> StoredJob:
    if number >= len(jobs):
        raise GalleryError("The task's output has changed. Load the page again.", 409)
    return jobs[number]


def _entry(task: TaskAddress, manifest: int, file: int, sha256: str) -> tuple[OpenJob, ManifestEntry]:
    job = _job(stored_jobs(task), manifest)
    opened = OpenJob(job)
    entry = opened.entry(job.files[file]) if file < len(job.files) else None
    if entry is None or not sha256 or not entry.sha256.startswith(sha256):
        raise GalleryError("The stored files have changed. Load the page again.", 409)
    return opened, entry


def _all_files(jobs: list[StoredJob]) -> Iterator[tuple[str, Callable[[], IO[bytes]]]]:
    for job in jobs:
        if not job.files:
            continue
        folder = f"{distinct_name(job.id, limit=120)}/" if len(jobs) > 1 else ""
        try:
            opened = OpenJob(job)
        except GalleryError as error:
            yield f"{folder}{job.id}", partial(_raise, error)
            continue
        yield f"{folder}{opened.manifest_name}", partial(opened.open, opened.manifest_name)
        for file in job.files:
            yield f"{folder}{file.name}", partial(_open_listed, opened, file)


def _open_listed(job: OpenJob, file: Any) -> IO[bytes]:
    return job.open(job.entry(file).name)


def _raise(error: GalleryError) -> IO[bytes]:
    raise error


def _chunks(source: IO[bytes]) -> Iterator[bytes]:
    with source:
        while chunk := source.read(CHUNK):
            yield chunk


def _attachment(
    parts: Iterator[bytes], name: str, media_type: str = "application/octet-stream"
) -> StreamingResponse:
    """Return a reply that a browser saves and never shows."""
    plain = "".join(
        char if char.isascii() and char.isprintable() and char not in '"\\%' else "_" for char in name
    )
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    return StreamingResponse(
        parts, media_type=media_type, headers={**_HEADERS, "Content-Disposition": disposition}
    )


def _say(request: Request, status: int, text: str) -> Response:
    """Return an error: a page for a person, plain text for the page's script."""
    if "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(render("message.html", text=text), status, headers=_HEADERS)
    return PlainTextResponse(text, status, headers=_HEADERS)


@app.exception_handler(GalleryError)
async def _cannot_show(request: Request, error: GalleryError) -> Response:
    return _say(request, error.status, str(error))


@app.exception_handler(HTTPException)
async def _refused(request: Request, error: HTTPException) -> Response:
    return _say(request, error.status_code, _SENTENCES.get(error.status_code, str(error.detail)))


@app.exception_handler(RequestValidationError)
async def _incomplete(request: Request, error: RequestValidationError) -> Response:  # noqa: ARG001
    return _say(request, 400, "This address is not complete. Open the page with the button of a task.")


@app.exception_handler(Exception)
async def _failed(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette logs it
    return _say(request, 500, "The gallery failed. The log of the API server says why.")
