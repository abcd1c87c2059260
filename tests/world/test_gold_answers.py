"""Both scoring rules find the known answer in every worked answer of the world, in every language: what is right counts."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from qalign.evaluation.extraction import paper, strict
from qalign.languages import LANGUAGES, STUDY
from qalign.world.grammar import grammar
from qalign.world.sets import SIZES, large_english_set, rows, stories

PROBLEMS = ("gsm8kinstruct", "mgsm", "msvamp", "development", "development-out")


def assert_read(text: str, gold: str, code: str) -> None:
    """Both rules read `gold`, the strict one by the announcement; and neither takes another number for it."""
    by_strict, by_paper = strict(text, gold, LANGUAGES[code], "stop"), paper(text, gold)
    assert by_strict.right, (text, gold, by_strict)
    assert by_strict.by == "marker:phrase", (text, by_strict)
    assert by_paper.right, (text, gold, by_paper)
    assert by_strict.value == by_paper.value == gold
    other = str(Fraction(gold) + 1)
    assert not strict(text, other, LANGUAGES[code], "stop").right
    assert not paper(text, other).right


@pytest.mark.parametrize("code", STUDY)
@pytest.mark.parametrize("name", PROBLEMS)
def test_both_rules_read_every_worked_answer(name: str, code: str) -> None:
    said = grammar(code)
    for story in stories(name):
        assert_read(said.solution(story), str(story.answer), code)


def test_the_rows_give_these_answers_as_gold() -> None:
    golds = {name: {story.signature: str(story.answer) for story in stories(name)} for name in PROBLEMS}
    for name in PROBLEMS:
        role = "multilingual" if name == "gsm8kinstruct" else "test"
        made = [(row["id"], row.get("gold", row["answer"])) for _, row in rows(name, role, STUDY)]
        assert len(made) == len(STUDY) * SIZES[name]
        assert all(gold == golds[name][key] for key, gold in made)
    for code, row in rows("gsm8kinstruct", "multilingual", STUDY):
        assert_read(row["answer"], row["gold"], code)


@pytest.mark.slow
def test_both_rules_read_every_answer_of_the_large_english_set() -> None:
    """Of a problem backward, that is the number with which its story begins; else what the last operation gives."""
    for key, question, answer in large_english_set():
        signed, kind, _ = key.rsplit("/", 2)
        backward = kind in ("backward", "self_verification")
        assert backward == bool(re.search(r"\bx\b", question))
        gold = signed.split()[1] if backward else re.findall(r"= (\d+)\.", answer)[-1]
        assert_read(answer, gold, "en")
