"""From answers to scores: judgements, accuracies, standard errors.

Problems are parallel across languages, so answers to one problem in ten languages go together. Standard errors are
clustered by problem (Miller 2024, arXiv 2411.00640, section 2.2).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, get_args

import msgspec

from ..errors import DataError
from ..languages import Language, language
from ..records import Judgement, Outcome, Prediction, Problem
from ..wording import counted
from .answer_language import NONE, language_of_answer
from .extraction import MAIN, RULES, outcome

AVERAGE = "average"
NON_ENGLISH = "non_english"
NORMAL_975 = 1.959963984540054
"""The 97.5% quantile of the standard normal distribution."""
Count = Annotated[int, msgspec.Meta(ge=0)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
StandardError = Annotated[float, msgspec.Meta(ge=0)]
"""In percent points."""
_P_VALUES = ("p", "p_adjusted", "p_bootstrap")


class Score(msgspec.Struct, frozen=True):
    """The result of a model in one language, or on average over several.

    The four outcomes are counts under the main rule. They add up to `n`.
    """

    n: Annotated[int, msgspec.Meta(ge=1)]
    accuracy: dict[str, Percent]
    """By rule."""
    standard_error: dict[str, StandardError]
    """By rule."""
    correct: Count
    wrong: Count
    unanswered: Count
    cut_off: Count
    in_language: Percent | None = None
    """Percent in the language of the question, of the answers whose language is told; None where there are none."""
    in_another: Count | None = None
    """Answers in another language than the question. None where languages were not told."""
    no_language: Count | None = None
    """Answers whose language cannot be told, such as those without words."""


def plain(records: object) -> Any:
    """Records as plain values: p-values with 4 significant digits, for a small one is not 0, all else with 4 decimal places."""
    return _rounded(msgspec.to_builtins(records))


def _rounded(value: object, name: str = "") -> object:
    match value:
        case float():
            return float(f"{value:.4g}") if name in _P_VALUES else round(value, 4)
        case dict():
            return {key: _rounded(inner, key) for key, inner in value.items()}
        case list():
            return [_rounded(inner) for inner in value]
    return value


def judge(
    problems: Iterable[Problem],
    predictions: Iterable[Prediction],
    table: Mapping[str, Language],
    rules: Sequence[str] = tuple(RULES),
) -> list[Judgement]:
    """Judges each prediction against its problem's gold answer, under the named rules.

    Raises DataError where a problem has no prediction, a prediction no problem, or a problem no gold answer.
    """
    by_key = {(p.language, p.id): p for p in predictions}
    judgements = []
    for problem in problems:
        prediction = by_key.pop((problem.language, problem.id), None)
        if prediction is None or problem.gold is None:
            lacks = "prediction" if prediction is None else "gold answer"
            raise DataError(f"problem {problem.id} ({problem.language}) has no {lacks}; it cannot be scored")
        judgements.append(judge_one(prediction, problem.gold, language(problem.language, table), table, rules))
    if by_key:
        (code, key), *_ = by_key
        raise DataError(f"{counted(len(by_key), 'prediction')} without a problem, the first of them {key} ({code})")
    return judgements


def judge_one(
    prediction: Prediction,
    gold: str,
    row: Language,
    at_hand: Mapping[str, Language] = MappingProxyType({}),
    rules: Iterable[str] | None = None,
) -> Judgement:
    """One prediction under the named rules, or all. `row` is the language of the question, and the answer may be in those of
    `at_hand` too."""
    readings = {name: RULES[name].read(prediction.text, gold, row, prediction.finish) for name in rules or RULES}
    return Judgement(
        id=prediction.id,
        language=prediction.language,
        gold=gold,
        finish=prediction.finish,
        outcome=outcome(readings[MAIN], prediction.finish),
        readings=readings,
        answered_in=language_of_answer(prediction.text, row, at_hand),
    )


def score(judgements: Sequence[Judgement]) -> dict[str, Score]:
    """Scores by language, then `average` and `non_english` (all but English)."""
    if not judgements:
        raise DataError("there is nothing to score")
    by_language: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        by_language.setdefault(judgement.language, []).append(judgement)
    scores = {code: _score([group]) for code, group in by_language.items()}
    scores[AVERAGE] = _score(list(by_language.values()))
    if others := [group for code, group in by_language.items() if code != "en"]:
        scores[NON_ENGLISH] = _score(others)
    return scores


def _score(groups: Sequence[Sequence[Judgement]]) -> Score:
    counts = Counter(judgement.outcome for group in groups for judgement in group)
    rules = {
        rule: [[(j.id, float(j.readings[rule].right)) for j in group] for group in groups]
        for rule in groups[0][0].readings
    }
    return Score(
        n=sum(len(group) for group in groups),
        accuracy={rule: 100 * mean_of_means(right) for rule, right in rules.items()},
        standard_error={rule: 100 * clustered_standard_error(right) for rule, right in rules.items()},
        **{name: counts[name] for name in get_args(Outcome)},
        **_languages(groups),
    )


def _languages(groups: Sequence[Sequence[Judgement]]) -> dict[str, Any]:
    """How many answers are in the language of their question."""
    if any(j.answered_in is None for group in groups for j in group):
        return {}
    told = [[(j.id, float(j.answered_in == j.language)) for j in group if j.answered_in != NONE] for group in groups]
    with_words = [group for group in told if group]
    return {
        "in_language": 100 * mean_of_means(with_words) if with_words else None,
        "in_another": sum(value == 0 for group in told for _, value in group),
        "no_language": sum(map(len, groups)) - sum(map(len, told)),
    }


def mean_of_means(groups: Sequence[Sequence[tuple[str, float]]]) -> float:
    """The mean over languages of each one's mean. Values come as (cluster, value)."""
    return sum(sum(value for _, value in group) / len(group) for group in groups) / len(groups)


