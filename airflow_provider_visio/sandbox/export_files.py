"""Dashboard exports with real content: the same rows as PDF, PNG or CSV."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from .dashboards import Dashboard
from .photo_jpeg import need

_INK, _GREY, _PALE = "#1f2937", "#6b7280", "#e5e7eb"
SERIES = ("#2563eb", "#14b8a6", "#f59e0b")


@lru_cache(maxsize=32)
def render(dashboard: Dashboard, export_format: str, made_at: int) -> bytes:
    """Return the file of an export; the same arguments give the same content."""
    if export_format == "csv":
        return _csv(dashboard)
    return _pdf(dashboard, made_at) if export_format == "pdf" else _png(dashboard, made_at)


def _csv(dashboard: Dashboard) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([dashboard.period, *dashboard.columns, "Total"])
    writer.writerows([*row, sum(row[1:])] for row in dashboard.rows)
    return out.getvalue().encode()


def facts(dashboard: Dashboard) -> list[tuple[str, str, str]]:
    """Headline numbers: label, sum, and the change from the first half of the time to the second."""
    half, found = len(dashboard.rows) // 2, []
    for column, label in enumerate(dashboard.columns):
        values = dashboard.values(column)
        before, after = sum(values[:half]) / half, sum(values[half:]) / (len(values) - half)
        found.append((label, f"{sum(values):,}", f"{(after / before - 1) * 100:+.1f} %"))
    return found


def _subtitle(dashboard: Dashboard, made_at: int) -> str:
    made = datetime.fromtimestamp(made_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    first, last = dashboard.rows[0][0], dashboard.rows[-1][0]
    return f"{dashboard.period} {first} to {last}, in {dashboard.unit}. Exported {made}."


def nice_step(largest: float) -> float:
    """Return a round distance between the lines of a scale, for about five of them."""
    step = 1.0
    while step * 50 < largest:
        step *= 10
    return next(step * factor for factor in (0.5, 1, 2, 2.5, 5, 10) if step * factor * 5.5 >= largest)


def _pdf(dashboard: Dashboard, made_at: int) -> bytes:
    try:
        from reportlab.lib import colors
        from reportlab.lib.pagesizes import A4
        from reportlab.lib.styles import ParagraphStyle
        from reportlab.lib.units import mm
        from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle
    except ImportError as problem:
        raise need("reportlab", "reportlab") from problem
    ink, grey, pale = (colors.HexColor(code) for code in (_INK, _GREY, _PALE))
    title = ParagraphStyle("title", fontName="Helvetica-Bold", fontSize=22, leading=28, textColor=ink)
    small = ParagraphStyle("small", fontName="Helvetica", fontSize=9.5, leading=13, textColor=grey)
    heading = ParagraphStyle(
        "heading",
        fontName="Helvetica-Bold",
        fontSize=12,
        leading=16,
        textColor=ink,
        spaceBefore=8,
        spaceAfter=4,
    )
    headline = facts(dashboard)
    cards = Table(
        [
            [label for label, _, _ in headline],
            [total for _, total, _ in headline],
            [change for _, _, change in headline],
        ],
        colWidths=[58 * mm] * 3,
        style=TableStyle(
            [
                ("FONT", (0, 0), (-1, 0), "Helvetica", 9),
                ("TEXTCOLOR", (0, 0), (-1, 0), grey),
                ("FONT", (0, 1), (-1, 1), "Helvetica-Bold", 18),
                ("TEXTCOLOR", (0, 1), (-1, 1), ink),
                ("BOTTOMPADDING", (0, 1), (-1, 1), 10),
                ("FONT", (0, 2), (-1, 2), "Helvetica", 9),
                *(
                    (
                        "TEXTCOLOR",
                        (at, 2),
                        (at, 2),
                        colors.HexColor("#b91c1c" if "-" in fact[2] else "#15803d"),
                    )
                    for at, fact in enumerate(headline)
                ),
                ("BOX", (0, 0), (-1, -1), 0.5, pale),
                ("INNERGRID", (0, 0), (-1, -1), 0, colors.white),
                ("LINEAFTER", (0, 0), (1, -1), 0.5, pale),
                ("LEFTPADDING", (0, 0), (-1, -1), 10),
                ("TOPPADDING", (0, 0), (-1, 0), 8),
                ("BOTTOMPADDING", (0, 2), (-1, 2), 9),
            ]
        ),
    )
    story: list[Any] = [
        Paragraph(dashboard.name, title),
        Paragraph(dashboard.description, small),
        Paragraph(_subtitle(dashboard, made_at), small),
        Spacer(1, 10),
        cards,
        Paragraph(f"Trend ({dashboard.unit})", heading),
        _pdf_lines(dashboard),
        Paragraph(f"All together ({dashboard.unit})", heading),
        _pdf_bars(dashboard),
        Paragraph("Figures", heading),
        _pdf_table(dashboard),
    ]
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=18 * mm,
        rightMargin=18 * mm,
        topMargin=12 * mm,
        bottomMargin=14 * mm,
        title=dashboard.name,
        subject=dashboard.description,
        author="visio-sandbox",
        invariant=1,
    )

    def footer(canvas: Any, page: Any) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.setFillColor(grey)
        canvas.drawString(18 * mm, 9 * mm, f"{dashboard.name} ({dashboard.id})")
        canvas.drawRightString(A4[0] - 18 * mm, 9 * mm, f"Page {page.page}")

    document.build(story, onFirstPage=footer, onLaterPages=footer)
    return out.getvalue()


def _pdf_lines(dashboard: Dashboard) -> Any:
    from reportlab.graphics.charts.linecharts import HorizontalLineChart
    from reportlab.graphics.shapes import Drawing
    from reportlab.lib import colors

    chart = _pdf_axes(HorizontalLineChart(), dashboard, [row[1:] for row in dashboard.rows])
    chart.data = [dashboard.values(column) for column in range(3)]
    for at, code in enumerate(SERIES):
        chart.lines[at].strokeColor = colors.HexColor(code)
        chart.lines[at].strokeWidth = 2
    drawing = Drawing(490, 142)
    drawing.add(chart)
    drawing.add(_pdf_legend(dashboard))
    return drawing


def _pdf_bars(dashboard: Dashboard) -> Any:
    from reportlab.graphics.charts.barcharts import VerticalBarChart
    from reportlab.graphics.shapes import Drawing
    from reportlab.lib import colors

    chart = _pdf_axes(VerticalBarChart(), dashboard, [[sum(row[1:])] for row in dashboard.rows])
    chart.categoryAxis.style = "stacked"
    chart.data = [dashboard.values(column) for column in range(3)]
    chart.barWidth, chart.groupSpacing = 8, 6
    for at, code in enumerate(SERIES):
        chart.bars[at].fillColor = colors.HexColor(code)
        chart.bars[at].strokeColor = None
    drawing = Drawing(490, 142)
    drawing.add(chart)
    drawing.add(_pdf_legend(dashboard))
    return drawing


def _pdf_axes(chart: Any, dashboard: Dashboard, values: Sequence[Sequence[Any]]) -> Any:
    from reportlab.lib import colors

    chart.x, chart.y, chart.width, chart.height = 52, 20, 436, 94
    names, axis = chart.categoryAxis, chart.valueAxis
    names.categoryNames = [str(row[0])[5:] for row in dashboard.rows]
    names.labels.fontName, names.labels.fontSize = "Helvetica", 7.5
    names.labels.fillColor = axis.labels.fillColor = colors.HexColor(_GREY)
    names.strokeColor, names.visibleTicks = colors.HexColor("#9ca3af"), 0
    largest = float(max(max(row) for row in values))
    axis.valueMin, axis.valueStep = 0, nice_step(largest)
    axis.valueMax = -(-largest // axis.valueStep) * axis.valueStep
    axis.labels.fontName, axis.labels.fontSize = "Helvetica", 7.5
    axis.labelTextFormat = lambda value: f"{value:,.0f}"
    axis.visibleGrid, axis.gridStrokeColor, axis.gridStrokeWidth = 1, colors.HexColor(_PALE), 0.5
    axis.visibleAxis, axis.visibleTicks = 0, 0
    return chart


def _pdf_legend(dashboard: Dashboard) -> Any:
    from reportlab.graphics.charts.legends import Legend
    from reportlab.lib import colors

    legend = Legend()
    legend.x, legend.y, legend.alignment, legend.boxAnchor = 52, 137, "right", "nw"
    legend.fontName, legend.fontSize, legend.columnMaximum = "Helvetica", 8, 1
    legend.dx, legend.dy, legend.deltax, legend.dxTextSpace = 8, 8, 75, 5
    legend.strokeColor = None
    legend.fillColor = colors.HexColor(_GREY)
    legend.colorNamePairs = [
        (colors.HexColor(code), name) for code, name in zip(SERIES, dashboard.columns, strict=True)
    ]
    return legend


def _pdf_table(dashboard: Dashboard) -> Any:
    from reportlab.lib import colors
    from reportlab.lib.units import mm
    from reportlab.platypus import Table, TableStyle

    rows = [[row[0], *(f"{value:,}" for value in (*row[1:], sum(row[1:])))] for row in dashboard.rows]
    sums = [sum(dashboard.values(column)) for column in range(3)]
    rows.append(["Total", *(f"{value:,}" for value in (*sums, sum(sums)))])
    return Table(
        [[dashboard.period, *dashboard.columns, "Total"], *rows],
        colWidths=[38 * mm] + [34 * mm] * 4,
        repeatRows=1,
        style=TableStyle(
            [
                ("FONT", (0, 0), (-1, -1), "Helvetica", 9),
                ("FONT", (0, 0), (-1, 0), "Helvetica-Bold", 9),
                ("FONT", (0, -1), (-1, -1), "Helvetica-Bold", 9),
                ("TEXTCOLOR", (0, 0), (-1, -1), colors.HexColor(_INK)),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
                ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
                ("LINEBELOW", (0, 0), (-1, 0), 0.8, colors.HexColor("#9ca3af")),
                ("LINEABOVE", (0, -1), (-1, -1), 0.8, colors.HexColor("#9ca3af")),
                ("ROWBACKGROUNDS", (0, 1), (-1, -2), [colors.white, colors.HexColor("#f6f7f9")]),
            ]
        ),
    )


def _png(dashboard: Dashboard, made_at: int) -> bytes:
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as problem:
        raise need("PIL", "Pillow") from problem
    # Drawn twice as large and reduced, which smooths the lines.
    image = Image.new("RGB", (2800, 1800), "#f3f4f6")
    draw = ImageDraw.Draw(image)
    draw.text((100, 80), dashboard.name, _INK, ImageFont.load_default(84))
    draw.text(
        (100, 196),
        f"{dashboard.description}. {_subtitle(dashboard, made_at)}",
        _GREY,
        ImageFont.load_default(36),
    )
    for at, (label, total, change) in enumerate(facts(dashboard)):
        x = 100 + at * 880
        draw.rounded_rectangle((x, 290, x + 840, 520), 28, "white", _PALE, 3)
        draw.rectangle((x + 44, 338, x + 56, 476), SERIES[at])
        draw.text((x + 90, 330), label, _GREY, ImageFont.load_default(38))
        draw.text((x + 90, 396), total, _INK, ImageFont.load_default(76))
        colour = "#b91c1c" if "-" in change else "#15803d"
        draw.text((x + 790, 452), change, colour, ImageFont.load_default(40), anchor="rm")
    _png_chart(draw, dashboard, (100, 570, 1380, 1730), f"Trend ({dashboard.unit})", stacked=False)
    _png_chart(draw, dashboard, (1420, 570, 2700, 1730), f"All together ({dashboard.unit})", stacked=True)
    out = io.BytesIO()
    image.resize((1400, 900), Image.Resampling.LANCZOS).save(out, "PNG", optimize=True)
    return out.getvalue()


def _png_chart(
    draw: Any, dashboard: Dashboard, card: tuple[int, int, int, int], title: str, *, stacked: bool
) -> None:
    from PIL import ImageFont

    small = ImageFont.load_default(30)
    draw.rounded_rectangle(card, 28, "white", _PALE, 3)
    draw.text((card[0] + 50, card[1] + 40), title, _INK, ImageFont.load_default(46))
    x = card[0] + 50
    for name, code in zip(dashboard.columns, SERIES, strict=True):
        draw.ellipse((x, card[1] + 126, x + 24, card[1] + 150), code)
        draw.text((x + 36, card[1] + 138), name, _GREY, small, anchor="lm")
        x += 90 + int(small.getlength(name))
    left, top, right, bottom = card[0] + 170, card[1] + 210, card[2] - 50, card[3] - 110
    rows = dashboard.rows
    heights = [sum(row[1:]) if stacked else max(row[1:]) for row in rows]
    largest = max(heights)
    step = nice_step(largest)
    ceiling = -(-largest // step) * step

    def height(value: float) -> float:
        return bottom - value / ceiling * (bottom - top)

    for line in range(int(ceiling / step) + 1):
        y = height(line * step)
        draw.line((left, y, right, y), "#9ca3af" if line == 0 else _PALE, 3)
        draw.text((left - 18, y), f"{line * step:,.0f}", _GREY, small, anchor="rm")
    slot = (right - left) / len(rows)
    every = 1 if slot > 110 else 2
    for number, row in enumerate(rows):
        x0 = left + slot * number
        if number % every == 0:
            draw.text((x0 + slot / 2, bottom + 34), row[0][5:], _GREY, small, anchor="mm")
        if stacked:
            base = 0
            for value, code in zip(row[1:], SERIES, strict=True):
                draw.rectangle((x0 + slot * 0.2, height(base + value), x0 + slot * 0.8, height(base)), code)
                base += value
    if not stacked:
        for column, code in enumerate(SERIES):
            values = dashboard.values(column)
            points = [(left + slot * (n + 0.5), height(value)) for n, value in enumerate(values)]
            draw.line(points, code, 9, joint="curve")
            for px, py in points:
                draw.ellipse((px - 10, py - 10, px + 10, py + 10), "white", code, 6)
