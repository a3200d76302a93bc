"""The documentation site. `make docs` builds it from the Markdown of the repository, with paths as on GitHub."""

import logging
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
# Importing Airflow writes its configuration, and logs.
os.environ["AIRFLOW_HOME"] = str(ROOT / "build" / "airflow")
logging.getLogger("airflow").setLevel(logging.WARNING)

from airflow_provider_visio import __version__  # noqa: E402

project = "airflow-provider-visio"
version = release = __version__
html_title = f"{project} {version}"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "dev.site.drawings",
    "dev.site.navigation",
    "dev.site.reference",
    "dev.site.repository_links",
]
root_doc = "docs/README"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benchmarks/README.md",
    "docs/**",
]
# Sphinx looks for pages in no folder but these.
exclude_patterns = [
    one.name for one in ROOT.iterdir() if one.is_dir() and one.name not in {"benchmarks", "docs"}
]

# Anchors of headings, by GitHub's names.
myst_heading_anchors = 6
myst_fence_as_directive = ["mermaid"]

# Dashes, but not quotes: docstrings quote strings of Python.
smartquotes_action = "D"
# Types of Python, Airflow and the services' replies have no page here.
nitpick_ignore_regex = [("py:class", r".*"), ("py:exc", r"Airflow\w+")]

autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

html_theme = "furo"
pygments_dark_style = "github-dark"
# `make docs` fetches the script that shows drawings into build/.
html_static_path = ["_site/static", "../build/mermaid"]
html_css_files = ["site.css"]
html_extra_path = ["_site/root"]
templates_path = ["_site/templates"]
html_copy_source = False
# The publishing workflow sets both: links to code lead to the repository, and a page lists all versions.
repository_url = os.environ.get("DOCS_REPOSITORY_URL", "")
html_context = {"versions_page": bool(os.environ.get("DOCS_REPOSITORY_URL"))}
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
        "versions.html",
    ]
}
