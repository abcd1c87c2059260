"""Differences between systems: against scipy and statsmodels, and by how often they find what is not there."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from qalign.errors import DataError
from qalign.evaluation import significance
from qalign.evaluation.scores import AVERAGE, NON_ENGLISH, plain, score
from qalign.evaluation.significance import SEED, Comparison, Estimate, compare_systems, holm, pooled
from qalign.records import Judgement, Reading

CODES = ("en", "bn", "de", "es", "fr", "ja", "ru", "sw", "th", "zh")
Array = np.ndarray[Any, Any]


@cache
def judgement(key: str, language: str, right: bool, paper: bool) -> Judgement:
    by_rule = {"strict": right, "paper": paper}
    readings = {rule: Reading("7" if one else "8", "", 0, 0, "last-number", one) for rule, one in by_rule.items()}
    return Judgement(key, language, "7", "stop", "correct" if right else "wrong", readings)


def judgements(right: Array, codes: tuple[str, ...] = CODES, paper: Array | None = None) -> list[Judgement]:
    """Judgements from what is right (languages, problems); under the paper rule likewise, unless it is given."""
    paper = right if paper is None else paper
    return [
        judgement(f"{i:04}", code, bool(one), bool(other))
        for code, row, published in zip(codes, right, paper, strict=False)
        for i, (one, other) in enumerate(zip(row, published, strict=True))
    ]


def answers(
    draw: np.random.Generator, problems: int, languages: int, mean: float, spread: float = 1.0, gain: float = 0.0
) -> tuple[Array, Array]:
    """What two systems get right, (languages, problems) each. A problem has a chance of its own for either system, the same in
    all languages, so that answers to it go together; b's chances are lower by `gain` on average."""
    chances = [draw.beta(spread * m, spread * (1 - m), size=problems) for m in (mean, mean - gain)]
    return tuple(draw.random((languages, problems)) < chance for chance in chances)  # type: ignore[return-value]


def difference(
    a: Sequence[Judgement], b: Sequence[Judgement], languages: Sequence[str] | None = None, resamples: int = 2000
) -> Estimate:
    return pooled({"1": a}, {"1": b}, languages, resamples)


def exact_tests(a: Sequence[Judgement], b: Sequence[Judgement]) -> dict[str, Comparison]:
    return {row.group: row for row in compare_systems("mgsm", {"a": a, "b": b}) if row.only_a is not None}


# --- against scipy and statsmodels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_against_the_libraries(seed: int) -> None:
    draw = np.random.default_rng(seed)
    languages, problems = int(draw.integers(1, 11)), int(draw.integers(12, 80))
    a, b = answers(draw, problems, languages, 0.5, gain=0.1 * (seed % 2))
    one = difference(judgements(a), judgements(b), resamples=700)
    by_problem_a, by_problem_b = 100 * a.mean(axis=0), 100 * b.mean(axis=0)
    assert one.n == problems
    assert one.difference == pytest.approx(by_problem_a.mean() - by_problem_b.mean(), abs=1e-9)

    paired = stats.ttest_rel(by_problem_a, by_problem_b)
    assert one.p == pytest.approx(paired.pvalue, abs=1e-9)
    assert one.standard_error == pytest.approx(one.difference / paired.statistic, abs=1e-9)

    # One row an answer, clustered by problem. Its small-sample factor is C / (C - 1) x (N - 1) / (N - K), which for a
    # mean alone (K = 1) is C / (C - 1), as ours; with use_t, it has C - 1 degrees of freedom.
    deltas = 100 * (a.astype(float) - b).ravel()
    clusters = np.tile(np.arange(problems), languages)
    fit = sm.OLS(deltas, np.ones(len(deltas))).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
    assert one.difference == pytest.approx(fit.params[0], abs=1e-9)
    assert one.standard_error == pytest.approx(fit.bse[0], abs=1e-9)
    assert one.p == pytest.approx(fit.pvalues[0], abs=1e-9)

    # Fed with the same stream of random numbers, scipy draws the same problems.
    resampled = stats.bootstrap(
        (by_problem_a, by_problem_b),
        lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=700,
        random_state=np.random.RandomState(SEED),
    )
    assert (one.low, one.high) == pytest.approx(tuple(resampled.confidence_interval), abs=1e-9)
    beyond = np.abs(resampled.bootstrap_distribution - one.difference) >= abs(one.difference) - 1e-9
    assert one.p_bootstrap == pytest.approx((beyond.sum() + 1) / 701, abs=1e-9)

    exact = exact_tests(judgements(a), judgements(b))
    assert list(exact) == list(CODES[:languages])
    for code, row_a, row_b in zip(CODES, a, b, strict=False):
        table = [[np.sum(row_a & row_b), np.sum(row_a & ~row_b)], [np.sum(~row_a & row_b), np.sum(~row_a & ~row_b)]]
        test = exact[code]
        assert test.only_a is not None
        assert test.only_b is not None
        assert (test.only_a, test.only_b) == (table[0][1], table[1][0])
        assert test.p == pytest.approx(mcnemar(table, exact=True).pvalue, abs=1e-9)
        if test.only_a + test.only_b:
            expected = stats.binomtest(test.only_b, test.only_a + test.only_b, 0.5, "two-sided").pvalue
            assert test.p == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_holm_against_statsmodels(seed: int) -> None:
    draw = random.Random(seed)
    ps = [draw.choice([draw.random(), draw.random() ** 4, 0.01, 1.0, 1e-12]) for _ in range(draw.randint(1, 40))]
    assert holm(ps) == pytest.approx(list(multipletests(ps, method="holm")[1]), abs=1e-12)


