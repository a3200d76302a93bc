"""`make screenshots`: take the pictures of the documentation from a real Airflow, the sandbox and Debian's Chromium."""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pillow_heif  # type: ignore[import-untyped, unused-ignore]
from PIL import Image, ImageDraw, ImageFont

from dev.airflow_and_sandbox import airflow_and_sandbox
from dev.checkout import EXAMPLE_DAGS, ROOT, WORK
from dev.chromium import chromium
from dev.console import Console
from dev.polling import wait_for
from dev.processes import DevError, Stopped, raise_on_signal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, ViewportSize

    from dev.stack import Stack

IMAGES = ROOT / "docs" / "images"
DAG_ID = "visio_photos_to_dashboard"
SAMPLES = ROOT / "airflow_provider_visio" / "sandbox" / "sample_photos"
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}


class Camera:
    """
    Takes screenshots in a browser.

    :param browser: the browser.
    :param stack: Airflow, where every user is an administrator.
    :param images: folder for the pictures.
    """

    def __init__(self, browser: Browser, stack: Stack, images: Path) -> None:
        self._browser = browser
        self._stack = stack
        self._images = images

    @contextmanager
    def page(self, address: str, *, phone: bool = False, dark: bool = False) -> Iterator[Page]:
        """Open an address; a path is one of Airflow's UI."""
        context = self._browser.new_context(
            viewport=PHONE if phone else DESKTOP,
            device_scale_factor=2 if phone else 1.5,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            locale="en-GB",
            geolocation={"latitude": 52.5163, "longitude": 13.3777},
            permissions=["geolocation"],
        )
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.goto(address if "://" in address else f"{self._stack.url}{address}")
        try:
            yield page
        finally:
            context.close()

    def take(self, page: Page, name: str) -> None:
        """Save what a page shows once it has settled: Airflow's pages never stop asking for news."""
        page.wait_for_timeout(2000)
        page.screenshot(path=self._images / f"{name}.png", animations="disabled")


def connection_form(camera: Camera) -> None:
    """Fill in the form for a new connection."""
    with camera.page("/connections") as page:
        page.get_by_role("button", name="Add Connection").click()
        page.get_by_role("dialog").get_by_role("combobox").first.fill("Visiono")
        page.keyboard.press("Enter")
        page.get_by_label("Connection ID").fill("visiono_default")
        camera.take(page, "connection-form")


def photos(folder: Path) -> list[Path]:
    """Write the photos of a dent: the whole car, the dent, and the licence plate as HEIC, as an iPhone sends it."""
    whole, dent, plate = folder / "car.jpg", folder / "dent.jpg", folder / "plate.heic"
    folder.mkdir()
    with Image.open(SAMPLES / "car.jpg") as car:
        car.save(whole)
        wide, high = car.size
        part = car.crop((int(0.3 * wide), int(0.42 * high), int(0.7 * wide), int(0.82 * high)))
        part.resize(car.size).save(dent)
        near = part.crop((0, part.height // 2, part.width // 3, part.height)).resize(car.size)
    box = (wide // 8, high // 3, wide * 7 // 8, high * 2 // 3)
    draw = ImageDraw.Draw(near)
    draw.rounded_rectangle(box, high // 30, fill="white", outline="black", width=high // 60)
    middle = ((box[0] + box[2]) // 2, (box[1] + box[3]) // 2)
    draw.text(middle, "B AF 2026", "black", ImageFont.load_default(high // 5), anchor="mm")
    pillow_heif.register_heif_opener()
    near.save(plate)
    return [whole, dent, plate]


def answer(camera: Camera, link: str, folder: Path) -> None:
    """Send the photos as the person who is asked does."""
    with camera.page(link, phone=True) as page:
        inputs = page.locator("input[type=file]")
        for number, photo in enumerate(photos(folder)):
            inputs.nth(number).set_input_files(photo)
        page.get_by_text("Share my location").click()
        page.evaluate("scrollTo(0, 0)")
        camera.take(page, "recipient")
        page.get_by_role("button", name="Send").click()
        page.wait_for_load_state()


def run_the_flagship(stack: Stack, camera: Camera, folder: Path) -> str:
    """Run the DAG, and return the id of its run."""
    stack.wait_for_dag(DAG_ID)
    stack.api.pause(DAG_ID, paused=False)
    run_id = stack.api.trigger(
        DAG_ID, {"destination": f"file://{folder / 'claims'}"}, run_id="claim-C-2026-0042"
    )

    def state() -> str:
        tasks = {one["task_id"]: one["state"] for one in stack.api.task_instances(DAG_ID, run_id)}
        return str(tasks.get("photos"))

    wait_for("the task to wait", lambda: state() == "deferred", timeout=120)
    answer(camera, stack.api.xcom(DAG_ID, run_id, "photos", key="visio_link"), folder / "photos")
    if stack.wait_for_run(DAG_ID, run_id)["state"] != "success":
        raise DevError(f"the run of {DAG_ID} failed")
    return run_id


def graph(camera: Camera, run_id: str) -> None:
    """Show the graph of the run."""
    with camera.page(f"/dags/{DAG_ID}/runs/{quote(run_id)}") as page:
        page.get_by_role("button", name="Graph").or_(page.get_by_label("Show Graph")).first.click()
        camera.take(page, "graph")


def gallery(camera: Camera, run_id: str, task_id: str, name: str, *, dark: bool = False) -> None:
    """Show what a task stored."""
    address = f"/dags/{DAG_ID}/runs/{quote(run_id)}/tasks/{task_id}/plugin/visio_gallery"
    with camera.page(address, dark=dark) as page:
        frame = page.frame_locator("iframe")
        frame.get_by_role("heading").first.wait_for()
        camera.take(page, name)


def screenshots(console: Console, images: Path, folder: Path) -> None:
    """Take all pictures."""
    images.mkdir(parents=True, exist_ok=True)
    console.log("screenshots", "starting the sandbox and Airflow (about 20 s)")
    with (
        airflow_and_sandbox(
            folder,
            EXAMPLE_DAGS,
            person={"behaviour": "manual"},
            connections_in_environment=False,
            config={"visio": {"gallery": True}},
            cache=WORK,
        ) as (_, stack),
        chromium() as browser,
    ):
        camera = Camera(browser, stack, images)
        connection_form(camera)
        run_id = run_the_flagship(stack, camera, folder)
        graph(camera, run_id)
        gallery(camera, run_id, "photos", "gallery-light")
        gallery(camera, run_id, "photos", "gallery-dark", dark=True)
        gallery(camera, run_id, "dashboard", "export")
    console.log("screenshots", f"wrote {len(list(images.glob('*.png')))} pictures")


def main(arguments: list[str] | None = None) -> int:
    """Take the pictures.

    :return: exit code
    """
    parser = argparse.ArgumentParser(prog="make screenshots", description=__doc__)
    parser.add_argument("--images", type=Path, default=IMAGES, help="folder for the pictures")
    options = parser.parse_args(arguments)
    console = Console()
    try:
        with raise_on_signal(), tempfile.TemporaryDirectory(prefix="visio-screenshots-") as folder:
            screenshots(console, options.images, Path(folder))
    except (DevError, OSError) as error:
        console.log("screenshots", f"FAILED: {error}")
        return 1
    except Stopped as stopped:
        return stopped.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
