"""What figures and the page show of `results.json`: which rows, in which order, with which interval and in which colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..evaluation import scores
from ..evaluation.rules import MAIN
from ..evaluation.scores import AVERAGE, NON_ENGLISH
from ..languages import STUDY

Curves = Mapping[str, Sequence[Mapping[str, Any]]]
"""System -> its training stages, each with `stage`, `folder` and `points` (step, loss); a shared stage has one folder."""

PALETTE = ("#CC6677", "#332288", "#DDCC77", "#117733", "#88CCEE", "#882255", "#44AA99", "#999933", "#AA4499")
"""Nine colours that stay apart in every kind of colour blindness: Paul Tol, "Colour Schemes" (SRON/EPS/TN/09-002), muted."""


def benchmarks_of(found: Mapping[str, Any]) -> list[str]:
    """The benchmarks that any system was measured on, in order of appearance."""
    return list(dict.fromkeys(benchmark for scores in found["systems"].values() for benchmark in scores))


def systems_of(found: Mapping[str, Any], benchmark: str) -> list[str]:
    """The systems measured on a benchmark."""
    return [name for name, scores in found["systems"].items() if benchmark in scores]


def slots_of(found: Mapping[str, Any]) -> dict[str, int]:
    """The place of each system in the palette, the same in every chart."""
    return {name: slot for slot, name in enumerate(found["systems"])}


def languages_of(found: Mapping[str, Any], benchmark: str) -> list[str]:
    """The languages of a benchmark, those of the study in its order, then the others."""
    scores = (rows[benchmark] for rows in found["systems"].values() if benchmark in rows)
    return in_order(code for row in scores for code in row if code not in (AVERAGE, NON_ENGLISH))


def in_order(codes: Iterable[str]) -> list[str]:
    """Languages without repetition, those of the study in its order, then the others as they come."""
    there = dict.fromkeys(codes)
    return [*(code for code in STUDY if code in there), *(code for code in there if code not in STUDY)]


def stage_name(stage: str) -> str:
    """The name of a training stage in plain words."""
    return (stage[:1].upper() + stage[1:]).replace("-", " ")


def examples_text(stage: Mapping[str, Any]) -> str:
    """The examples of a training stage; `14,400 of 24,000` where it ended before it had seen them all."""
    examples, seen = stage["examples"], stage.get("examples_seen")
    return f"{examples:,}" if seen is None or seen >= examples else f"{seen:,} of {examples:,}"


def accuracy(score: Mapping[str, Any], rule: str = MAIN) -> float:
    """The accuracy of a score of `results.json`, in percent."""
    return float(score["accuracy"][rule])


def other_rules(found: Mapping[str, Any]) -> dict[str, str]:
    """The rules beside the main one, with their titles."""
    return {name: row["title"] for name, row in found["rules"].items() if name != MAIN}


def rules_in_words(rules: Mapping[str, Mapping[str, str]]) -> str:
    """`Strict rule: numbers as the language writes them.`, for each rule."""
    said = [(row["title"], row["description"]) for row in rules.values()]
    return " ".join(f"{title[:1].upper()}{title[1:]}: {text[:1].lower()}{text[1:]}" for title, text in said)


def interval(score: Mapping[str, Any], problems: int | None = None, rule: str = MAIN) -> tuple[float, float]:
    """The 95% interval of an accuracy, by Wilson.

    Args:
        score: a score of `results.json`.
        problems: what counts as independent where the standard error is 0; the number of answers by default.
        rule: the name of an answer rule.
    """
    count = score["n"] if problems is None else problems
    return scores.interval(accuracy(score, rule), score["standard_error"][rule], count)


def published_of(found: Mapping[str, Any], system: str, benchmark: str) -> Mapping[str, float]:
    """Model size -> published average of a system; empty where this benchmark is not one of the published ones."""
    figures: Mapping[str, float] = found.get("published", {}).get(system, {}).get(benchmark, {})
    return figures


@dataclass(frozen=True, slots=True)
class Curve:
    """The loss of one training stage, and the systems that it is a part of."""

    stage: str
    folder: str
    systems: tuple[str, ...]
    points: tuple[tuple[float, float], ...]


def curves_by_stage(curves: Curves) -> dict[str, list[Curve]]:
    """The curves by name of the stage, in the order of training, each folder once; stages without points are left out."""
    shared: dict[str, tuple[Mapping[str, Any], list[str]]] = {}
    place: dict[str, int] = {}
    for system, stages in curves.items():
        for number, stage in enumerate(stages):
            shared.setdefault(stage["folder"], (stage, []))[1].append(system)
            place[stage["stage"]] = max(number, place.get(stage["stage"], 0))
    grouped: dict[str, list[Curve]] = {name: [] for name in sorted(place, key=lambda name: place[name])}
    for folder, (stage, systems) in shared.items():
        points = tuple((float(step), float(loss)) for step, loss in stage["points"])
        if points:
            grouped[stage["stage"]].append(Curve(stage["stage"], folder, tuple(systems), points))
    return {name: lines for name, lines in grouped.items() if lines}


def smoothed(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The mean over a window of about a fortieth of the curve. It is centred, and narrow at the beginning, where loss falls
    steeply, so that it does not lag; at the end it looks back only."""
    half = len(points) // 80 + (len(points) > 8)
    sums = [0.0]
    for _, loss in points:
        sums.append(sums[-1] + loss)
    made = []
    for index, (step, _) in enumerate(points):
        first, last = max(0, index - half), min(len(points) - 1, index + min(half, index))
        made.append((step, (sums[last + 1] - sums[first]) / (last + 1 - first)))
    return made


def thinned(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most about `most` of the points: of each run of them the lowest and the highest, so that spikes stay."""
    if len(points) <= most:
        return list(points)
    size = -(-2 * len(points) // most)
    kept = []
    for start in range(0, len(points), size):
        part = sorted(points[start : start + size], key=lambda point: point[1])
        kept += sorted({part[0], part[-1]})
    return kept


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that cover `low` to `high` in about so many steps."""
    span = max(high - low, 1e-9)
    unit = 10.0 ** _floor_log10(span / about)
    step = next((unit * factor for factor in (1, 2, 2.5, 5) if span / (unit * factor) <= about), unit * 10)
    first, last = int(low // step), -int(-high // step)
    return [round(step * index, 10) for index in range(first, last + 1)]


def _floor_log10(value: float) -> int:
    power = 0
    while 10.0 ** (power + 1) <= value:
        power += 1
    while 10.0**power > value:
        power -= 1
    return power