def test_holm_by_hand() -> None:
    assert holm([]) == []
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.4]) == pytest.approx([0.8, 0.8]), "none falls below the one before it"
    assert holm([0.9, 0.8, 0.7]) == [1.0, 1.0, 1.0]


def test_the_p_values_of_the_bootstrap_and_of_the_t_test_are_near() -> None:
    draw = np.random.default_rng(3)
    for gain in (0.0, 0.04, 0.08):
        a, b = answers(draw, 250, 10, 0.5, gain=gain)
        one = difference(judgements(a), judgements(b), resamples=5000)
        assert one.p_bootstrap == pytest.approx(one.p, abs=0.02)
        assert one.low == pytest.approx(one.difference - 1.96 * one.standard_error, abs=0.4)
        assert one.high == pytest.approx(one.difference + 1.96 * one.standard_error, abs=0.4)


# --- how often it errs ------------------------------------------------------------------------------------------------


def binomial_bounds(experiments: int, rate: float) -> tuple[float, float]:
    """Where a count lies but once in a thousand times."""
    low, high = stats.binom.interval(0.999, experiments, rate)
    return float(low), float(high)


def test_the_size_is_right_and_would_not_be_without_clusters() -> None:
    """Two systems that are equally good: at the 5% level one experiment in twenty says otherwise. Counting the answers in nine
    languages as independent would say so in many more."""
    draw = np.random.default_rng(2024)
    experiments = 400
    clustered = bootstrap = covered = naive = 0
    exact: list[bool] = []
    for _ in range(experiments):
        a, b = answers(draw, 150, 9, 0.45)
        found = difference(judgements(a), judgements(b), resamples=500)
        clustered += found.p < 0.05
        bootstrap += found.p_bootstrap < 0.05
        covered += found.low <= 0 <= found.high
        naive += bool(stats.ttest_rel(a.ravel().astype(float), b.ravel().astype(float)).pvalue < 0.05)
        exact.append(significance._mcnemar(a[0].astype(int) - b[0])["p"] < 0.05)
    low, high = binomial_bounds(experiments, 0.05)
    assert low <= clustered <= high
    assert low <= bootstrap <= high
    assert low <= experiments - covered <= high
    assert sum(exact) <= high, "exact tests of counts err on the safe side"
    assert naive > 2 * high, "answers to one problem in nine languages are no nine draws"


def test_the_interval_covers_the_true_difference() -> None:
    draw = np.random.default_rng(7)
    experiments, gain = 200, 0.1
    missed = 0
    for _ in range(experiments):
        a, b = answers(draw, 150, 9, 0.5, gain=gain)
        one = difference(judgements(a), judgements(b), resamples=500)
        missed += not one.low <= 100 * gain <= one.high
    low, high = binomial_bounds(experiments, 0.05)
    assert low <= missed <= high


# --- what must not matter ---------------------------------------------------------------------------------------------


def two(seed: int = 5, problems: int = 60, languages: int = 4) -> tuple[list[Judgement], list[Judgement]]:
    a, b = answers(np.random.default_rng(seed), problems, languages, 0.6, gain=0.1)
    return judgements(a), judgements(b)


def test_swapping_the_systems_flips_the_signs() -> None:
    a, b = two()
    one, other = difference(a, b), difference(b, a)
    assert one.difference == -other.difference != 0
    assert one.standard_error == other.standard_error
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-9)
    assert (one.p, one.p_bootstrap) == (other.p, other.p_bootstrap)
    forth, turned = exact_tests(a, b), exact_tests(b, a)
    for code, test in forth.items():
        back = turned[code]
        assert (test.only_a, test.only_b) == (back.only_b, back.only_a)
        assert test.p == pytest.approx(back.p, abs=1e-12)


