"""Read the code blocks, links and anchors of a Markdown page."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import unquote

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from markdown_it.token import Token

_NOTE = re.compile(r"<!-- test: (.*?) -->")


@dataclass(frozen=True)
class Block:
    """A block of code.

    :param page: the page's path below the root of the repository
    :param line: number of its first line
    :param language: the word after the fence
    :param text: the code
    :param heading: anchor of the heading above it
    :param words: options of its test, from a comment right before it: `<!-- test: scene=free_plan in=hook -->`
    """

    page: str
    line: int
    language: str
    text: str
    heading: str
    words: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


class Page:
    """One Markdown file.

    :param root: the root of the repository
    :param path: the file below it
    """

    def __init__(self, root: Path, path: Path) -> None:
        self.path = path
        self.name = path.relative_to(root).as_posix()
        self._tokens = MarkdownIt("commonmark").enable("table").parse(path.read_text())

    def blocks(self) -> Iterator[Block]:
        """Yield its blocks of code."""
        heading, words = "", {}
        anchors = iter(self.anchors())
        for token in self._tokens:
            if token.type == "heading_open":
                heading = next(anchors)
            elif token.type == "html_block":
                note = _NOTE.search(token.content)
                words = dict(word.split("=", 1) for word in note[1].split()) if note else {}
            elif token.type in {"fence", "code_block"}:
                line = token.map[0] + 1 if token.map else 0
                yield Block(self.name, line, token.info.strip(), token.content, heading, words)
                words = {}

    def anchors(self) -> list[str]:
        """Return the anchors of this page, as GitHub names them."""
        found: list[str] = []
        for heading, text in pairwise(self._tokens):
            if heading.type == "heading_open":
                anchor = re.sub(r"[^\w\- ]", "", _plain(text.children or []).lower()).replace(" ", "-")
                twins = sum(1 for one in found if re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", one))
                found.append(f"{anchor}-{twins}" if twins else anchor)
        return found

    def links(self) -> Iterator[str]:
        """Yield the targets of its links."""
        yield from (unquote(str(href)) for href in _hrefs(self._tokens))

    def titled_links(self) -> Iterator[tuple[str, str, str]]:
        """Yield its links with the heading above, their text and their target."""
        heading = ""
        for before, token in pairwise(self._tokens):
            if before.type == "heading_open":
                heading = _plain(token.children or [])
            parts = token.children or []
            for at, part in enumerate(parts):
                if part.type == "link_open":
                    end = next(i for i in range(at, len(parts)) if parts[i].type == "link_close")
                    yield heading, _plain(parts[at:end]), unquote(str(part.attrGet("href")))

    def text(self) -> str:
        """Return the text of the page."""
        return self.path.read_text()


def _plain(parts: list[Token]) -> str:
    return "".join(part.content for part in parts if part.type in {"text", "code_inline"})


def _hrefs(tokens: list[Token]) -> Iterator[object]:
    for token in tokens:
        if token.type == "link_open":
            yield token.attrGet("href")
        if token.type == "image":
            yield token.attrGet("src")
        yield from _hrefs(token.children or [])


def pages(root: Path) -> list[Page]:
    """Return the README and all pages in docs/."""
    return [Page(root, path) for path in [root / "README.md", *sorted((root / "docs").rglob("*.md"))]]
