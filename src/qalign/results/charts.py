"""The charts of the page as geometry: numbers and texts that the template draws as inline SVG, in the page's own colours.

Lengths are in units of the SVG's view box; `slot` is a system's place in the palette.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..evaluation.scores import AVERAGE, NON_ENGLISH
from ..wording import counted
from .accuracies import problems
from .findings import bounds
from .titles import Titles
from .view import (
    Curve,
    accuracy,
    interval,
    languages_of,
    nice_ticks,
    slots_of,
    smoothed,
    stage_name,
    systems_of,
    thinned,
)

POINTS_PER_CURVE = 500


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from values to positions."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return round(self.start + (value - self.low) / ((self.high - self.low) or 1) * (self.end - self.start), 1)


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis and what is written there."""

    at: float
    label: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar from the base line up to `top`, with its interval; `title` says it in words."""

    slot: int
    x: float
    width: float
    top: float
    high: float
    low: float
    title: str


@dataclass(frozen=True, slots=True)
class BarChart:
    """Accuracy by language: a group of bars a language, a bar a system."""

    width: float
    height: float
    left: float
    base: float
    ticks: Sequence[Tick]
    groups: Sequence[Tick]
    bars: Sequence[Bar]
    divider: float | None


def bar_chart(found: Mapping[str, Any], benchmark: str, titles: Titles) -> BarChart:
    """The languages of a benchmark, then the average where there is more than one."""
    systems, slots = systems_of(found, benchmark), slots_of(found)
    rows = {name: found["systems"][name][benchmark] for name in systems}
    languages = languages_of(found, benchmark)
    groups = [*languages, *([AVERAGE] if len(languages) > 1 else [])]
    bar, gap, left, top, height = max(7.0, min(26.0, 76 / len(systems))), 20.0, 44.0, 14.0, 320.0
    base = height - 40
    highest = max(
        (interval(row[code], problems(row))[1] for row in rows.values() for code in groups if code in row), default=1
    )
    ticks = nice_ticks(0, max(highest, 1.0))
    y = Scale(ticks[0], ticks[-1], base, top)
    bars, marks, divider = [], [], None
    x = left + gap / 2
    for code in groups:
        if code == AVERAGE:
            divider = round(x, 1)
            x += gap
        there = [name for name in systems if code in rows[name]]
        for place, name in enumerate(there):
            low, high = interval(rows[name][code], problems(rows[name]))
            value = accuracy(rows[name][code])
            title = f"{titles.system(name)}, {titles.group(code)}: {value:.1f}% ({low:.1f} to {high:.1f})"
            bars.append(
                Bar(slots[name], round(x + place * bar, 1), round(bar - 1, 1), y(value), y(high), y(low), title)
            )
        width = max(len(there) * bar, 48.0)  # a name stands below
        label = "all" if code == AVERAGE else code
        marks.append(Tick(round(x + width / 2, 1), label, titles.group(code)))
        x += width + gap
    return BarChart(
        round(x - gap / 2, 1), height, left, base, [Tick(y(t), f"{t:g}") for t in ticks], marks, bars, divider
    )


@dataclass(frozen=True, slots=True)
class Gap:
    """A system's accuracy in English and on average in the other languages, as positions (None: not measured) and as the
    figures that stand beside them; `title` says it in words."""

    slot: int
    y: float
    name: str
    others: float
    low: float
    high: float
    english: float | None
    figures: Sequence[str]
    title: str


@dataclass(frozen=True, slots=True)
class GapChart:
    """How far each system's other languages are behind its English. `columns` are the places of the figures."""

    width: float
    height: float
    top: float
    base: float
    ticks: Sequence[Tick]
    columns: Sequence[Tick]
    rows: Sequence[Gap]


