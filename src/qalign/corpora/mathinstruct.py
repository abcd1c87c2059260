"""The sources of MathInstruct (TIGER-Lab/MathInstruct, arXiv 2309.05653): their published rows, and their licences.

Each row of the dataset names its source as `data/CoT/gsm_train.json`. CoT are worked answers, PoT are programs. The dataset as
a whole has the licence MIT, some of its parts have others. Counts and licences that were recalled and not read are marked as
such; correct them here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

RECALLED = "recalled"


@dataclass(frozen=True, slots=True)
class Origin:
    """One source of MathInstruct."""

    rows: str
    """The published number of rows, as it is known."""
    licence: str
    known: str
    """How rows and licence are known."""


SOURCES: Mapping[str, Origin] = {
    "data/CoT/aqua_rat.json": Origin("~89,400", "Apache 2.0", "34.1% of all rows; licence recalled"),
    "data/CoT/math50k_camel.json": Origin("49,484", "CC BY-NC 4.0: not for commercial use", "read"),
    "data/CoT/gsm_rft.json": Origin("~28,300", "none is named", "10.8% of all rows; licence read"),
    "data/CoT/gsm_train.json": Origin("~7,000", "MIT", RECALLED),
    "data/CoT/MATH_train.json": Origin("~21,900 with its programs", "MIT", "licence recalled"),
    "data/CoT/TheoremQA.json": Origin("~600", "MIT", RECALLED),
    "data/CoT/college_math.json": Origin("1,840", "MIT", "licence recalled"),
    "data/CoT/number_comparison.json": Origin("-", "MIT", RECALLED),
    "data/PoT/mathqa.json": Origin("~24,400", "Apache 2.0", "9.3% of all rows; licence recalled"),
    "data/PoT/gsm_gpt4.json": Origin("~14,000", "MIT; written by GPT-4", RECALLED),
    "data/PoT/numglue.json": Origin("~13,000", "Apache 2.0", RECALLED),
    "data/PoT/aqua_rat_filtered.json": Origin("~9,700", "Apache 2.0", RECALLED),
    "data/PoT/MATH_train.json": Origin("with its worked answers", "MIT", "licence recalled"),
    "data/PoT/TheoremQA.json": Origin("~700", "MIT", RECALLED),
}
"""In the order of the publication: worked answers, then programs."""


def by_source(sources: Sequence[str], corpus: str) -> list[list[str]]:
    """A row for each source of a corpus that names them: its rows, those published, its licence, and how these are known."""
    counts = Counter(source.removeprefix(f"{corpus}: ") for source in sources if source != corpus)
    rows = []
    for name, count in counts.most_common():
        origin = SOURCES.get(name, Origin("-", "-", "-"))
        rows.append([name, f"{count:,}", origin.rows, origin.licence, origin.known])
    return rows
