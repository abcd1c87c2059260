"""The content of `results.json`, version 2, by type: every field with its bounds, as docs/results.md states it.

Fields may be added within version 2, so an unknown field is no error; a field that is named here and has another type is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

import msgspec

from ..errors import DataError
from ..evaluation.consistency import Consistency
from ..evaluation.extraction import MAIN, RULES
from ..evaluation.scores import AVERAGE, NON_ENGLISH, Count, Percent, Score
from ..evaluation.significance import Comparison, Estimate, Share
from ..languages import STUDY
from ..untrusted import printable

FORMAT: Final = "qalign-results"
VERSION: Final = 2
ROUNDING = 0.01
"""Percent points by which an accuracy may differ from its counts."""

Verdict = Literal["holds", "does not hold", "not decided"]
Scores = dict[str, Score]
"""Language, `average` or `non_english` -> score."""

TooLong = dict[Literal["drop", "cut"], dict[str, Count]]
"""Treatment -> language -> examples that were too long."""


class Rule(msgspec.Struct, frozen=True):
    """An answer rule, for people."""

    title: str
    description: str


class Mixed(msgspec.Struct, frozen=True):
    """What one epoch holds of a source in one language."""

    source: str
    language: str
    examples: Count
    tokens: Count
    supervised_tokens: Count


class TrainingStage:
    """A training stage behind a system. `Trained` and `Untold` are the two kinds."""

    stage: str
    folder: str


class TrainedOn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a stage was trained on, over all epochs."""

    examples: Count
    tokens: Count
    supervised_tokens: Count
    steps: Count
    first_loss: float
    last_loss: float
    too_long: TooLong
    mixture: list[Mixed]
    examples_by_language: dict[str, Count] = {}
    rewards: dict[str, dict[str, float]] = {}
    """Of reinforcement learning: when -> the mean reward, its factors, and the share of truncated answers."""


class Trained(TrainingStage, TrainedOn, frozen=True, kw_only=True, omit_defaults=True):
    """A training stage that ran here."""

    stage: str
    folder: str
    examples_seen: Count | None = None


