"""Whether two systems differ by more than chance: errors, intervals, p-values.

Both systems answer the same problems, so their difference is tested problem by problem. A problem with all its
translations is one cluster: ten languages are not ten times as many problems (Miller 2024, arXiv 2411.00640).

- Averages over languages have a t test over problems, with clusters - 1 degrees of freedom. The bootstrap's p stands
  next to it as a check. It stops at 1 / (resamples + 1), too large for a correction for many comparisons.
- Intervals are percentiles of the paired bootstrap with a fixed seed. It samples problems with replacement, each
  with all its answers. Sources: Efron & Tibshirani 1993, chapter 13, and Koehn 2004, EMNLP.
- A single language has McNemar's exact test, on the problems that one system alone gets right (Psychometrika 12, 1947).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import combinations
from typing import TYPE_CHECKING

from ..errors import DataError
from ..records import Judgement
from ..wording import counted
from .consistency import parallel
from .rules import MAIN
from .scores import AVERAGE, NON_ENGLISH, clustered_standard_error, plain

if TYPE_CHECKING:
    import numpy as np

    Counts = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    Draws = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

RESAMPLES = 2000
SEED = 20240114


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A difference a - b of accuracies, as the mean over languages."""

    n: int
    """The problems."""
    difference: float
    """In percent points, as all but the p-values."""
    standard_error: float
    """Clustered by problem."""
    low: float
    """The lower end of the 95% interval."""
    high: float
    """The upper end of the 95% interval."""
    p: float
    """The two-sided p of the t test."""
    p_bootstrap: float
    """The two-sided p of the bootstrap."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """How two systems differ, as the mean over seeds."""

    estimate: Estimate
    by_seed: dict[str, float]
    """The difference under each seed, in percent points."""

    def as_dict(self) -> dict[str, object]:
        """The estimate's fields and `by_seed`, as plain rounded values."""
        return {**plain(self.estimate), "by_seed": {seed: round(value, 4) for seed, value in self.by_seed.items()}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Systems `a` and `b` in one group of languages. Other fields are those of `Estimate`."""

    a: str
    b: str
    group: str
    """`average` (all languages), `non_english`, or one language."""
    n: int
    difference: float
    standard_error: float
    low: float
    high: float
    p: float
    """In a single language that of McNemar's test."""
    p_adjusted: float
    """Holm's, over all pairs. Single languages are one family of all pairs in all languages."""
    only_a: int | None = None
    """Problems that `a` alone gets right. None for averages and for several runs."""
    only_b: int | None = None
    """The same for `b`."""

    def as_dict(self) -> dict[str, object]:
        """Plain rounded values."""
        return plain(self)


def pooled(
    a: Mapping[str, Iterable[Judgement]],
    b: Mapping[str, Iterable[Judgement]],
    languages: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
) -> Pooled:
    """System a minus system b, as the mean over one or several training seeds.

    A problem with its answers in all languages under all seeds is one cluster. Errors say how the difference varies with
    the problems. The spread of `by_seed` shows how it varies with the seeds.

    Args:
        a: judgements by the name of the seed.
        b: the same for the other system.
        languages: the languages of the mean. None for all.
        resamples: the number of samples of the bootstrap.

    Raises:
        DataError: the two do not have the same seeds, languages and problems, or lack one of `languages`.
    """
    if not a or set(a) != set(b):
        raise DataError(
            f"a has the seeds {', '.join(a) or 'none'}, b has {', '.join(b) or 'none'}; give both under the same seeds"
        )
    named = {f"{name} (seed {key})": runs[key] for name, runs in (("a", a), ("b", b)) for key in a}
    answers = _answers(named, languages)
    deltas = answers.right[: len(a)] - answers.right[len(a) :]  # (seeds, languages, problems)
    count = len(answers.languages)
    draws = _draws(len(answers.ids), resamples)
    (estimate,) = _estimates(deltas.sum(axis=(0, 1))[None], len(a) * count, answers.ids, draws)
    by_seed = {key: 100 * int(runs.sum()) / (count * len(answers.ids)) for key, runs in zip(a, deltas, strict=True)}
    return Pooled(estimate, by_seed)


def compare_systems(*runs: Mapping[str, Iterable[Judgement]]) -> list[Comparison]:
    """Every pair of systems: over all languages, all but English, and in each.

    Differences over several runs are means, as in `pooled`. McNemar's test is for one run, so several have the t test
    everywhere.

    Args:
        runs: the judgements by system, under one seed each.

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
        {f"{name} (run {n})" if len(runs) > 1 else name: run[name] for n, run in enumerate(runs, 1) for name in names}
    )
    right = answers.right.reshape(len(runs), len(names), *answers.right.shape[1:]).sum(axis=0)
    deltas = right[[names.index(a) for a, _ in pairs]] - right[[names.index(b) for _, b in pairs]]
    draws = _draws(len(answers.ids), RESAMPLES)  # the same for all pairs, as all have the same problems
    others = [code for code in answers.languages if code != "en"]
    families = [{AVERAGE: answers.languages}, {NON_ENGLISH: others}, {code: [code] for code in answers.languages}]
    comparisons: list[Comparison] = []
    for family in families:
        rows = []
        for group, codes in family.items():
            if not codes:
                continue
            totals = deltas[:, [answers.languages.index(code) for code in codes]].sum(axis=1)  # (pairs, problems)
            estimates = _estimates(totals, len(codes) * len(runs), answers.ids, draws)
            exact = group in answers.languages and len(runs) == 1
            for (a, b), total, estimate in zip(pairs, totals, estimates, strict=True):
                values = {name: getattr(estimate, name) for name in _SHARED}
                values |= _mcnemar(total) if exact else {}
                rows.append(Comparison(a=a, b=b, group=group, p_adjusted=values["p"], **values))
        adjusted = holm([row.p for row in rows])
        comparisons += [replace(row, p_adjusted=p) for row, p in zip(rows, adjusted, strict=True)]
    return comparisons


_SHARED = [field.name for field in fields(Estimate) if field.name != "p_bootstrap"]


def holm(ps: Sequence[float]) -> list[float]:
    """p-values of a family of comparisons, adjusted by Holm's step-down procedure.

    The chance of any false finding stays below the level, whatever the dependence between comparisons. The k-th
    smallest of m is multiplied by m - k + 1. None falls below the one before it, or exceeds 1. scipy has no such
    function. Source: Holm 1979, Scandinavian Journal of Statistics 6.
    """
    adjusted = [1.0] * len(ps)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, (len(ps) - rank) * ps[index])
        adjusted[index] = min(1.0, largest)
    return adjusted


@dataclass(frozen=True, slots=True)
class _Answers:
    """What several systems got right."""

    languages: list[str]
    ids: list[str]
    """The problems, sorted: the bootstrap does not depend on the order of the judgements."""
    right: Counts
    """0 or 1, (systems, languages, problems)."""


def _answers(systems: Mapping[str, Iterable[Judgement]], languages: Sequence[str] | None = None) -> _Answers:
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
    right = [[[table[code][key].readings[MAIN].right for key in ids] for code in chosen] for table in tables.values()]
    return _Answers(chosen, ids, np.array(right, dtype=np.int64))


def _draws(problems: int, resamples: int) -> Draws:
    """How often each sample of the bootstrap has each problem: (resamples, problems)."""
    import numpy as np

    # The stream of RandomState is frozen for good (NEP 19), that of default_rng may change between versions of numpy.
    drawn = np.random.RandomState(SEED).randint(0, problems, size=(resamples, problems), dtype=np.int64)
    drawn += problems * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * problems)
    return counts.reshape(resamples, problems).astype(np.float64)


def _estimates(totals: Counts, answers: int, ids: Sequence[str], draws: Draws) -> list[Estimate]:
    """An estimate for each pair of systems.

    Args:
        totals: (pairs, problems), the differences summed over the answers to a problem.
        answers: the number of those answers.
    """
    import numpy as np

    sums = draws @ totals.T.astype(np.float64)  # (resamples, pairs)
    low, high = np.quantile(sums, [0.025, 0.975], axis=0)
    observed = totals.sum(axis=1)
    extreme = (np.abs(sums - observed) >= np.abs(observed)).sum(axis=0)
    scale = 100 / (answers * len(ids))
    estimates = []
    for index, total in enumerate(totals):
        error = clustered_standard_error([list(zip(ids, map(float, total), strict=True))])
        mean = float(observed[index]) / len(ids)
        estimates.append(
            Estimate(
                n=len(ids),
                difference=scale * float(observed[index]),
                standard_error=100 / answers * error,
                low=scale * float(low[index]),
                high=scale * float(high[index]),
                p=t_test(mean, error, len(ids)),
                p_bootstrap=float(extreme[index] + 1) / (len(sums) + 1),
            )
        )
    return estimates


def t_test(mean: float, error: float, clusters: int) -> float:
    """The two-sided p of a mean over clusters with a standard error.

    Clusters that all differ alike have no spread to divide by. Then it is the p of flipping signs: 2 of 2^clusters outcomes
    lie as far from 0.
    """
    from scipy.stats import t

    if mean == 0:
        return 1.0
    if error == 0:
        return max(2.0 ** (1 - clusters), sys.float_info.min)
    return float(2 * t.sf(abs(mean / error), clusters - 1))


def _mcnemar(delta: Counts) -> dict[str, float]:
    """The exact test in one language.

    Args:
        delta: (problems,), 1 where a alone is right, -1 where b alone is.
    """
    from scipy.stats import binomtest

    only_a, only_b = int((delta > 0).sum()), int((delta < 0).sum())
    p = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    return {"p": min(1.0, p), "only_a": only_a, "only_b": only_b}
