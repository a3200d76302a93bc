"""A dashboard's charts as shapes for an SVG."""

from typing import Any

from .dashboards import Dashboard
from .export_files import SERIES, facts, nice_step

WIDTH, HEIGHT = 560, 240
_LEFT, _TOP, _RIGHT, _BOTTOM = 62, 12, 548, 210


def charts(dashboard: Dashboard) -> dict[str, Any]:
    """Return headline numbers, legend, lines and stacked bars."""
    return {
        "facts": [(*fact, colour) for fact, colour in zip(facts(dashboard), SERIES, strict=True)],
        "trend": _chart(dashboard, stacked=False),
        "together": _chart(dashboard, stacked=True),
        "width": WIDTH,
        "height": HEIGHT,
    }


def _chart(dashboard: Dashboard, *, stacked: bool) -> dict[str, Any]:
    rows = dashboard.rows
    heights = [sum(row[1:]) if stacked else max(row[1:]) for row in rows]
    step = nice_step(max(heights))
    ceiling = -(-max(heights) // step) * step
    slot = (_RIGHT - _LEFT) / len(rows)

    def y(value: float) -> float:
        return round(_BOTTOM - value / ceiling * (_BOTTOM - _TOP), 1)

    def x(number: float) -> float:
        return round(_LEFT + slot * number, 1)

    every = 1 if slot > 55 else 2
    bars: list[dict[str, Any]] = []
    lines: list[dict[str, str]] = []
    if stacked:
        for number, row in enumerate(rows):
            base = 0
            for value, colour, name in zip(row[1:], SERIES, dashboard.columns, strict=True):
                top, foot = y(base + value), y(base)
                title = f"{row[0]}, {name}: {value:,}"
                bars.append({"x": x(number + 0.2), "y": top, "width": round(slot * 0.6, 1)})
                bars[-1] |= {"height": round(foot - top, 1), "colour": colour, "title": title}
                base += value
    else:
        for column, colour in enumerate(SERIES):
            values = dashboard.values(column)
            points = " ".join(f"{x(n + 0.5)},{y(value)}" for n, value in enumerate(values))
            lines.append({"points": points, "colour": colour})
    return {
        "grid": [(y(step * line), f"{step * line:,.0f}") for line in range(int(ceiling / step) + 1)],
        "ticks": [(x(n + 0.5), row[0][5:]) for n, row in enumerate(rows) if n % every == 0],
        "bars": bars,
        "lines": lines,
        "left": _LEFT,
        "right": _RIGHT,
        "foot": HEIGHT - 8,
    }
