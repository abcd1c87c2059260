"""The whole study over several seeds: all systems and alignments, means of what was measured, a verdict on each claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..evaluation.rules import MAIN
from ..evaluation.scores import AVERAGE, NON_ENGLISH, score
from ..results.findings import findings
from ..results.results import results
from ..wording import counted
from . import provenance
from .claims import verdicts
from .comparison import compare, corpora, described, titles
from .evaluated import Evaluated, scores_of
from .lineage import training_stages
from .measured import Judged, example, judged, statistics, trained
from .study import Study
from .table import SYSTEMS

ALL = tuple(SYSTEMS)

Reproduction = dict[str, tuple[Study, list[Evaluated]]]
"""Seed -> its study and the systems of it."""


def reproduction(study: Study, seeds: Sequence[int], systems: Sequence[str] = ALL) -> Reproduction:
    """The stages of all seeds; nothing runs yet. What does not depend on the seed runs once."""
    studies = {str(seed): replace(study, seed=seed) for seed in seeds}
    return {seed: (one, compare(one, systems)) for seed, one in studies.items()}


def collect_all(made: Reproduction) -> dict[str, Any]:
    """The results of a finished reproduction: means over the seeds, each seed's averages, and the claims."""
    first, comparison = next(iter(made.values()))
    by_seed = {seed: judged(systems, study.runs) for seed, (study, systems) in made.items()}
    names, benchmarks = [system.name for system in comparison], list(next(iter(by_seed.values())))
    scores = {
        name: {
            benchmark: {
                code: found.as_dict()
                for code, found in score([one for run in by_seed.values() for one in run[benchmark][name]]).items()
            }
            for benchmark in benchmarks
        }
        for name in names
    }
    compared = statistics(*by_seed.values())
    tested = dict.fromkeys(row["benchmark"] for row in compared["comparisons"])  # those with parallel problems
    named = titles(comparison)
    runs_by_benchmark = {benchmark: {seed: run[benchmark] for seed, run in by_seed.items()} for benchmark in tested}
    found = results(
        {**described(first, comparison), "seed": ", ".join(made)},
        scores,
        {
            system.name: [trained(stage, first.runs) for stage in training_stages(system.model, first.runs)]
            for system in comparison
        },
        {system.name: system.published for system in comparison if system.published},
        corpora(comparison, first.runs),
        {
            **compared,
            "seeds": {seed: _averages(run) for seed, run in by_seed.items()},
            "claims": verdicts(runs_by_benchmark, named),
        },
    )
    everything = [system for _, systems in made.values() for system in systems]
    return {
        **found,
        "findings": [*_summary(found["claims"]), *findings(found, named)],
        "made": provenance.made(scores_of(everything), first.runs),
        "models": provenance.models({seed: systems for seed, (_, systems) in made.items()}, first.runs),
        "titles": {system.name: system.title for system in comparison if system.title},
        **example(comparison, first.runs),
    }


def _averages(run: Judged) -> dict[str, dict[str, dict[str, float]]]:
    """System -> benchmark -> accuracy under the main rule: on average, in English, over the others."""
    averages: dict[str, dict[str, dict[str, float]]] = {}
    for benchmark, systems in run.items():
        for name, judgements in systems.items():
            scored = score(judgements)
            averages.setdefault(name, {})[benchmark] = {
                code: round(scored[code].accuracy[MAIN], 4) for code in (AVERAGE, "en", NON_ENGLISH) if code in scored
            }
    return averages


def _summary(claims: Sequence[Mapping[str, Any]]) -> list[str]:
    counts = {
        verdict: sum(row["verdict"] == verdict for row in claims)
        for verdict in ("holds", "does not hold", "not decided")
    }
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return [f"Of {counted(len(claims), 'claim')} of the study tested here: {told}."] if claims else []
