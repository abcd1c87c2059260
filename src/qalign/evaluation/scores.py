"""From answers to scores: judgements under both rules, accuracies by language and on average, standard errors.

Problems are parallel across languages, so the answers to one problem in ten languages are not ten independent draws.
Standard errors are clustered by problem (Miller 2024, "Adding Error Bars to Evals", arXiv 2411.00640, section 2.2).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import DataError
from ..languages import Language, language
from ..records import Judgement, Prediction, Problem
from ..wording import counted
from .extraction import outcome, paper, strict

AVERAGE = "average"
NON_ENGLISH = "non_english"
NORMAL_975 = 1.959963984540054
"""The 97.5% quantile of the standard normal distribution."""
_OUTCOMES = ("correct", "wrong", "unanswered", "cut_off")


@dataclass(frozen=True, slots=True)
class Score:
    """The result of a model in one language, or on average over several.

    `paper` and `strict` are accuracies in percent; on average, the mean over the languages. `correct`, `wrong`,
    `unanswered` and `cut_off` are counts under the strict rule and add up to `n`. The standard errors are in percent points, of
    `strict` and of `paper`.
    """

    n: int
    paper: float
    strict: float
    correct: int
    wrong: int
    unanswered: int
    cut_off: int
    standard_error: float
    standard_error_paper: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, rounded to what a reader can use."""
        return {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(self).items()}


def judge(
    problems: Iterable[Problem], predictions: Iterable[Prediction], table: Mapping[str, Language]
) -> list[Judgement]:
    """Judges each prediction against its problem's gold answer, under both rules.

    Raises:
        DataError: a problem has no prediction, a prediction no problem, or a problem no gold answer.
    """
    by_key = {(p.language, p.id): p for p in predictions}
    judgements = []
    for problem in problems:
        prediction = by_key.pop((problem.language, problem.id), None)
        if prediction is None:
            raise DataError(f"problem {problem.id} ({problem.language}) has no prediction; generate it before scoring")
        if problem.gold is None:
            raise DataError(f"problem {problem.id} ({problem.language}) has no gold answer; it cannot be scored")
        judgements.append(judge_one(prediction, problem.gold, language(problem.language, table)))
    if by_key:
        (code, key), *_ = by_key
        raise DataError(f"{counted(len(by_key), 'prediction')} without a problem, the first of them {key} ({code})")
    return judgements


def judge_one(prediction: Prediction, gold: str, row: Language) -> Judgement:
    """One prediction under both rules."""
    read = strict(prediction.text, gold, row, prediction.finish)
    return Judgement(
        prediction.id,
        prediction.language,
        gold,
        prediction.finish,
        outcome(read, prediction.finish),
        paper(prediction.text, gold),
        read,
    )


def score(judgements: Sequence[Judgement]) -> dict[str, Score]:
    """Scores by language in order of appearance, then `average` over all and `non_english` over all but English."""
    if not judgements:
        raise DataError("there is nothing to score")
    by_language: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        by_language.setdefault(judgement.language, []).append(judgement)
    scores = {code: _score([group]) for code, group in by_language.items()}
    scores[AVERAGE] = _score(list(by_language.values()))
    others = [group for code, group in by_language.items() if code != "en"]
    if others:
        scores[NON_ENGLISH] = _score(others)
    return scores


def _score(groups: Sequence[Sequence[Judgement]]) -> Score:
    counts = Counter(judgement.outcome for group in groups for judgement in group)
    paper_groups = [[(j.id, float(j.paper.right)) for j in group] for group in groups]
    strict_groups = [[(j.id, float(j.strict.right)) for j in group] for group in groups]
    return Score(
        n=sum(len(group) for group in groups),
        paper=100 * mean_of_means(paper_groups),
        strict=100 * mean_of_means(strict_groups),
        **{name: counts[name] for name in _OUTCOMES},  # type: ignore[index]
        standard_error=100 * clustered_standard_error(strict_groups),
        standard_error_paper=100 * clustered_standard_error(paper_groups),
    )


def mean_of_means(groups: Sequence[Sequence[tuple[str, float]]]) -> float:
    """The mean over groups (languages) of each group's mean; values come as (cluster, value)."""
    return sum(sum(value for _, value in group) / len(group) for group in groups) / len(groups)


def clustered_standard_error(groups: Sequence[Sequence[tuple[str, float]]]) -> float:
    """The standard error of `mean_of_means`, clustered by the first member of each (cluster, value).

    With weights w = 1 / (groups x group size) and residuals r from each group's mean, it is
    sqrt(C / (C - 1) x sum over the C clusters of (sum of w r within the cluster)^2); for one group of distinct clusters
    that is the usual sample standard error. 0 where there is one cluster only.
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
    """The 95% interval of a proportion (0 to 1) that was seen in `n` trials, in percent.

    Wilson's score interval (Wilson 1927, Journal of the American Statistical Association 22; as in
    `scipy.stats.binomtest(k, n).proportion_ci(method="wilson")`). Unlike mean ± 1.96 s.e., it is not 0 to 0 for 0 of 10.
    `n` need not be whole. 0 to 100 for no trials.
    """
    if n <= 0:
        return 0.0, 100.0
    spread = NORMAL_975**2 / n
    centre = (proportion + spread / 2) / (1 + spread)
    half = math.sqrt(spread * proportion * (1 - proportion) + spread * spread / 4) / (1 + spread)
    return 100 * max(0.0, centre - half), 100 * min(1.0, centre + half)


def interval(accuracy: float, standard_error: float, problems: int) -> tuple[float, float]:
    """The 95% interval of an accuracy, all in percent.

    Wilson's, with the number of independent answers that the standard error amounts to (Korn & Graubard 1998, Survey
    Methodology 24). That is below the number of answers, for answers to one problem in ten languages go together. Where
    the standard error is 0, each of the `problems` counts once.
    """
    share = accuracy / 100
    if standard_error <= 0 or not 0 < share < 1:
        return wilson(share, problems)
    return wilson(share, share * (1 - share) / (standard_error / 100) ** 2)
