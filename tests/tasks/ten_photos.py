"""A request of ten photos whose bytes are known, and what a folder may hold of it at any time."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from airflow.sdk import ObjectStoragePath
from conftest import Sandbox
from hooks.recipient import picture
from PIL import Image

from airflow_provider_visio.api.client import Client
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.operators.visiono import VisionoDownloadPhotosOperator
from tasks.raw_server import RawServer, reply

COUNT = 10
ITEMS = [f"View {number}" for number in range(1, COUNT + 1)]
HIDDEN = re.compile(r"\..+\.part")


def answer(sandbox: Sandbox, request: dict[str, Any], pictures: Iterable[bytes]) -> None:
    """Send the ten photos as the recipient, and submit."""
    for item, content in zip(request["items"], pictures, strict=True):
        files = {"photo": ("photo.jpg", content, "image/jpeg")}
        reply = requests.post(
            f"{request['request_url']}/photos", data={"item": item["id"]}, files=files, timeout=10
        )
        assert reply.status_code == 201, reply.text
    sandbox.act(request["id"], "submit")


class TenPhotos:
    """
    :param destination: URL of the place where they are stored.
    :param pictures: their bytes, in order.
    :param request_id: a request that was answered with them; made and answered by default.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        destination: str,
        pictures: list[bytes] | None = None,
        request_id: str | None = None,
    ) -> None:
        self.sandbox = sandbox
        self.destination = destination
        self.pictures = pictures or [picture(seed) for seed in range(COUNT)]
        self.id = request_id or self._answered()
        self.folder = ObjectStoragePath(f"{destination}/{self.id}")
        self.ids = [photo["id"] for photo in VisionoHook().list_photos(self.id)]
        sandbox.control("DELETE", "/counters")

    def _answered(self) -> str:
        request = VisionoHook().create_photo_request("The car", items=ITEMS)
        answer(self.sandbox, request, self.pictures)
        return request["id"]

    @property
    def operator(self) -> VisionoDownloadPhotosOperator:
        return VisionoDownloadPhotosOperator(
            task_id="download", request_id=self.id, destination=self.destination
        )

    def fetched(self) -> int:
        """Return how often a photo was asked for since the last time."""
        count = self.sandbox.count("storage", "GET /photos/{name}")
        self.sandbox.control("DELETE", "/counters")
        return count

    def minted(self) -> int:
        return self.sandbox.count("visiono", "GET /photo-requests/{id}/download-urls")

    def content(self) -> dict[str, bytes]:
        """Return what is in the folder, by name, hidden names too."""
        fs, root = self.folder.fs, self.folder.path
        return (
            {path.rsplit("/", 1)[-1]: fs.cat_file(path) for path in fs.find(root)} if fs.isdir(root) else {}
        )

    def hidden(self) -> list[str]:
        return [name for name in self.content() if HIDDEN.fullmatch(name)]

    def check(
        self,
        stored: int | Iterable[int],
        *,
        hidden: int = 0,
        listed: int | Iterable[int] | None = None,
        outdated: Mapping[int, bytes] | None = None,
    ) -> None:
        """
        Final names hold the whole bytes of these photos and of no other, and the manifest lists exactly these.

        :param stored: their numbers from 0, or how many: the first.
        :param hidden: how many part files there are.
        :param listed: those that the manifest lists, if the run was killed before it wrote the manifest again.
        :param outdated: earlier bytes of photos that were taken again; the manifest does not list them.
        """
        numbers = set(range(stored) if isinstance(stored, int) else stored)
        content = self.content()
        found = {name: data for name, data in content.items() if not HIDDEN.fullmatch(name)}
        manifest = found.pop("manifest.json", None)
        for data in found.values():
            with Image.open(io.BytesIO(data)) as shown:
                shown.load()
        pictures = {**{number: self.pictures[number] for number in numbers}, **(outdated or {})}
        assert {name: _digest(data) for name, data in found.items()} == {
            self.name(number): _digest(data) for number, data in pictures.items()
        }
        assert len(self.hidden()) == hidden
        in_manifest = numbers if listed is None else set(range(listed) if isinstance(listed, int) else listed)
        if manifest is None:
            assert in_manifest == set()
        else:
            self._check_manifest(json.loads(manifest), sorted(in_manifest))

    def _check_manifest(self, manifest: dict[str, Any], numbers: list[int]) -> None:
        assert manifest["id"] == self.id
        assert manifest["complete"] is (len(numbers) == COUNT)
        assert [entry["key"] for entry in manifest["files"]] == [self.ids[number] for number in numbers]
        assert not {entry["key"] for entry in manifest["failed"]} & {self.ids[number] for number in numbers}
        for number, entry in zip(numbers, manifest["files"], strict=True):
            assert entry["path"] == f"{self.folder}/{self.name(number)}"
            assert entry["item"] == ITEMS[number]
            assert (entry["bytes"], entry["sha256"]) == (
                len(self.pictures[number]),
                _digest(self.pictures[number]),
            )

    def name(self, number: int) -> str:
        return f"{ITEMS[number].replace(' ', '-')}-{self.ids[number]}.jpg"

    def file(self, number: int) -> Path:
        return Path(self.folder.path) / self.name(number)


class Retakes:
    """
    Photos that are taken again: the service has other bytes for the same id, and another time.

    :param photos: all photos.
    """

    def __init__(self, photos: TenPhotos) -> None:
        self.photos = photos
        self._servers: dict[int, RawServer] = {}

    def take(self, *numbers: int, seed: int = 50, content: bytes | None = None) -> None:
        """Have these photos (numbers from 0) be taken again since the manifest was written."""
        path = self.photos.folder / "manifest.json"
        manifest = json.loads(path.read_bytes())
        for number in numbers:
            manifest["files"][number]["submitted_at"] = "2001-01-01T00:00:00Z"
        path.unlink()  # not every store overwrites
        path.fs.pipe_file(path.path, json.dumps(manifest).encode())
        self.change(*numbers, seed=seed, content=content)

    def change(self, *numbers: int, seed: int = 50, content: bytes | None = None) -> None:
        """Have other bytes for these photos at the storage host."""
        for number in numbers:
            self.photos.pictures[number] = content or picture(seed + number)
            self._close(number)
            answered = reply(self.photos.pictures[number], "Content-Type: image/jpeg")
            self._servers[number] = RawServer(answered)
        self.serve()

    def serve(self, *, but: Iterable[int] = ()) -> None:
        """Have the storage host send what is there now, but for photos that it cannot send."""
        sandbox = self.photos.sandbox
        sandbox.clear_faults()
        for number in but:
            sandbox.fault("storage", "status", status=503, path=self.photos.ids[number], times=None)
        for number, server in self._servers.items():
            sandbox.fault(
                "storage", "redirect", location=server.url, path=self.photos.ids[number], times=None
            )
        self.photos.fetched()

    def close(self) -> None:
        for number in list(self._servers):
            self._close(number)

    def _close(self, number: int) -> None:
        if server := self._servers.pop(number, None):
            server.close()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def before_each_fetch(monkeypatch: pytest.MonkeyPatch, action: Callable[[int], Any]) -> None:
    """Have something happen before each file is asked for; it is told the how-manieth, from 1."""
    opened, count = Client.open, iter(range(1, 1000))

    def first(self: Client, url: str) -> Any:
        action(next(count))
        return opened(self, url)

    monkeypatch.setattr(Client, "open", first)
