"""A comparison: systems of one study, trained, measured on the same problems, and put into one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from .. import __version__
from ..errors import SettingError
from ..evaluation.benchmarks import BENCHMARKS
from ..fingerprints import first_look
from ..pipeline import Node, in_order, needed
from ..redaction import redacted_command
from ..results.accuracies import untold
from ..results.charts import Curves
from ..results.findings import findings
from ..results.schema import FORMAT, VERSION, Content, CorpusRead, Rejections, Scores
from ..results.schema import described as rules_described
from ..results.titles import Titles
from . import evaluated, provenance
from .bases import FetchModel, MakeTinyModel
from .evaluated import Evaluated, scores_of
from .keep import Keep
from .kinds import ReadCorpus
from .lineage import training_stages
from .names import checked
from .study import Study
from .table import SYSTEMS, build, find_system


def compare(study: Study, systems: Sequence[str]) -> list[Evaluated]:
    """The stages of a comparison; nothing runs yet.

    Args:
        study: what the systems are built from.
        systems: names, or `NAME=SYSTEM` for a system under a name of the user's. Such a row has no published figures.

    Raises:
        SettingError: a system, a corpus, a name or a setting is unknown, or a setting is for a stage that there is not.
    """
    with first_look():  # a mistyped setting does not wait for the hash of a model
        _compared(study, systems)
    return _compared(study, systems)


def _compared(study: Study, systems: Sequence[str]) -> list[Evaluated]:
    named = [named_system(text) for text in dict.fromkeys(systems)]
    labels = [label for label, _ in named]
    for label in labels:
        if labels.count(label) > 1:
            raise SettingError(f"two systems have the name '{label}'; give each its own")
    study.settings.read_again([*SYSTEMS, *labels])
    made = []
    for label, name in named:
        model, system = build(study, name, label), find_system(name)
        own = label == name
        made.append(
            Evaluated(
                name=label,
                model=model,
                scores=replace(study, system=label).scored(model),
                title=system.title_in(study) if own else "",
                published=system.published if own else {},
            )
        )
    for label, name in named:
        if label != name and label in {*study.settings.stages, "training", "generation", "data"}:
            raise SettingError(f"the name '{label}' is that of a stage, which --set would mean; give another one")
    study.settings.check_all_used()
    return made


def named_system(text: str) -> tuple[str, str]:
    """The name in the table and the system of `NAME=SYSTEM`, or twice the system.

    Raises:
        SettingError: the name cannot be used.
    """
    label, equals, name = text.partition("=")
    if not equals or label == name:
        return (name or text, name or text)
    return checked(label, titles_taken()), name


def titles_taken() -> list[str]:
    """The names and titles of the study's systems, which nothing else may have."""
    return [text for row in SYSTEMS.values() for text in (row.name, row.title)]


def targets(comparison: Sequence[Evaluated], runs: Path) -> list[Node]:
    """The same with bases and data in front, so that a fault in them shows before days of training."""
    return [*before_training(comparison, runs), *scores_of(comparison)]


def before_training(comparison: Sequence[Evaluated], runs: Path) -> list[Node]:
    """The bases and data that have still to be made: first a base that is fetched, for it may be refused; then data, and
    what is made of them."""
    front = [stage for stage in needed(scores_of(comparison), runs) if _stands_before_training(stage)]
    return sorted(
        front, key=lambda stage: 0 if isinstance(stage, FetchModel) else 2 if isinstance(stage, MakeTinyModel) else 1
    )


def _stands_before_training(stage: Node) -> bool:
    return not stage.on_device and all(_stands_before_training(inner) for inner in stage.inputs.values())


