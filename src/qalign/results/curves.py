"""Curves of losses: each stage once, smoothed, and thinned for drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

Points = Sequence[tuple[float, float]]
"""Step and loss."""


class Curve(msgspec.Struct, frozen=True):
    """The loss of one training stage."""

    stage: str
    folder: str
    points: Points
    systems: tuple[str, ...] = ()
    """The systems that the stage is a part of."""


Curves = Mapping[str, Sequence[Curve]]
"""System -> its training stages. A stage that systems share has one folder."""


def curves_by_stage(curves: Curves) -> dict[str, list[Curve]]:
    """The curves by name of the stage, in the order of training, each folder once; stages without points are left out."""
    distinct: dict[str, Curve] = {}
    users: dict[str, list[str]] = {}
    place: dict[str, int] = {}
    for system, stages in curves.items():
        for number, curve in enumerate(stages):
            distinct.setdefault(curve.folder, curve)
            users.setdefault(curve.folder, []).append(system)
            place[curve.stage] = max(number, place.get(curve.stage, 0))
    grouped: dict[str, list[Curve]] = {name: [] for name in sorted(place, key=lambda name: place[name])}
    for folder, curve in distinct.items():
        if curve.points:
            grouped[curve.stage].append(msgspec.structs.replace(curve, systems=tuple(users[folder])))
    return {name: lines for name, lines in grouped.items() if lines}


def smoothed(points: Points) -> list[tuple[float, float]]:
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


def thinned(points: Points, most: int) -> list[tuple[float, float]]:
    """At most about `most` of the points: of each run of them the lowest and the highest, so that spikes stay."""
    if len(points) <= most:
        return list(points)
    size = -(-2 * len(points) // most)
    kept = []
    for start in range(0, len(points), size):
        part = sorted(points[start : start + size], key=lambda point: point[1])
        kept += sorted({part[0], part[-1]})
    return kept
