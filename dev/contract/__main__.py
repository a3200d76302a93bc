"""Write docs/contract.md: `python -m dev.contract --write`. Without `--write`, only report a stale page."""

from __future__ import annotations

import sys

from dev.contract.page import PAGE, text


def main() -> int:
    """Write or check the page.

    :return: exit code; 1 if the page is stale and was not written
    """
    generated = text()
    if PAGE.exists() and PAGE.read_text() == generated:
        return 0
    if "--write" in sys.argv[1:]:
        PAGE.write_text(generated)
        return 0
    print(f"docs/{PAGE.name} is stale. Run `python -m dev.contract --write`.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
