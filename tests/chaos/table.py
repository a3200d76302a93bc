"""Render the table of a run, and write it into docs/reliability.md."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = "chaos.json"
BEGIN, END = "<!-- chaos: begin -->", "<!-- chaos: end -->"
HEAD = (
    "| failure | name | tasks | tries | created | most for one task | ended wrong | files lost |",
    "|---|---|--:|--:|--:|--:|--:|--:|",
)


def table(result: Mapping[str, Any]) -> str:
    """Return the table of a run as Markdown.

    :param result: the content of chaos.json
    """
    lines = [*HEAD]
    notes = []
    for scene in result["scenes"]:
        mark = ""
        if scene["why"]:
            notes.append(scene)
            mark = f" ({len(notes)})"
        wrong = "did not end" if scene["aborted"] else len(scene["ended_wrong"]) + len(scene["not_created"])
        lost = f"{len(scene['lost'])} of {scene['submitted']}" if scene["submitted"] else "-"
        if scene["fetched_again"] is not None:
            lost += f", {scene['fetched_again']} fetched again"
        cells = [
            scene["what"],
            f"`{scene['name']}`",
            scene["tasks"],
            scene["tries"],
            f"{scene['made']}{mark}",
            scene["most"] or "-",
            wrong,
            lost,
        ]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    refused = ", ".join(f"{count} with {status}" for status, count in result["refused"].items() if count)
    summary = (
        f"`make chaos SEED={result['seed']}` on {versions}: {result['seconds']} s, {result['calls']:,} calls to the "
        f"services; refused: {refused or 'none'}."
    )
    lines += ["", summary]
    lines += [
        f"\nA component ended by itself and was restarted: {restart}." for restart in result["restarted"]
    ]
    for number, scene in enumerate(notes, start=1):
        again = scene["created_again"][0] if scene["created_again"] else "none"
        lines += ["", f"({number}) {scene['why']}: {again}."]
    return "\n".join(lines)


def put(text: str, path: Path, begin: str = BEGIN, end: str = END) -> None:
    """Replace the text between the two marks of a file."""
    before, _, rest = path.read_text().partition(begin)
    _, _, after = rest.partition(end)
    if not after:
        raise SystemExit(f"{path} has no {begin} ... {end}")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def main() -> None:
    """Write the table of a run into a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path, help="the file that the run names at its end")
    parser.add_argument("document", type=Path, nargs="?", default=Path("docs/reliability.md"))
    arguments = parser.parse_args()
    put(table(json.loads(arguments.result.read_text())), arguments.document)


if __name__ == "__main__":
    main()