def clustered_standard_error(groups: Sequence[Sequence[tuple[str, float]]]) -> float:
    """The standard error of `mean_of_means`, clustered.

    Weights are w = 1 / (groups x group size), residuals r are from each group's mean. The error is sqrt(C / (C - 1) x
    sum over the C clusters of (sum of w r within the cluster)^2). One group of distinct clusters has the usual sample
    standard error. A single cluster has 0.
    """
    within: dict[str, float] = {}
    for group in groups:
        mean = sum(value for _, value in group) / len(group)
        for cluster, value in group:
            within[cluster] = within.get(cluster, 0.0) + (value - mean) / (len(groups) * len(group))
    clusters = len(within)
    if clusters < 2:
        return 0.0
    return math.sqrt(clusters / (clusters - 1) * sum(total * total for total in within.values()))


def wilson(proportion: float, n: float) -> tuple[float, float]:
    """The 95% interval in percent of a proportion, by Wilson's score.

    It is that of `scipy.stats.binomtest(k, n).proportion_ci(method="wilson")`, without scipy. Unlike mean ± 1.96 s.e.,
    it is not 0 to 0 for 0 of 10. `n` may be not whole. No trials give 0 to 100.
    """
    if n <= 0:
        return 0.0, 100.0
    spread = NORMAL_975**2 / n
    centre = (proportion + spread / 2) / (1 + spread)
    half = math.sqrt(spread * proportion * (1 - proportion) + spread * spread / 4) / (1 + spread)
    return 100 * max(0.0, centre - half), 100 * min(1.0, centre + half)


def interval(accuracy: float, standard_error: float, problems: int) -> tuple[float, float]:
    """The 95% interval of an accuracy, all in percent.

    It is Wilson's for the number of independent answers that the standard error amounts to (Korn & Graubard 1998,
    Survey Methodology 24). Where that error is 0, each of the `problems` counts once.
    """
    share = accuracy / 100
    if standard_error <= 0 or not 0 < share < 1:
        return wilson(share, problems)
    return wilson(share, share * (1 - share) / (standard_error / 100) ** 2)
