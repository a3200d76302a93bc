"""Write docs/contract.md: `python -m dev.contract --write`; without it, say whether it is stale."""

from __future__ import annotations

import sys

from dev.contract.page import PAGE, text


def main() -> int:
    """Return 1 when the page is stale and was not written."""
    made = text()
    if PAGE.exists() and PAGE.read_text() == made:
        return 0
    if "--write" in sys.argv[1:]:
        PAGE.write_text(made)
        return 0
    print(f"{PAGE.name} is stale: python -m dev.contract --write")
    return 1


if __name__ == "__main__":
    sys.exit(main())
