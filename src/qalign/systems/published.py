"""Figures that others published, one row each with its source: accuracies in percent, by language where these are known.

The same checkpoint has other scores elsewhere, under another prompt or rule. So each row names who measured it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..evaluation.scores import AVERAGE, NON_ENGLISH
from ..results.schema import PublishedRow
from .table import SYSTEMS

STUDY = "arXiv 2401.07817"
OCTOPUS, MAPO, XPOT = "README of MathOctopus", "README of MAPO", "README of xpot"
LANGUAGES = ("bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es", "en")
"""The order of the figures by language."""
Rows = tuple[tuple[str, str, str, tuple[float, ...]], ...]
ROWS: Rows = (
    (
        "QAlign (monolingual) 7B",
        "mgsm",
        "arXiv 2405.01345",
        (32.4, 39.6, 40.4, 44.0, 48.4, 54.8, 56.8, 52.4, 59.6, 68.0),
    ),
    ("MathOctopus (parallel) 7B", "mgsm", OCTOPUS, (28.8, 34.4, 39.2, 36.0, 38.4, 44.8, 43.6, 39.6, 42.4, 52.4)),
    ("MathOctopus (parallel) 13B", "mgsm", OCTOPUS, (35.2, 46.8, 42.8, 43.2, 48.8, 44.4, 48.4, 47.6, 48.0, 53.2)),
    ("WizardMath 7B", "mgsm", "README of mCoT", (2.0, 4.0, 3.4, 24.0, 22.4, 30.4, 30.4, 30.8, 34.8, 47.6)),
    ("WizardMath 13B", "mgsm", "README of mCoT", (6.4, 5.6, 5.6, 22.0, 28.0, 40.4, 42.0, 34.4, 45.6, 52.8)),
    ("MathOctopus (parallel) 33B", "mgsm", OCTOPUS, (46.5,)),
    ("MathOctopus (parallel) Mistral 7B", "mgsm", OCTOPUS, (50.2,)),
    ("MathOctopus (parallel) Mistral 7B", "msvamp", OCTOPUS, (43.9,)),
    ("MetaMathOctopus 7B", "mgsm", MAPO, (45.5,)),
    ("MetaMathOctopus 7B", "msvamp", MAPO, (53.0,)),
    ("MetaMathOctopus with MAPO 7B", "mgsm", MAPO, (51.6,)),
    ("MetaMathOctopus with MAPO 7B", "msvamp", MAPO, (64.7,)),
    ("xpot, parallel, Llama-2 7B", "mgsm", XPOT, (44.6,)),
    ("xpot, parallel, Llama-3.1 8B", "mgsm", XPOT, (62.6,)),
    ("xpot, parallel, Qwen2.5 7B", "mgsm", XPOT, (70.7,)),
)
"""Model, benchmark, source, and the average or the figures by language. Those of `SYSTEMS` come before these."""


def published_rows(benchmarks: Iterable[str]) -> list[PublishedRow]:
    """All published figures on some benchmarks."""
    of_systems = (
        (f"{row.title.partition(', stand-in')[0]} {size}", benchmark, row.source or STUDY, (average,))
        for row in SYSTEMS.values()
        for benchmark, by_size in row.published.items()
        for size, average in by_size.items()
    )
    wanted = set(benchmarks)
    rows = {(model, benchmark, source): figures for model, benchmark, source, figures in (*of_systems, *ROWS)}
    return [
        PublishedRow(model, benchmark, _by_language(figures), source)
        for (model, benchmark, source), figures in rows.items()
        if benchmark in wanted
    ]


def _by_language(figures: tuple[float, ...]) -> dict[str, float]:
    """The figures by language with their averages, or the average alone."""
    average = round(sum(figures) / len(figures), 1)
    if len(figures) == 1:
        return {AVERAGE: average}
    *others, _ = figures  # English stands last
    non_english = round(sum(others) / len(others), 1)
    return {**dict(zip(LANGUAGES, figures, strict=True)), AVERAGE: average, NON_ENGLISH: non_english}
