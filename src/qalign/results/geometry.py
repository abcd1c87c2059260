"""Where the marks of a chart stand on the page: the template draws them as inline SVG, in the page's own colours.

Lengths are in units of the SVG's view box.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .charts import BarChart, Gap, Group, LossChart, Points

POINTS_PER_CURVE = 500


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from values to positions."""

    start: float
    end: float
    ticks: Sequence[float]
    low: float
    high: float

    def __call__(self, value: float) -> float:
        return round(self.start + (value - self.low) / ((self.high - self.low) or 1) * (self.end - self.start), 1)


def round_scale(low: float, high: float, start: float, end: float) -> Scale:
    """A scale that begins and ends at round numbers."""
    ticks = nice_ticks(low, high)
    return Scale(start, end, ticks, ticks[0], ticks[-1])


@dataclass(frozen=True, slots=True)
class BarPlaces:
    """Where the bars of a chart stand."""

    y: Scale
    bar: float
    """The width of a bar."""
    left_edges: Sequence[float]
    """One for each bar of the chart."""
    groups: Sequence[tuple[Group, float]]
    """Each group, and its middle."""
    divider: float | None
    """Where the average is set apart from the languages."""
    right: float


def bar_places(chart: BarChart) -> BarPlaces:
    """Groups from left to right, each as wide as its bars or its name."""
    bar, gap = max(7.0, min(26.0, 76 / len(chart.systems))), 20.0
    edges: list[float] = []
    groups, divider = [], None
    x = 44 + gap / 2
    for group in chart.groups:
        if group.code == "all":
            divider = round(x, 1)
            x += gap
        members = sum(one.group is group for one in chart.bars)
        edges += [round(x + place * bar, 1) for place in range(members)]
        width = max(members * bar, 48.0)
        groups.append((group, round(x + width / 2, 1)))
        x += width + gap
    y = round_scale(0, max([1.0, *(one.high for one in chart.bars)]), 280, 14)
    return BarPlaces(y, round(bar - 1, 1), edges, groups, divider, round(x - gap / 2, 1))


def gap_scale(gaps: Sequence[Gap]) -> Scale:
    """The axis of accuracy of the chart of gaps."""
    return round_scale(0, max([1.0, *(max(gap.high, gap.english or 0.0) for gap in gaps)]), 216, 700)


def loss_scales(chart: LossChart) -> tuple[Scale, Scale]:
    """The axes of steps and of losses."""
    steps, losses = zip(*(point for line in chart.lines for point in line.points), strict=True)
    ticks = [tick for tick in nice_ticks(0, max(steps)) if tick <= max(steps)]
    return Scale(46, 506, ticks, 0, max(*steps, 1.0)), round_scale(min(0.0, *losses), max(losses), 226, 12)


def path(points: Points, x: Scale, y: Scale) -> str:
    """A curve of losses as the path of an SVG.

    A long one is thinned: of each run of points the lowest and the highest stay, so that spikes do.
    """
    size = -(-2 * len(points) // POINTS_PER_CURVE) if len(points) > POINTS_PER_CURVE else 1
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), size):
        part = sorted(points[start : start + size], key=lambda point: point[1])
        kept += sorted({part[0], part[-1]})
    return "M" + "L".join(f"{x(step):g} {y(loss):g}" for step, loss in kept)


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that cover `low` to `high` in about so many steps."""
    span = max(high - low, 1e-9)
    unit = 10.0 ** math.floor(math.log10(span / about))
    step = next((unit * factor for factor in (1, 2, 2.5, 5) if span / (unit * factor) <= about), unit * 10)
    first, last = int(low // step), -int(-high // step)
    return [round(step * index, 10) for index in range(first, last + 1)]
