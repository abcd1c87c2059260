"""A system in a comparison: the stage that makes its model, and the stages that measure it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..pipeline import Stage
from .artifacts import Model
from .kinds import Judge


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """One system of a comparison."""

    name: str
    model: Stage[Model]
    """The stage whose model is measured."""
    scores: dict[str, Judge]
    """Benchmark -> the stage that judges the answers to it."""
    title: str = ""
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Benchmark -> model size -> accuracy, as published."""


def scores_of(comparison: Sequence[Evaluated]) -> list[Judge]:
    """What has to be done for the table."""
    return [score for system in comparison for score in system.scores.values()]
