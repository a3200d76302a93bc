"""Show Mermaid's drawings, which GitHub shows by itself, by a script that the site brings along."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class Drawing(SphinxDirective):
    """The directive `mermaid`."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the drawing's text, which the script replaces in the browser."""
        self.env.metadata[self.env.docname]["drawing"] = True
        text = html.escape("\n".join(self.content))
        return [nodes.raw("", f'<pre class="mermaid">{text}</pre>', format="html")]


def _add_scripts(app: Sphinx, page: str, _: str, __: dict[str, Any], ___: nodes.document | None) -> None:
    if app.env.metadata.get(page, {}).get("drawing"):
        app.add_js_file("mermaid.tiny.js", loading_method="defer")
        app.add_js_file("drawings.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.add_directive("mermaid", Drawing)
    app.connect("html-page-context", _add_scripts)
    return {"parallel_read_safe": True}
