"""The web page of a recipient's link: upload photos and submit them. It works without JavaScript too."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from . import ids
from .permanent_links import Draft, Link, Submission
from .photo_requests import NotPossibleError, PhotoRequest
from .photos import Photo, uploaded_photo
from .workflow_mode import Origin, Problem
from .workspace import Workspace

_MAX_BYTES = 25 * 1024 * 1024
_NOT_A_PICTURE = "This file is not a picture (JPEG, HEIC, AVIF, PNG, WebP, GIF, TIFF, BMP or JPEG XL)."

_CLOSED = {
    "submitted": ("Thank you", "Your photos have arrived. You can close this page.", 200, "done"),
    "expired": ("This link has expired", "Ask the sender for a new link.", 410, "late"),
    "cancelled": ("This request was withdrawn", "The photos are no longer needed.", 410, "late"),
}

# The plugin names these pages; their texts and statuses are assumed.
_UNSIGNED = {
    "missing": ("Missing parameters", "This link only works from within the application it belongs to.", 400),
    "invalid": ("Invalid signature", "This link was changed on its way. Go back and open it again.", 403),
    "expired": ("Link expired", "This link was valid for a short time only. Go back and open it again.", 410),
}


@dataclass
class UploadForm:
    """What a link requests, and the photos that its visitor has uploaded."""

    source: PhotoRequest | Link
    photos: list[Photo]
    draft: str = ""
    origin: Origin | None = None

    def problem(self, form: FormData) -> str | None:
        """Return why the form cannot be submitted yet, if so."""
        have = {photo.item_id for photo in self.photos}
        missing = [
            item.instructions for item in self.source.items if item.is_required and item.id not in have
        ]
        if missing:
            return (
                f"One photo is still missing: {missing[0]}"
                if len(missing) == 1
                else (f"{len(missing)} photos are still missing.")
            )
        if not self.photos:
            return "Add at least one photo."
        if self.source.require_gps and _place(form) is None:
            return "Share your location, please: it is part of this request."
        if isinstance(self.source, Link):
            if self.source.unique_field_label and not self.origin and not _text(form, "unique_field_value"):
                return f"Fill in: {self.source.unique_field_label}"
            if self.source.full_name_required and not _text(form, "full_name"):
                return "Fill in your name."
        return None


class Recipients:
    """The routes under `/p/`."""

    def __init__(
        self, workspace: Workspace, render: Callable[..., HTMLResponse], message: Callable[..., HTMLResponse]
    ) -> None:
        self._workspace = workspace
        self._render = render
        self._message = message

    def routes(self) -> list[Route]:
        """Return the Starlette routes."""
        return [
            Route("/p/{code}", self.show),
            Route("/p/{code}/photos", self.upload, methods=["POST"]),
            Route("/p/{code}/photos/{photo}", self.preview, methods=["GET"]),
            Route("/p/{code}/photos/{photo}", self.remove, methods=["DELETE"]),
            Route("/p/{code}/submit", self.submit, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Show the page, and count the visit."""
        moment, code = self._workspace.catch_up(), request.path_params["code"]
        upload_form = self._upload_form(code, "", request.query_params)
        if not isinstance(upload_form, UploadForm):
            return upload_form
        if isinstance(upload_form.source, PhotoRequest):
            self._workspace.requests.open(upload_form.source, moment)
        return self._closed("submitted") if "thanks" in request.query_params else self._page(upload_form)

    async def upload(self, request: Request) -> Response:
        """Add one photo; the page's script uploads them one by one."""
        async with request.form() as form:
            upload_form = self._upload_form(request.path_params["code"], _text(form, "draft"))
            if not isinstance(upload_form, UploadForm):
                return JSONResponse({"error": "This link is closed."}, 409)
            file = form.get("photo")
            if not isinstance(file, UploadFile):
                return JSONResponse({"error": "No photo was sent."}, 422)
            photo = await self._add_photo(upload_form, file, _text(form, "item") or None, _place(form))
        if isinstance(photo, str):
            return JSONResponse({"error": photo}, 422)
        return JSONResponse({"id": photo.id}, 201)

    async def preview(self, request: Request) -> Response:
        """Return the thumbnail of an uploaded photo."""
        found = self._find(request)
        if found is None:
            return Response(status_code=404)
        return Response(b"".join(found[1].thumbnail.chunks()), media_type="image/jpeg")

    async def remove(self, request: Request) -> Response:
        """Remove an uploaded photo."""
        self._workspace.catch_up()
        found = self._find(request)
        if found is None:
            return Response(status_code=404)
        upload_form, photo = found
        if isinstance(upload_form.source, PhotoRequest):
            self._workspace.requests.remove_photo(upload_form.source, photo)
        else:
            upload_form.photos.remove(photo)
        return Response(status_code=204)

    async def submit(self, request: Request) -> Response:
        """Submit; without the page's script, the form contains the photos."""
        moment, code = self._workspace.catch_up(), request.path_params["code"]
        async with request.form() as form:
            upload_form = self._upload_form(code, _text(form, "draft"))
            if not isinstance(upload_form, UploadForm):
                return upload_form
            for name, file in form.multi_items():
                if isinstance(file, UploadFile) and file.filename:
                    item = name.removeprefix("photo-") if name.startswith("photo-") else None
                    problem = await self._add_photo(upload_form, file, item, _place(form))
                    if isinstance(problem, str):
                        return self._page(upload_form, problem)
            missing = upload_form.problem(form)
            if missing:
                return self._page(upload_form, missing)
            place = _place(form)
            for photo in upload_form.photos:
                photo.gps = photo.gps or place
            return_address = self._finish(upload_form, form, moment)
        return RedirectResponse(return_address or f"/p/{code}?thanks", 303)

    def _finish(self, upload_form: UploadForm, form: FormData, moment: float) -> str | None:
        """Submit the photos, and return the URL that the visitor is sent to, if set."""
        if isinstance(upload_form.source, PhotoRequest):
            upload_form.source.notes = _text(form, "notes") or None
            self._workspace.requests.submit(upload_form.source, moment)
            return None
        origin = upload_form.origin or Origin(_text(form, "unique_field_value") or None)
        submission = Submission(
            f"pls_{ids.token(10)}",
            moment,
            list(upload_form.photos),
            origin.unique_value,
            _text(form, "full_name") or None,
            origin.source,
            origin.reference,
        )
        self._workspace.links.drafts.pop((upload_form.source.id, upload_form.draft), None)
        return self._workspace.links.submit(upload_form.source, submission, moment)

    async def _add_photo(
        self, upload_form: UploadForm, file: UploadFile, item_id: str | None, gps: tuple[float, float] | None
    ) -> Photo | str:
        """Add a photo, or return what is wrong with it."""
        content = await file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            return "This picture is larger than 25 MB."
        item = next((item for item in upload_form.source.items if item.id == item_id), None)
        if item_id is not None and item is None:
            return "This request does not ask for that picture."
        text = upload_form.source.instructions
        photo = uploaded_photo(self._workspace.context, item, text, content, gps)
        if photo is None:
            return _NOT_A_PICTURE
        if isinstance(upload_form.source, PhotoRequest):
            try:
                self._workspace.requests.upload(upload_form.source, photo, self._workspace.now())
            except NotPossibleError as problem:
                return str(problem)
        else:
            upload_form.photos[:] = [
                one for one in upload_form.photos if item is None or one.item_id != item.id
            ]
            upload_form.photos.append(photo)
        return photo

    def _page(self, upload_form: UploadForm, problem: str = "") -> HTMLResponse:
        source = upload_form.source
        named = isinstance(source, Link) and (source.show_full_name_field or source.full_name_required)
        return self._render(
            "recipient.html",
            422 if problem else 200,
            upload_form=upload_form,
            source=source,
            problem=problem,
            by_item={photo.item_id: photo for photo in upload_form.photos},
            loose=[photo for photo in upload_form.photos if photo.item_id is None],
            expires_in=source.expires_at - self._workspace.now()
            if isinstance(source, PhotoRequest)
            else None,
            notes_allowed=isinstance(source, PhotoRequest) and source.allow_submitter_notes,
            name_field=named,
            address=f"/p/{source.unique_code.lower()}",
        )

    def _upload_form(
        self, code: str, draft: str, query: Mapping[str, str] | None = None
    ) -> UploadForm | HTMLResponse:
        """Return the form of a link, or a page that says why there is none."""
        request = self._workspace.requests.find(code)
        if request is not None:
            return UploadForm(request, request.photos) if request.is_open else self._closed(request.status)
        link = self._workspace.links.by_address(code)
        if link is None:
            return self._message(
                "Link not found", "Check that the whole link was copied, or ask the sender for it again.", 404
            )
        if not link.is_active:
            return self._message("This link is not active", "Ask the sender for another one.", 410)
        draft = draft or ids.token(16)
        file_of_bytes = self._draft(link, draft, query or {})
        if not isinstance(file_of_bytes, Draft):
            return self._message(*_UNSIGNED[file_of_bytes], kind="late")
        return UploadForm(link, file_of_bytes.photos, draft, file_of_bytes.origin)

    def _draft(self, link: Link, draft: str, query: Mapping[str, str]) -> Draft | Problem:
        """Return the visitor's draft or a new one; in workflow mode a new one needs a signed address."""
        drafts, origin = self._workspace.links.drafts, None
        if link.workflow is not None and (link.id, draft) not in drafts and "thanks" not in query:
            problem = link.workflow.problem(query, self._workspace.now())
            if problem is not None:
                return problem
            origin = Origin(query["uv"], query["src"], query["ref"])
        return drafts.setdefault((link.id, draft), Draft(origin=origin))

    def _closed(self, status: str) -> HTMLResponse:
        title, text, code, kind = _CLOSED[status]
        return self._message(title, text, code, kind=kind)

    def _find(self, request: Request) -> tuple[UploadForm, Photo] | None:
        """Return the photo that a call names, with its form."""
        upload_form = self._upload_form(request.path_params["code"], request.query_params.get("draft", ""))
        if isinstance(upload_form, UploadForm):
            for photo in upload_form.photos:
                if photo.id == request.path_params["photo"]:
                    return upload_form, photo
        return None


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value.strip()[:5000] if isinstance(value, str) else ""


def _place(form: FormData) -> tuple[float, float] | None:
    try:
        latitude, longitude = float(_text(form, "latitude")), float(_text(form, "longitude"))
    except ValueError:
        return None
    on_earth = -90 <= latitude <= 90 and -180 <= longitude <= 180
    return (round(latitude, 6), round(longitude, 6)) if on_earth else None
