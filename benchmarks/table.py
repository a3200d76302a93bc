"""Rows of the table: a figure, what it should be, and whether it is."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """
    One line of the table.

    :param figure: what was measured.
    :param who: of whom.
    :param value: how much.
    :param text: how much, for the reader; made of the value where it is empty.
    :param most: what it may be at most.
    :param least: what it must be at least.
    """

    figure: str
    who: str
    value: float
    text: str = ""
    most: float | None = None
    least: float | None = None

    @property
    def target(self) -> str:
        """The target in words."""
        if self.most is not None:
            return f"at most {number(self.most)}"
        return "" if self.least is None else f"at least {number(self.least)}"

    @property
    def verdict(self) -> str:
        """Whether the target is met."""
        if self.most is None and self.least is None:
            return ""
        met = self.value <= (math.inf if self.most is None else self.most) and self.value >= (
            -math.inf if self.least is None else self.least
        )
        return "hit" if met else "**miss**"

    def line(self) -> str:
        """Return the line."""
        cells = (self.figure, self.who, self.text or number(self.value), self.target, self.verdict)
        return f"| {' | '.join(cells)} |"


HEAD = "| figure | who | measured | target | |\n|---|---|---|---|---|"


def number(value: float) -> str:
    """Return a number as people write it."""
    if math.isinf(value):
        return "never"
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 20 or value == int(value) else f"{value:.2f}"
