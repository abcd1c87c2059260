"""A system in a comparison, and what its finished stages hold: judgements, statistics, losses, answers, where it all is."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

import msgspec
from msgspec.structs import asdict

from ..alignment.templates import STUDY
from ..errors import DataError
from ..evaluation.consistency import Consistency, consistency, mean_consistency
from ..evaluation.scores import plain, score
from ..evaluation.significance import Comparison, compare_systems
from ..pipeline import Node, Stage, in_order, status
from ..pipeline.stage_record import read_record
from ..records import Judgement
from ..redaction import redacted_command
from ..results import schema
from ..results.charts import Curve, Curves
from ..results.run_results import AnsweredProblem
from ..untrusted import printable
from .artifacts import Model
from .ask import Ask
from .bases import training_stages
from .keep import Keep
from .kinds import Judge, MakeExamples, ReadCorpus, Train, Training
from .programs import RunPrograms, counts

Judged = dict[str, dict[str, list[Judgement]]]
"""Benchmark -> system -> judgements."""
SHOWN = ("qalign", "torch", "transformers", "python")
"""The versions that results name first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """One system of a comparison."""

    name: str
    model: Stage[Model]
    scores: dict[str, Judge]
    """Benchmark -> the stage that judges the answers to it."""
    title: str = ""
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Benchmark -> model size -> accuracy, as published."""
    source: str = ""
    """Who published these, where it is not the study."""
    note: str = ""
    """What tables say of the system."""


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


def rounded_scores(judgements: Sequence[Judgement]) -> schema.Scores:
    """The scores of judgements, rounded to what a reader can use."""
    return msgspec.convert(plain(score(judgements)), schema.Scores)


def statistics(*runs: Judged) -> tuple[dict[str, dict[str, Consistency]], list[Comparison], list[str]]:
    """Of one run, or as means over several seeds: the agreement across languages by system and benchmark, the differences
    of each pair of systems, and notes on what could not be computed."""
    agreement: dict[str, dict[str, Consistency]] = {}
    differences: list[Comparison] = []
    notes = []
    for benchmark, systems in runs[0].items() if runs else ():
        try:
            for name in systems:
                mean = mean_consistency([consistency(run[benchmark][name]) for run in runs])
                agreement.setdefault(name, {})[benchmark] = msgspec.convert(plain(mean), Consistency)
            rows = compare_systems(benchmark, *(run[benchmark] for run in runs))
            differences += msgspec.convert(plain(rows), list[Comparison])
        except DataError as error:  # an own test set may have other problems in each language
            notes.append(f"{benchmark}: no consistency and no differences, for its problems are not parallel: {error}")
    return agreement, differences, notes


def answers(comparison: Sequence[Evaluated], runs: Path) -> Iterator[AnsweredProblem]:
    """Every problem with the answers of all systems, and what was read from each; systems whose predictions have been
    removed since are left out."""
    for benchmark in dict.fromkeys(name for system in comparison for name in system.scores):
        problems: dict[tuple[str, str], AnsweredProblem] = {}
        for system in comparison:
            score = system.scores.get(benchmark)
            records, asked = (score.problems.result(runs), score.answers.result(runs)) if score else (None, None)
            if score is None or records is None or asked is None:
                continue
            problems = problems or {
                (one.language, one.id): AnsweredProblem(benchmark, one, {}) for one in records.problems()
            }
            texts = {(prediction.language, prediction.id): prediction.text for prediction in asked.predictions()}
            for one in score.open(score.folder(runs)).judgements():
                key = one.language, one.id
                problems[key].answers[system.name] = texts[key], one
        yield from problems.values()


def example(comparison: Sequence[Evaluated], runs: Path) -> schema.Asked | None:
    """The first English problem of the first benchmark, or its first one, with the answers to it; None without answers."""
    entries = answers(comparison, runs)
    first = next(entries, None)
    if first is None:
        return None
    others = takewhile(lambda one: one.benchmark == first.benchmark, entries)
    entry = next((one for one in (first, *others) if one.problem.language == "en"), first)
    texts = {name: text for name, (text, _) in entry.answers.items()}
    return schema.Asked(entry.problem.language, entry.problem.question, texts)


def trained(stage: Training, runs: Path) -> schema.TrainingStage:
    """What a stage was trained on; no more than its name where its folder has been removed since."""
    name, folder = stage.title, stage.folder_name
    if (result := stage.result(runs)) is None:
        return schema.Untold(stage=name, folder=folder)
    record = read_record(result.folder)
    if record.adopted_from is not None:
        adopted = {"adopted_from": record.adopted_from, "adopted_name": record.adopted_name}
        return schema.Untold(stage=name, folder=folder, **adopted)
    summary = result.summary()
    seen = stage.hyper_parameters.examples_seen(summary.examples)
    return schema.Trained(**asdict(summary), stage=name, folder=folder, examples_seen=seen)


def curves(comparison: Sequence[Evaluated], runs: Path) -> Curves:
    """The loss of every step of the training stages of each system; stages made elsewhere have none."""
    return {
        system.name: [
            Curve(stage.title, stage.folder_name, points)
            for stage in training_stages(system.model, runs)
            if (points := [(row.step, round(row.loss, 4)) for row in stage.open(stage.folder(runs)).losses()])
        ]
        for system in comparison
    }


def corpora(comparison: Sequence[Evaluated], runs: Path) -> list[schema.CorpusRead]:
    """The counts of what was read."""
    return [
        schema.CorpusRead(**asdict(records.counts()), folder=stage.folder_name, name=stage.label)
        for stage in in_order(scores_of(comparison))
        if isinstance(stage, ReadCorpus) and (records := stage.result(runs)) is not None
    ]


def rejections(comparison: Sequence[Evaluated], runs: Path) -> list[schema.Rejections]:
    """What filters kept of models' answers, and which systems train on it."""
    filters: dict[str, tuple[Keep, list[str]]] = {}
    for system in comparison:
        for stage in in_order([system.model]):
            if isinstance(stage, Keep):
                filters.setdefault(stage.fingerprint, (stage, []))[1].append(system.name)
    return [
        schema.Rejections(stage.folder_name, names, kept.rejections(), stage.label)
        for stage, names in filters.values()
        if (kept := stage.result(runs)) is not None
    ]


