"""A comparison: systems of one study, trained, measured on the same problems, and put into one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import msgspec
from msgspec.structs import replace as replace_fields

from .. import __version__
from ..errors import SettingError
from ..evaluation.benchmarks import BENCHMARKS
from ..evaluation.extraction import MAIN
from ..evaluation.scores import AVERAGE, NON_ENGLISH, plain
from ..evaluation.significance import Estimate, holm, pooled, t_test
from ..fingerprints import first_look
from ..pipeline import Node, in_order, needed
from ..records import Judgement
from ..redaction import redacted_command
from ..results import schema
from ..results.accuracy_tables import untold
from ..results.findings import bounds, findings, p_text
from ..results.schema import ClaimTest, Content, Scores, TestedClaim, Verdict
from ..results.titles import Titles
from ..wording import counted
from . import evaluated
from .bases import FetchModel, MakeTinyModel, training_stages
from .evaluated import Evaluated, scores_of
from .kinds import ReadCorpus
from .names import checked
from .study import Study
from .table import SYSTEMS, build, find_system


def compare(study: Study, systems: Sequence[str]) -> list[Evaluated]:
    """The stages of a comparison of systems; nothing runs yet. `NAME=SYSTEM` is a system under a name of the user's. Such a
    row has no published figures."""
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
        title, published, source = (system.title_in(study), system.published, system.source) if own else ("", {}, "")
        scores = replace(study, system=label).scored(model, programs=system.programs)
        row = Evaluated(name=label, model=model, scores=scores, title=title, published=published, source=source)
        made.append(replace(row, note=system.note))
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
    """The bases and data that have still to be made, so that a fault in them shows before days of training. A base that is
    fetched comes first, for it may be refused. Data and what is made of them follow."""
    front = [stage for stage in needed(scores_of(comparison), runs) if _stands_before_training(stage)]
    return sorted(front, key=lambda stage: (not isinstance(stage, FetchModel), isinstance(stage, MakeTinyModel)))


def _stands_before_training(stage: Node) -> bool:
    return not stage.on_device and all(_stands_before_training(inner) for inner in stage.inputs.values())


def collect(study: Study, by_seed: Mapping[str, Sequence[Evaluated]]) -> Content:
    """The results of finished comparisons by seed; one comparison without seeds has the key "". With seeds they are means over
    these, with each seed's averages and the claims of the study."""
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
    notes += evaluated.prompt_notes(comparison)
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
        programs=evaluated.programs(comparison, runs),
        consistency=agreement, comparisons=differences, notes=[*notes, *untold(scores)], claims=claims,
        seeds={seed: _averages(run) for seed, run in judged.items()} if has_seeds else {},
        made=evaluated.made([stage for systems in by_seed.values() for stage in scores_of(systems)], runs),
        models=evaluated.models(by_seed, runs), example=evaluated.example(comparison, runs),
        titles={system.name: system.title for system in comparison if system.title},
        remarks={system.name: system.note for system in comparison if system.note},
        judgements={} if has_seeds else evaluated.places(comparison, runs),
    )  # fmt: skip
    said = findings(content, names)
    if of_claims := [row.verdict for row in claims if not row.ours]:
        counts = ", ".join(f"{of_claims.count(verdict)} {verdict}" for verdict in get_args(schema.Verdict))
        said = [f"Of {counted(len(of_claims), 'claim')} of the study tested here: {counts}.", *said]
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
    seed, settings = study.seed if "" in by_seed else ", ".join(by_seed), (one.text for one in study.settings.given)
    return {
        "base": study.base_name, "scale": study.scale.name, "seed": seed, **({"languages": languages} if languages else {}),
        "settings": redacted_command(settings), "qalign": __version__,
    }  # fmt: skip


def titles(comparison: Sequence[Evaluated] = ()) -> Titles:
    """Names for people of the benchmarks, and of the systems and languages of a comparison."""
    languages = [score.languages for score in scores_of(comparison)]
    names = Titles(
        systems={system.name: system.title for system in comparison if system.title},
        benchmarks={row.name: row.title for row in BENCHMARKS.values()},
        languages={code: str(row["name"]) for rows in languages for code, row in rows.items()},
    )
    return names.shortened(system.name for system in comparison)


# --- claims -----------------------------------------------------------------------------------------------------------

LEVEL = 0.05
ENGLISH_LOSS = 3.0
"""Points that QAlign may lose in English and still count as no worse there."""

Runs = Mapping[str, Mapping[str, Sequence[Judgement]]]
"""Seed -> system -> judgements, of one benchmark."""


@dataclass(frozen=True, slots=True)
class Claim:
    """`first` is above each of `others` by more than `bound` points, in accuracy or in `agreement` with the English answer.

    It is so on the mean of the languages other than English, in `each` of them, or in English.
    """

    text: str
    first: str
    others: tuple[str, ...]
    languages: str = NON_ENGLISH
    agreement: bool = False
    bound: float = 0.0
    ours: bool = False
    """Whether the study says nothing of it."""


