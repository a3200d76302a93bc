"""The gallery in a browser: what a person sees, and what nobody sees."""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pytest
from axe_playwright_python.sync_playwright import Axe
from gallery.stored import HTML, PHOTO, SAMPLES, SVG, jpeg, store
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Locator, Page

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
EMOJI = 'the "dent" 🚗 50%.jpg'


@pytest.fixture(scope="session")
def photos(run_with: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A run with three photos, of which the first has a name that is hard to write."""
    folder = tmp_path_factory.mktemp("photos")
    names = (EMOJI, "meter.jpg", "parcel.jpg")
    files = dict(
        zip(
            names,
            ((SAMPLES / f"{name}.jpg").read_bytes() for name in ("car", "meter", "parcel")),
            strict=True,
        )
    )
    return run_with(
        store(folder, files, entries={name: {"item": f"Item {at}"} for at, name in enumerate(names)})
    )


@pytest.fixture(scope="session")
def odd(run_with: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A run with files that are not what they should be, and one that was not fetched."""
    files = {
        "svg.jpg": SVG,
        "html.jpg": HTML,
        "200.jpg": jpeg(20_000, 10_000),
        "car.heic": (SAMPLES / "car.heic").read_bytes(),
        "cut.jpg": PHOTO[:20_000],
    }
    folder = tmp_path_factory.mktemp("odd")
    failed = [{"key": "ph_7", "item": "The dent", "reason": "the service gives no link for it"}]
    damaged = {"cut.jpg": {"check": "damaged", "check_note": "the end of the picture is missing"}}
    return run_with(store(folder, files, failed=failed, entries=damaged))


def images(page: Page | FrameLocator) -> Locator:
    return page.locator("button.shot img")


def expect_loaded(image: Locator) -> None:
    image.scroll_into_view_if_needed()
    expect(image).to_have_js_property("complete", value=True)
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


def test_a_person_goes_from_the_task_to_its_photos(visit, site, claims):
    page = visit()
    page.goto(f"{site.in_airflow(claims, 'ask').removesuffix('plugin/visio_gallery')}details")
    page.get_by_role("link", name="Photos", exact=True).click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="Photos")).to_be_visible()
    expect(images(frame)).to_have_count(3)
    for at in range(3):
        expect_loaded(images(frame).nth(at))
    assert page.url.startswith(f"{site.url}/dags/claims/")


@pytest.mark.parametrize(
    ("task_id", "index", "name"), [("ask_each", 0, "Photos"), ("export", -1, "Files"), ("only_ask", -1, None)]
)
def test_only_tasks_that_stored_files_have_the_button(site, claims, task_id, index, name):
    links = site.stack.api.links(*claims, task_id, index)
    ours = {text: link for text, link in links.items() if text in {"Photos", "Files"} and link}
    assert set(ours) == ({name} if name else set())
    for link in ours.values():
        assert not link.startswith("/")
        assert ("/mapped/0/" in link) == (index == 0)


def test_a_mapped_task(visit, site, claims):
    page = visit()
    page.goto(urljoin(f"{site.url}/", site.stack.api.links(*claims, "ask_each", 0)["Photos"]))
    expect_loaded(images(page.frame_locator("iframe")).first)


def test_an_export_is_downloaded(visit, site, claims):
    page = visit()
    page.goto(site.in_airflow(claims, "export"))
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="Files")).to_be_visible()
    with page.expect_download() as found:
        frame.get_by_role("link", name=re.compile(r"Download .*\.pdf")).click()
    assert found.value.suggested_filename.endswith(".pdf")
    assert open(found.value.path(), "rb").read(5) == b"%PDF-"  # noqa: PTH123, SIM115


@pytest.fixture(scope="session")
def hidden(run_with: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[str, str], str]:
    """A run of a DAG that the user ``outsider`` may not read, and the digest of its photo."""
    output = store(tmp_path_factory.mktemp("hidden"), {"car.jpg": PHOTO})
    return run_with(output, "hidden"), output["files"][0]["sha256"]


@pytest.mark.parametrize("kind", ["photos", "picture", "file", "archive", "manifest"])
def test_a_stranger_and_a_user_without_the_dag_see_nothing(site, visit, hidden, photos, kind):
    run, digest = hidden
    address = site.address(kind, run, manifest=0, file=0, sha256=digest[:16])
    for user, status in ((None, 401), ("outsider", 403), ("viewer", 200)):
        reply = visit(user).request.get(address)
        assert reply.status == status
        assert (PHOTO in reply.body()) == (user == "viewer" and kind in {"file", "archive"})
    # The same user sees the photos of another DAG.
    assert visit("outsider").request.get(site.address("photos", photos)).status == 200


