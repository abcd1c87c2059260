"""A comparison: systems of one study, trained, measured on the same problems, and put into one table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..evaluation.benchmarks import BENCHMARKS
from ..pipeline import Stage, in_order, read_record
from ..reporting.results import results, tables
from ..reporting.tables import Table
from .stages import SCORES
from .study import Study
from .table import SYSTEMS, build, find_system

SUMMARY = "training.json"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One system: its name, the stage whose model is measured, and the scores by benchmark."""

    name: str
    model: Stage
    scores: dict[str, Stage]


def compare(study: Study, systems: Sequence[str]) -> list[Evaluated]:
    """The stages of a comparison; nothing runs yet.

    Raises:
        SettingError: a system, a corpus or a setting is unknown, or a setting is for a stage that there is not.
    """
    made = []
    for name in dict.fromkeys(systems):
        model = build(study, name)
        made.append(Evaluated(name, model, study.scored(model)))
    study.settings.check_all_used()
    return made


def targets(comparison: Sequence[Evaluated]) -> list[Stage]:
    """What has to be done for the table: all data first, so that a fault in it shows before days of training."""
    scores = [score for system in comparison for score in system.scores.values()]
    return [*(stage for stage in in_order(scores) if stage.name.startswith(("corpus-", "examples-"))), *scores]


def collect(study: Study, comparison: Sequence[Evaluated]) -> tuple[dict[str, Any], list[Table]]:
    """The results of a finished comparison, for `results.json` and as tables."""
    runs = study.runs
    scores = {
        system.name: {name: _json(stage.folder(runs) / SCORES) for name, stage in system.scores.items()}
        for system in comparison
    }
    trained_on = {
        system.name: [_trained(stage, runs) for stage in training_stages(system.model)] for system in comparison
    }
    published = {system.name: find_system(system.name).published for system in comparison if system.name in SYSTEMS}
    run = {
        "base": study.base_name,
        "scale": study.scale.name,
        "seed": study.seed,
        "languages": list(study.languages),
        "qalign": __version__,
    }
    found = results(run, scores, trained_on, {name: rows for name, rows in published.items() if rows})
    return found, tables(found, titles())


def titles() -> dict[str, str]:
    """Names for people."""
    return {**{row.name: row.title for row in SYSTEMS.values()}, **{row.name: row.title for row in BENCHMARKS.values()}}


def training_stages(model: Stage) -> list[Stage]:
    """The training stages that lead to a model, first to last."""
    chain = []
    stage: Stage | None = model
    while stage is not None and stage.name.startswith("train-"):
        chain.append(stage)
        stage = stage.inputs.get("model")
    return chain[::-1]


def _trained(stage: Stage, runs: Path) -> dict[str, Any]:
    folder = stage.folder(runs)
    name = stage.name.removeprefix("train-")
    adopted = read_record(folder)["adopted_from"]
    if adopted is not None:
        return {"stage": name, "folder": folder.name, "adopted_from": adopted}
    summary = _json(folder / SUMMARY)
    kept = (
        "examples",
        "examples_by_language",
        "mixture",
        "tokens",
        "supervised_tokens",
        "steps",
        "first_loss",
        "last_loss",
        "too_long",
    )
    return {"stage": name, "folder": folder.name, **{key: summary[key] for key in kept}}


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))