def gap_chart(found: Mapping[str, Any], benchmark: str, titles: Titles) -> GapChart:
    """One row a system, in the order of the results; of a system that was measured in English only, its average."""
    rows = {name: found["systems"][name][benchmark] for name in systems_of(found, benchmark)}
    left, right, step, top = 216.0, 700.0, 32.0, 30.0
    shown = {name: row.get(NON_ENGLISH) or row[AVERAGE] for name, row in rows.items()}
    ends = [interval(score, problems(rows[name]))[1] for name, score in shown.items()] + [
        accuracy(row["en"]) for row in rows.values() if "en" in row
    ]
    ticks = nice_ticks(0, max([1.0, *ends]))
    x = Scale(ticks[0], ticks[-1], left, right)
    slots = slots_of(found)
    made = []
    for place, (name, row) in enumerate(rows.items()):
        others, english = accuracy(shown[name]), row.get("en")
        low, high = interval(shown[name], problems(row))
        difference = f"{accuracy(english) - others:.1f}" if english and NON_ENGLISH in row else "–"
        figures = [f"{others:.1f}", f"{accuracy(english):.1f}" if english else "–", difference]
        title = titles.system(name)
        made.append(
            Gap(
                slot=slots[name],
                y=top + step * (place + 0.5),
                name=title,
                others=x(others),
                low=x(low),
                high=x(high),
                english=x(accuracy(english)) if english else None,
                figures=figures,
                title=f"{title}: others {figures[0]} ({low:.1f} to {high:.1f}), English {figures[1]}, gap {figures[2]}",
            )
        )
    base = top + step * len(rows)
    columns = [Tick(764, "others"), Tick(832, "English"), Tick(896, "gap")]
    return GapChart(900, base + 26, top, base, [Tick(x(t), f"{t:g}") for t in ticks], columns, made)


@dataclass(frozen=True, slots=True)
class Line:
    """A loss curve as paths: as it was, and smoothed. `label` names the systems whose stage it is."""

    slot: int
    raw: str
    smooth: str
    label: str
    title: str


@dataclass(frozen=True, slots=True)
class LossChart:
    """The curves of all stages of one name."""

    stage: str
    width: float
    height: float
    left: float
    base: float
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    lines: Sequence[Line]


def loss_chart(stage: str, curves: Sequence[Curve], slots: Mapping[str, int], titles: Titles) -> LossChart:
    """Loss over steps. A stage that systems share is one line, in the colour of the first of them."""
    width, height, left, top = 520.0, 260.0, 46.0, 12.0
    base = height - 34
    losses = [loss for curve in curves for _, loss in curve.points]
    steps = [step for curve in curves for step, _ in curve.points]
    y_ticks = nice_ticks(min(0.0, *losses, min(losses)), max(losses))
    x_ticks = nice_ticks(0, max(steps), 5)
    x = Scale(0, max(max(steps), 1.0), left, width - 14)
    y = Scale(y_ticks[0], y_ticks[-1], base, top)
    lines = []
    for curve in curves:
        label = ", ".join(titles.system(name) for name in curve.systems)
        (_, first), (last_step, last) = curve.points[0], curve.points[-1]
        title = f"{label}: loss {first:.3f} to {last:.3f} in {counted(round(last_step), 'step')}"
        paths = [_path(thinned(points, POINTS_PER_CURVE), x, y) for points in (curve.points, smoothed(curve.points))]
        lines.append(Line(slots.get(curve.systems[0], 0), paths[0], paths[1], label, title))
    return LossChart(
        stage_name(stage), width, height, left, base,
        [Tick(x(t), f"{t:,g}") for t in x_ticks if t <= max(steps)], [Tick(y(t), f"{t:g}") for t in y_ticks], lines,
    )  # fmt: skip


def _path(points: Sequence[tuple[float, float]], x: Scale, y: Scale) -> str:
    return "M" + "L".join(f"{x(step):g} {y(loss):g}" for step, loss in points)


@dataclass(frozen=True, slots=True)
class Whisker:
    """A difference with its interval on an axis that all of a table share; `zero` is where there is none."""

    low: float
    at: float
    high: float
    zero: float


WHISKER_WIDTH = 140.0


def whiskers(rows: Sequence[Mapping[str, Any]]) -> list[Whisker]:
    """One for each comparison."""
    ends = [bounds(row) for row in rows]
    reach = max((abs(end) for both in ends for end in both), default=1.0) or 1.0
    x = Scale(-reach, reach, 5, WHISKER_WIDTH - 5)
    return [Whisker(x(low), x(row["difference"]), x(high), x(0)) for row, (low, high) in zip(rows, ends, strict=True)]
