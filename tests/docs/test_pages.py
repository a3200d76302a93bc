"""Each public class has a page, each page is in the navigation, tables agree with the code, no link leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_provider_visio.connection_form import VISIONO_FORM, VIZDOM_FORM
from dev import public_classes
from dev.markdown import Page
from dev.markdown import pages as all_pages
from dev.site import navigation

# Pages of the site that are not in docs/.
OUTSIDE = {"benchmarks/README", "CHANGELOG", "CODE_OF_CONDUCT", "CONTRIBUTING", "SECURITY"}
ROOT = Path(__file__).resolve().parents[2]
PAGES = all_pages(ROOT)
CLASSES = [(kind, one) for kind in public_classes.KINDS for one in public_classes.public(kind)]
FIELDS = [(form, field) for form in (VISIONO_FORM, VIZDOM_FORM) for field in form.fields]


@pytest.mark.parametrize(("kind", "of"), CLASSES, ids=[one.__name__ for _, one in CLASSES])
def test_a_public_class_has_a_page(kind, of):
    page = ROOT / "docs" / kind / f"{of.__name__}.md"
    assert page.exists(), f"write {page.relative_to(ROOT)}, like the other pages in its folder"
    text = page.read_text()
    assert re.search(r"^```python$", text, re.MULTILINE), "it has no example"
    assert "## When something goes wrong" in text
    module = f"airflow_provider_visio.{kind}.{'visiono' if of.__name__.startswith('Visiono') else 'vizdom'}"
    assert f".. autoclass:: {module}.{of.__name__}\n" in text
    source = ROOT / (of.__module__.replace(".", "/") + ".py")
    assert source in {(page.parent / link).resolve() for link in Page(ROOT, page).links()}


@pytest.mark.parametrize(("kind", "of"), CLASSES, ids=[one.__name__ for _, one in CLASSES])
def test_a_docstring_describes_each_parameter_and_what_is_templated(kind, of):
    found = public_classes.parameters(of)  # raises an error about an undescribed parameter
    described = re.split(r"^ *:(?=param|raises|return)", of.__doc__, flags=re.MULTILINE)
    templated = {
        re.match(r"param (\w+)", one)[1] for one in described if one.rstrip().endswith("(templated)")
    }
    assert templated == {one.name for one in found if one.templated}


def test_no_page_is_left_of_a_class_that_is_gone():
    found = {
        (page.parent.name, page.stem)
        for kind in public_classes.KINDS
        for page in (ROOT / "docs" / kind).glob("*.md")
        if page.name != "README.md"
    }
    assert found == {(kind, of.__name__) for kind, of in CLASSES}


def test_each_page_is_in_the_navigation_once():
    listed = [
        page
        for index in navigation.indexes()
        for _, entries in navigation.trees(index)
        for _, page in entries
    ]
    written = {page.name.removesuffix(".md") for page in PAGES} | OUTSIDE
    assert sorted(listed) == sorted(written - {"docs/README"})


@pytest.mark.parametrize(
    ("form", "field"), FIELDS, ids=[f"{form.conn_type}.{field.name}" for form, field in FIELDS]
)
def test_a_field_of_a_connection_is_in_the_table_of_its_page(form, field):
    table = (ROOT / "docs" / "connections" / f"{form.conn_type}.md").read_text()
    kind, default, meaning = re.search(
        rf"^\| `{field.name}` \| (.*) \| (.*) \| (.*) \|$", table, re.MULTILINE
    ).groups()
    shown = str(field.default).lower() if field.kind == "boolean" else str(field.default)
    assert default.strip() == ("" if field.default is None else f"`{shown}`")
    assert meaning == field.description
    for bound in (field.minimum, field.maximum):
        assert bound is None or f" {bound:,g}" in kind


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_no_place_on_our_machines(page):
    assert re.findall(r"/(?:home|root|work|workspace|Users)/[\w/.-]*", page.text()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_heading_stands_once_on_its_page(page):
    assert [
        anchor for anchor in page.anchors() if re.search(r"-\d$", anchor) and anchor[:-2] in page.anchors()
    ] == []