class Untold(TrainingStage, msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A training stage that was adopted, or whose folder has been removed."""

    stage: str
    folder: str
    adopted_from: str | None = None
    adopted_name: str | None = None


class Dropped(msgspec.Struct, frozen=True):
    """A row that was left out on request."""

    where: str
    reason: str


class CorpusCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of a corpus by language: as read, as published, and as kept."""

    corpus: str
    counts: dict[str, Count]
    published: dict[str, Count] | None
    kept: dict[str, Count]
    dropped: list[Dropped]
    notes: list[str]


class CorpusRead(CorpusCounts, frozen=True, kw_only=True, omit_defaults=True):
    """A corpus that was read."""

    folder: str
    name: str = ""
    """Of own data: that of their folder or file."""


class ClaimTest(Estimate, frozen=True, kw_only=True):
    """A difference that a claim speaks of, as the mean over seeds."""

    name: str
    """The language, the other system, or both."""
    p_adjusted: Share
    bound: float
    """Above which the difference lies if the claim holds."""


class TestedClaim(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A claim of the study with its verdict, or one of ours."""

    claim: str
    benchmark: str
    verdict: Verdict
    evidence: str
    tests: list[ClaimTest]
    ours: bool = False
    """Whether the study says nothing of it."""


class Made(msgspec.Struct, frozen=True):
    """When and how results were made."""

    date: str
    command: list[str]
    versions: dict[str, str]


class Model(msgspec.Struct, frozen=True, omit_defaults=True):
    """The folder of a system's final model."""

    system: str
    folder: str
    seed: str = ""


class Asked(msgspec.Struct, frozen=True):
    """One problem of the run's test set, with the answers of the systems to it."""

    language: str
    question: str
    answers: dict[str, str]


class LeftOut(msgspec.Struct, frozen=True):
    """What was kept of the answers in one language."""

    language: str
    answers: Count
    """How many were sampled."""
    kept: Count
    left_out: dict[str, Count]
    """Reason -> answers."""


class Rejections(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a filter kept of a model's answers to train on."""

    folder: str
    systems: list[str]
    """The systems that train on them."""
    languages: list[LeftOut]
    kind: str = ""
    """What the answers are, where a system trains on several kinds."""


class ProgramCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How the programs that answer the problems in one language ended."""

    language: str
    ends: dict[str, Count]
    """`right`, `wrong`, `no number`, `error`, `time-out`, `refused` or `no program` -> programs."""
    right_in_words: Count
    """Right answers without a program that printed a number."""


class ProgramsRun(msgspec.Struct, frozen=True):
    """How the programs of a system on a benchmark ended."""

    system: str
    benchmark: str
    languages: list[ProgramCounts]


class PublishedRow(msgspec.Struct, frozen=True):
    """Figures that others published of a model on a benchmark."""

    model: str
    benchmark: str
    accuracy: dict[str, Percent]
    """By language where these are known, and `average`."""
    source: str


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """All that `results.json` holds."""

    format: Literal["qalign-results"]
    version: Literal[2]
    run: dict[str, str | int | list[str]]
    rules: dict[str, Rule]
    systems: dict[str, dict[str, Scores]]
    """System -> benchmark -> scores."""
    trained_on: dict[str, list[TrainingStage]]
    published: dict[str, dict[str, dict[str, Percent]]]
    """System -> benchmark -> model size -> average accuracy in the study."""
    corpora: list[CorpusRead] = []
    rejections: list[Rejections] = []
    programs: list[ProgramsRun] = []
    consistency: dict[str, dict[str, Consistency]] = {}
    comparisons: list[Comparison] = []
    notes: list[str] = []
    findings: list[str] = []
    seeds: dict[str, dict[str, dict[str, dict[str, Percent]]]] = {}
    claims: list[TestedClaim] = []
    made: Made | None = None
    models: list[Model] = []
    judgements: dict[str, dict[str, str]] = {}
    example: Asked | None = None
    titles: dict[str, str] = {}
    published_rows: list[PublishedRow] = []
    """The figures of others that stand next to one's own."""
    remarks: dict[str, str] = {}
    """System -> what tables say of it."""

    @property
    def benchmarks(self) -> list[str]:
        return list(dict.fromkeys(benchmark for measured in self.systems.values() for benchmark in measured))

    @property
    def repetitions(self) -> int:
        """How often each problem counts in `n`: once for each seed."""
        return len(self.seeds) or 1

    @property
    def other_rules(self) -> dict[str, str]:
        return {name: row.title for name, row in self.rules.items() if name != MAIN}

    def measured(self) -> list[tuple[str, str, Scores]]:
        """Benchmark, system, scores: all systems of a benchmark follow each other."""
        return [(name, system, scores) for name in self.benchmarks for system, scores in self.scores_on(name).items()]

    def problems_on(self, *benchmarks: str) -> list[int]:
        """How many problems languages have on benchmarks, or on all: distinct counts, sorted."""
        rows = [scores for name in benchmarks or self.benchmarks for scores in self.scores_on(name).values()]
        return sorted({one.n // self.repetitions for row in rows for code, one in row.items() if is_language(code)})

    def scores_on(self, benchmark: str) -> dict[str, Scores]:
        """System -> scores, of the systems that were measured on a benchmark."""
        return {name: measured[benchmark] for name, measured in self.systems.items() if benchmark in measured}

    def languages_on(self, *benchmarks: str) -> list[str]:
        """The languages of benchmarks, or of all: those of the study in its order, then the others."""
        rows = [scores for name in benchmarks or self.benchmarks for scores in self.scores_on(name).values()]
        return in_order(code for scores in rows for code in scores if is_language(code))

    def training_stages(self) -> dict[str, TrainingStage]:
        """The training stages by folder. A stage that systems share is one."""
        return {stage.folder: stage for chain in self.trained_on.values() for stage in chain}


OF_SOME_RUNS = ("seeds", "claims", "made", "example", "programs", "published_rows", "remarks")
"""The parts that a file lacks where there are none."""


def in_order(codes: Iterable[str]) -> list[str]:
    """Languages without repetition, those of the study in its order, then the others as they come."""
    distinct = dict.fromkeys(codes)
    return [*(code for code in STUDY if code in distinct), *(code for code in distinct if code not in STUDY)]


def is_language(group: str) -> bool:
    """Whether a score is of one language, and no average."""
    return group not in (AVERAGE, NON_ENGLISH)


def described(names: Iterable[str] = RULES) -> dict[str, Rule]:
    """Answer rules by name, for people."""
    return {name: Rule(RULES[name].title, RULES[name].description) for name in names}


def plain(content: Content) -> dict[str, object]:
    """The content as plain values, for JSON."""
    values: dict[str, object] = msgspec.to_builtins(content)
    return {name: value for name, value in values.items() if value or name not in OF_SOME_RUNS}


def parse(values: object, where: str) -> Content:
    """The content of a parsed `results.json`.

    Raises DataError where it has not this shape, or contradicts itself. One line names the field.
    """
    try:
        content = msgspec.convert(values, Content, dec_hook=training_stage)
        fault = next(_contradictions(content), None)
    except msgspec.ValidationError as error:
        fault = str(error)
    if fault:
        raise DataError(
            f"{where} is not the results.json of a run: {printable(fault)}; give the file as the run wrote it"
        )
    return content


def training_stage(kind: type, values: object) -> TrainingStage:
    """A training stage: one that ran here has counts."""
    names = set(values) if isinstance(values, dict) else set()
    ran = names & {"steps", "examples", "first_loss", "last_loss", "tokens", "too_long"}
    try:
        return msgspec.convert(values, Trained if ran else Untold)
    except msgspec.ValidationError as error:
        name = values.get("folder") if isinstance(values, dict) else values
        raise msgspec.ValidationError(f"{error} in the stage {name!r} of `$.trained_on`") from error


def _contradictions(content: Content) -> Iterator[str]:
    """What the types cannot say: sums, names that refer to others, the sides of matrices."""
    if not content.systems:
        yield "'systems' names no system"
    if MAIN not in content.rules:
        yield f"'rules' has no '{MAIN}'"
    known = {(system, benchmark) for system, benchmarks in content.systems.items() for benchmark in benchmarks}
    for benchmark, system, scores in content.measured():
        yield from _in_scores(scores, set(content.rules), f"systems.{system}.{benchmark}")
    for row in content.comparisons:
        if not {(row.a, row.benchmark), (row.b, row.benchmark)} <= known:
            yield f"comparisons name {row.a} and {row.b} on {row.benchmark}, which 'systems' does not have"
        elif row.group not in content.systems[row.a][row.benchmark]:
            yield f"comparisons name the group {row.group}, which {row.a} was not measured in"
        if (row.only_a is None) != (row.only_b is None):
            yield f"the comparison of {row.a} and {row.b} on {row.benchmark} has one of 'only_a' and 'only_b'"
        if row.low > row.high:
            yield f"the interval of {row.a} and {row.b} on {row.benchmark} ends below its beginning"
    for system, agreements in content.consistency.items():
        for benchmark, agreement in agreements.items():
            if (system, benchmark) not in known:
                yield f"consistency names {system} on {benchmark}, which 'systems' does not have"
            side = len(agreement.languages)
            for matrix in (agreement.matrix, agreement.matrix_correct):
                if len(matrix) != side or any(len(row) != side for row in matrix):
                    yield f"a matrix of consistency.{system}.{benchmark} is not {side} by {side}"
    for name in ("trained_on", "published"):
        if odd := [system for system in getattr(content, name) if system not in content.systems]:
            yield f"{name} names {odd[0]}, which 'systems' does not have"


def _in_scores(scores: Scores, rules: set[str], at: str) -> Iterator[str]:
    """What contradicts itself in the scores of a system on a benchmark."""
    languages = {code: score for code, score in scores.items() if is_language(code)}
    if AVERAGE not in scores or not languages:
        yield f"{at} has no '{AVERAGE}', or no language next to it"
    for code, score in scores.items():
        for field in ("accuracy", "standard_error"):
            if odd := set(getattr(score, field)) ^ rules:
                yield f"'{field}' of {at}.{code} and 'rules' do not both have '{min(odd)}'"
        if score.correct + score.wrong + score.unanswered + score.cut_off != score.n:
            yield f"the counts of {at}.{code} do not add up to n"
        if is_language(code) and abs(score.accuracy[MAIN] - 100 * score.correct / score.n) > ROUNDING:
            yield f"'{MAIN}' of {at}.{code} is not its share of correct answers"
        if (score.in_another or 0) + (score.no_language or 0) > score.n:
            yield f"{at}.{code} has more answers in another language, or in none, than answers"
    for group, left_out in ((AVERAGE, ""), (NON_ENGLISH, "en")):
        members = [score for code, score in languages.items() if code != left_out]
        if members and group not in scores:
            yield f"{at} has no '{group}'"
        if group in scores and not _is_mean(scores[group], members):
            yield f"'{group}' of {at} is not the mean of its languages"


def _is_mean(score: Score, members: Sequence[Score]) -> bool:
    """Whether a score is that of some languages together: their problems, and the mean of their accuracies."""
    return score.n == sum(one.n for one in members) and all(
        abs(accuracy - sum(one.accuracy[rule] for one in members) / len(members)) <= ROUNDING
        for rule, accuracy in score.accuracy.items()
    )
