"""Evolved problems: of three kinds, new, answered rightly, and for training alone."""

from __future__ import annotations

from collections import Counter

from qalign.evaluation.extraction import strict
from qalign.evaluation.rejection import is_true, written_equations
from qalign.languages import LANGUAGES
from qalign.world.evolve import KINDS
from qalign.world.sets import SIZES, rows


def test_evolved_problems_are_new_and_right() -> None:
    made = [row for _, row in rows("evolved", "english", ["en"])]
    known = {row["id"] for _, row in rows("gsm8k", "english", ["en"])}
    ids = [row["id"].rpartition("/")[0] for row in made]
    assert len(set(ids)) == len(made) == SIZES["evolved"] and not known & set(ids)
    kinds = Counter(row["source"] for row in made)
    assert set(kinds) == set(KINDS) and min(kinds.values()) > 100
    for row in made:
        assert strict(row["answer"], row["gold"], LANGUAGES["en"], "stop").right
        assert all(map(is_true, written_equations(row["answer"], LANGUAGES["en"])))


def test_harder_problems_have_more_operations_than_easier_ones() -> None:
    counts: dict[str, list[int]] = {kind: [] for kind in KINDS}
    for _, row in rows("evolved", "english", ["en"]):
        counts[row["source"]].append(row["answer"].count("="))
    means = {kind: sum(found) / len(found) for kind, found in counts.items()}
    assert means["harder"] > means["other"] > means["easier"]
