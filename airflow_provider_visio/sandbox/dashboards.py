"""Dashboards, with the rows that their exports contain."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Dashboard:
    """A dashboard: the fields of the API, and a table with one row for each period."""

    id: str
    name: str
    description: str
    created_at: str
    updated_at: str
    visualization_count: int
    period: str
    columns: tuple[str, str, str]
    unit: str
    rows: tuple[tuple[str, int, int, int], ...]
    always_fails: bool = False

    def values(self, column: int) -> list[int]:
        """Return the numbers of one column, counted from 0."""
        return [(first, second, third)[column] for _, first, second, third in self.rows]


def blank(dashboard_id: str, name: str, description: str, created_at: str) -> Dashboard:
    """Return a new dashboard, with two rows so that its export is not empty."""
    return Dashboard(
        id=dashboard_id,
        name=name,
        description=description,
        created_at=created_at,
        updated_at=created_at,
        visualization_count=0,
        period="Day",
        columns=("First", "Second", "Third"),
        unit="things",
        rows=(("2026-01-01", 1, 2, 3), ("2026-01-02", 2, 3, 4)),
    )


def _seeded() -> tuple[Dashboard, ...]:
    text = Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
    return tuple(
        Dashboard(**{**one, "columns": tuple(one["columns"]), "rows": tuple(map(tuple, one["rows"]))})
        for one in json.loads(text)
    )


# The dashboards at the start. `dash_abc123` is the reference's example; exports of `dash_broken` always fail.
SEEDED = _seeded()
