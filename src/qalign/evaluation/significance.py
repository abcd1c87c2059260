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
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec.structs import asdict, replace

from ..errors import DataError
from ..records import Judgement
from .consistency import parallel
from .extraction import MAIN
from .scores import AVERAGE, NON_ENGLISH, Count, StandardError, clustered_standard_error

if TYPE_CHECKING:
    import numpy as np

    Counts = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    Draws = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Points = Annotated[float, msgspec.Meta(ge=-100, le=100)]

RESAMPLES = 2000
SEED = 20240114


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A difference a - b of accuracies in percent points, as the mean over languages and seeds."""

    n: Count
    """The problems."""
    difference: Points
    standard_error: StandardError
    """Clustered by problem."""
    low: float
    """With `high` the 95% interval."""
    high: float
    p: Share
    """The two-sided p of the t test."""
    p_bootstrap: Share
    """The two-sided p of the bootstrap."""
    by_seed: dict[str, float] = {}
    """The difference under each seed."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Systems `a` and `b` in one group of languages. Other fields are those of `Estimate`."""

    benchmark: str
    group: str
    """`average` (all languages), `non_english`, or one language."""
    a: str
    b: str
    n: Count
    difference: Points
    standard_error: StandardError
    low: float
    high: float
    p: Share
    """In a single language that of McNemar's test."""
    p_adjusted: Share
    """Holm's, over all pairs. Single languages are one family of all pairs in all languages."""
    only_a: Count | None = None
    """Problems that `a` alone gets right. None for averages and for several runs."""
    only_b: Count | None = None
    """The same for `b`."""


def pooled(
    a: Mapping[str, Iterable[Judgement]],
    b: Mapping[str, Iterable[Judgement]],
    languages: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
) -> Estimate:
    """System a minus system b, as the mean over one or several training seeds.

    A problem with its answers in all languages under all seeds is one cluster. Errors say how the difference varies with
    the problems. The spread of `by_seed` shows how it varies with the seeds.

    `a` and `b` are judgements by the name of the seed, the same in both. The mean is over all languages by default. Raises
    DataError where the two do not have the same languages and problems.
    """
    named = {f"{name} (seed {key})": runs[key] for name, runs in (("a", a), ("b", b)) for key in a}
    codes, ids, right = _answers(named, languages)
    deltas = right[: len(a)] - right[len(a) :]  # (seeds, languages, problems)
    (estimate,) = _estimates(deltas.sum(axis=(0, 1))[None], len(a) * len(codes), ids, _draws(len(ids), resamples))
    by_seed = {key: 100 * int(runs.sum()) / (len(codes) * len(ids)) for key, runs in zip(a, deltas, strict=True)}
    return replace(estimate, by_seed=by_seed)


def compare_systems(benchmark: str, *runs: Mapping[str, Iterable[Judgement]]) -> list[Comparison]:
    """Every pair of systems: over all languages, all but English, and in each.

    `runs` are the judgements by system, of the same systems under one seed each. Differences over several are means, as in
    `pooled`. McNemar's test is for one run, so several have the t test everywhere.

    Raises DataError where the systems do not have the same languages and problems.
    """
    names = list(runs[0])
    pairs = list(combinations(names, 2))
    if not pairs:
        return []
    named = {f"{name} (run {n})": run[name] for n, run in enumerate(runs, 1) for name in names}
    languages, ids, right = _answers(named)
    right = right.reshape(len(runs), len(names), *right.shape[1:]).sum(axis=0)
    deltas = right[[names.index(a) for a, _ in pairs]] - right[[names.index(b) for _, b in pairs]]
    draws = _draws(len(ids), RESAMPLES)  # the same for all pairs, as all have the same problems
    others = [code for code in languages if code != "en"]
    families = [{AVERAGE: languages}, {NON_ENGLISH: others}, {code: [code] for code in languages}]
    comparisons: list[Comparison] = []
    for family in families:
        rows = []
        for group, codes in family.items():
            if not codes:
                continue
            totals = deltas[:, [languages.index(code) for code in codes]].sum(axis=1)  # (pairs, problems)
            estimates = _estimates(totals, len(codes) * len(runs), ids, draws)
            exact = group in languages and len(runs) == 1
            for (a, b), total, estimate in zip(pairs, totals, estimates, strict=True):
                values = {**asdict(estimate), **(_mcnemar(total) if exact else {})}
                shared = {name: values[name] for name in Comparison.__struct_fields__ if name in values}
                rows.append(Comparison(benchmark=benchmark, group=group, a=a, b=b, p_adjusted=1.0, **shared))
        adjusted = holm([row.p for row in rows])
        comparisons += [replace(row, p_adjusted=p) for row, p in zip(rows, adjusted, strict=True)]
    return comparisons


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


def _answers(
    systems: Mapping[str, Iterable[Judgement]], languages: Sequence[str] | None = None
) -> tuple[list[str], list[str], Counts]:
    """Languages, problems, and what systems got right: 0 or 1, (systems, languages, problems). The problems are sorted, so that
    the bootstrap does not depend on the order of the judgements."""
    import numpy as np

    tables = {name: parallel(judgements) for name, judgements in systems.items()}
    first = next(iter(tables))
    chosen = list(tables[first]) if languages is None else list(languages)
    ids = sorted(next(iter(tables[first].values())))
    for name, table in tables.items():
        if table.keys() != tables[first].keys() or set(next(iter(table.values()))) != set(ids):
            raise DataError(
                f"{first} and {name} did not answer the same problems in the same languages; score both on the same benchmark"
            )
    right = [[[table[code][key].readings[MAIN].right for key in ids] for code in chosen] for table in tables.values()]
    return chosen, ids, np.array(right, dtype=np.int64)


def _draws(problems: int, resamples: int) -> Draws:
    """How often each sample of the bootstrap has each problem: (resamples, problems)."""
    import numpy as np

    # The stream of RandomState is frozen for good (NEP 19), that of default_rng may change between versions of numpy.
    drawn = np.random.RandomState(SEED).randint(0, problems, size=(resamples, problems), dtype=np.int64)
    drawn += problems * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * problems)
    return counts.reshape(resamples, problems).astype(np.float64)


def _estimates(totals: Counts, answers: int, ids: Sequence[str], draws: Draws) -> list[Estimate]:
    """An estimate for each pair of systems; `totals` (pairs, problems) sum the differences in the `answers` to a problem."""
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
    """The two-sided p of a mean over clusters with a standard error. Clusters that all differ alike have no spread to divide by.
    Then it is the p of flipping signs: 2 of 2^clusters outcomes lie as far from 0."""
    from scipy.stats import t

    if mean == 0:
        return 1.0
    if error == 0:
        return max(2.0 ** (1 - clusters), sys.float_info.min)
    return float(2 * t.sf(abs(mean / error), clusters - 1))


def _mcnemar(delta: Counts) -> dict[str, Any]:
    """The exact test in one language; `delta` (problems,) is 1 where a alone is right, -1 where b alone is."""
    from scipy.stats import binomtest

    only_a, only_b = int((delta > 0).sum()), int((delta < 0).sum())
    p = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    return {"p": min(1.0, p), "only_a": only_a, "only_b": only_b}