def collect(study: Study, comparison: Sequence[Evaluated]) -> Content:
    """The results of a finished comparison."""
    runs = study.runs
    statistics = evaluated.statistics(evaluated.judged(comparison, runs))
    content = content_of(study, comparison, evaluated.scores(comparison, runs), statistics)
    return msgspec.structs.replace(
        content,
        findings=findings(content, titles(comparison)),
        made=provenance.made(scores_of(comparison), runs),
        models=provenance.models({"": comparison}, runs),
        judgements=provenance.judgements(comparison, runs),
    )


def content_of(
    study: Study,
    comparison: Sequence[Evaluated],
    scores: dict[str, dict[str, Scores]],
    statistics: evaluated.Statistics,
) -> Content:
    """What the results of a comparison hold, but for findings and where they came from.

    Args:
        study: what the systems were built from.
        comparison: the systems.
        scores: system -> benchmark -> scores.
        statistics: what the systems say of each other.
    """
    runs = study.runs
    return Content(
        format=FORMAT,
        version=VERSION,
        run=described(study, comparison),
        rules=rules_described(),
        systems=scores,
        trained_on={
            system.name: [evaluated.trained(stage, runs) for stage in training_stages(system.model, runs)]
            for system in comparison
        },
        published={
            system.name: {benchmark: dict(sizes) for benchmark, sizes in system.published.items()}
            for system in comparison
            if system.published
        },
        corpora=corpora(comparison, runs),
        rejections=rejections(comparison, runs),
        consistency=statistics.consistency,
        comparisons=statistics.comparisons,
        notes=[*statistics.notes, *untold(scores)],
        titles={system.name: system.title for system in comparison if system.title},
        example=evaluated.example(comparison, runs),
    )


def described(study: Study, comparison: Sequence[Evaluated]) -> dict[str, str | int | list[str]]:
    """What a study was run with. Its languages are those that its systems were trained on, next to English."""
    read = [stage for stage in in_order(scores_of(comparison)) if isinstance(stage, ReadCorpus)]
    trained = {code for stage in read if stage.source.role != "test" for code in stage.languages}
    languages = [code for code in study.languages if code in trained]
    return {
        "base": study.base_name,
        "scale": study.scale.name,
        "seed": study.seed,
        **({"languages": languages} if languages else {}),
        "settings": redacted_command(setting.text for setting in study.settings.given),
        "qalign": __version__,
    }


def corpora(comparison: Sequence[Evaluated], runs: Path) -> list[CorpusRead]:
    """The counts of what was read."""
    return [
        msgspec.convert(
            {"folder": stage.folder_name, "name": stage.label, **msgspec.to_builtins(records.counts())}, CorpusRead
        )
        for stage in in_order(scores_of(comparison))
        if isinstance(stage, ReadCorpus) and (records := stage.result(runs)) is not None
    ]


def rejections(comparison: Sequence[Evaluated], runs: Path) -> list[Rejections]:
    """What filters kept of models' answers, and which systems train on it."""
    filters: dict[str, tuple[Keep, list[str]]] = {}
    for system in comparison:
        for stage in in_order([system.model]):
            if isinstance(stage, Keep):
                filters.setdefault(stage.fingerprint, (stage, []))[1].append(system.name)
    return [
        Rejections(stage.folder_name, names, kept.rejections())
        for stage, names in filters.values()
        if (kept := stage.result(runs)) is not None
    ]


def curves(study: Study, comparison: Sequence[Evaluated]) -> Curves:
    """The losses of all training stages, by system."""
    return evaluated.losses({s.name: training_stages(s.model, study.runs) for s in comparison}, study.runs)


def titles(comparison: Sequence[Evaluated] = ()) -> Titles:
    """Names for people of the benchmarks, and of the systems and languages of a comparison."""
    languages = [score.languages for score in scores_of(comparison)]
    names = Titles(
        systems={system.name: system.title for system in comparison if system.title},
        benchmarks={row.name: row.title for row in BENCHMARKS.values()},
        languages={code: str(row["name"]) for rows in languages for code, row in rows.items()},
    )
    return names.shortened(system.name for system in comparison)