def test_the_order_of_judgements_does_not_matter() -> None:
    a, b = two()
    expected = difference(a, b)
    for shuffled in (a, b):
        random.Random(1).shuffle(shuffled)
    assert difference(a, b) == expected


def test_the_interval_is_the_same_on_every_machine() -> None:
    """Golden: a change of these is a change of every interval that was ever reported."""
    place = np.arange(90)[None] + 3 * np.arange(4)[:, None]
    runs = ({"1": judgements(right)} for right in (place * place % 7 < 4, place * 5 % 11 < 6))
    assert plain(pooled(*runs)) == {
        "by_seed": {"1": 16.9444},
        "n": 90,
        "difference": 16.9444,
        "standard_error": 2.9251,
        "low": 11.6597,
        "high": 22.7778,
        "p": 1.029e-07,
        "p_bootstrap": 0.0004998,
    }


def test_the_same_answers_in_more_languages_are_no_more_information() -> None:
    a, b = answers(np.random.default_rng(1), 50, 1, 0.5)
    alone = difference(judgements(a), judgements(b))
    repeated = difference(judgements(np.repeat(a, 9, axis=0)), judgements(np.repeat(b, 9, axis=0)))
    for name in ("n", "difference", "standard_error", "low", "high", "p", "p_bootstrap"):
        assert getattr(repeated, name) == pytest.approx(getattr(alone, name), abs=1e-9)


# --- the edges --------------------------------------------------------------------------------------------------------


def test_equal_systems() -> None:
    a, _ = two()
    one = difference(a, a)
    assert (one.difference, one.standard_error, one.low, one.high, one.p, one.p_bootstrap) == (0, 0, 0, 0, 1, 1)
    assert all((test.only_a, test.only_b, test.p) == (0, 0, 1.0) for test in exact_tests(a, a).values())


@pytest.mark.parametrize("problems", [1, 2, 3, 10, 1500])
def test_systems_that_differ_alike_everywhere(problems: int) -> None:
    """There is no spread to divide by: p is that of all signs falling one way, and never 0. In one problem it is 1."""
    right = np.ones((3, problems), dtype=bool)
    one = difference(judgements(right), judgements(~right))
    assert (one.difference, one.standard_error, one.low, one.high) == (100.0, 0.0, 100.0, 100.0)
    assert one.p == pytest.approx(2 * 0.5**problems) or problems == 1500
    assert 0 < pooled({"1": judgements(right)}, {"1": judgements(~right)}).p <= 1


def test_a_small_p_is_not_rounded_to_0() -> None:
    draw = np.random.default_rng(0)
    a, b = draw.random((2, 200)) < 0.95, draw.random((2, 200)) < 0.1
    for comparison in compare_systems("mgsm", {"a": judgements(a), "b": judgements(b)}):
        row: dict[str, Any] = plain(comparison)
        assert 0 < row["p"] < 1e-30
        assert row["difference"] == round(row["difference"], 4)
        assert row == json.loads(json.dumps(row))


def test_some_languages_only() -> None:
    a, b = two()
    every = compare_systems("mgsm", {"a": a, "b": b})
    for languages, group in ((None, AVERAGE), (["bn", "de", "es"], NON_ENGLISH), (["de"], "de"), (["de", "de"], "de")):
        one = difference(a, b, languages)
        (row,) = (row for row in every if row.group == group)
        assert (row.n, row.difference, row.standard_error, row.low, row.high) == (
            one.n, one.difference, one.standard_error, one.low, one.high,
        )  # fmt: skip
        assert (row.only_a is None) == (group in (AVERAGE, NON_ENGLISH))


def test_what_cannot_be_compared_is_refused() -> None:
    a, b = two()
    odd = r"a \(seed 1\) and b \(seed 1\) did not answer the same problems in the same languages; score both"
    with pytest.raises(DataError, match=odd):
        difference(a, [one for one in b if one.language != "es"])
    with pytest.raises(DataError, match=odd):
        difference(a, [one for one in b if one.id != "0059"])
    with pytest.raises(DataError, match="bn lacks 1 problem of en"):
        difference(a, [one for one in b if (one.id, one.language) != ("0059", "bn")])
    with pytest.raises(DataError, match="no judgements to compare"):
        difference(a, [])
    with pytest.raises(DataError, match=r"first .* and third .* did not answer the same problems"):
        compare_systems("mgsm", {"first": a, "second": b, "third": two(problems=120)[0]})


