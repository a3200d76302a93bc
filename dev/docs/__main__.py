"""Write the parts of docs/ that are made from the code: `python -m dev.docs --write`; without it, name stale pages."""

from __future__ import annotations

import sys

from dev.docs import pages, render


def main() -> int:
    """Return 1 when a page is stale and was not written."""
    stale = 0
    for name, lines in pages.made().items():
        page = render.root() / "docs" / name
        text = pages.current(page, lines)
        if page.exists() and page.read_text() == text:
            continue
        stale += 1
        print(name)
        if "--write" in sys.argv[1:]:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text)
    return 1 if stale and "--write" not in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
