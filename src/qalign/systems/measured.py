"""What the finished stages of a comparison hold: scores, judgements, losses, and every answer beside its problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from ..errors import DataError
from ..evaluation.consistency import consistency, mean_consistency
from ..evaluation.rules import MAIN
from ..evaluation.significance import compare_systems
from ..pipeline import status
from ..pipeline.stage_record import read_record
from ..records import Judgement
from .evaluated import Evaluated
from .kinds import Train

Judged = dict[str, dict[str, list[Judgement]]]
"""Benchmark -> system -> judgements."""


def judged(comparison: Sequence[Evaluated], runs: Path) -> Judged:
    """The judgements of all systems by benchmark."""
    found: Judged = {}
    for system in comparison:
        for benchmark, stage in system.scores.items():
            found.setdefault(benchmark, {})[system.name] = list(stage.open(stage.folder(runs)).judgements())
    return found


def scores(comparison: Sequence[Evaluated], runs: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """System -> benchmark -> language -> score, as plain values."""
    return {
        system.name: {
            name: msgspec.to_builtins(stage.open(stage.folder(runs)).scores()) for name, stage in system.scores.items()
        }
        for system in comparison
    }


def statistics(*runs: Judged) -> dict[str, Any]:
    """Consistency of each system, differences of each pair, and notes on what could not be computed; of several runs (under
    several seeds) the means."""
    consistencies: dict[str, dict[str, Any]] = {}
    comparisons: list[dict[str, Any]] = []
    notes: list[str] = []
    for benchmark, systems in runs[0].items():
        try:
            for name in systems:
                mean = mean_consistency([consistency(run[benchmark][name]) for run in runs])
                consistencies.setdefault(name, {})[benchmark] = mean.as_dict()
            differences = compare_systems(*(run[benchmark] for run in runs))
            comparisons += [{"benchmark": benchmark, **row.as_dict()} for row in differences]
        except DataError as error:  # an own test set may have other problems in each language
            notes.append(f"{benchmark}: no consistency and no differences, for its problems are not parallel: {error}")
    return {"consistency": consistencies, "comparisons": comparisons, "notes": notes}


def trained(stage: Train, runs: Path) -> dict[str, Any]:
    """What a stage was trained on; no more than its name where its folder has been removed since."""
    folder = stage.folder(runs)
    known: dict[str, Any] = {"stage": stage.title, "folder": folder.name}
    if status(stage, runs) != "done":
        return known
    record = read_record(folder)
    if record.adopted_from is not None:
        name = {"adopted_name": record.adopted_name} if record.adopted_name is not None else {}
        return {**known, "adopted_from": record.adopted_from, **name}
    summary = msgspec.to_builtins(stage.open(folder).summary())
    seen = {"examples_seen": stage.training.examples_seen(summary["examples"])}
    return {
        **known,
        **{key: summary[key] for key in summary if key not in ("title", "config", "tokens_by_language")},
        **seen,
    }


def losses(chains: Mapping[str, Sequence[Train]], runs: Path) -> dict[str, list[dict[str, Any]]]:
    """System -> its training stages, each with the loss of every step; stages made elsewhere have none."""
    return {
        name: [
            {"stage": stage.title, "folder": stage.folder_name, "points": points}
            for stage in chain
            if (points := [[row.step, round(row.loss, 4)] for row in stage.open(stage.folder(runs)).losses()])
        ]
        for name, chain in chains.items()
    }


def example(comparison: Sequence[Evaluated], runs: Path) -> dict[str, Any]:
    """The first English problem of the first benchmark, or its first one, with the answers of the systems; empty if no
    predictions are there."""
    first = next((name for system in comparison for name in system.scores), "")
    alike = [replace(system, scores={first: system.scores[first]}) for system in comparison if first in system.scores]
    entries = list(answers(alike, runs))
    if not entries:
        return {}
    entry = next((one for one in entries if one["language"] == "en"), entries[0])
    texts = {name: answer["text"] for name, answer in entry["answers"].items()}
    return {"example": {"language": entry["language"], "question": entry["question"], "answers": texts}}


def answers(comparison: Sequence[Evaluated], runs: Path) -> Iterator[dict[str, Any]]:
    """Every problem with the answers of all systems, and what was read from each; systems whose predictions have been
    removed since are left out."""
    for benchmark in dict.fromkeys(name for system in comparison for name in system.scores):
        problems: dict[tuple[str, str], dict[str, Any]] = {}
        for system in comparison:
            score = system.scores.get(benchmark)
            if score is None:
                continue
            records, asked = score.problems.result(runs), score.answers.result(runs)
            if records is None or asked is None:
                continue
            if not problems:
                for problem in records.problems():
                    problems[problem.language, problem.id] = {
                        "benchmark": benchmark, "id": problem.id, "language": problem.language, "gold": problem.gold,
                        "question": problem.question, "answers": {},
                    }  # fmt: skip
            texts = {(prediction.language, prediction.id): prediction.text for prediction in asked.predictions()}
            for one in score.open(score.folder(runs)).judgements():
                problems[one.language, one.id]["answers"][system.name] = {
                    "text": texts[one.language, one.id], "outcome": one.outcome, "answered_in": one.answered_in,
                    "value": one.readings[MAIN].value, "start": one.readings[MAIN].start, "end": one.readings[MAIN].end,
                    "right": {rule: read.right for rule, read in one.readings.items()},
                }  # fmt: skip
        yield from problems.values()
