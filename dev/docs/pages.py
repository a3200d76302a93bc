"""Which pages there are, and what is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_visio.connection_form import VISIONO_FORM, VIZDOM_FORM
from dev.docs import classes, render

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = "<!-- made from the code by `python -m dev.docs --write`: begin -->"
END = "<!-- made from the code: end -->"


def made() -> dict[str, list[str]]:
    """Return the lines that are made, by the page's path below docs/."""
    pages = {"README.md": render.index()}
    for form in (VISIONO_FORM, VIZDOM_FORM):
        pages[f"connections/{form.conn_type}.md"] = render.fields(form)
    for kind in classes.KINDS:
        reference = render.hook_reference if kind == "hooks" else render.class_reference
        for one in classes.public(kind):
            pages[f"{kind}/{one.__name__}.md"] = reference(one)
    return pages


def current(page: Path, lines: list[str]) -> str:
    """Return a page as it should be: a person's words as they stand, the part that is made anew.

    :raises ValueError: the page has no place for that part
    """
    text = page.read_text() if page.exists() else f"# {page.stem}\n\n## Reference\n\n{BEGIN}\n{END}\n"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page.name} has no place for what is made: {BEGIN} {END}")
    return "\n".join([before + begin, *lines, end + after])