# --- every pair of systems --------------------------------------------------------------------------------------------


def systems(count: int, problems: int = 50, languages: int = 3) -> dict[str, list[Judgement]]:
    draw = np.random.default_rng(count)
    hard = draw.beta(1, 1, size=problems)
    return {f"s{i}": judgements(draw.random((languages, problems)) < hard ** (1 + i / 3)) for i in range(count)}


def test_every_pair_in_every_group() -> None:
    given = systems(4)
    found = compare_systems("mgsm", given)
    pairs = [("s0", "s1"), ("s0", "s2"), ("s0", "s3"), ("s1", "s2"), ("s1", "s3"), ("s2", "s3")]
    groups = [AVERAGE, NON_ENGLISH, "en", "bn", "de"]
    assert [(row.group, row.a, row.b) for row in found] == [(group, *pair) for group in groups for pair in pairs]
    scores = {name: score(rows) for name, rows in given.items()}
    for row in found:
        expected = scores[row.a][row.group].accuracy["strict"] - scores[row.b][row.group].accuracy["strict"]
        assert row.difference == pytest.approx(expected, abs=1e-9)
        single = row.group not in (AVERAGE, NON_ENGLISH)
        languages = {AVERAGE: None, NON_ENGLISH: ["bn", "de"]}.get(row.group, [row.group])
        of_pair = given[row.a], given[row.b]
        assert row.p == (exact_tests(*of_pair)[row.group] if single else difference(*of_pair, languages)).p
        if row.only_a is not None and row.only_b is not None:
            assert row.difference == pytest.approx(100 * (row.only_a - row.only_b) / row.n, abs=1e-9)
        assert row.p_adjusted >= row.p


def test_the_families_of_the_correction() -> None:
    found = compare_systems("mgsm", systems(5))

    def family(*groups: str) -> list[Comparison]:
        return [row for row in found if row.group in groups]

    for rows, size in ((family(AVERAGE), 10), (family(NON_ENGLISH), 10), (family("en", "bn", "de"), 30)):
        assert len(rows) == size
        expected = multipletests([row.p for row in rows], method="holm")[1]
        assert [row.p_adjusted for row in rows] == pytest.approx(list(expected), abs=1e-12)


def test_few_systems_or_languages() -> None:
    given = systems(2, languages=1)
    assert [row.group for row in compare_systems("mgsm", given)] == [AVERAGE, "en"], "there is nothing but English"
    assert compare_systems("mgsm", {"s0": given["s0"]}) == []
    assert compare_systems("mgsm", {}) == []


def test_a_comparison_as_plain_values() -> None:
    rows = [plain(row) for row in compare_systems("mgsm", systems(2))]
    assert rows == json.loads(json.dumps(rows))
    assert list(rows[0]) == [
        "benchmark", "group", "a", "b", "n", "difference", "standard_error", "low", "high", "p", "p_adjusted", "only_a", "only_b",
    ]  # fmt: skip
    assert rows[0]["only_a"] is None
    assert isinstance(rows[-1]["only_a"], int)


