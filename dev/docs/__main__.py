"""Write the generated parts of docs/: `python -m dev.docs --write`. Without `--write`, only list stale pages."""

from __future__ import annotations

import sys

from dev.docs import pages, render


def main() -> int:
    """Write or check the pages.

    :return: exit code; 1 if a page is stale and was not written
    """
    stale = 0
    for name, lines in pages.generated().items():
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
