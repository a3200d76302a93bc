"""The rows of the table: a figure, its target, and whether it is met."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """
    A row of the table.

    :param figure: name of the figure.
    :param who: name of the contestant.
    :param value: the measured value.
    :param text: text for the value; empty: the value itself.
    :param most: largest value that meets the target; None: no such limit.
    :param least: smallest value that meets the target; None: no such limit.
    """

    figure: str
    who: str
    value: float
    text: str = ""
    most: float | None = None
    least: float | None = None

    @property
    def target(self) -> str:
        """Return the target as text."""
        if self.most is not None:
            return f"at most {number(self.most)}"
        return "" if self.least is None else f"at least {number(self.least)}"

    @property
    def verdict(self) -> str:
        """Return whether the target is met, as text."""
        if self.most is None and self.least is None:
            return ""
        met = self.value <= (math.inf if self.most is None else self.most) and self.value >= (
            -math.inf if self.least is None else self.least
        )
        return "hit" if met else "**miss**"

    def line(self) -> str:
        """Return the row as a line of Markdown."""
        cells = (self.figure, self.who, self.text or number(self.value), self.target, self.verdict)
        return f"| {' | '.join(cells)} |"


HEAD = "| figure | who | measured | target | |\n|---|---|---|---|---|"


def number(value: float) -> str:
    """Return a number as text."""
    if math.isinf(value):
        return "never"
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 20 or value == int(value) else f"{value:.2f}"