def prompt_notes(comparison: Sequence[Evaluated]) -> list[str]:
    """Notes on systems that are trained, asked or published in another way than the study's."""
    named: dict[str, list[str]] = {}

    def note(text: str, system: Evaluated) -> None:
        alike = named.setdefault(text, [])
        alike += [name for name in [system.title or system.name] if name not in alike]

    for system in comparison:
        for stage in training_stages(system.model):
            if (
                isinstance(stage, Train)
                and isinstance(stage.examples, MakeExamples)
                and stage.examples.form.loss == "everything"
            ):
                note("Trained on the prompt too, not on the answer alone", system)
        for ask in (judged.answers for judged in system.scores.values()):
            if isinstance(ask, Ask) and ask.prompt_template != STUDY:
                note(f"Asked in the prompt '{ask.prompt_template}', not in the study's", system)
            if isinstance(ask, Ask) and ask.decoding.question == "english":
                note("Asked the English question, in every language", system)
        if any(isinstance(stage, RunPrograms) for stage in in_order(system.scores.values())):
            note("Asked for a program first, whose printed number is the answer", system)
        if system.source:
            note(f"The published figures are those of {system.source}, in the prompt of that work", system)
    return [f"{text}: {', '.join(names)}" for text, names in named.items()]


def programs(comparison: Sequence[Evaluated], runs: Path) -> list[schema.ProgramsRun]:
    """How programs ended, by system and benchmark."""
    return [
        schema.ProgramsRun(system.name, benchmark, found)
        for system in comparison
        for benchmark, stage in system.scores.items()
        if (found := counts(stage, runs))
    ]


def made(targets: Sequence[Node], runs: Path) -> schema.Made:
    """Date (UTC), command and versions of a finished comparison. Date and versions are those of the stage that was finished
    last. The same command without work keeps them."""
    done = [stage for stage in in_order(targets) if stage.given is None and status(stage, runs) == "done"]
    last = max((read_record(stage.folder(runs)) for stage in done), key=lambda record: record.finished)
    date = datetime.fromtimestamp(int(last.finished), UTC).isoformat().replace("+00:00", "Z")
    order = sorted(last.versions, key=lambda name: SHOWN.index(name) if name in SHOWN else len(SHOWN))
    return schema.Made(date, redacted_command(sys.argv), {printable(n): printable(last.versions[n]) for n in order})


def models(comparisons: Mapping[str, Sequence[Evaluated]], runs: Path) -> list[schema.Model]:
    """The folder of each system's final model that is on this disk, by seed; the seed is empty where there is one run."""
    return [
        schema.Model(system.name, printable(str(folder.resolve())), seed)
        for seed, comparison in comparisons.items()
        for system in comparison
        if ((folder := system.model.folder(runs)) / "config.json").is_file()
    ]


def places(comparison: Sequence[Evaluated], runs: Path) -> dict[str, dict[str, str]]:
    """System -> benchmark -> the folder that holds what was read from each answer."""
    return {
        system.name: {name: printable(str(stage.folder(runs).resolve())) for name, stage in system.scores.items()}
        for system in comparison
    }
