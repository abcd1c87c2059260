"""Whether two systems differ by more than chance: differences on the same problems, with errors, intervals, p-values.

Both systems answer the same problems, so what is tested is their difference problem by problem. Problems are parallel
across languages, so a problem with all its translations is one cluster, and clusters are what is drawn: ten languages are
not ten times as many problems (both in Miller 2024, arXiv 2411.00640). Three tools:

- On average over languages, p comes from a t test of the differences summed within problems, with clusters - 1 degrees of
  freedom. It needs no random numbers, and it can be as small as the correction for many comparisons asks for, while a
  bootstrap p stops at 1 / (resamples + 1); that one is given beside it, as a check.
- Intervals are percentiles of the paired bootstrap, which draws problems with replacement, each with its answers by both
  systems in all languages (Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13; Koehn 2004,
  Statistical Significance Tests for Machine Translation Evaluation, EMNLP). Their seed is fixed.
- In a single language, p is McNemar's, exact: of the problems that one system alone gets right, each system has its half
  if they do not differ (McNemar 1947, Psychometrika 12).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from ..records import Judgement
from ..wording import counted
from .consistency import parallel
from .rules import MAIN
from .scores import AVERAGE, NON_ENGLISH, clustered_standard_error

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

RESAMPLES = 2000
SEED = 20240114


@dataclass(frozen=True, slots=True)
class McNemar:
    """The exact test in one language: problems that `only_a` and `only_b` got right, and the two-sided p."""

    only_a: int
    only_b: int
    p: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A difference a - b of accuracies, as the mean over languages, on `n` problems.

    `difference`, `standard_error` (clustered by problem) and the 95% interval from `low` to `high` are in percent points.
    `p` is the t test's, `p_bootstrap` the bootstrap's; both are two-sided.
    """

    n: int
    difference: float
    standard_error: float
    low: float
    high: float
    p: float
    p_bootstrap: float


@dataclass(frozen=True, slots=True)
class Difference:
    """How two systems differ, as the mean over languages, and in each of them by McNemar's test."""

    estimate: Estimate
    mcnemar: dict[str, McNemar]

    def as_dict(self) -> dict[str, Any]:
        """The estimate's fields and `mcnemar` by language: plain values, rounded to what a reader can use."""
        return {**_plain(self.estimate), "mcnemar": {code: _plain(test) for code, test in self.mcnemar.items()}}


@dataclass(frozen=True, slots=True)
class Pooled:
    """How two systems differ as the mean over seeds; `by_seed` has the difference under each, in percent points."""

    estimate: Estimate
    by_seed: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """The estimate's fields and `by_seed`: plain values, rounded to what a reader can use."""
        return {**_plain(self.estimate), "by_seed": {seed: round(value, 4) for seed, value in self.by_seed.items()}}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Systems `a` and `b` in one `group`: `average` (all languages), `non_english`, or one language.

    The fields that an `Estimate` has mean the same here, but in a single language `p` is McNemar's, and `only_a` and
    `only_b` are its counts (None for averages, and for several runs). `p_adjusted` is Holm's, over the family of the group: all
    pairs, and for single languages all pairs in all languages.
    """

    a: str
    b: str
    group: str
    n: int
    difference: float
    standard_error: float
    low: float
    high: float
    p: float
    p_adjusted: float
    only_a: int | None
    only_b: int | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, rounded to what a reader can use."""
        return _plain(self)


