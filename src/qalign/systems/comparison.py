"""A comparison: systems of one study, trained, measured on the same problems, and put into one table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import __version__
from ..evaluation.benchmarks import BENCHMARKS
from ..pipeline import Stage, in_order, needed, read_record, status
from ..reporting.results import results, tables
from ..reporting.tables import Table
from ..training.config import SUMMARY
from .stages import COUNTS, SCORES
from .study import Study
from .table import build, find_system


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One system: its name, the stage whose model is measured, the scores by benchmark, and what was published of it."""

    name: str
    model: Stage
    scores: dict[str, Stage]
    title: str = ""
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def compare(study: Study, systems: Sequence[str]) -> list[Evaluated]:
    """The stages of a comparison; nothing runs yet.

    Raises:
        SettingError: a system, a corpus or a setting is unknown, or a setting is for a stage that there is not.
    """
    made = []
    for name in dict.fromkeys(systems):
        model, system = build(study, name), find_system(name)
        made.append(Evaluated(name, model, study.scored(model), system.title, system.published))
    study.settings.check_all_used()
    return made


def scores_of(comparison: Sequence[Evaluated]) -> list[Stage]:
    """What has to be done for the table."""
    return [score for system in comparison for score in system.scores.values()]


def targets(comparison: Sequence[Evaluated], runs: Path) -> list[Stage]:
    """The same with all data that it needs in front, so that a fault in them shows before days of training."""
    scores = scores_of(comparison)
    return [*(stage for stage in needed(scores, runs) if stage.name.startswith(("corpus-", "examples-"))), *scores]


def collect(study: Study, comparison: Sequence[Evaluated]) -> tuple[dict[str, Any], list[Table]]:
    """The results of a finished comparison, for `results.json` and as tables."""
    runs = study.runs
    scores = {
        system.name: {name: _json(stage.folder(runs) / SCORES) for name, stage in system.scores.items()}
        for system in comparison
    }
    trained_on = {
        system.name: [_trained(stage, runs) for stage in training_stages(system.model, runs)] for system in comparison
    }
    run = {
        "base": study.base_name,
        "scale": study.scale.name,
        "seed": study.seed,
        "languages": list(study.languages),
        "settings": [setting.text for setting in study.settings.given],
        "qalign": __version__,
    }
    corpora = [
        {"folder": stage.folder_name, **_json(stage.folder(runs) / COUNTS)}
        for stage in in_order(scores_of(comparison))
        if stage.name.startswith("corpus-") and status(stage, runs) == "done"
    ]
    published = {system.name: system.published for system in comparison if system.published}
    found = results(run, scores, trained_on, published, corpora)
    names = {system.name: system.title for system in comparison if system.title}
    return found, tables(found, {**titles(), **names})


def titles() -> dict[str, str]:
    """Names of the benchmarks for people."""
    return {row.name: row.title for row in BENCHMARKS.values()}


def training_stages(model: Stage, runs: Path | None = None) -> list[Stage]:
    """The training stages that lead to a model, first to last; with `runs`, from the last one on that was adopted."""
    chain = []
    stage: Stage | None = model
    while stage is not None and stage.name.startswith("train-"):
        chain.append(stage)
        adopted = runs and status(stage, runs) == "done" and read_record(stage.folder(runs))["adopted_from"]
        stage = None if adopted else stage.inputs.get("model")
    return chain[::-1]


def _trained(stage: Stage, runs: Path) -> dict[str, Any]:
    """What a stage was trained on; no more than its name where its folder has been removed since."""
    folder = stage.folder(runs)
    known: dict[str, Any] = {"stage": stage.name.removeprefix("train-"), "folder": folder.name}
    if status(stage, runs) != "done":
        return known
    adopted = read_record(folder)["adopted_from"]
    if adopted is not None:
        return {**known, "adopted_from": adopted}
    summary = _json(folder / SUMMARY)
    return {**known, **{key: summary[key] for key in summary if key not in ("title", "config", "tokens_by_language")}}


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))
