"""A system in a comparison, and what its finished stages hold: scores, judgements, losses, answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from ..errors import DataError
from ..evaluation.consistency import Consistency, consistency, mean_consistency
from ..evaluation.rules import MAIN
from ..evaluation.scores import plain, score
from ..evaluation.significance import Comparison, compare_systems
from ..pipeline import Stage, status
from ..pipeline.stage_record import read_record
from ..records import Judgement
from ..results.charts import Curve
from ..results.explorer import AnsweredProblem, SystemAnswer
from ..results.schema import Asked, Scores, Trained, TrainingStage, Untold
from .artifacts import Model
from .kinds import Judge, Train

Judged = dict[str, dict[str, list[Judgement]]]
"""Benchmark -> system -> judgements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """One system of a comparison."""

    name: str
    model: Stage[Model]
    """The stage whose model is measured."""
    scores: dict[str, Judge]
    """Benchmark -> the stage that judges the answers to it."""
    title: str = ""
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Benchmark -> model size -> accuracy, as published."""


def scores_of(comparison: Sequence[Evaluated]) -> list[Judge]:
    """What has to be done for the table."""
    return [score for system in comparison for score in system.scores.values()]


def judged(comparison: Sequence[Evaluated], runs: Path) -> Judged:
    """The judgements of all systems by benchmark."""
    found: Judged = {}
    for system in comparison:
        for benchmark, stage in system.scores.items():
            found.setdefault(benchmark, {})[system.name] = list(stage.open(stage.folder(runs)).judgements())
    return found


def scores(comparison: Sequence[Evaluated], runs: Path) -> dict[str, dict[str, Scores]]:
    """System -> benchmark -> scores."""
    return {
        system.name: {name: stage.open(stage.folder(runs)).scores() for name, stage in system.scores.items()}
        for system in comparison
    }


def rounded_scores(judgements: Sequence[Judgement]) -> Scores:
    """The scores of judgements, rounded to what a reader can use."""
    return msgspec.convert(plain(score(judgements)), Scores)


@dataclass(frozen=True, slots=True)
class Statistics:
    """What systems say of each other on the same problems."""

    consistency: dict[str, dict[str, Consistency]] = field(default_factory=dict)
    """System -> benchmark -> agreement across languages."""
    comparisons: list[Comparison] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What could not be computed, and why."""


def statistics(*runs: Judged) -> Statistics:
    """Consistency of each system and differences of each pair; of several runs (under several seeds) the means."""
    found = Statistics()
    for benchmark, systems in runs[0].items() if runs else ():
        try:
            for name in systems:
                mean = mean_consistency([consistency(run[benchmark][name]) for run in runs])
                found.consistency.setdefault(name, {})[benchmark] = msgspec.convert(plain(mean), Consistency)
            differences = compare_systems(benchmark, *(run[benchmark] for run in runs))
            found.comparisons.extend(msgspec.convert(plain(differences), list[Comparison]))
        except DataError as error:  # an own test set may have other problems in each language
            found.notes.append(
                f"{benchmark}: no consistency and no differences, for its problems are not parallel: {error}"
            )
    return found


def trained(stage: Train, runs: Path) -> TrainingStage:
    """What a stage was trained on; no more than its name where its folder has been removed since."""
    folder = stage.folder(runs)
    if status(stage, runs) != "done":
        return Untold(stage=stage.title, folder=folder.name)
    record = read_record(folder)
    if record.adopted_from is not None:
        return Untold(
            stage=stage.title, folder=folder.name, adopted_from=record.adopted_from, adopted_name=record.adopted_name
        )
    summary = stage.open(folder).summary()
    return msgspec.convert(
        {
            **msgspec.to_builtins(summary),
            "stage": stage.title,
            "folder": folder.name,
            "examples_seen": stage.training.examples_seen(summary.examples),
        },
        Trained,
    )


def losses(chains: Mapping[str, Sequence[Train]], runs: Path) -> dict[str, list[Curve]]:
    """System -> its training stages, each with the loss of every step; stages made elsewhere have none."""
    return {
        name: [
            Curve(stage.title, stage.folder_name, points)
            for stage in chain
            if (points := [(row.step, round(row.loss, 4)) for row in stage.open(stage.folder(runs)).losses()])
        ]
        for name, chain in chains.items()
    }


def example(comparison: Sequence[Evaluated], runs: Path) -> Asked | None:
    """The first English problem of the first benchmark, or its first one, with the answers of the systems; None if no
    predictions are there."""
    first = next((name for system in comparison for name in system.scores), "")
    alike = [replace(system, scores={first: system.scores[first]}) for system in comparison if first in system.scores]
    entries = list(answers(alike, runs))
    entry = next((one for one in entries if one.language == "en"), next(iter(entries), None))
    if entry is None:
        return None
    texts = {name: answer.text for name, answer in entry.answers.items() if answer}
    return Asked(entry.language, entry.question, texts)


def answers(comparison: Sequence[Evaluated], runs: Path) -> Iterator[AnsweredProblem]:
    """Every problem with the answers of all systems, and what was read from each; systems whose predictions have been
    removed since are left out."""
    for benchmark in dict.fromkeys(name for system in comparison for name in system.scores):
        problems: dict[tuple[str, str], AnsweredProblem] = {}
        for system in comparison:
            score = system.scores.get(benchmark)
            if score is None:
                continue
            records, asked = score.problems.result(runs), score.answers.result(runs)
            if records is None or asked is None:
                continue
            if not problems:
                problems = {
                    (one.language, one.id): AnsweredProblem(
                        benchmark=benchmark, id=one.id, language=one.language, gold=str(one.gold), question=one.question,
                        answers={},
                    )
                    for one in records.problems()
                }  # fmt: skip
            texts = {(prediction.language, prediction.id): prediction.text for prediction in asked.predictions()}
            for one in score.open(score.folder(runs)).judgements():
                reading = one.readings[MAIN]
                problems[one.language, one.id].answers[system.name] = SystemAnswer(
                    text=texts[one.language, one.id], outcome=one.outcome, answered_in=one.answered_in,
                    value=reading.value, start=reading.start, end=reading.end,
                    right={rule: read.right for rule, read in one.readings.items()},
                )  # fmt: skip
        yield from problems.values()
