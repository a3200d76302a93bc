"""Let links to code lead to the repository, where the site knows its address."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from sphinx.addnodes import download_reference, pending_xref
from sphinx.transforms import SphinxTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class RepositoryLinks(SphinxTransform):
    """Replace links to files and folders of the repository. Without an address, files stay downloads."""

    default_priority: ClassVar[int] = 500

    def apply(self, **_: Any) -> None:
        """Replace them on one page."""
        url = self.config.repository_url
        for node in [*self.document.findall(download_reference), *self.document.findall(pending_xref)]:
            path = posixpath.normpath(posixpath.join(posixpath.dirname(self.env.docname), node["reftarget"]))
            is_folder = node.get("reftype") == "myst" and (self.env.srcdir / path).is_dir()
            if isinstance(node, download_reference) and url:
                node.replace_self(nodes.reference("", "", *node.children, refuri=f"{url}/{path}"))
            elif is_folder:
                link = nodes.reference("", "", refuri=f"{url}/{path}") if url else nodes.inline()
                link += node.children
                node.replace_self(link)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.add_config_value("repository_url", "", "env")
    app.add_transform(RepositoryLinks)
    return {"parallel_read_safe": True}