def test_problems_are_drawn_once_for_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine systems in ten languages are 36 pairs in twelve groups: drawing for each would take minutes, not seconds."""
    calls = []
    real = significance._draws
    monkeypatch.setattr(significance, "_draws", lambda *given: calls.append(given) or real(*given))
    found = compare_systems("mgsm", systems(9, problems=200, languages=10))
    assert len(found) == 36 * 12
    assert calls == [(200, significance.RESAMPLES)]


# --- several seeds ----------------------------------------------------------------------------------------------------


def seeds(count: int) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
    draw = np.random.default_rng(count)
    runs = [answers(draw, 70, 3, 0.5, gain=0.1) for _ in range(count)]
    return {str(i): a for i, (a, _) in enumerate(runs)}, {str(i): b for i, (_, b) in enumerate(runs)}


def test_seeds_are_averaged_within_problems() -> None:
    a, b = seeds(4)
    judged_a, judged_b = ({key: judgements(right) for key, right in runs.items()} for runs in (a, b))
    found = pooled(judged_a, judged_b)
    for key, value in found.by_seed.items():
        assert value == pytest.approx(difference(judged_a[key], judged_b[key]).difference, abs=1e-9)
    one = found
    assert one.difference == pytest.approx(np.mean(list(found.by_seed.values())), abs=1e-9)
    paired = stats.ttest_rel(
        np.mean([right.mean(axis=0) for right in a.values()], axis=0),
        np.mean([right.mean(axis=0) for right in b.values()], axis=0),
    )
    assert one.n == 70
    assert one.p == pytest.approx(paired.pvalue, abs=1e-9)
    assert one.standard_error == pytest.approx(one.difference / paired.statistic, abs=1e-9)
    assert one.low < one.difference < one.high
    # The order in which b's seeds come does not matter: they are matched by name.
    assert pooled(judged_a, dict(reversed(judged_b.items()))) == found
    row = plain(found)
    assert row == json.loads(json.dumps(row))
    assert list(row["by_seed"]) == ["0", "1", "2", "3"]


def test_one_seed_is_a_difference() -> None:
    a, b = two()
    assert pooled({"1": a}, {"1": b}, ["bn", "de"]) == difference(a, b, ["bn", "de"])


def test_the_same_run_again_is_no_more_information() -> None:
    a, b = two()
    alone = difference(a, b)
    again = pooled(dict.fromkeys("123", a), dict.fromkeys("123", b))
    assert again.standard_error == pytest.approx(alone.standard_error, abs=1e-9)
    assert again.p == pytest.approx(alone.p, abs=1e-9)
    assert math.isclose(again.low, alone.low, abs_tol=1e-9)


# --- several runs of several systems ----------------------------------------------------------------------------------


def several(count: int, problems: int = 40, languages: int = 4) -> list[dict[str, list[Judgement]]]:
    """Runs of three systems on the same problems, under as many seeds."""
    draw = np.random.default_rng(100 + count)
    hard = draw.beta(1, 1, size=problems)
    return [
        {f"s{i}": judgements(draw.random((languages, problems)) < hard ** (1 + i / 3)) for i in range(3)}
        for _ in range(count)
    ]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_pair_over_several_runs_is_what_pooled_finds(count: int) -> None:
    runs = several(count)
    found = compare_systems("mgsm", *runs)
    groups = {AVERAGE: None, NON_ENGLISH: ["bn", "de", "es"], **{code: [code] for code in CODES[:4]}}
    assert len(found) == 3 * len(groups)
    for row in found:
        alone = pooled(
            {str(seed): run[row.a] for seed, run in enumerate(runs)},
            {str(seed): run[row.b] for seed, run in enumerate(runs)},
            groups[row.group],
        )
        assert row.n == alone.n == 40
        for name in ("difference", "standard_error", "low", "high"):
            assert getattr(row, name) == pytest.approx(getattr(alone, name), abs=1e-9)
        if count > 1 or row.group in (AVERAGE, NON_ENGLISH):
            assert row.p == pytest.approx(alone.p, abs=1e-9)
        assert (row.only_a is None) == (count > 1 or row.group in (AVERAGE, NON_ENGLISH))


def test_over_several_runs_holm_is_over_the_same_families() -> None:
    found = compare_systems("mgsm", *several(3))
    for groups, size in (((AVERAGE,), 3), ((NON_ENGLISH,), 3), (CODES[:4], 12)):
        rows = [row for row in found if row.group in groups]
        assert len(rows) == size
        expected = multipletests([row.p for row in rows], method="holm")[1]
        assert [row.p_adjusted for row in rows] == pytest.approx(list(expected), abs=1e-12)


def test_one_run_is_what_it_was() -> None:
    """Pinned, so that the way through several runs changes nothing for one: p in a language is McNemar's."""
    (run,) = several(1)
    rows = {(row.a, row.b, row.group): row for row in compare_systems("mgsm", run)}
    language, average = rows["s0", "s2", "bn"], rows["s0", "s2", AVERAGE]
    alone, exact = difference(run["s0"], run["s2"]), exact_tests(run["s0"], run["s2"])["bn"]
    assert (language.only_a, language.only_b, language.p) == (exact.only_a, exact.only_b, exact.p)
    assert (average.difference, average.low, average.high, average.p) == (
        alone.difference, alone.low, alone.high, alone.p,
    )  # fmt: skip


def test_the_order_of_the_runs_does_not_matter_and_they_must_hold_the_same() -> None:
    runs = several(3)
    forth, back = compare_systems("mgsm", *runs), compare_systems("mgsm", *reversed(runs))
    assert [plain(row) for row in forth] == [plain(row) for row in back]
    turned = [dict(reversed(run.items())) if number else run for number, run in enumerate(runs)]
    assert compare_systems("mgsm", *turned) == forth, "systems are matched by name"
    with pytest.raises(DataError, match=r"s0 \(run 1\) and s0 \(run 2\) did not answer the same problems"):
        compare_systems("mgsm", runs[0], several(1, problems=50)[0])
