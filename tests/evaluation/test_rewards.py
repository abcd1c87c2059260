"""The reward of an answer: a product of factors that are seen apart."""

from __future__ import annotations

import pytest

from qalign.evaluation.rejection import Reward, means, reward
from qalign.languages import LANGUAGES
from qalign.records import Finish, Prediction, Problem

EGGS = Problem("p", "en", "How many?", None, "24", "test")


def rewarded(text: str, finish: Finish = "stop", instruction: float = 1.0, language: str = "en") -> Reward:
    answer = Prediction("p", language, text, "", 9, finish)
    return reward(EGGS, answer, LANGUAGES[language], instruction)


@pytest.mark.parametrize(
    ("text", "right", "steps"),
    [
        ("20 + 4 = 24. The answer is: 24", 1, 1),
        ("20 + 5 = 24. The answer is: 24", 1, 0),
        ("10 + 10 = 20. 20 + 5 = 24. 12 * 2 = 24. 1 + 1 = 3. The answer is: 24", 1, 0.5),
        ("20 + 4 = 24. The answer is: 25", 0, 1),
        ("The answer is: 24", 1, 1),
        ("So <<20+4=24>>24 and 1 + 1 = 3.\n#### 24", 1, 1),
        ("So <<20+5=24>>24.\n#### 24", 1, 0),
        ("", 0, 1),
    ],
)
def test_the_reward_is_the_product_of_its_factors(text: str, right: float, steps: float) -> None:
    found = rewarded(text)
    assert (found.right, found.steps, found.truncated) == (right, steps, False)
    assert found.value == right * steps
    assert rewarded(text, instruction=0.75).value == 0.75 * right * steps


def test_a_truncated_answer_earns_nothing_even_if_it_has_the_number() -> None:
    found = rewarded("The answer is: 24", "length")
    assert (found.value, found.right, found.truncated) == (0, 0, True)


def test_steps_are_read_as_the_language_writes_them() -> None:
    assert rewarded("1.200 + 34 = 1.234. Die Antwort lautet: 24", language="de").steps == 1
    assert rewarded("২০ + ৪ = ২৪। উত্তর হল: ২৪", language="bn").value == 1
    assert rewarded("২০ + ৫ = ২৪। উত্তর হল: ২৪", language="bn").steps == 0


def test_means_keep_the_factors_apart() -> None:
    both = [rewarded("20 + 5 = 24. The answer is: 24"), rewarded("The answer is: 24"), rewarded("24", "length")]
    found = means(both)
    assert found == pytest.approx(
        {"reward": 1 / 3, "instruction": 1, "right": 2 / 3, "steps": 2 / 3, "truncated": 1 / 3}
    )
