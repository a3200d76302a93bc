"""Generate the text of docs/contract.md."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from airflow_provider_visio.api.vizdom_contract import rows
from dev.checkout import ROOT
from dev.contract import prose
from dev.contract.documents import load, operations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dev.contract.documents import Operation

PAGE = ROOT / "docs" / "contract.md"
CALLS = ("call", "hook method", "operator, sensor or trigger", "tests", "evidence", "source")


def text() -> str:
    """Return the whole page."""
    parts = [
        prose.INTRO,
        "## Visiono\n",
        prose.VISIONO,
        table((*CALLS, "dialect"), (_cells(one, dialect=True) for one in _all("visiono"))),
        _count("visiono"),
        _sources("visiono"),
        "## Vizdom\n",
        prose.VIZDOM,
        table(CALLS, (_cells(one) for one in _all("vizdom"))),
        _count("vizdom"),
        _sources("vizdom"),
        prose.ASSUMPTIONS,
        table(("name", "assumed value", "evidence", "why"), _assumptions()),
        prose.DIFFERS,
    ]
    return "\n".join(parts)


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table.

    :param head: cells of the first row
    :param lines: cells of each further row
    """
    marks = ["---"] * len(head)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, marks, *lines))


def names(listed: str) -> list[str]:
    """Split a list of names at its commas."""
    return [name.strip() for name in listed.split(",")]


def _all(service: str) -> list[Operation]:
    return list(operations(load(service), service))


def _cells(one: Operation, *, dialect: bool = False) -> list[str]:
    about = one.about
    operator = about["x-operator"]
    cells = [
        f"`{one.name}`",
        ", ".join(f"`{name.partition('.')[2]}`" for name in names(about["x-hook"])),
        operator if operator.startswith("none:") else ", ".join(f"`{name}`" for name in names(operator)),
        ", ".join(_test(name) for name in about["x-test"]),
        about["x-evidence"],
        about["x-source"],
    ]
    return [*cells, about["x-dialect"]] if dialect else cells


def _test(name: str) -> str:
    path, _, function = name.partition("::")
    return f"[{function.removeprefix('test_').replace('_', ' ')}](../{path})"


def _count(service: str) -> str:
    found = Counter(one.about["x-evidence"] for one in _all(service))
    levels = load(service)["info"]["x-evidence-levels"]
    counts = ", ".join(f"{found[level]} {level}" for level in levels if found[level])
    return f"{found.total()} calls: {counts}.\n"


def _sources(service: str) -> str:
    used = {
        tag.rpartition(":")[2].strip()
        for one in _all(service)
        for tag in str(one.about["x-source"]).replace(";", ",").split(",")
    }
    listed = load(service)["info"]["x-sources"]
    return "Sources: " + "; ".join(f"*{tag}*: {listed[tag]}" for tag in listed if tag in used) + ".\n"


def _assumptions() -> Iterator[list[str]]:
    for row in rows():
        values = row.value if isinstance(row.value, tuple) else (row.value,)
        taken = ", ".join(f"`{value}`" for value in values if value) or "none"
        more = "; may be empty" if row.may_be_empty else ""
        yield [f"`{row.name}`", f"{taken}{more}", row.evidence, row.why]
