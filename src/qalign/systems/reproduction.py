"""The whole study over several seeds: all systems and alignments, means of what was measured, a verdict on each claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import msgspec

from ..evaluation.rules import MAIN
from ..evaluation.scores import AVERAGE, NON_ENGLISH
from ..results.findings import findings
from ..results.schema import Content, TestedClaim, Verdict
from ..wording import counted
from . import provenance
from .claims import verdicts
from .comparison import compare, content_of, titles
from .evaluated import Evaluated, Judged, judged, rounded_scores, scores_of, statistics
from .study import Study
from .table import SYSTEMS

ALL = tuple(SYSTEMS)

Reproduction = dict[str, tuple[Study, list[Evaluated]]]
"""Seed -> its study and the systems of it."""


def reproduction(study: Study, seeds: Sequence[int], systems: Sequence[str] = ALL) -> Reproduction:
    """The stages of all seeds; nothing runs yet. What does not depend on the seed runs once."""
    studies = {str(seed): replace(study, seed=seed) for seed in seeds}
    return {seed: (one, compare(one, systems)) for seed, one in studies.items()}


def collect_all(made: Reproduction) -> Content:
    """The results of a finished reproduction: means over the seeds, each seed's averages, and the claims."""
    first, comparison = next(iter(made.values()))
    by_seed = {seed: judged(systems, study.runs) for seed, (study, systems) in made.items()}
    benchmarks = list(next(iter(by_seed.values())))
    scores = {
        system.name: {
            benchmark: rounded_scores([one for run in by_seed.values() for one in run[benchmark][system.name]])
            for benchmark in benchmarks
        }
        for system in comparison
    }
    compared, named = statistics(*by_seed.values()), titles(comparison)
    tested = dict.fromkeys(row.benchmark for row in compared.comparisons)  # those with parallel problems
    claims = verdicts({name: {seed: run[name] for seed, run in by_seed.items()} for name in tested}, named)
    content = content_of(first, comparison, scores, compared)
    everything = scores_of([system for _, systems in made.values() for system in systems])
    return msgspec.structs.replace(
        content,
        run={**content.run, "seed": ", ".join(made)},
        seeds={seed: _averages(run) for seed, run in by_seed.items()},
        claims=claims,
        findings=[*_summary(claims), *findings(content, named)],
        made=provenance.made(everything, first.runs),
        models=provenance.models({seed: systems for seed, (_, systems) in made.items()}, first.runs),
    )


def _averages(run: Judged) -> dict[str, dict[str, dict[str, float]]]:
    """System -> benchmark -> accuracy under the main rule: on average, in English, over the others."""
    averages: dict[str, dict[str, dict[str, float]]] = {}
    for benchmark, systems in run.items():
        for name, judgements in systems.items():
            scores = rounded_scores(judgements)
            averages.setdefault(name, {})[benchmark] = {
                code: scores[code].accuracy[MAIN] for code in (AVERAGE, "en", NON_ENGLISH) if code in scores
            }
    return averages


def _summary(claims: Sequence[TestedClaim]) -> list[str]:
    verdicts = [row.verdict for row in claims]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in get_args(Verdict))
    return [f"Of {counted(len(claims), 'claim')} of the study tested here: {counts}."] if claims else []