def test_what_is_said_to_a_stranger(visit, site, photos):
    page = visit(None)
    page.goto(site.address("photos", photos))
    expect(page.get_by_role("alert")).to_have_text(re.compile("You are not logged in."))


def test_odd_files_do_no_harm_and_say_what_they_are(visit, site, odd):
    page = visit()
    page.goto(site.in_airflow(odd))
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("The file is not a photo that can be shown.")).to_have_count(2)
    expect(frame.get_by_text("The photo has too many pixels")).to_be_visible()
    expect(frame.get_by_text("looks damaged: the end of the picture is missing")).to_be_visible()
    expect(frame.get_by_text("the service gives no link for it")).to_be_visible()
    expect(images(frame)).to_have_count(2)  # the HEIC, and the one that was cut off
    for at in range(2):
        expect_loaded(images(frame).nth(at))
    assert page.title() != "taken over"


def test_what_a_task_has_stored_that_failed(visit, site, airflow, tmp_path):
    failed = [{"key": "ph_7", "item": "The dent", "reason": "it is a web page, not a file"}]
    airflow.wait_for_dag("failing")
    run_id = airflow.api.trigger("failing", {"output": store(tmp_path, {"car.jpg": PHOTO}, failed=failed)})
    assert airflow.wait_for_run("failing", run_id)["state"] == "failed"
    page = visit()
    page.goto(site.address("photos", ("failing", run_id)))
    expect_loaded(images(page).first)
    expect(page.get_by_text("it is a web page, not a file")).to_be_visible()


def test_a_manifest_that_leaves_its_folder(visit, site, run_with, tmp_path):
    (tmp_path / "secret.jpg").write_bytes(PHOTO)
    wrong = {"secret.jpg": {"path": f"file://{tmp_path}/job/../secret.jpg"}}
    page = visit()
    page.goto(site.address("photos", run_with(store(tmp_path / "job", {"secret.jpg": PHOTO}, entries=wrong))))
    expect(page.get_by_role("alert")).to_contain_text("lists a file that is not in its own folder")
    expect(images(page)).to_have_count(0)


def test_five_hundred_photos_come_page_by_page(visit, site, run_with, airflow, tmp_path):
    files = {f"photo-{number:03}.jpg": PHOTO for number in range(500)}
    run = run_with(store(tmp_path, files))
    # It is in object storage, where Airflow's own page shows a path.
    assert "file://" in json.dumps(
        airflow.api.get(f"/dags/{run[0]}/dagRuns/{run[1]}/taskInstances/store/xcomEntries/return_value")
    )
    page = visit()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/picture?" in request.url else None)
    page.goto(site.address("photos", run))
    expect(page.get_by_text("500 files")).to_be_visible()
    expect(images(page)).to_have_count(60)
    expect_loaded(images(page).first)
    assert len(asked) < 60  # only those that are near
    expect_loaded(images(page).last)
    page.get_by_role("link", name="Next").first.click()
    expect(page.get_by_text("Page 2 of 9").first).to_be_visible()
    page.goto(site.address("photos", run, page=9))
    expect(images(page)).to_have_count(20)


def test_a_browser_keeps_a_picture(visit, site, photos):
    def served() -> int:
        return site.stack.child("api-server").output().count("/visio/gallery/picture")

    before, page = served(), visit()
    page.goto(site.address("photos", photos))
    expect_loaded(images(page).first)
    expect_loaded(images(page).last)
    first = served()
    assert first >= before + 3
    page.goto(site.address("photos", photos, page=1))
    expect_loaded(images(page).first)
    expect_loaded(images(page).last)
    assert served() == first


def test_a_name_with_quotes_and_an_emoji(visit, site, photos):
    page = visit()
    page.goto(site.address("photos", photos))
    with page.expect_download() as found:
        page.get_by_role("link", name=f"Download {EMOJI}").click()
    # Chromium replaces what a file system may not take.
    assert found.value.suggested_filename == EMOJI.replace('"', "_")
    with page.expect_download() as found:
        page.get_by_role("link", name="Download all").click()
    with zipfile.ZipFile(found.value.path()) as archive:
        assert archive.namelist() == ["manifest.json", EMOJI, "meter.jpg", "parcel.jpg"]
        assert archive.read(EMOJI) == PHOTO
    with page.expect_download() as found:
        page.get_by_role("link", name="Manifest").click()
    assert found.value.suggested_filename == "manifest.json"


