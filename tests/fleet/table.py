"""Render the tables of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

BEGIN, END = "<!-- fleet: begin -->", "<!-- fleet: end -->"
LOST_HEAD = (
    "| lost in the middle | people | tries | requests | most for one | ended wrong | photos lost | calls | refused |",
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
)
HOSTS_HEAD = (
    "| hosts | asked | waits | calls that the limit allows | calls made | share | refused |",
    "|---|--:|--:|--:|--:|--:|--:|",
)


def lines_of_scenes(result: Mapping[str, Any]) -> list[str]:
    """Return the table of the campaigns."""
    lines = [*LOST_HEAD]
    for scene in result["scenes"]:
        wrong = "did not end" if scene["aborted"] else len(scene["ended_wrong"]) + len(scene["not_asked"])
        cells = [
            scene["what"],
            scene["people"],
            scene["tries"],
            scene["made"],
            scene["most"],
            wrong,
            f"{len(scene['lost']) + scene['people'] - scene['photos']} of {scene['people']}",
            scene["calls"],
            scene["refused"],
        ]
        lines.append(row(cells))
    return lines


def lines_of_hosts(result: Mapping[str, Any]) -> list[str]:
    """Return the table of the measurements of the rate limit."""
    lines = [*HOSTS_HEAD]
    for one in result["hosts"]:
        share = f"{one['made'] / one['allowed']:.0%}"
        lines.append(
            row([one["what"], one["asked"], one["waits"], one["allowed"], one["made"], share, one["refused"]])
        )
    return lines


def table(result: Mapping[str, Any]) -> str:
    """Return the tables of a run as Markdown.

    :param result: the content of fleet.json
    """
    lines = lines_of_scenes(result) if result["scenes"] else []
    lines += ["", *lines_of_hosts(result)] if result["hosts"] else []
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    where = f" on {versions}" if versions else ""
    lines += ["", f"`make fleet PEOPLE={result['people']}`{where}: {result['seconds']} s."]
    lines += [
        f"\nA component ended by itself and was restarted: {restart}." for restart in result["restarted"]
    ]
    return "\n".join(lines)


def row(cells: Iterable[object]) -> str:
    """Return a row of a table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
