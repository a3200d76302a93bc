"""Files of dashboard exports, with the dashboard's rows in them: PDF, PNG and CSV; and files that are none."""

import csv
import io
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial
from html import escape
from typing import Any

from .dashboards import Dashboard
from .options import ExportOutcome
from .photo_jpeg import needs

_INK, _GREY, _PALE, _RED, _GREEN = "#1f2937", "#6b7280", "#e5e7eb", "#b91c1c", "#15803d"
_SERIES = ("#2563eb", "#14b8a6", "#f59e0b")
_NO_FILE = {
    "page": b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in.</body></html>\n",
    "error": b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InternalError</Code></Error>',
    "nothing": b"",
}


def content(dashboard: Dashboard, export_format: str, created_at: int, outcome: ExportOutcome) -> bytes:
    """Return the file of an export that ended with `outcome`."""
    if outcome in _NO_FILE:
        return _NO_FILE[outcome]
    if outcome == "zip":
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name, make in parts(dashboard, export_format, created_at).items():
                archive.writestr(zipfile.ZipInfo(name), make())
        return out.getvalue()
    if outcome == "no_rows" and export_format == "csv":
        return _csv(_table(dashboard)[:1])
    whole = render(dashboard, export_format, created_at)
    return whole[: len(whole) // 2] if outcome == "cut" else whole


def parts(dashboard: Dashboard, export_format: str, created_at: int) -> dict[str, Callable[[], bytes]]:
    """Return what makes a file for each column of the dashboard, by name; in CSV it has this column only."""

    def make(at: int) -> bytes:
        if export_format != "csv":
            return render(dashboard, export_format, created_at)
        head = [dashboard.period, dashboard.columns[at]]
        return _csv([head, *([row[0], row[at + 1]] for row in dashboard.rows)])

    return {f"{column}.{export_format}": partial(make, at) for at, column in enumerate(dashboard.columns)}


@lru_cache(maxsize=32)
def render(dashboard: Dashboard, export_format: str, created_at: int) -> bytes:
    """Return the file of an export; the same arguments give the same bytes.

    :param export_format: `pdf`, `png` or `csv`.
    :param created_at: Unix timestamp of the export.
    """
    subtitle = f"{_period(dashboard)} Exported {datetime.fromtimestamp(created_at, UTC):%Y-%m-%d %H:%M} UTC."
    if export_format == "csv":
        return _csv(_table(dashboard))
    return _pdf(dashboard, subtitle) if export_format == "pdf" else draw(dashboard, subtitle)


def _table(dashboard: Dashboard) -> list[list[Any]]:
    head = [dashboard.period, *dashboard.columns, "Total"]
    return [head, *([*row, sum(row[1:])] for row in dashboard.rows)]


def _csv(rows: list[list[Any]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def _period(dashboard: Dashboard) -> str:
    return f"{dashboard.period} {dashboard.rows[0][0]} to {dashboard.rows[-1][0]}, in {dashboard.unit}."


def _pdf(dashboard: Dashboard, subtitle: str) -> bytes:
    """Return one page with the picture and, as text, a table of the figures."""
    with needs("reportlab"):
        from reportlab.lib.pagesizes import A4
        from reportlab.lib.styles import ParagraphStyle
        from reportlab.platypus import Image, Paragraph, SimpleDocTemplate, Spacer, Table
    sums = [sum(dashboard.values(column)) for column in range(3)]
    table = [*_table(dashboard), ["Total", *sums, sum(sums)]]
    out, about = io.BytesIO(), {"title": dashboard.name, "author": "visio-sandbox"}
    page = SimpleDocTemplate(out, pagesize=A4, topMargin=40, bottomMargin=40, invariant=1, **about)
    title = ParagraphStyle("title", fontName="Helvetica-Bold", fontSize=22, leading=28)
    small = ParagraphStyle("small", fontSize=9.5, leading=13)
    page.build(
        [
            Paragraph(escape(dashboard.name), title),
            Paragraph(escape(f"{dashboard.description}. {subtitle}"), small),
            Spacer(1, 12),
            Image(io.BytesIO(draw(dashboard, _period(dashboard))), page.width, page.width * 900 / 1400),
            Spacer(1, 12),
            Table(
                [[f"{value:,}" if isinstance(value, int) else value for value in row] for row in table],
                colWidths=[page.width / 5] * 5,
                style=[
                    ("FONT", (0, 0), (-1, -1), "Helvetica", 9),
                    ("FONT", (0, 0), (-1, 0), "Helvetica-Bold", 9),
                    ("FONT", (0, -1), (-1, -1), "Helvetica-Bold", 9),
                    ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
                    ("LINEBELOW", (0, 0), (-1, 0), 0.8, _GREY),
                    ("LINEABOVE", (0, -1), (-1, -1), 0.8, _GREY),
                    ("TOPPADDING", (0, 0), (-1, -1), 2),
                ],
            ),
        ]
    )
    return out.getvalue()


@lru_cache(maxsize=32)
def draw(dashboard: Dashboard, subtitle: str) -> bytes:
    """Return the dashboard as a PNG of 1400 x 900: sums, a line chart and a stacked bar chart."""
    with needs("Pillow"):
        from PIL import Image, ImageDraw, ImageFont
    # Drawn twice as large and reduced, which smooths the lines.
    image = Image.new("RGB", (2800, 1800), "#f3f4f6")
    pen = ImageDraw.Draw(image)
    pen.text((100, 80), dashboard.name, _INK, ImageFont.load_default(84))
    pen.text((100, 196), f"{dashboard.description}. {subtitle}", _GREY, ImageFont.load_default(36))
    half = len(dashboard.rows) // 2
    for at, label in enumerate(dashboard.columns):
        values, x = dashboard.values(at), 100 + at * 880
        # Mean of the later half against mean of the earlier half.
        change = sum(values[half:]) / (len(values) - half) / (sum(values[:half]) / half) - 1
        pen.rounded_rectangle((x, 290, x + 840, 520), 28, "white", _PALE, 3)
        pen.rectangle((x + 44, 338, x + 56, 476), _SERIES[at])
        pen.text((x + 90, 330), label, _GREY, ImageFont.load_default(38))
        pen.text((x + 90, 396), f"{sum(values):,}", _INK, ImageFont.load_default(76))
        colour = _RED if change < 0 else _GREEN
        pen.text((x + 790, 452), f"{change * 100:+.1f} %", colour, ImageFont.load_default(40), anchor="rm")
    _draw_chart(pen, dashboard, (100, 570, 1380, 1730), stacked=False)
    _draw_chart(pen, dashboard, (1420, 570, 2700, 1730), stacked=True)
    out = io.BytesIO()
    image.resize((1400, 900), Image.Resampling.LANCZOS).save(out, "PNG", optimize=True)
    return out.getvalue()


def _draw_chart(pen: Any, dashboard: Dashboard, card: tuple[int, int, int, int], *, stacked: bool) -> None:
    from PIL import ImageFont

    small, rows = ImageFont.load_default(30), dashboard.rows
    title = f"{'All together' if stacked else 'Trend'} ({dashboard.unit})"
    pen.rounded_rectangle(card, 28, "white", _PALE, 3)
    pen.text((card[0] + 50, card[1] + 40), title, _INK, ImageFont.load_default(46))
    x = card[0] + 50
    for name, colour in zip(dashboard.columns, _SERIES, strict=True):
        pen.ellipse((x, card[1] + 126, x + 24, card[1] + 150), colour)
        pen.text((x + 36, card[1] + 138), name, _GREY, small, anchor="lm")
        x += 90 + int(small.getlength(name))
    left, top, right, bottom = card[0] + 170, card[1] + 210, card[2] - 50, card[3] - 110
    largest = max(sum(row[1:]) if stacked else max(row[1:]) for row in rows)
    step = _scale_step(largest)
    ceiling = -(-largest // step) * step

    def height(value: float) -> float:
        return bottom - value / ceiling * (bottom - top)

    for line in range(int(ceiling / step) + 1):
        y = height(line * step)
        pen.line((left, y, right, y), "#9ca3af" if line == 0 else _PALE, 3)
        pen.text((left - 18, y), f"{line * step:,.0f}", _GREY, small, anchor="rm")
    slot = (right - left) / len(rows)
    for number, row in enumerate(rows):
        x0 = left + slot * number
        if slot > 110 or number % 2 == 0:
            pen.text((x0 + slot / 2, bottom + 34), row[0][5:], _GREY, small, anchor="mm")
        base = 0
        for value, colour in zip(row[1:], _SERIES, strict=True) if stacked else ():
            pen.rectangle((x0 + slot * 0.2, height(base + value), x0 + slot * 0.8, height(base)), colour)
            base += value
    for column, colour in enumerate(() if stacked else _SERIES):
        points = [(left + slot * (n + 0.5), height(v)) for n, v in enumerate(dashboard.values(column))]
        pen.line(points, colour, 9, joint="curve")
        for px, py in points:
            pen.ellipse((px - 10, py - 10, px + 10, py + 10), "white", colour, 6)


def _scale_step(largest: float) -> float:
    """Return a round distance between the lines of a scale, for about five of them."""
    step = 1.0
    while step * 50 < largest:
        step *= 10
    return next(step * factor for factor in (0.5, 1, 2, 2.5, 5, 10) if step * factor * 5.5 >= largest)