def test_the_keyboard_through_the_lightbox(visit, site, photos):
    page = visit()
    page.goto(site.in_airflow(photos))
    frame = page.frame_locator("iframe")
    expect_loaded(images(frame).first)
    box = frame.get_by_role("dialog")
    where = box.locator(".where")
    frame.locator("button.shot").first.focus()
    page.keyboard.press("Enter")
    expect(box).to_be_visible()
    expect(where).to_have_text("Item 0 (1 of 3)")
    page.keyboard.press("ArrowLeft")
    expect(where).to_have_text("Item 0 (1 of 3)")
    for number in (2, 3, 3):
        page.keyboard.press("ArrowRight")
        expect(where).to_have_text(f"Item {number - 1} ({number} of 3)")
    large = box.locator("img")
    expect(large).to_have_attribute("alt", "Item 2")
    expect_loaded(large)
    for key in ["Tab"] * 6 + ["Shift+Tab"] * 6:  # the focus stays inside
        page.keyboard.press(key)
        assert box.evaluate("box => box.contains(document.activeElement) && document.hasFocus()")
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    expect(frame.locator("button.shot").nth(2)).to_be_focused()


def test_the_lightbox_with_a_finger(visit, site, photos):
    page = visit(**PHONE)
    page.goto(site.address("photos", photos))
    page.locator("button.shot").first.tap()
    box = page.get_by_role("dialog")
    expect_loaded(box.locator("img"))
    box.get_by_role("button", name="Next photo").tap()
    expect(box.locator(".where")).to_have_text("Item 1 (2 of 3)")
    box.get_by_role("button", name="Close").tap()
    expect(box).to_be_hidden()


def test_the_lightbox_says_why_it_has_no_picture(visit, site, odd):
    page = visit()
    page.goto(site.address("photos", odd))
    page.locator("button.shot").nth(2).click()
    expect(page.get_by_role("dialog").locator(".message")).to_contain_text("The photo has too many pixels")
    page.keyboard.press("ArrowRight")
    expect_loaded(page.get_by_role("dialog").locator("img"))


def test_it_follows_the_theme_of_airflow(visit, site, photos):
    page = visit(color_scheme="light")
    page.goto(site.in_airflow(photos))
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="Photos")).to_be_visible()
    light = colours(frame)
    assert light == (page.evaluate("getComputedStyle(document.documentElement).backgroundColor"), "light")
    page.evaluate("document.documentElement.classList.replace('light', 'dark')")
    expect(frame.locator("html")).to_have_css("color-scheme", "dark")
    dark = colours(frame)
    assert dark[0] != light[0]
    assert dark[0] == page.evaluate("getComputedStyle(document.documentElement).backgroundColor")


def colours(frame: FrameLocator) -> tuple[str, str]:
    found = frame.locator("html").evaluate(
        "html => [getComputedStyle(document.body).backgroundColor, getComputedStyle(html).colorScheme]"
    )
    return found[0], found[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
def test_axe_finds_no_serious_fault(visit, site, odd, scheme, device):
    page = visit(color_scheme=scheme, **device)
    page.goto(site.address("photos", odd))
    expect(page.get_by_text("The photo has too many pixels")).to_be_visible()
    assert serious(page) == []
    page.locator("button.shot").last.click()
    expect_loaded(page.get_by_role("dialog").locator("img"))
    assert serious(page) == []
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['help']} {[node['target'] for node in one['nodes']]}"
        for one in found
        if one["impact"] in {"serious", "critical"}
    ]


def test_a_task_without_an_output_and_a_file_that_is_gone(visit, site, run_with, tmp_path):
    output = store(tmp_path, {"car.jpg": PHOTO})
    run = run_with(output)
    page = visit()
    page.goto(site.address("photos", run, "nothing"))
    expect(page.get_by_role("alert")).to_contain_text("This task has no output.")
    page.goto(site.address("photos", run_with({"a": 1})))
    expect(page.get_by_role("alert")).to_contain_text("does not list stored files")
    (tmp_path / "car.jpg").unlink()
    page.goto(site.address("photos", run))
    expect(page.locator(".note")).to_contain_text("car.jpg is not there (any more)")
    (tmp_path / "manifest.json").unlink()
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("manifest.json is not there (any more)")
    page.goto(site.address("photos", run_with({**output, "manifest": "s3://claims/req_1/manifest.json"})))
    expect(page.get_by_role("alert")).to_contain_text(
        "The API server cannot open the folder of the manifest."
    )


def test_the_archive_is_whole(site, visit, photos):
    reply = visit().request.get(site.address("archive", photos))
    assert zipfile.ZipFile(io.BytesIO(reply.body())).testzip() is None
