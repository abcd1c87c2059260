"""What each chart shows: labels, values and their order. Figures and page draw the same, each in its own way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from ..evaluation.scores import AVERAGE, NON_ENGLISH
from .accuracy_tables import accuracy, interval, problems
from .schema import Content, in_order
from .titles import Titles

PALETTE = ("#CC6677", "#332288", "#DDCC77", "#117733", "#88CCEE", "#882255", "#44AA99", "#999933", "#AA4499")
"""Nine colours that stay apart in every kind of colour blindness: Paul Tol, "Colour Schemes" (SRON/EPS/TN/09-002), muted."""

POINTS_PER_CURVE = 500
Points = Sequence[tuple[float, float]]
"""Step and loss."""


class Curve(msgspec.Struct, frozen=True):
    """The loss of one training stage."""

    stage: str
    folder: str
    points: Points


Curves = Mapping[str, Sequence[Curve]]
"""System -> its training stages. A stage that systems share has one folder."""


@dataclass(frozen=True, slots=True)
class System:
    """A system in a chart."""

    name: str
    """For people."""
    slot: int
    """Its place among the colours, the same in every chart."""


@dataclass(frozen=True, slots=True)
class Group:
    """Languages whose scores stand together: the code of one, or `all`, a name, and the middle of the group on the page."""

    code: str
    name: str
    middle: float


@dataclass(frozen=True, slots=True)
class Bar:
    """The accuracy of a system in a group, with its 95% interval, and the left edge on the page."""

    system: System
    group: Group
    value: float
    low: float
    high: float
    left: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BarChart:
    """Accuracy by language: a group of bars a language and one for the average, a bar a system."""

    title: str
    systems: Sequence[System]
    groups: Sequence[Group]
    bars: Sequence[Bar]
    y: Scale
    width: float
    """Of a bar."""
    divider: float | None
    """Where the average is set apart from the languages."""
    right: float


@dataclass(frozen=True, slots=True)
class Gap:
    """How far a system's other languages are behind its English."""

    system: System
    others: float
    """The average over the other languages, with its interval. Where English alone was measured, the average."""
    low: float
    high: float
    english: float | None
    difference: float | None


@dataclass(frozen=True, slots=True)
class HeatMap:
    """How often a system gives the same answer in two languages."""

    system: System
    languages: Sequence[str]
    """Codes, in the order of rows and columns."""
    same: Sequence[Sequence[float | None]]
    """Percent of the problems with the same number."""
    both_right: Sequence[Sequence[float | None]]
    """Percent right in both languages, of the problems right in either."""


@dataclass(frozen=True, slots=True)
class Line:
    """The losses of a stage, in the colour of the first system that it is a part of."""

    label: str
    """The systems."""
    slot: int
    points: Points
    smooth: Points


@dataclass(frozen=True, slots=True)
class LossChart:
    """Loss over the steps of all stages of one name."""

    title: str
    lines: Sequence[Line]


def systems_in(content: Content, titles: Titles) -> dict[str, System]:
    """The systems with their colours."""
    return {name: System(titles.system(name), slot) for slot, name in enumerate(content.systems)}


def bar_chart(content: Content, benchmark: str, titles: Titles) -> BarChart:
    """The languages of a benchmark from left to right, then the average where there is more than one. A group is as wide as its
    bars or its name."""
    systems, rows = systems_in(content, titles), content.scores_on(benchmark)
    languages = content.languages_on(benchmark)
    width, space, x, divider = max(7.0, min(26.0, 76 / len(rows))), 20.0, 54.0, None
    groups, bars = [], []
    for code in [*languages, *([AVERAGE] if len(languages) > 1 else [])]:
        if code == AVERAGE:
            divider = round(x, 1)
            x += space
        members = [name for name, scores in rows.items() if code in scores]
        whole = max(len(members) * width, 48.0)
        named = ("all", "Average") if code == AVERAGE else (code, titles.language(code))
        groups.append(Group(*named, middle=round(x + whole / 2, 1)))
        for place, name in enumerate(members):
            score = rows[name][code]
            ends = interval(score, problems(rows[name], content.repetitions))
            bars.append(Bar(systems[name], groups[-1], accuracy(score), *ends, left=round(x + place * width, 1)))
        x += whole + space
    return BarChart(
        title=titles.benchmark(benchmark),
        systems=[systems[name] for name in rows],
        groups=groups,
        bars=bars,
        y=round_scale(0, max([1.0, *(bar.high for bar in bars)]), 280, 14),
        width=round(width - 1, 1),
        divider=divider,
        right=round(x - space / 2, 1),
    )


def gap_chart(content: Content, benchmark: str, titles: Titles) -> list[Gap]:
    """One row a system, in the order of the results. None where English alone was measured."""
    rows, systems = content.scores_on(benchmark), systems_in(content, titles)
    if not any(NON_ENGLISH in scores for scores in rows.values()):
        return []
    gaps = []
    for name, scores in rows.items():
        others = scores.get(NON_ENGLISH) or scores[AVERAGE]
        english = accuracy(scores["en"]) if "en" in scores else None
        ends = interval(others, problems(scores, content.repetitions))
        difference = english - accuracy(others) if english is not None and NON_ENGLISH in scores else None
        gaps.append(Gap(systems[name], accuracy(others), *ends, english, difference))
    return gaps


def heat_maps(content: Content, benchmark: str, titles: Titles) -> list[HeatMap]:
    """The agreement between languages of each system on a benchmark, languages in the order of the study."""
    maps = []
    for name, system in systems_in(content, titles).items():
        row = content.consistency.get(name, {}).get(benchmark)
        if row is None or not row.matrix:
            continue
        order = [row.languages.index(code) for code in in_order(row.languages)]
        same, both = ([[matrix[i][j] for j in order] for i in order] for matrix in (row.matrix, row.matrix_correct))
        maps.append(HeatMap(system, [row.languages[i] for i in order], same, both))
    return maps


def loss_charts(content: Content, curves: Curves, titles: Titles) -> list[LossChart]:
    """A chart for each name of a stage, in the order of training. A stage that systems share is one line."""
    slots = {name: slot for slot, name in enumerate(content.systems)}
    users: dict[str, list[str]] = {}
    place: dict[str, int] = {}
    for system, stages in curves.items():
        for number, curve in enumerate(stages):
            users.setdefault(curve.folder, []).append(system)
            place[curve.stage] = max(number, place.get(curve.stage, 0))
    distinct = {curve.folder: curve for stages in curves.values() for curve in stages if curve.points}
    charts = []
    for stage in sorted(place, key=lambda stage: place[stage]):
        lines = [
            Line(
                ", ".join(map(titles.system, users[folder])),
                slots.get(users[folder][0], 0),
                one.points,
                smoothed(one.points),
            )
            for folder, one in distinct.items()
            if one.stage == stage
        ]
        charts += [LossChart((stage[:1].upper() + stage[1:]).replace("-", " "), lines)] if lines else []
    return charts


def smoothed(points: Points) -> list[tuple[float, float]]:
    """The mean over a window of about a fortieth of the curve. It is centred, and narrow at the beginning, where loss falls
    steeply, so that it does not lag; at the end it looks back only."""
    half = len(points) // 80 + (len(points) > 8)
    smooth = []
    for index, (step, _) in enumerate(points):
        window = [loss for _, loss in points[max(0, index - half) : index + min(half, index) + 1]]
        smooth.append((step, sum(window) / len(window)))
    return smooth


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from values to positions on the page, in units of the SVG's view box."""

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
