"""A service that says all it was told, and a store of files that does likewise; by the first part of the path."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from api.local_server import DROP, Answer, LocalServer, Received

if TYPE_CHECKING:
    from markers import Markers

HTML = "<html><head><title>{words}</title></head><body><pre>{words}</pre></body></html>"
FOREVER = "2100-01-01T00:00:00Z"


class Hostile:
    """
    Both, on ports of their own.

    A scene is the first part of an address' path: a connection's host is ``<url>/<scene>``, a file's link is
    ``<files>/<scene>/...``.
    """

    def __init__(self, markers: Markers) -> None:
        self._markers = markers
        self.files = LocalServer(self._file)
        self.api = LocalServer(self._call)

    def close(self) -> None:
        self.api.close()
        self.files.close()

    def keys_at_the_store(self) -> list[str]:
        """Name the requests that brought a key to the store."""
        keys = [self._markers.visiono_key.core, self._markers.vizdom_key.core]
        return [
            f"{request.method} {request.path}"
            for request in self.files.received
            if any(key in f"{request.path}{request.headers}{request.body!r}" for key in keys)
        ]

    def _call(self, request: Received) -> Answer | None:
        scene, _, path = request.path.lstrip("/").partition("/")
        words = self._echo(request)
        if scene == "make_echo" and request.method == "GET":
            return Answer(200, {"data": []})
        if scene.startswith(("poll_", "file_", "export_")):
            return self._go_on(scene, request.method, path, words)
        return self._refuse(scene, words)

    def _echo(self, request: Received) -> str:
        markers = self._markers
        key = next((v for name, v in request.headers.items() if name in {"x-api-key", "authorization"}), "")
        body = request.body.decode()
        told = json.loads(body) if body else {}
        address = told.get("recipient_email") or markers.address.text
        return (
            f"No good: {address} ({quote(address)}, {address.upper()}), sent with {key} ({quote(key)}); "
            f"see {self._link('echo')}, or /echo/photo.jpg?{self._markers.query}, or"
            f" {{'headers': {{'key': {key!r}}}, 'body': {body}}}"
        )

    def _link(self, scene: str) -> str:
        return f"{self.files.url}/{scene}/photo.jpg?{self._markers.query}"

    def _refuse(self, scene: str, words: str) -> Answer | None:
        page = HTML.format(words=words).encode()
        match scene:
            case "drop":
                return DROP
            case "echo_401":
                return Answer(401, {"error": {"code": "unauthorized", "message": words}})
            case "make_echo":
                return Answer(422, {"error": {"code": "validation_failed", "message": words}})
            case "echo_422":
                field = {words: [words], "recipient_email": [words, words.split()[2]]}
                return Answer(422, {"message": words, "errors": field})
            case "echo_429":
                return Answer(429, {"message": words}, {"Retry-After": "900"})
            case "echo_html":
                return Answer(502, page, {"Content-Type": "text/html"})
            case "echo_page":
                return Answer(200, page, {"Content-Type": "text/html"})
            case "echo_broken":
                return Answer(200, json.dumps({"data": words}).encode()[:-3])
            case "echo_odd":
                return Answer(200, {"data": [words], words: words})
            case "echo_redirect":
                target = self.files.url.replace("127.0.0.1", "localhost")
                return Answer(302, words.encode(), {"Location": f"{target}/stolen?{self._markers.query}"})
        raise AssertionError(scene)

    def _go_on(self, scene: str, method: str, path: str, words: str) -> Answer | None:
        if method == "POST":
            return Answer(201, {"data": self._made(scene, "pending")})
        if scene == "poll_echo":
            return Answer(403, {"error": {"message": words, "details": {"recipient_email": [words]}}})
        if scene == "poll_drop":
            return DROP
        if path.endswith("download-urls"):
            return Answer(200, {"data": {"submissions": [self._photo(scene)]}})
        return Answer(200, {"data": self._made(scene, "submitted", words)})

    def _made(self, scene: str, status: str, words: str = "") -> dict[str, Any]:
        about = {"id": f"{scene}_1", "status": status, "created_at": "2026-01-01T00:00:00Z"}
        if scene.startswith("export_"):
            status = {"submitted": "failed" if scene == "export_failed" else "completed"}.get(status, status)
            more = {"error": {"code": words, "message": words}} if status == "failed" else {}
            link = {"download_url": self._link(scene)} if status == "completed" else {}
            return {**about, "status": status, "dashboard_id": "dash_abc123", "format": "pdf", **more, **link}
        return {
            **about,
            "expires_at": FOREVER,
            "recipient_email": self._markers.address.text,
            "request_url": f"{self.api.url}/r/1",
            "metadata": {},
        }

    def _photo(self, scene: str) -> dict[str, Any]:
        links = {
            "file_closed": f"http://127.0.0.1:9/{scene}?{self._markers.query}",
            "file_odd_url": f"ftp://files.test/{scene}?{self._markers.query}",
            "file_broken_url": f"http://[files.test/{scene}?{self._markers.query}",
            "file_no_host": f"http://files with spaces.test/{scene}?{self._markers.query}",
        }
        link = links.get(scene) or self._link(scene)
        return {"id": "photo_1", "download_url": link, "thumbnail_url": link, "mime_type": "image/jpeg"}

    def _file(self, request: Received) -> Answer | None:
        scene = request.path.lstrip("/").partition("/")[0]
        words = f"{request.headers} {self.files.url}{request.path}"
        match scene:
            case "file_drop" | "export_drop":
                return DROP
            case "file_403":
                body = f"<Error><Code>AccessDenied</Code><Message>{words}</Message></Error>"
                return Answer(403, body.encode(), {"Content-Type": "application/xml"})
            case "file_redirect":
                there = f"http://127.0.0.1:9/moved?{self._markers.query}"
                return Answer(302, words.encode(), {"Location": there})
            case "file_loop":
                return Answer(302, b"", {"Location": request.path + "&again=1"})
            case "file_page":
                return Answer(200, HTML.format(words=words).encode(), {"Content-Type": "image/jpeg"})
            case "file_cut":
                return Answer(200, b"\xff\xd8\xff" + words.encode(), {}, declared=100_000)
            case "file_header":
                # A line that is no header: the HTTP library warns of it.
                return Answer(404, words.encode(), {"X-Odd": "a\r\nno header at all"})
        return Answer(404, words.encode())
