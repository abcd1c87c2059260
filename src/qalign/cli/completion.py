"""What a shell offers after a word that is not finished: names of systems, scales, benchmarks, corpora, languages, settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path

from ..placement import DEVICES, TRACKERS


def systems(incomplete: str) -> list[str]:
    """Names of systems, and study files of the current folder."""
    from ..systems import SYSTEMS

    return _beginning([*SYSTEMS, *sorted(map(str, Path().glob("*.toml")))], incomplete)


def roles(incomplete: str) -> list[str]:
    """The roles of a corpus."""
    from typing import get_args

    from ..corpora import Role

    return _beginning(get_args(Role), incomplete)


def languages(incomplete: str) -> list[str]:
    """Language codes with commas: the last one is completed."""
    from ..languages import LANGUAGES

    before, comma, code = incomplete.rpartition(",")
    given = before.split(",")
    return [f"{before}{comma}{known}" for known in _beginning(LANGUAGES, code) if known not in given]


def settings(incomplete: str) -> list[str]:
    """Settings with their equals sign, such as `training.epochs=`."""
    from ..systems.reference import STAGES, TRAINING_STAGES, settings_of

    names = [row.name for stage in STAGES for row in settings_of(stage)]
    names += [
        name.replace("training", stage, 1)
        for stage in TRAINING_STAGES
        for name in names
        if name.startswith("training.")
    ]
    return _beginning([f"{name}=" for name in names], incomplete)


def table(module: str, name: str) -> Callable[[str], list[str]]:
    """A completion from the names of a table of the package, which is imported when it is needed."""

    def completed(incomplete: str) -> list[str]:
        return _beginning(getattr(import_module(module, __package__), name), incomplete)

    return completed


def words(*known: str) -> Callable[[str], list[str]]:
    """A completion from words that are known here."""

    def completed(incomplete: str) -> list[str]:
        return _beginning(known, incomplete)

    return completed


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


scales = table("..systems", "SCALES")
benchmarks = table("..evaluation.benchmarks", "BENCHMARKS")
corpora = table("..corpora", "CORPORA")
sections = table("..systems.checks", "SECTIONS")
KNOWN: Mapping[str, Callable[[str], list[str]]] = {
    "scales": scales, "benchmarks": benchmarks, "corpora": corpora, "languages": languages, "settings": settings,
    "devices": words(*DEVICES), "trackers": words(*TRACKERS, "none"),
}  # fmt: skip
"""The completion of an option, by what its words name."""
