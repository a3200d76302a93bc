"""Make the site's navigation from the links of the index pages, so that these read well on GitHub, too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.markdown import Page

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

# (caption, [(title, page below the root, without .md)])
Tree = list[tuple[str, list[tuple[str, str]]]]


def indexes() -> list[Path]:
    """Return the index pages: docs/README.md, and that of each folder below."""
    return sorted(DOCS.glob("**/README.md"))


def trees(index: Path) -> Tree:
    """Return the pages that an index page lists, below the headings that list them.

    :param index: docs/README.md, which lists all pages, or the README.md of a folder, which lists those of the folder
    """
    found: Tree = []
    for heading, title, href in Page(ROOT, index).titled_links():
        target = (index.parent / href.partition("#")[0]).resolve()
        if target.suffix == ".md" and index.parent in {DOCS, target.parent}:
            # The headings of a folder's index would need a caption each in the middle of the navigation.
            caption = heading if index.parent == DOCS else ""
            if not found or found[-1][0] != caption:
                found.append((caption, []))
            found[-1][1].append((title, target.relative_to(ROOT).with_suffix("").as_posix()))
    return found


def _append_trees(_: Sphinx, page: str, source: list[str]) -> None:
    path = ROOT / f"{page}.md"
    if path in indexes():
        for caption, entries in trees(path):
            options = [":hidden:", *([f":caption: {caption}"] if caption else [])]
            lines = [f"{_breakable(title)} </{target}>" for title, target in entries]
            source[0] += "\n".join(["", "```{toctree}", *options, "", *lines, "```", ""])


def _breakable(title: str) -> str:
    """Let a long name of a class break between its words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "\u200b", title)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("source-read", _append_trees)
    return {"parallel_read_safe": True}