def difference(
    a: Iterable[Judgement],
    b: Iterable[Judgement],
    languages: Sequence[str] | None = None,
    *,
    rule: str = MAIN,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Difference:
    """System a minus system b, as the mean over `languages` (all, if None).

    Raises:
        DataError: the two do not have the same languages and problems, or lack one of `languages`.
    """
    answers = _answers({"a": a, "b": b}, rule, languages)
    deltas = answers.right[0] - answers.right[1]  # (languages, problems)
    draws = _draws(len(answers.ids), resamples, seed)
    (estimate,) = _estimates(deltas.sum(axis=0)[None], len(answers.languages), answers.ids, draws)
    return Difference(estimate, {code: _mcnemar(row) for code, row in zip(answers.languages, deltas, strict=True)})


def pooled(
    a: Mapping[str, Iterable[Judgement]],
    b: Mapping[str, Iterable[Judgement]],
    languages: Sequence[str] | None = None,
    *,
    rule: str = MAIN,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Pooled:
    """System a minus system b, as the mean over several training seeds: judgements by the name of the seed.

    A problem with its answers in all languages under all seeds is one cluster. This takes the seeds as they are: the
    errors say how the difference would vary with other problems, and nothing of how it would vary with other seeds.
    That is what the spread of `by_seed` shows.

    Raises:
        DataError: the two do not have the same seeds, languages and problems, or lack one of `languages`.
    """
    if not a or set(a) != set(b):
        raise DataError(
            f"a has the seeds {', '.join(a) or 'none'}, b has {', '.join(b) or 'none'}; give both under the same seeds"
        )
    named = {f"{name} (seed {key})": runs[key] for name, runs in (("a", a), ("b", b)) for key in a}
    answers = _answers(named, rule, languages)
    deltas = answers.right[: len(a)] - answers.right[len(a) :]  # (seeds, languages, problems)
    count = len(answers.languages)
    draws = _draws(len(answers.ids), resamples, seed)
    (estimate,) = _estimates(deltas.sum(axis=(0, 1))[None], len(a) * count, answers.ids, draws)
    by_seed = {key: 100 * int(runs.sum()) / (count * len(answers.ids)) for key, runs in zip(a, deltas, strict=True)}
    return Pooled(estimate, by_seed)


def compare_systems(
    *runs: Mapping[str, Iterable[Judgement]],
    rule: str = MAIN,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> list[Comparison]:
    """Every pair of systems: on average over all languages, over all but English (if there are such), in each language.

    A run maps systems to judgements. Of several runs (under several seeds) the differences are means, as in `pooled`; a
    problem is still one cluster, and p in a single language is the t test's too, for McNemar's is for one run.

    Raises:
        DataError: the systems or runs do not have the same languages and problems.
    """
    names = list(runs[0])
    pairs = list(combinations(names, 2))
    if not pairs:
        return []
    if any(set(run) != set(names) for run in runs):
        raise DataError("the runs do not hold the same systems; compare those that all of them have")
    answers = _answers(
        {f"{name} (run {n})" if len(runs) > 1 else name: run[name] for n, run in enumerate(runs, 1) for name in names},
        rule,
    )
    right = answers.right.reshape(len(runs), len(names), *answers.right.shape[1:]).sum(axis=0)
    place = {name: index for index, name in enumerate(names)}
    deltas = right[[place[a] for a, _ in pairs]] - right[[place[b] for _, b in pairs]]
    draws = _draws(len(answers.ids), resamples, seed)  # the same for all pairs, as all have the same problems
    others = [code for code in answers.languages if code != "en"]
    families = [{AVERAGE: answers.languages}, {NON_ENGLISH: others}, {code: [code] for code in answers.languages}]
    found: list[Comparison] = []
    for family in families:
        rows = []
        for group, codes in family.items():
            if not codes:
                continue
            totals = deltas[:, [answers.languages.index(code) for code in codes]].sum(axis=1)  # (pairs, problems)
            estimates = _estimates(totals, len(codes) * len(runs), answers.ids, draws)
            for (a, b), total, estimate in zip(pairs, totals, estimates, strict=True):
                test = _mcnemar(total) if group in answers.languages and len(runs) == 1 else None
                rows.append(_comparison(a, b, group, estimate, test))
        adjusted = holm([row.p for row in rows])
        found += [replace(row, p_adjusted=p) for row, p in zip(rows, adjusted, strict=True)]
    return found


def _comparison(a: str, b: str, group: str, estimate: Estimate, test: McNemar | None) -> Comparison:
    """A comparison that is not adjusted yet."""
    p = test.p if test else estimate.p
    return Comparison(
        a,
        b,
        group,
        estimate.n,
        estimate.difference,
        estimate.standard_error,
        estimate.low,
        estimate.high,
        p,
        p_adjusted=p,
        only_a=test.only_a if test else None,
        only_b=test.only_b if test else None,
    )


def holm(ps: Sequence[float]) -> list[float]:
    """p-values of a family of comparisons, adjusted so that the chance of any false finding stays below the level.

    Holm's step-down procedure (Holm 1979, Scandinavian Journal of Statistics 6): the k-th smallest of m is multiplied by
    m - k + 1, none may fall below the one before it, nor exceed 1. It holds whatever the dependence between comparisons.
    Ours, since scipy has only `false_discovery_control`, which controls another rate.
    """
    adjusted = [1.0] * len(ps)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, (len(ps) - rank) * ps[index])
        adjusted[index] = min(1.0, largest)
    return adjusted


@dataclass(frozen=True, slots=True)
class _Answers:
    """What several systems got right: `right` is 0 or 1, (systems, languages, problems) int64.

    `ids` are sorted, that the draws of the bootstrap do not depend on the order of the judgements.
    """

    languages: list[str]
    ids: list[str]
    right: Array


def _answers(systems: Mapping[str, Iterable[Judgement]], rule: str, languages: Sequence[str] | None = None) -> _Answers:
    import numpy as np

    tables = {name: parallel(judgements) for name, judgements in systems.items()}
    first, *others = tables
    there = list(tables[first])
    ids = sorted(tables[first][there[0]])
    for name in others:
        if set(tables[name]) != set(there):
            raise DataError(
                f"{first} is judged in {', '.join(there)}, but {name} in {', '.join(tables[name])}; "
                "systems are compared in the same languages: score both in the same"
            )
        if odd := tables[name][there[0]].keys() ^ set(ids):
            raise DataError(
                f"{first} and {name} do not share {counted(len(odd), 'problem')}, the first of them {min(odd)}; "
                "systems are compared on the same problems: score both on the same benchmark"
            )
    chosen = there if languages is None else list(dict.fromkeys(languages))
    if not chosen or not set(chosen) <= set(there):
        missing = [code for code in chosen if code not in there]
        raise DataError(
            f"judgements in {', '.join(missing) or 'no language'} are asked for; choose among {', '.join(there)}"
        )
    right = [[[table[code][key].readings[rule].right for key in ids] for code in chosen] for table in tables.values()]
    return _Answers(chosen, ids, np.array(right, dtype=np.int64))


def _draws(problems: int, resamples: int, seed: int) -> Array:
    """How often each resample of the bootstrap draws each problem: (resamples, problems) float64."""
    import numpy as np

    # The stream of RandomState is frozen for good (NEP 19), that of default_rng may change between versions of numpy.
    drawn = np.random.RandomState(seed).randint(0, problems, size=(resamples, problems), dtype=np.int64)
    drawn += problems * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * problems)
    return counts.reshape(resamples, problems).astype(np.float64)


def _estimates(totals: Array, answers: int, ids: Sequence[str], draws: Array) -> list[Estimate]:
    """One estimate for each row of `totals` (pairs, problems): a problem's differences, summed over its `answers`.

    The sums over resamples are of whole numbers, hence exact: no machine rounds them differently.
    """
    import numpy as np

    sums = draws @ totals.T.astype(np.float64)  # (resamples, pairs)
    low, high = np.quantile(sums, [0.025, 0.975], axis=0)
    observed = totals.sum(axis=1)
    extreme = (np.abs(sums - observed) >= np.abs(observed)).sum(axis=0)
    scale = 100 / (answers * len(ids))
    found = []
    for index, total in enumerate(totals):
        error = clustered_standard_error([list(zip(ids, map(float, total), strict=True))])
        mean = float(observed[index]) / len(ids)
        found.append(
            Estimate(
                n=len(ids),
                difference=scale * float(observed[index]),
                standard_error=100 / answers * error,
                low=scale * float(low[index]),
                high=scale * float(high[index]),
                p=_t_test(mean, error, len(ids)),
                p_bootstrap=float(extreme[index] + 1) / (len(sums) + 1),
            )
        )
    return found


def _t_test(mean: float, error: float, clusters: int) -> float:
    """The two-sided p of a mean over clusters.

    Where all clusters differ alike there is no spread to divide by; then it is the p of flipping signs, under which 2 of
    2^clusters outcomes lie as far from 0.
    """
    from scipy.stats import t

    if mean == 0:
        return 1.0
    if error == 0:
        return max(2.0 ** (1 - clusters), sys.float_info.min)
    return float(2 * t.sf(abs(mean / error), clusters - 1))


def _mcnemar(delta: Array) -> McNemar:
    """The exact test on the differences (problems,) in one language: 1 where a alone is right, -1 where b alone is."""
    from scipy.stats import binomtest

    only_a, only_b = int((delta > 0).sum()), int((delta < 0).sum())
    p = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    return McNemar(only_a, only_b, min(1.0, p))


def _plain(record: Estimate | McNemar | Comparison) -> dict[str, Any]:
    """A record's fields, percentages to 4 places; p-values to 4 significant digits, for a small one is not 0."""
    return {
        key: (float(f"{value:.4g}") if key.startswith("p") else round(value, 4)) if isinstance(value, float) else value
        for key, value in asdict(record).items()
    }
