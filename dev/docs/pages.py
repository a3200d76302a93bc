"""List the pages of docs/ with their generated parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_visio.connection_form import VISIONO_FORM, VIZDOM_FORM
from dev.docs import classes, render

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = "<!-- made from the code by `python -m dev.docs --write`: begin -->"
END = "<!-- made from the code: end -->"


def generated() -> dict[str, list[str]]:
    """Return the generated lines of each page.

    :return: path below docs/ -> lines
    """
    pages = {"README.md": render.index()}
    for form in (VISIONO_FORM, VIZDOM_FORM):
        pages[f"connections/{form.conn_type}.md"] = render.fields(form)
    for kind in classes.KINDS:
        reference = render.hook_reference if kind == "hooks" else render.class_reference
        for one in classes.public(kind):
            pages[f"{kind}/{one.__name__}.md"] = reference(one)
    return pages


def current(page: Path, lines: list[str]) -> str:
    """Return the current text of a page: its handwritten parts unchanged, its generated part replaced.

    :param page: the file, which may not exist yet
    :param lines: the generated part
    :raises ValueError: the page has no marks for the generated part
    """
    text = page.read_text() if page.exists() else f"# {page.stem}\n\n## Reference\n\n{BEGIN}\n{END}\n"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page.name} has no marks for its generated part. Add {BEGIN} and {END}.")
    return "\n".join([before + begin, *lines, end + after])
