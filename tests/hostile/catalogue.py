"""All trials, by their ids."""

from __future__ import annotations

from pathlib import Path

from . import (
    corpora,
    damages,
    kills,
    languages,
    models,
    recipes,
    records,
    reports,
    scoring,
    servers,
    settings,
    terminals,
)
from .trial import Trial

KINDS = (scoring, corpora, languages, reports, settings, models, recipes, records, terminals, servers, kills, damages)


def everything(fixtures: Path, seed: int = 1) -> dict[str, Trial]:
    """The trials of all kinds; `fixtures` is the folder of valid inputs."""
    found: dict[str, Trial] = {}
    for module in KINDS:
        for trial in module.trials(fixtures, seed):
            assert trial.id not in found, f"two trials are named {trial.id}"
            found[trial.id] = trial
    return found
