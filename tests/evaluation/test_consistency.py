"""Consistency: worked by hand, against another way of counting, and with what has no answer or no English."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy import stats

from qalign.errors import DataError
from qalign.evaluation.consistency import Consistency, consistency, mean_consistency, parallel
from qalign.evaluation.scores import judge_one, plain
from qalign.languages import LANGUAGES
from qalign.records import Judgement, Prediction, Reading

GOLD = 7


def judgement(key: str, language: str, value: str | None, gold: int = GOLD) -> Judgement:
    """A judgement as the strict rule makes one that reads `value`."""
    right = value == str(gold)
    reading = Reading(value, value or "", 0, len(value or ""), "last-number" if value else "none", right)
    outcome = "correct" if right else "wrong" if value else "unanswered"
    return Judgement(key, language, str(gold), "stop", outcome, {"strict": reading})  # type: ignore[arg-type]


def judgements(answers: Mapping[str, Sequence[str | None]]) -> list[Judgement]:
    return [judgement(str(i), code, value) for code, row in answers.items() for i, value in enumerate(row)]


# --- by hand ----------------------------------------------------------------------------------------------------------

FIVE = {
    "de": ["7", "8", "7", None, "3"],
    "en": ["7", "8", "9", None, "7"],
    "sw": ["7", "7", None, None, "7"],
}


def test_by_hand() -> None:
    """German agrees on problems 0 and 1, wrong as the second is; Swahili on 0 and 4; silence agrees with nothing."""
    found = consistency(judgements(FIVE))
    assert list(found.with_english) == ["de", "sw"]
    german, swahili = found.with_english.values()
    assert (german.n, german.agree, german.correct, german.agree_given_english_right) == (5, 40.0, 20.0, 50.0)
    assert (swahili.n, swahili.agree, swahili.correct, swahili.agree_given_english_right) == (5, 40.0, 40.0, 100.0)
    assert german.standard_error == pytest.approx(100 * math.sqrt(0.4 * 0.6 / 4))
    mean = found.mean_with_english
    assert mean is not None
    assert (mean.n, mean.agree, mean.correct, mean.agree_given_english_right) == pytest.approx((5, 40.0, 30.0, 75.0))
    # Summed over both languages, the residuals of the five problems are 1.2, 0.2, -0.8, -0.8, 0.2, each over 2 x 5.
    assert mean.standard_error == pytest.approx(100 * math.sqrt(5 / 4 * (1.44 + 0.04 + 0.64 + 0.64 + 0.04) / 100))
    assert found.languages == ["de", "en", "sw"]
    assert found.matrix == [[80.0, 40.0, 20.0], [40.0, 80.0, 40.0], [20.0, 40.0, 60.0]]
    # Right are {0, 2} in German, {0, 4} in English, {0, 1, 4} in Swahili.
    assert found.matrix_correct == [[100.0, 100 / 3, 25.0], [100 / 3, 100.0, 200 / 3], [25.0, 200 / 3, 100.0]]


def test_as_plain_values() -> None:
    row = plain(consistency(judgements({**FIVE, "th": ["1", "1", "1", "1", "1"]})))
    assert row == json.loads(json.dumps(row))
    assert list(row) == ["with_english", "mean_with_english", "languages", "matrix", "matrix_correct"]
    assert row["matrix_correct"][0][1] == 33.3333
    assert row["with_english"]["th"] == {
        "n": 5, "agree": 0.0, "correct": 0.0, "agree_given_english_right": 0.0, "standard_error": 0.0,
    }  # fmt: skip


def test_where_nothing_is_right_there_is_no_share_of_it() -> None:
    found = consistency(judgements({"en": ["1", "2"], "de": ["1", "7"], "fr": [None, None]}))
    assert [row.agree_given_english_right for row in found.with_english.values()] == [None, None]
    assert found.mean_with_english is not None
    assert found.mean_with_english.agree_given_english_right is None
    assert found.mean_with_english.agree == 25.0
    assert found.matrix_correct == [[None, 0.0, None], [0.0, 100.0, 0.0], [None, 0.0, None]]
    assert found.matrix[2] == [0.0, 0.0, 0.0], "no answer agrees with nothing, not even with itself"


def test_without_english_or_with_nothing_else() -> None:
    found = consistency(judgements({"de": ["7", "1"], "sw": ["7", "2"]}))
    assert (found.with_english, found.mean_with_english) == ({}, None)
    assert found.matrix == [[100.0, 50.0], [50.0, 100.0]]
    alone = consistency(judgements({"en": ["7", None]}))
    assert (alone.with_english, alone.mean_with_english) == ({}, None)
    assert alone.matrix == [[50.0]]


# --- the mean over several runs ---------------------------------------------------------------------------------------


def test_the_mean_over_runs_by_hand() -> None:
    """In the second run German always agrees and English is never right."""
    first = consistency(judgements(FIVE))
    second = consistency(judgements({"de": ["8"] * 5, "en": ["8"] * 5, "sw": ["7", None, None, None, None]}))
    found = mean_consistency([first, second])
    assert list(found.with_english) == ["de", "sw"]
    german, swahili = found.with_english.values()
    assert (german.n, german.agree, german.correct) == (5, (40 + 100) / 2, (20 + 0) / 2)
    assert german.agree_given_english_right == 50.0, "over the runs that have a right answer in English"
    assert (swahili.n, swahili.agree, swahili.correct, swahili.agree_given_english_right) == (5, 20.0, 20.0, 100.0)
    for code, row in found.with_english.items():
        errors = [run.with_english[code].standard_error for run in (first, second)]
        assert row.standard_error == pytest.approx(sum(errors) / 2, abs=1e-12)
    mean, means = found.mean_with_english, [first.mean_with_english, second.mean_with_english]
    assert mean is not None
    assert mean.n == 5
    assert mean.agree == pytest.approx((40 + 50) / 2)
    assert mean.agree_given_english_right == 75.0
    assert mean.standard_error == pytest.approx(sum(one.standard_error for one in means if one) / 2, abs=1e-12)
    assert found.languages == ["de", "en", "sw"]
    assert found.matrix[0] == pytest.approx([(80 + 100) / 2, (40 + 100) / 2, (20 + 0) / 2])
    # Neither German nor English is ever right in the second run: the first alone has a share of those.
    assert found.matrix_correct[0][:2] == first.matrix_correct[0][:2]
    assert found.matrix_correct[0][2] == pytest.approx((25 + 0) / 2)
    assert found.matrix_correct[2][2] == 100.0


def test_what_no_run_has_the_mean_lacks_too() -> None:
    nothing = consistency(judgements({"en": ["1", "2"], "de": ["1", None]}))
    found = mean_consistency([nothing, nothing])
    assert found == nothing
    assert found.matrix_correct == [[None, None], [None, None]]
    assert found.with_english["de"].agree_given_english_right is None
    assert plain(found) == json.loads(json.dumps(plain(found)))
    without_english = consistency(judgements({"de": ["7", "1"], "sw": ["7", "2"]}))
    assert mean_consistency([without_english, without_english]) == without_english


@pytest.mark.parametrize("seed", range(3))
def test_one_run_is_its_own_mean(seed: int) -> None:
    draw = random.Random(seed)
    rows = {code: [draw.choice([None, "7", "7", "8"]) for _ in range(17)] for code in ("bn", "de", "en", "th")}
    alone = consistency(judgements(rows))
    assert plain(mean_consistency([alone])) == plain(alone)
    assert plain(mean_consistency([alone, alone, alone])) == plain(alone)


# --- numbers, not texts -----------------------------------------------------------------------------------------------


def agree(texts: Mapping[str, str], gold: str) -> Consistency:
    return consistency(
        judge_one(Prediction("1", code, text, "", 1, "stop"), gold, LANGUAGES[code]) for code, text in texts.items()
    )


def test_the_same_number_in_other_digits_and_separators_agrees() -> None:
    found = agree({"en": "It is 1,500.50.", "de": "Es sind 1.500,5.", "bn": "উত্তর ১৫০০.৫।"}, "3")
    assert [row.agree for row in found.with_english.values()] == [100.0, 100.0]
    assert [row.correct for row in found.with_english.values()] == [0.0, 0.0]


def test_numbers_are_compared_exactly() -> None:
    rows = {"en": ["0.5", "1/3", "1", "1080"], "de": ["1/2", "0.333333", "1.0", "1080.0001"]}
    assert consistency(judgements(rows)).with_english["de"].agree == 50.0


def test_right_answers_can_differ_as_numbers() -> None:
    found = agree({"en": "The answer is 50%.", "fr": "La réponse est 0,5."}, "0.5").with_english["fr"]
    assert (found.agree, found.correct, found.agree_given_english_right) == (0.0, 100.0, 100.0)


# --- against another way of counting ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_against_arrays(seed: int) -> None:
    draw = random.Random(seed)
    codes = ["bn", "de", "en", "es", "sw"]
    n = draw.randint(20, 60)
    rows = {code: [draw.choice([None, "7", "7", "7", "8", "9"]) for _ in range(n)] for code in codes}
    shuffled = judgements(rows)
    draw.shuffle(shuffled)
    found = consistency(sorted(shuffled, key=lambda one: one.language))
    values = np.array([[np.nan if v is None else float(v) for v in rows[code]] for code in codes])
    same = values[:, None] == values[None]  # (languages, languages, problems); not a number equals nothing
    right = values == GOLD
    both, either = right[:, None] & right[None], right[:, None] | right[None]
    np.testing.assert_allclose(found.matrix, 100 * same.mean(axis=2), rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.matrix_correct, 100 * both.sum(2) / either.sum(2), rtol=0, atol=1e-9)
    matrix = np.array(found.matrix)
    assert (matrix == matrix.T).all()
    assert (matrix <= np.minimum.outer(np.diag(matrix), np.diag(matrix)) + 1e-9).all()
    others = [0, 1, 3, 4]
    for place, row in zip(others, found.with_english.values(), strict=True):
        assert row.agree == pytest.approx(100 * same[2, place].mean(), abs=1e-9)
        assert row.correct == pytest.approx(100 * both[2, place].mean(), abs=1e-9)
        assert row.agree_given_english_right == pytest.approx(100 * right[place][right[2]].mean(), abs=1e-9)
        assert row.standard_error == pytest.approx(100 * stats.sem(same[2, place].astype(float)), abs=1e-9)
    mean = found.mean_with_english
    assert mean is not None
    assert mean.agree == pytest.approx(100 * same[2, others].mean(), abs=1e-9)
    assert mean.correct == pytest.approx(100 * both[2, others].mean(), abs=1e-9)
    assert mean.agree_given_english_right == pytest.approx(100 * right[others][:, right[2]].mean(), abs=1e-9)
    assert mean.standard_error == pytest.approx(100 * stats.sem(same[2, others].mean(axis=0)), abs=1e-9)


# --- what does not belong together ------------------------------------------------------------------------------------


def test_languages_with_other_problems_are_refused() -> None:
    with pytest.raises(DataError, match=r"de lacks 1 problem of en, the first of them 2; .* score them all"):
        consistency(judgements({"en": ["7", "7", "7"], "de": ["7", "7"]}))
    with pytest.raises(DataError, match="en lacks 2 problems of de, the first of them 1; "):
        consistency(judgements({"en": ["7"], "de": ["7", "7", "7"]}))
    with pytest.raises(DataError, match=r"problem 0 \(de\) is judged twice"):
        consistency(judgements({"de": ["7"]}) * 2)
    with pytest.raises(DataError, match="no judgements to compare"):
        consistency([])


def test_judgements_by_language_and_id() -> None:
    rows = judgements(FIVE)
    table = parallel(rows)
    assert list(table) == ["de", "en", "sw"]
    assert [one for by_id in table.values() for one in by_id.values()] == rows
