"""Random choices that are the same on every machine and Python version.

Python promises only that seeding and `random()` of `random.Random` do not change. Everything here is built from these.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """A stream of random choices, seeded by a text."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed).random

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._random() < probability

    def number(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self._random() * (high - low + 1))

    def one(self, choices: Sequence[T]) -> T:
        """One of the choices."""
        return choices[int(self._random() * len(choices))]

    def some(self, choices: Sequence[T], count: int) -> list[T]:
        """`count` different choices, in random order."""
        left = list(choices)
        return [left.pop(int(self._random() * len(left))) for _ in range(count)]

    def shuffled(self, choices: Sequence[T]) -> list[T]:
        """All choices, in random order."""
        return self.some(choices, len(choices))
