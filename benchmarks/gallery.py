"""
Measure the gallery with 60 photos of 2 MB, in a browser: `python -m benchmarks.gallery`.

A real API server, and Debian's Chromium without a cache. The peer is a page with the same photos as they are, from
Python's own file server: what a person would see without thumbnails.
"""

from __future__ import annotations

import functools
import io
import sys
import tempfile
import threading
import time
from contextlib import suppress
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import psutil  # type: ignore[import-untyped]
from PIL import Image

from benchmarks.table import HEAD, Row, number
from dev.airflow_and_sandbox import airflow_and_sandbox
from dev.checkout import WORK
from dev.chromium import chromium
from dev.processes import raise_on_signal
from tests.gallery.stored import store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ViewportSize

    from dev.processes import Child
    from dev.stack import Stack

PHOTOS = 60
PHOTO_BYTES = 2_000_000
SIZE = (4032, 3024)
ROUNDS = 3
DAG_ID = "stored"
DAG_FILE = """
import pendulum
from airflow.sdk import DAG, task

with DAG("stored", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), params={"output": {}}):

    @task(multiple_outputs=False)
    def store(params):
        return params["output"]

    store()
"""
# All pictures are near enough to be loaded at once.
WINDOW: ViewportSize = {"width": 1280, "height": 12_000}
PICTURES = "[...document.images].filter(image => !image.closest('dialog'))"
IS_LOADED = "image => image.complete && image.naturalWidth > 0"


def photo() -> bytes:
    """Return a JPEG of 12 megapixels with the details that give it two megabytes."""
    noise = Image.effect_noise((SIZE[0] // 3, SIZE[1] // 3), 24).resize(SIZE)
    picture = Image.merge("RGB", [noise, noise.transpose(Image.Transpose.ROTATE_180), noise])
    for quality in range(60, 96, 2):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        if buffer.tell() >= PHOTO_BYTES:
            break
    return buffer.getvalue()


class Memory:
    """The resident memory of a component and its processes, sampled in a thread."""

    def __init__(self, component: Child) -> None:
        self._component = component
        self._over = threading.Event()
        self.most = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def now(self) -> int:
        """Return it in bytes."""
        total = 0
        for process in self._component.processes():
            with suppress(psutil.Error):
                total += process.memory_info().rss
        return total

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.most = max(self.most, self.now())

    def end(self) -> None:
        """Stop sampling."""
        self._over.set()
        self._thread.join()


def visit(browser: Browser, address: str) -> tuple[float, float]:
    """Open a page, and return the seconds to its first picture, and to all of them."""
    context = browser.new_context(viewport=WINDOW, bypass_csp=True)
    page = context.new_page()
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_function(f"{PICTURES}.some({IS_LOADED})", timeout=120_000, polling=20)
    first = time.perf_counter() - started
    page.wait_for_function(
        f"{PICTURES}.length == {PHOTOS} && {PICTURES}.every({IS_LOADED})",
        timeout=300_000,
        polling=50,
    )
    every = time.perf_counter() - started
    context.close()
    return first, every


def plain_page(folder: Path) -> ThreadingHTTPServer:
    """Serve a page with the photos as they are."""
    names = sorted(path.name for path in folder.glob("*.jpg"))
    pictures = "".join(f'<img src="{name}" width="300" height="225">' for name in names)
    (folder / "index.html").write_text(f"<!doctype html>{pictures}")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def measure(stack: Stack, folder: Path) -> list[Row]:
    """Return the rows of the table."""
    original = photo()
    # Each is another file to the gallery; what stands behind the end of a JPEG is not shown.
    files = {f"photo-{at:02}.jpg": original + bytes([at]) for at in range(PHOTOS)}
    stack.wait_for_dag(DAG_ID)
    run_id = stack.api.trigger(DAG_ID, {"output": store(folder, files)})
    stack.wait_for_run(DAG_ID, run_id)
    query = {"dag_id": DAG_ID, "run_id": run_id, "task_id": "store", "map_index": "{MAP_INDEX}"}
    gallery = f"{stack.url}/visio/gallery/photos?{urlencode(query)}"
    server = plain_page(folder)
    plain = f"http://127.0.0.1:{server.server_port}/index.html"
    memory = Memory(stack.child("api-server"))
    idle = memory.now()
    with chromium() as browser:
        pairs = [(visit(browser, gallery), visit(browser, plain)) for _ in range(ROUNDS)]
    memory.end()
    server.shutdown()
    rows = []
    for at, what in enumerate(("the first picture", "all pictures")):
        ours, peers = ([one[who][at] for one in pairs] for who in (0, 1))
        middle, peer = sorted(ours)[ROUNDS // 2], sorted(peers)[ROUNDS // 2]
        text = f"{number(middle)} ({number(min(ours))} to {number(max(ours))}); {number(middle / peer)} of the peer"
        rows.append(Row(f"seconds to {what}", "gallery", middle, text))
        rows.append(
            Row(
                f"seconds to {what}",
                "originals",
                peer,
                f"{number(peer)} ({number(min(peers))} to {number(max(peers))})",
            )
        )
    more = (memory.most - idle) / 2**20
    rows.append(
        Row(
            "MiB more in the API server",
            "gallery",
            more,
            f"{number(more)} over {number(idle / 2**20)}",
            most=150,
        )
    )
    return rows


def main() -> int:
    """Run the measurement, and print its table.

    :return: exit code
    """
    with raise_on_signal(), tempfile.TemporaryDirectory(prefix="visio-bench-") as temporary:
        folder = Path(temporary)
        (folder / "dags").mkdir()
        (folder / "dags" / "stored.py").write_text(DAG_FILE)
        config = {"visio": {"gallery": True}}
        with airflow_and_sandbox(folder / "run", folder / "dags", config=config, cache=WORK) as (_, stack):
            rows = measure(stack, folder / "photos")
    print(HEAD)
    for row in rows:
        print(row.line())
    return 0


if __name__ == "__main__":
    sys.exit(main())
