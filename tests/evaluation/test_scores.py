"""From judgements to scores: the outcomes partition the problems, averages are means over languages, and the standard
errors are the textbook's where there is a textbook."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from itertools import combinations, product

import pytest

from qalign.errors import DataError
from qalign.evaluation.scores import (
    AVERAGE,
    NON_ENGLISH,
    Score,
    clustered_standard_error,
    interval,
    judge,
    judge_one,
    mean_of_means,
    plain,
    score,
    wilson,
)
from qalign.languages import LANGUAGES
from qalign.records import Finish, Judgement, Prediction, Problem

Group = list[tuple[str, float]]


# --- standard errors --------------------------------------------------------------------------------------------------


def test_of_one_language_it_is_the_usual_standard_error() -> None:
    for values in ([0.0, 1.0, 1.0, 0.0, 1.0], [1.0] * 9 + [0.0], [0.2, 0.4, 0.9]):
        group = [(str(number), value) for number, value in enumerate(values)]
        expected = statistics.stdev(values) / math.sqrt(len(values))
        assert clustered_standard_error([group]) == pytest.approx(expected)


def test_of_a_proportion() -> None:
    """k right of n: sqrt(p (1 - p) / (n - 1))."""
    n, k = 250, 90
    group = [(str(i), float(i < k)) for i in range(n)]
    assert clustered_standard_error([group]) == pytest.approx(math.sqrt(k / n * (1 - k / n) / (n - 1)))


def test_the_same_answers_in_ten_languages_are_no_more_information_than_in_one() -> None:
    one: Group = [(str(i), float(i % 3 == 0)) for i in range(30)]
    assert clustered_standard_error([one] * 10) == pytest.approx(clustered_standard_error([one]))


def test_independent_problems_add_up_as_independent_means() -> None:
    """Languages with problems of their own: the variance of the mean is the sum of the languages' variances, but for
    the correction by the number of clusters."""
    draw = random.Random(1)
    groups: list[Group] = [[(f"{g}/{i}", float(draw.random() < 0.4)) for i in range(200)] for g in range(3)]
    apart = sum(statistics.pvariance([value for _, value in group]) / 200 for group in groups) / 9
    assert clustered_standard_error(groups) == pytest.approx(math.sqrt(600 / 599 * apart))


def brute_force(groups: Sequence[Group]) -> float:
    """Equation 3 of Miller 2024 (arXiv 2411.00640) over all pairs within a cluster, with weights for a mean of means."""
    rows = []
    for group in groups:
        mean = statistics.fmean(value for _, value in group)
        rows += [(cluster, (value - mean) / (len(group) * len(groups))) for cluster, value in group]
    variance = sum(a * b for (one, a), (other, b) in product(rows, rows) if one == other)
    clusters = len({cluster for cluster, _ in rows})
    return math.sqrt(clusters / (clusters - 1) * variance)


@pytest.mark.parametrize("seed", range(10))
def test_against_the_sum_over_all_pairs(seed: int) -> None:
    draw = random.Random(seed)
    groups: list[Group] = []
    for _ in range(draw.randint(1, 5)):
        members = draw.sample(range(12), draw.randint(2, 12))  # not every problem is there in every language
        groups.append([(str(member), float(draw.random() < 0.5)) for member in members])
    assert clustered_standard_error(groups) == pytest.approx(brute_force(groups))


def test_it_is_how_far_means_scatter() -> None:
    """Against the scatter of the mean itself, over many draws of problems that are hard or easy in all languages."""
    draw = random.Random(4)
    means, errors = [], []
    for _ in range(400):
        hard = [draw.random() for _ in range(60)]
        groups: list[Group] = [[(str(i), float(draw.random() < h)) for i, h in enumerate(hard)] for _ in range(5)]
        means.append(mean_of_means(groups))
        errors.append(clustered_standard_error(groups))
    assert statistics.fmean(errors) == pytest.approx(statistics.stdev(means), rel=0.1)
    naive = math.sqrt(0.25 / 300)
    assert statistics.fmean(errors) > 1.3 * naive, "answers to one problem in five languages are no five draws"


def test_one_problem_tells_nothing_of_scatter() -> None:
    assert clustered_standard_error([[("a", 1.0)]]) == 0.0
    assert clustered_standard_error([[("a", 1.0)], [("a", 0.0)]]) == 0.0


# --- judgements and scores --------------------------------------------------------------------------------------------

# An answer to the gold number 7 with each outcome.
TEXTS: dict[str, tuple[str, Finish]] = {
    "correct": ("The answer is 7.", "stop"),
    "wrong": ("The answer is 8.", "stop"),
    "unanswered": ("I do not know.", "stop"),
    "cut_off": ("First, 7 and then", "length"),
}


def judged(outcomes: Sequence[str], language: str = "en") -> list[Judgement]:
    """Judgements with the outcomes given, of problems counted from 0."""
    return [
        judge_one(Prediction(str(i), language, TEXTS[one][0], "", 5, TEXTS[one][1]), "7", LANGUAGES["en"])
        for i, one in enumerate(outcomes)
    ]


def counts(found: Score) -> tuple[int, int, int, int]:
    return found.correct, found.wrong, found.unanswered, found.cut_off


def test_the_outcomes_partition_the_problems() -> None:
    for size in range(1, 5):
        for chosen in combinations([*TEXTS, *TEXTS], size):
            found = score(judged(chosen))["en"]
            assert sum(counts(found)) == found.n == size
            assert counts(found) == tuple(chosen.count(name) for name in TEXTS)
            assert found.accuracy["strict"] == pytest.approx(100 * chosen.count("correct") / size)


def test_an_answer_at_the_limit_counts_when_it_announced_the_right_number_before() -> None:
    row = LANGUAGES["en"]

    def outcome(text: str) -> str:
        return judge_one(Prediction("1", "en", text, "", 5, "length"), "7", row).outcome

    assert outcome("The answer is 7. Let us check: 3 +") == "correct"
    assert outcome("The answer is 8. Let us check: 3 +") == "cut_off"
    assert outcome("3 + 4 = 7 and so") == "cut_off", "the last number is a step on the way"
    assert outcome("") == "cut_off"
    read = judge_one(Prediction("1", "en", "3 + 4 = 7 and so", "", 5, "length"), "7", row)
    assert read.readings["paper"].right, "the published rule takes the last number all the same"


def test_averages_are_means_over_languages_not_over_answers() -> None:
    """Languages of different size weigh the same, as in the published tables."""
    judgements = [
        *judged(["correct"] * 3 + ["wrong"], "de"),
        *judged(["correct", "wrong"], "en"),
        *judged(["cut_off", "unanswered"], "sw"),
    ]
    found = score(judgements)
    assert list(found) == ["de", "en", "sw", AVERAGE, NON_ENGLISH]
    assert [found[code].accuracy["strict"] for code in ("de", "en", "sw")] == [75.0, 50.0, 0.0]
    assert found[AVERAGE].accuracy["strict"] == pytest.approx(125 / 3)
    assert found[NON_ENGLISH].accuracy["strict"] == pytest.approx(37.5)
    assert found[AVERAGE].n == 8
    assert counts(found[AVERAGE]) == (4, 2, 1, 1)
    assert found[NON_ENGLISH].n == 6
    assert counts(found[NON_ENGLISH]) == (3, 1, 1, 1)
    groups: list[Group] = [
        [(j.id, float(j.readings["strict"].right)) for j in judgements if j.language == code]
        for code in ("de", "en", "sw")
    ]
    assert found[AVERAGE].standard_error["strict"] == pytest.approx(100 * brute_force(groups))


def test_the_two_rules_are_scored_apart() -> None:
    german = LANGUAGES["de"]
    rows = [("Es sind 1.500.", "1500"), ("Es sind 1500.", "1500"), ("Keine Ahnung.", "0")]
    judgements = [
        judge_one(Prediction(str(i), "de", text, "", 1, "stop"), gold, german) for i, (text, gold) in enumerate(rows)
    ]
    found = score(judgements)["de"]
    assert found.accuracy["strict"] == pytest.approx(200 / 3), "native separators are read, silence is no answer"
    assert found.accuracy["paper"] == pytest.approx(200 / 3), "1.500 is read as 1.5, silence as 0"
    assert [tuple(read.right for read in j.readings.values()) for j in judgements] == [
        (True, False),
        (True, True),
        (False, True),
    ]


def test_without_another_language_there_is_no_average_over_others() -> None:
    assert list(score(judged(["correct"], "en"))) == ["en", AVERAGE]
    assert list(score(judged(["correct"], "de"))) == ["de", AVERAGE, NON_ENGLISH]


def test_figures_are_rounded_for_readers() -> None:
    row = plain(score(judged(["correct", "wrong", "wrong"])))["en"]
    assert row["accuracy"]["strict"] == 33.3333
    assert row["n"] == 3


def test_nothing_that_is_missing_becomes_fewer_rows() -> None:
    problems = [Problem(str(i), "en", "?", None, "7", "t") for i in range(3)]
    answers = [Prediction(str(i), "en", "7", "", 1, "stop") for i in range(3)]
    assert [j.outcome for j in judge(problems, answers, LANGUAGES)] == ["correct"] * 3
    with pytest.raises(DataError, match=r"problem 2 \(en\) has no prediction"):
        judge(problems, answers[:2], LANGUAGES)
    with pytest.raises(DataError, match=r"1 prediction without a problem, the first of them 2 \(en\)"):
        judge(problems[:2], answers, LANGUAGES)
    with pytest.raises(DataError, match="has no gold answer"):
        judge([Problem("0", "en", "?", None, None, "t")], answers[:1], LANGUAGES)
    with pytest.raises(DataError, match="there is nothing to score"):
        score([])


@pytest.mark.parametrize(("right", "n"), [(0, 10), (10, 10), (1, 10), (5, 10), (0, 1), (1, 1), (0, 2500), (123, 250)])
def test_the_interval_of_a_proportion_is_wilson_s(right: int, n: int) -> None:
    from scipy.stats import binomtest

    expected = binomtest(right, n).proportion_ci(method="wilson")
    assert wilson(right / n, n) == pytest.approx((100 * expected.low, 100 * expected.high), abs=1e-9)


def test_nothing_right_of_ten_is_not_known_to_be_nothing() -> None:
    assert interval(0.0, 0.0, 10) == pytest.approx((0.0, 27.7533), abs=1e-3)
    assert interval(100.0, 0.0, 10) == pytest.approx((72.2467, 100.0), abs=1e-3)


def answer(code: str, key: str, right: bool) -> Judgement:
    prediction = Prediction(key, code, "1" if right else "2", "", 1, "stop")
    return judge_one(prediction, "1", LANGUAGES[code])


def test_the_interval_of_a_mean_over_languages_counts_problems_and_not_answers() -> None:
    """Ten languages that are right together are worth one: the standard error says so, and the interval follows it."""
    alike = [answer(code, str(n), right=n < 5) for code in ("de", "fr", "en") for n in range(20)]
    apart = [answer(code, f"{code}{n}", right=n < 5) for code in ("de", "fr", "en") for n in range(20)]
    widths = []
    for judgements in (alike, apart):
        average = score(judgements)["average"]
        low, high = interval(average.accuracy["strict"], average.standard_error["strict"], 20)
        widths.append(high - low)
    assert widths[0] == pytest.approx(widths[1] * 3**0.5, rel=0.1)
    assert wilson(0.25, 19) == pytest.approx(interval(25.0, score(alike)["average"].standard_error["strict"], 20))
