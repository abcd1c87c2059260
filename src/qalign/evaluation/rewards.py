"""The reward of an answer in reinforcement learning: a product, as in WizardMath (arXiv 2308.09583).

There two learned models judge the problem and each step of its answer. Here both are checked: whether the problem is a
good one, whether the answer's number is right, and which of its equations hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from ..languages import Language
from ..records import Prediction, Problem
from .extraction import strict
from .rejection import equations, is_true


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """The factors of a reward, each from 0 to 1, and whether the answer was truncated."""

    instruction: float
    """How good the problem is: 1 where its answer is known, else the share of answers that agreed on it."""
    right: float
    """1 for the right number by the strict rule, in an answer that ended."""
    steps: float
    """The share of the answer's equations that hold; 1 where it has none."""
    truncated: bool

    @property
    def value(self) -> float:
        """The product."""
        return self.instruction * self.right * self.steps


def reward(problem: Problem, answer: Prediction, row: Language, instruction: float = 1.0) -> Reward:
    """The reward of an answer to a problem in the language of `row`."""
    assert problem.gold is not None, "problems to reinforce on have a gold answer"
    truncated = answer.finish == "length"
    is_right = not truncated and strict(answer.text, problem.gold, row, answer.finish).right
    checked = [is_true(equation) for equation in equations(problem, answer, row)]
    steps = sum(checked) / len(checked) if checked else 1.0
    return Reward(instruction=instruction, right=float(is_right), steps=steps, truncated=truncated)


def means(rewards: Iterable[Reward]) -> dict[str, float]:
    """The mean of the rewards, of each factor, and the share of truncated answers."""
    rows = list(rewards)
    columns = ("instruction", "right", "steps", "truncated")
    factors = {name: fmean(float(getattr(row, name)) for row in rows) for name in columns}
    return {"reward": fmean(row.value for row in rows), **factors}