_OTHERS = "over the languages other than English"
CLAIMS = (
    Claim("QAlign is above MonoReason in each language other than English", "qalign-mono", ("monoreason",), "each"),
    Claim(f"QAlign loses no more than {ENGLISH_LOSS:g} points in English versus MonoReason", "qalign-mono", ("monoreason",),
          "en", bound=-ENGLISH_LOSS),
    Claim(f"QAlign is above MultiReason {_OTHERS}", "qalign-mono", ("multireason",)),
    *(
        Claim(f"QAlign is above {title} {_OTHERS}", "qalign-mono", (name,))
        for name, title in (
            ("sft", "SFT"), ("rft", "RFT"), ("mammoth", "MAmmoTH"), ("wizardmath", "WizardMath's stand-in"),
            ("mathoctopus-parallel", "MathOctopus"),
        )
    ),
    Claim("X->En questions align better than each of the four other alignments", "qalign-mono",
          ("qalign-en-x-questions", "qalign-x-en-answers", "qalign-en-x-answers", "qalign-general")),
    Claim("QAlign's answers agree with its English ones more than MonoReason's do", "qalign-mono", ("monoreason",),
          agreement=True),
    Claim(f"Mixed supervision is above monolingual supervision {_OTHERS}", "qalign-mixed", ("qalign-mono",)),
    Claim("QAlign's answers agree with its English ones more than MultiReason's do", "qalign-mono", ("multireason",),
          agreement=True, ours=True),
    Claim("RFT is above SFT in English", "rft", ("sft",), "en", ours=True),
    Claim("MAmmoTH is above SFT in English", "mammoth", ("sft",), "en", ours=True),
    Claim(f"MathOctopus (parallel) is above MathOctopus (cross) {_OTHERS}", "mathoctopus-parallel",
          ("mathoctopus-cross",), ours=True),
    *(
        Claim(f"Rejection sampling lifts MathOctopus ({kind}) {_OTHERS}", f"mathoctopus-{kind}-xrft",
              (f"mathoctopus-{kind}",), ours=True)
        for kind in ("parallel", "cross")
    ),
)  # fmt: skip


Test = tuple[str, Estimate, float]
"""A difference of a claim: its name, what was found, and its p after the correction."""


def verdicts(runs_by_benchmark: Mapping[str, Runs], titles: Titles) -> list[TestedClaim]:
    """Each claim on each benchmark, with the verdict and the evidence; claims on systems that were not run are left out.

    Holm's correction is over the claims of the study, and over ours apart.
    """
    found = [
        (claim, benchmark, _differences(claim, runs, titles))
        for claim in CLAIMS
        for benchmark, runs in runs_by_benchmark.items()
        if _testable(claim, runs)
    ]
    adjusted = {}
    for ours in (False, True):
        kind = [(claim.bound, one) for claim, _, those in found for one in those.values() if claim.ours is ours]
        # Two-sided p of each difference against its bound.
        p = [t_test(one.difference - bound, one.standard_error, one.n) if bound else one.p for bound, one in kind]
        adjusted[ours] = iter(holm(p))
    made = []
    for claim, benchmark, differences in found:
        tests = [(name, one, next(adjusted[claim.ours])) for name, one in differences.items()]
        rows = [
            {"name": name, **plain(one), "p_adjusted": float(f"{p:.4g}"), "bound": claim.bound}
            for name, one, p in tests
        ]
        tested = TestedClaim(
            claim=f"{claim.text} ({titles.benchmark(benchmark)})", benchmark=benchmark, verdict=_verdict(claim, tests),
            evidence="; ".join(map(_evidence, tests)), tests=msgspec.convert(rows, list[ClaimTest]), ours=claim.ours,
        )  # fmt: skip
        made.append(tested)
    return made


def _testable(claim: Claim, runs: Runs) -> bool:
    """Whether the systems of a claim were run, and measured in the languages that it speaks of."""
    systems = next(iter(runs.values()))
    if not {claim.first, *claim.others} <= set(systems):
        return False
    there = {one.language for one in systems[claim.first]}
    of_english, of_others = claim.agreement or claim.languages == "en", claim.languages != "en"
    return ("en" in there or not of_english) and (there != {"en"} or not of_others)


def _differences(claim: Claim, runs: Runs, titles: Titles) -> dict[str, Estimate]:
    there = dict.fromkeys(one.language for one in next(iter(runs.values()))[claim.first])
    codes = ["en"] if claim.languages == "en" else [code for code in there if code != "en"]
    groups = {code: [code] for code in codes} if claim.languages == "each" else {"": codes}
    return {
        f"{code} {f'versus {titles.system(other)}' * (len(claim.others) > 1)}".strip(): pooled(
            _of(runs, claim.first, claim.agreement), _of(runs, other, claim.agreement), group
        )
        for other in claim.others
        for code, group in groups.items()
    }


def _of(runs: Runs, system: str, agreement: bool) -> dict[str, Sequence[Judgement]]:
    return {seed: _agreeing(by_system[system]) if agreement else by_system[system] for seed, by_system in runs.items()}


def _agreeing(judgements: Sequence[Judgement]) -> list[Judgement]:
    """The same judgements, right where the number read is that of the English answer: agreement is then tested as accuracy is."""
    english = {one.id: one.readings[MAIN].value for one in judgements if one.language == "en"}
    agreeing = []
    for one in judgements:
        read = one.readings[MAIN]
        right = read.value is not None and read.value == english[one.id]
        agreeing.append(replace(one, readings={MAIN: replace(read, right=right)}))
    return agreeing


def _verdict(claim: Claim, tests: Sequence[Test]) -> Verdict:
    above = [found.difference > claim.bound for _, found, _ in tests]
    decided = [p < LEVEL for *_, p in tests]
    if all(decided) and all(above) and all(min(found.by_seed.values()) > claim.bound for _, found, _ in tests):
        return "holds"
    below = any(sure and not over for sure, over in zip(decided, above, strict=True))
    return "does not hold" if below else "not decided"


def _evidence(test: Test) -> str:
    name, found, p = test
    seeds = ", ".join(f"{value:+.1f}" for value in found.by_seed.values())
    low, high = bounds(found)
    front = f"{name}: " if name else ""
    return f"{front}{found.difference:+.1f} ({low:.1f} to {high:.1f}, {p_text(p)}; by seed {seeds})"
