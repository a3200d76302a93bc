"""Each public class has a page; what is made from the code is current; no link leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dev.docs import classes, pages
from dev.docs.markdown import Page
from dev.docs.markdown import pages as all_pages

ROOT = Path(__file__).resolve().parents[2]
PAGES = all_pages(ROOT)
CLASSES = [(kind, one.__name__) for kind in classes.KINDS for one in classes.public(kind)]


@pytest.mark.parametrize(("kind", "name"), CLASSES, ids=[name for _, name in CLASSES])
def test_a_public_class_has_a_page_with_a_person_s_words(kind, name):
    page = ROOT / "docs" / kind / f"{name}.md"
    assert page.exists(), f"write {page.relative_to(ROOT)}: python -m dev.docs --write begins it"
    by_hand = page.read_text().partition(pages.BEGIN)[0]
    assert re.search(r"^```python$", by_hand, re.MULTILINE), "it has no example"
    assert "## When something goes wrong" in by_hand


def test_what_is_made_from_the_code_is_current():
    stale = [
        name
        for name, lines in pages.generated().items()
        if pages.current(ROOT / "docs" / name, lines) != (ROOT / "docs" / name).read_text()
    ]
    assert stale == [], "run python -m dev.docs --write"


def test_no_page_is_left_of_a_class_that_is_gone():
    found = {
        (page.parent.name, page.stem) for kind in classes.KINDS for page in (ROOT / "docs" / kind).glob("*")
    }
    assert found == set(CLASSES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_s_links_lead_somewhere(page):
    for link in page.links():
        if re.match(r"https?://", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.path.parent / file).resolve() if file else page.path
        assert target.exists(), f"{page.name}: {link}"
        assert target.is_relative_to(ROOT), f"{page.name}: {link} leads out of the repository"
        if anchor:
            assert anchor in Page(ROOT, target).anchors(), f"{page.name}: {link}"


def test_every_page_is_linked_to():
    linked = {
        (page.path.parent / link.partition("#")[0]).resolve()
        for page in PAGES
        for link in page.links()
        if not link.startswith("#")
    }
    # The README is the repository's own page; it links to docs/ once the lead has put that in.
    assert {page.name for page in PAGES if page.path not in linked} <= {"docs/README.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_no_place_on_our_machines(page):
    assert re.findall(r"/(?:home|root|work|workspace|Users)/[\w/.-]*", page.text()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_heading_stands_once_on_its_page(page):
    assert [
        anchor for anchor in page.anchors() if re.search(r"-\d$", anchor) and anchor[:-2] in page.anchors()
    ] == []
