"""The benchmarks: one row each, whose corpus is in the table of corpora.

The first two have the limits of the published evaluation: NJUNLP/QAlign, evaluate/scripts/.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..languages import STUDY


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A test set that is parallel across languages. `corpus` names it in the table of corpora."""

    name: str
    title: str
    corpus: str
    max_new_tokens: int
    languages: tuple[str, ...] = STUDY


BENCHMARKS: Mapping[str, Benchmark] = {
    row.name: row
    for row in (
        Benchmark("mgsm", "mGSM", "mgsm", max_new_tokens=600),
        Benchmark("msvamp", "mSVAMP", "msvamp", max_new_tokens=300),
        Benchmark("world-mgsm", "World, in domain", "world-mgsm", max_new_tokens=200),
        Benchmark("world-msvamp", "World, out of domain", "world-msvamp", max_new_tokens=200),
        Benchmark("world-development", "World, development", "world-development", max_new_tokens=200),
        Benchmark(
            "world-development-out", "World, development, out of domain", "world-development-out", max_new_tokens=200
        ),
    )
}


def about_world(names: Iterable[str]) -> str:
    """A sentence on the test sets of the embedded world, if there are any."""
    if not any(name in BENCHMARKS and name.startswith("world-") for name in names):
        return ""
    return (
        "World is the embedded world, a miniature of the study made by a program. In domain: kinds of problems that were "
        "trained on, with other numbers. Out of domain: other kinds of problems. docs/world.md describes it."
    )


OWN_MAX_NEW_TOKENS = 600
"""The limit for a user's own test set."""
