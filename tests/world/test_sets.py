"""The corpora of the world share no problem between splits, and their augmented problems are right too."""

from __future__ import annotations

import re

import pytest

from qalign.evaluation.extraction import strict
from qalign.world.augment import backward, rephrased, self_verification
from qalign.world.draw import Draw
from qalign.world.grammar import grammar
from qalign.world.plots import PLOTS, fill
from qalign.world.sets import SIZES, large_english_set, rows, stories

SETS = ("gsm8k", "mgsm", "msvamp", "development", "development-out")


@pytest.mark.parametrize("name", SETS)
def test_a_set_has_its_size_and_no_problem_twice(name: str) -> None:
    made = stories(name)
    assert len(made) == SIZES[name] == len({story.signature for story in made})


def test_train_development_and_test_share_no_problem() -> None:
    by_split = {
        "train": {story.signature for story in stories("gsm8k")},
        "development": {story.signature for name in ("development", "development-out") for story in stories(name)},
        "test": {story.signature for name in ("mgsm", "msvamp") for story in stories(name)},
    }
    assert not by_split["train"] & by_split["development"]
    assert not by_split["train"] & by_split["test"]
    assert not by_split["development"] & by_split["test"]


def test_the_small_sets_hold_the_same_problems() -> None:
    assert stories("gsm8k") == stories("gsm8kinstruct")
    english = [row["question"] for _, row in rows("gsm8k", "english", ["en"])]
    assert english == [row["question"] for _, row in rows("gsm8kinstruct", "multilingual", ["en"])]


def test_the_crossed_set_has_the_english_questions_and_the_answers_of_each_language() -> None:
    parallel, crossed = (list(rows(f"gsm8kinstruct{end}", "multilingual", ["bn", "en"])) for end in ("", "-cross"))
    size = SIZES["gsm8kinstruct"]
    assert crossed[size:] == parallel[size:], "in English"
    for (_, own), (_, english), (code, row) in zip(parallel[:size], parallel[size:], crossed[:size], strict=True):
        assert (code, row) == ("bn", {**own, "question": english["question"]})


@pytest.mark.slow
def test_no_test_question_is_in_the_large_set() -> None:
    questions = {question for _, question, _ in large_english_set()}
    assert len(questions) == SIZES["metamathqa"]
    for name in ("mgsm", "msvamp", "development", "development-out"):
        assert not questions & {row["question"] for _, row in rows(name, "test", ["en"])}


def test_problems_backward_are_solved_right() -> None:
    draw, english = Draw("backward"), grammar("en").language
    made = 0
    for plot in PLOTS:
        story = fill(plot, draw)
        for kind in (backward, self_verification):
            if (pair := kind(story)) is None:
                continue
            question, solution = pair
            made += 1
            assert strict(solution, str(story.events[0].n), english, "stop").right, solution
            assert re.search(r"\bx\b", question)
            assert str(story.answer) in question
            for left, sign, right, result in re.findall(r"(\d+) ([-+×÷]) (\d+) = (\d+)", solution):
                a, b, c = int(left), int(right), int(result)
                assert {"+": a + b == c, "-": a - b == c, "×": a * b == c, "÷": a == b * c}[sign], solution
    assert made > 30


def test_a_rephrased_problem_has_the_same_solution() -> None:
    story = stories("gsm8k")[0]
    question, solution = rephrased(story)
    assert question != grammar("en").question(story)
    assert solution == grammar("en").solution(story)
