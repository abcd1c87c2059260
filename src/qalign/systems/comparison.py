"""A comparison: systems of one study, trained, measured on the same problems, and put into one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from msgspec.structs import replace as replace_fields

from .. import __version__
from ..errors import SettingError
from ..evaluation.benchmarks import BENCHMARKS
from ..evaluation.rules import MAIN
from ..evaluation.scores import AVERAGE, NON_ENGLISH
from ..fingerprints import first_look
from ..pipeline import Node, in_order, needed
from ..redaction import redacted_command
from ..results import schema
from ..results.accuracy_tables import untold
from ..results.findings import findings
from ..results.schema import Content, Scores, TestedClaim
from ..results.titles import Titles
from ..wording import counted
from . import evaluated
from .bases import FetchModel, MakeTinyModel
from .claims import verdicts
from .evaluated import Evaluated, scores_of
from .kinds import ReadCorpus
from .lineage import training_stages
from .names import checked
from .study import Study
from .table import SYSTEMS, build, find_system


def compare(study: Study, systems: Sequence[str]) -> list[Evaluated]:
    """The stages of a comparison of systems; nothing runs yet.

    `NAME=SYSTEM` is a system under a name of the user's. Such a row has no published figures.
    """
    with first_look():  # a mistyped setting does not wait for the hash of a model
        _compared(study, systems)
    return _compared(study, systems)


def _compared(study: Study, systems: Sequence[str]) -> list[Evaluated]:
    named = [_named(text) for text in dict.fromkeys(systems)]
    labels = [label for label, _ in named]
    for label in labels:
        if labels.count(label) > 1:
            raise SettingError(f"two systems have the name '{label}'; give each its own")
    study.settings.read_again([*SYSTEMS, *labels])
    made = []
    for label, name in named:
        model, system, own = build(study, name, label), find_system(name), label == name
        title, published = (system.title_in(study), system.published) if own else ("", {})
        scores = replace(study, system=label).scored(model)
        made.append(Evaluated(name=label, model=model, scores=scores, title=title, published=published))
    for label, name in named:
        if label != name and label in {*study.settings.stages, "training", "generation", "data"}:
            raise SettingError(f"the name '{label}' is that of a stage, which --set would mean; give another one")
    study.settings.check_all_used()
    return made


def _named(text: str) -> tuple[str, str]:
    """The name in the table and the system of `NAME=SYSTEM`, or twice the system."""
    label, _, name = text.partition("=")
    return (checked(label, titles_taken()), name) if name and label != name else (name or text, name or text)


def titles_taken() -> list[str]:
    """The names and titles of the study's systems, which nothing else may have."""
    return [text for row in SYSTEMS.values() for text in (row.name, row.title)]


def before_training(comparison: Sequence[Evaluated], runs: Path) -> list[Node]:
    """The bases and data that have still to be made, so that a fault in them shows before days of training: first a base
    that is fetched, for it may be refused; then data, and what is made of them."""
    front = [stage for stage in needed(scores_of(comparison), runs) if _stands_before_training(stage)]
    return sorted(front, key=lambda stage: (not isinstance(stage, FetchModel), isinstance(stage, MakeTinyModel)))


def _stands_before_training(stage: Node) -> bool:
    return not stage.on_device and all(_stands_before_training(inner) for inner in stage.inputs.values())


def collect(study: Study, by_seed: Mapping[str, Sequence[Evaluated]]) -> Content:
    """The results of finished comparisons by seed; one comparison without seeds has the key "".

    With seeds they are means over these, with each seed's averages and the claims of the study.
    """
    runs, comparison = study.runs, next(iter(by_seed.values()))
    judged = {seed: evaluated.judged(systems, runs) for seed, systems in by_seed.items()}
    scores = {
        system.name: {
            benchmark: evaluated.rounded_scores([one for run in judged.values() for one in run[benchmark][system.name]])
            for benchmark in next(iter(judged.values()))
        }
        for system in comparison
    }
    agreement, differences, notes = evaluated.statistics(*judged.values())
    names, has_seeds = titles(comparison), "" not in by_seed
    claims: list[TestedClaim] = []
    if has_seeds:
        tested = dict.fromkeys(row.benchmark for row in differences)  # those with parallel problems
        claims = verdicts({name: {seed: run[name] for seed, run in judged.items()} for name in tested}, names)
    content = Content(
        format=schema.FORMAT, version=schema.VERSION, run=described(study, by_seed), rules=schema.described(),
        systems=scores,
        trained_on={
            system.name: [evaluated.trained(stage, runs) for stage in training_stages(system.model, runs)]
            for system in comparison
        },
        published={one.name: {b: dict(sizes) for b, sizes in one.published.items()} for one in comparison if one.published},
        corpora=evaluated.corpora(comparison, runs), rejections=evaluated.rejections(comparison, runs),
        consistency=agreement, comparisons=differences, notes=[*notes, *untold(scores)], claims=claims,
        seeds={seed: _averages(run) for seed, run in judged.items()} if has_seeds else {},
        made=evaluated.made([stage for systems in by_seed.values() for stage in scores_of(systems)], runs),
        models=evaluated.models(by_seed, runs), example=evaluated.example(comparison, runs),
        titles={system.name: system.title for system in comparison if system.title},
        judgements={} if has_seeds else evaluated.places(comparison, runs),
    )  # fmt: skip
    said = findings(content, names)
    if claims:
        of_claims = [row.verdict for row in claims]
        counts = ", ".join(f"{of_claims.count(verdict)} {verdict}" for verdict in get_args(schema.Verdict))
        said = [f"Of {counted(len(claims), 'claim')} of the study tested here: {counts}.", *said]
    return replace_fields(content, findings=said)


def _averages(run: evaluated.Judged) -> dict[str, dict[str, dict[str, float]]]:
    """System -> benchmark -> accuracy under the main rule: on average, in English, over the others."""
    averages: dict[str, dict[str, dict[str, float]]] = {}
    for benchmark, systems in run.items():
        for name, judgements in systems.items():
            scores: Scores = evaluated.rounded_scores(judgements)
            averages.setdefault(name, {})[benchmark] = {
                code: scores[code].accuracy[MAIN] for code in (AVERAGE, "en", NON_ENGLISH) if code in scores
            }
    return averages


def described(study: Study, by_seed: Mapping[str, Sequence[Evaluated]]) -> dict[str, str | int | list[str]]:
    """What a study was run with. Its languages are those that its systems were trained on, next to English."""
    stages = in_order([stage for systems in by_seed.values() for stage in scores_of(systems)])
    read = [stage for stage in stages if isinstance(stage, ReadCorpus) and stage.source.role != "test"]
    languages = [code for code in study.languages if any(code in stage.languages for stage in read)]
    return {
        "base": study.base_name,
        "scale": study.scale.name,
        "seed": study.seed if "" in by_seed else ", ".join(by_seed),
        **({"languages": languages} if languages else {}),
        "settings": redacted_command(setting.text for setting in study.settings.given),
        "qalign": __version__,
    }


def titles(comparison: Sequence[Evaluated] = ()) -> Titles:
    """Names for people of the benchmarks, and of the systems and languages of a comparison."""
    languages = [score.languages for score in scores_of(comparison)]
    names = Titles(
        systems={system.name: system.title for system in comparison if system.title},
        benchmarks={row.name: row.title for row in BENCHMARKS.values()},
        languages={code: str(row["name"]) for rows in languages for code, row in rows.items()},
    )
    return names.shortened(system.name for system in comparison)
