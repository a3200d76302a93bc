"""The table of a run, and the command that puts it into docs/reliability.md."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = "chaos.json"
BEGIN, END = "<!-- chaos: begin -->", "<!-- chaos: end -->"
HEAD = (
    "| what is done | name | tasks | tries | asked, in all | asked most for one | ended wrong | files lost |",
    "|---|---|--:|--:|--:|--:|--:|--:|",
)


def table(result: Mapping[str, Any]) -> str:
    """Return what came of a run as Markdown."""
    lines = [*HEAD]
    notes = []
    for scene in result["scenes"]:
        mark = ""
        if scene["why"]:
            notes.append(scene)
            mark = f" ({len(notes)})"
        wrong = "did not end" if scene["broke_off"] else len(scene["ended_wrong"]) + len(scene["not_asked"])
        lost = f"{len(scene['lost'])} of {scene['submitted']}" if scene["submitted"] else "-"
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
    told = (
        f"`make chaos SEED={result['seed']}` on {versions}: {result['seconds']} s, {result['calls']:,} calls to the "
        f"services; refused: {refused or 'none'}."
    )
    lines += ["", told]
    lines += [f"\nEnded by itself, and was started again: {said}." for said in result["restarted"]]
    for number, scene in enumerate(notes, start=1):
        again = scene["asked_again"][0] if scene["asked_again"] else "none"
        lines += ["", f"({number}) {scene['why']}: {again}."]
    return "\n".join(lines)


def put(text: str, path: Path) -> None:
    """Put a text between the two marks of a file."""
    before, _, rest = path.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        raise SystemExit(f"{path} has no {BEGIN} ... {END}")
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def main() -> None:
    """Put the table of a run into a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path, help="the file that the run has named at its end")
    parser.add_argument("document", type=Path, nargs="?", default=Path("docs/reliability.md"))
    arguments = parser.parse_args()
    put(table(json.loads(arguments.result.read_text())), arguments.document)


if __name__ == "__main__":
    main()
