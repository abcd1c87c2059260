"""What a shell offers after a word that is not finished: names of systems, scales, benchmarks, corpora, languages, settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import get_args

from ..placement import CLUSTERS, DEVICES, TRACKERS


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def words(*known: str, table: str = "") -> Callable[[str], list[str]]:
    """A completion from words, or from a table or type such as `systems:SCALES`, which is imported when it is needed."""

    def completed(incomplete: str) -> list[str]:
        module, _, name = table.partition(":")
        names = getattr(import_module(f"..{module}", __package__), name) if table else known
        return _beginning(get_args(names) or names, incomplete)

    return completed


def systems(incomplete: str) -> list[str]:
    """Names of systems, and study files of the current folder."""
    from ..systems import SYSTEMS

    return _beginning([*SYSTEMS, *sorted(map(str, Path().glob("*.toml")))], incomplete)


def languages(incomplete: str) -> list[str]:
    """Language codes with commas: the last one is completed."""
    from ..languages import LANGUAGES

    before, comma, code = incomplete.rpartition(",")
    given = before.split(",")
    return [f"{before}{comma}{known}" for known in _beginning(LANGUAGES, code) if known not in given]


def settings(incomplete: str) -> list[str]:
    """Settings with their equals sign, such as `training.epochs=`."""
    from ..systems.checks import STAGES, TRAINING_STAGES, settings_of

    names = [row.name for stage in STAGES for row in settings_of(stage)]
    of_training = [name.removeprefix("training") for name in names if name.startswith("training.")]
    names += [f"{stage}{name}" for stage in TRAINING_STAGES for name in of_training]
    return _beginning([f"{name}=" for name in names], incomplete)


benchmarks, corpora = words(table="evaluation.benchmarks:BENCHMARKS"), words(table="corpora:CORPORA")
KNOWN: Mapping[str, Callable[[str], list[str]]] = {
    "scales": words(table="systems:SCALES"), "benchmarks": benchmarks, "corpora": corpora, "languages": languages,
    "settings": settings, "devices": words(*DEVICES), "clusters": words(*CLUSTERS), "trackers": words(*TRACKERS, "none"),
}  # fmt: skip
"""The completion of an option, by what its words name."""
