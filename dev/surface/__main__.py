"""Compare the public surface with the recorded one: `python -m dev.surface`. `--write` records it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dev.surface import snapshot

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "tests" / "surface" / "public_surface.json"


def differences() -> list[str]:
    """Return the differences: `-` for lines only in the recorded surface, `+` for lines only in the package."""
    recorded = set(snapshot.lines(json.loads(FILE.read_text())))
    found = set(snapshot.lines(snapshot.take(ROOT)))
    gone = [(line, "-") for line in recorded - found]
    new = [(line, "+") for line in found - recorded]
    return [f"{sign} {line}" for line, sign in sorted(gone + new)]


def main() -> int:
    """Compare or record the surface.

    :return: exit code; 1 if the surface differs and was not recorded
    """
    if "--write" in sys.argv[1:]:
        FILE.write_text(json.dumps(snapshot.take(ROOT), indent=2, sort_keys=True, ensure_ascii=False) + "\n")
        return 0
    found = differences()
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
