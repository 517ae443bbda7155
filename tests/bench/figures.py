"""What was measured, against what it may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """``unit`` follows the numbers; ``at_least``: the budget is a floor, else a ceiling."""

    name: str
    measured: float
    budget: float
    unit: str = ""
    at_least: bool = False
    note: str = ""

    @property
    def met(self) -> bool:
        return self.measured >= self.budget if self.at_least else self.measured <= self.budget

    def cells(self) -> tuple[str, str, str, str, str]:
        """Name, measured, budget, met, note."""
        sign = "≥" if self.at_least else "≤"
        budget = f"{sign} {self.budget:g}{self.unit}" if self.budget else f"none{self.unit}"
        measured = f"{self.measured:.4g}{self.unit}" if abs(self.measured) < 1000 else f"{self.measured:.0f}{self.unit}"
        return self.name, measured, budget, "yes" if self.met else "NO", self.note


HEADINGS = ("figure", "measured", "budget", "met", "seen")


def plain(figures: Sequence[Figure]) -> str:
    """A table for a terminal."""
    rows = [HEADINGS, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in rows
    )


def markdown(figures: Sequence[Figure]) -> str:
    rows = [HEADINGS, ("---",) * len(HEADINGS), *(figure.cells() for figure in figures)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which ``part`` (0 to 1) of ``values`` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
