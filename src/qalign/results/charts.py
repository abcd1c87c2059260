"""What each chart shows: labels, values and their order. Figures and page draw the same, each in its own way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from ..evaluation.scores import AVERAGE, NON_ENGLISH
from .accuracy_tables import accuracy, interval, problems
from .schema import Content, in_order
from .titles import Titles

PALETTE = ("#CC6677", "#332288", "#DDCC77", "#117733", "#88CCEE", "#882255", "#44AA99", "#999933", "#AA4499")
"""Nine colours that stay apart in every kind of colour blindness: Paul Tol, "Colour Schemes" (SRON/EPS/TN/09-002), muted."""

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
    """Languages whose scores stand together: the code of one, or `all`, and a name."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Bar:
    """The accuracy of a system in a group, with its 95% interval."""

    system: System
    group: Group
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class BarChart:
    """Accuracy by language: a group of bars a language and one for the average, a bar a system."""

    title: str
    systems: Sequence[System]
    groups: Sequence[Group]
    bars: Sequence[Bar]


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
    """The languages of a benchmark, then the average where there is more than one."""
    systems, rows = systems_in(content, titles), content.scores_on(benchmark)
    languages = content.languages_on(benchmark)
    groups = {code: Group(code, titles.language(code)) for code in languages}
    if len(languages) > 1:
        groups[AVERAGE] = Group("all", "Average")
    bars = []
    for code, group in groups.items():
        for name, scores in rows.items():
            if code in scores:
                ends = interval(scores[code], problems(scores, content.repetitions))
                bars.append(Bar(systems[name], group, accuracy(scores[code]), *ends))
    return BarChart(titles.benchmark(benchmark), [systems[name] for name in rows], list(groups.values()), bars)


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
