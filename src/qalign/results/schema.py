"""The shape of `results.json`, version 2, as docs/results.md states it: every field with its type and its bounds.

Fields may be added within version 2, so an unknown field is no error; a field that is named here and has another type is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from ..errors import DataError
from ..evaluation.rules import MAIN
from ..evaluation.scores import AVERAGE, NON_ENGLISH
from ..untrusted import printable

Count = Annotated[int, msgspec.Meta(ge=0)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Error = Annotated[float, msgspec.Meta(ge=0)]
Loss = float
ROUNDING = 0.01
"""Percent points by which an accuracy may differ from its counts."""


class Score(msgspec.Struct):
    """The result of a system in one language, or on average."""

    n: Annotated[int, msgspec.Meta(ge=1)]
    accuracy: dict[str, Percent]
    standard_error: dict[str, Error]
    correct: Count
    wrong: Count
    unanswered: Count
    cut_off: Count
    in_language: Percent | None = None
    in_another: Count | None = None
    no_language: Count | None = None


class Rule(msgspec.Struct):
    """An answer rule, for people."""

    title: str
    description: str


class Mixed(msgspec.Struct):
    """What one epoch holds of a source in one language."""

    source: str
    language: str
    examples: Count
    tokens: Count
    supervised_tokens: Count


class Trained(msgspec.Struct):
    """A training stage that ran here."""

    stage: str
    folder: str
    examples: Count
    tokens: Count
    supervised_tokens: Count
    steps: Count
    first_loss: Loss
    last_loss: Loss
    too_long: dict[Literal["drop", "cut"], dict[str, Count]]
    mixture: list[Mixed]
    examples_by_language: dict[str, Count] = {}
    examples_seen: Count | None = None


class Untold(msgspec.Struct):
    """A training stage that was adopted, or whose folder has been removed."""

    stage: str
    folder: str
    adopted_from: str | None = None
    adopted_name: str | None = None


class Dropped(msgspec.Struct):
    """A row that was left out on request."""

    where: str
    reason: str


class CorpusRead(msgspec.Struct):
    """The counts of a corpus that was read; own data have the name of their folder or file."""

    folder: str
    corpus: str
    counts: dict[str, Count]
    published: dict[str, Count] | None
    kept: dict[str, Count]
    dropped: list[Dropped]
    notes: list[str]
    name: str = ""


class Agreement(msgspec.Struct):
    """How far answers agree with the English ones."""

    n: Count
    agree: Percent
    correct: Percent
    agree_given_english_right: Percent | None
    standard_error: Error


class Consistency(msgspec.Struct):
    """The agreement of one system's answers across languages."""

    with_english: dict[str, Agreement]
    mean_with_english: Agreement | None
    languages: list[str]
    matrix: list[list[Percent | None]]
    matrix_correct: list[list[Percent | None]]


class Comparison(msgspec.Struct):
    """The difference of two systems on one benchmark in one group of languages."""

    benchmark: str
    group: str
    a: str
    b: str
    n: Count
    difference: Annotated[float, msgspec.Meta(ge=-100, le=100)]
    standard_error: Error
    low: float
    high: float
    p: Share
    p_adjusted: Share
    only_a: Count | None = None
    only_b: Count | None = None


class Claim(msgspec.Struct):
    """A claim of the study with its verdict."""

    claim: str
    benchmark: str
    verdict: Literal["holds", "does not hold", "not decided"]
    evidence: str
    tests: list[dict[str, Any]]


class Made(msgspec.Struct):
    """When and how results were made."""

    date: str
    command: list[str]
    versions: dict[str, str]


class Model(msgspec.Struct, omit_defaults=True):
    """The folder of a system's final model."""

    system: str
    folder: str
    seed: str = ""


class Asked(msgspec.Struct):
    """One problem of the run's test set, with the answers of the systems to it."""

    language: str
    question: str
    answers: dict[str, str]


class LeftOut(msgspec.Struct):
    """What was kept of the answers in one language."""

    language: str
    answers: Count
    kept: Count
    left_out: dict[str, Count]


class Rejections(msgspec.Struct):
    """What a filter kept of a model's answers to train on."""

    folder: str
    systems: list[str]
    """The systems that train on them."""
    languages: list[LeftOut]


class Results(msgspec.Struct):
    """A whole `results.json`."""

    format: Literal["qalign-results"]
    version: Literal[2]
    run: dict[str, str | int | list[str]]
    rules: dict[str, Rule]
    systems: Annotated[dict[str, dict[str, dict[str, Score]]], msgspec.Meta(min_length=1)]
    trained_on: dict[str, list[dict[str, Any]]]
    published: dict[str, dict[str, dict[str, Percent]]]
    corpora: list[CorpusRead] = []
    rejections: list[Rejections] = []
    consistency: dict[str, dict[str, Consistency]] = {}
    comparisons: list[Comparison] = []
    notes: list[str] = []
    findings: list[str] = []
    seeds: dict[str, dict[str, dict[str, dict[str, Percent]]]] = {}
    claims: list[Claim] = []
    made: Made | None = None
    models: list[Model] = []
    judgements: dict[str, dict[str, str]] = {}
    example: Asked | None = None
    titles: dict[str, str] = {}


def check(found: Mapping[str, Any], where: str) -> None:
    """Raises DataError, one line that names the field, if a parsed `results.json` has not this shape or contradicts itself."""
    try:
        results = msgspec.convert(found, Results)
        for name, stages in found["trained_on"].items():
            for place, stage in enumerate(stages):
                _check_stage(stage, f"$.trained_on[{name!r}][{place}]")
        fault = next(_contradictions(results), None)
    except msgspec.ValidationError as error:
        fault = str(error)
    if fault:
        raise DataError(
            f"{where} is not the results.json of a run: {printable(fault)}; give the file as the run wrote it"
        )


def _check_stage(stage: Mapping[str, Any], where: str) -> None:
    ran = any(name in stage for name in ("steps", "examples", "first_loss", "last_loss", "tokens", "too_long"))
    try:
        msgspec.convert(stage, Trained if ran else Untold)
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(f"{error} in {where}") from error


def _is_mean(score: Score, members: Sequence[Score]) -> bool:
    """Whether a score is that of some languages together: their problems, and the mean of their accuracies."""
    return score.n == sum(one.n for one in members) and all(
        abs(accuracy - sum(one.accuracy[rule] for one in members) / len(members)) <= ROUNDING
        for rule, accuracy in score.accuracy.items()
    )


def _contradictions(results: Results) -> Iterator[str]:
    """What the types cannot say: sums, names that refer to others, the sides of matrices."""
    if MAIN not in results.rules:
        yield f"'rules' has no '{MAIN}'"
    for system, benchmarks in results.systems.items():
        for benchmark, scores in benchmarks.items():
            at = f"systems.{system}.{benchmark}"
            if AVERAGE not in scores or len(scores) < 2:
                yield f"{at} has no '{AVERAGE}', or no language next to it"
            for code, score in scores.items():
                for field in ("accuracy", "standard_error"):
                    if odd := set(getattr(score, field)) ^ set(results.rules):
                        yield f"'{field}' of {at}.{code} and 'rules' do not both have '{min(odd)}'"
                if score.correct + score.wrong + score.unanswered + score.cut_off != score.n:
                    yield f"the counts of {at}.{code} do not add up to n"
                single = code not in (AVERAGE, NON_ENGLISH)
                if single and abs(score.accuracy[MAIN] - 100 * score.correct / score.n) > ROUNDING:
                    yield f"'{MAIN}' of {at}.{code} is not its share of correct answers"
                if (score.in_another or 0) + (score.no_language or 0) > score.n:
                    yield f"{at}.{code} has more answers in another language, or in none, than answers"
            languages = {code: score for code, score in scores.items() if code not in (AVERAGE, NON_ENGLISH)}
            others = [score for code, score in languages.items() if code != "en"]
            for group, members in ((AVERAGE, [*languages.values()]), (NON_ENGLISH, others)):
                if members and group not in scores:
                    yield f"{at} has no '{group}'"
                if group in scores and not _is_mean(scores[group], members):
                    yield f"'{group}' of {at} is not the mean of its languages"
    known = {(system, benchmark) for system, benchmarks in results.systems.items() for benchmark in benchmarks}
    for row in results.comparisons:
        if not {(row.a, row.benchmark), (row.b, row.benchmark)} <= known:
            yield f"comparisons name {row.a} and {row.b} on {row.benchmark}, which 'systems' does not have"
        elif row.group not in results.systems[row.a][row.benchmark]:
            yield f"comparisons name the group {row.group}, which {row.a} was not measured in"
        if row.low > row.high:
            yield f"the interval of {row.a} and {row.b} on {row.benchmark} ends below its beginning"
    for system, agreements in results.consistency.items():
        for benchmark, agreement in agreements.items():
            if (system, benchmark) not in known:
                yield f"consistency names {system} on {benchmark}, which 'systems' does not have"
            side = len(agreement.languages)
            for matrix in (agreement.matrix, agreement.matrix_correct):
                if len(matrix) != side or any(len(row) != side for row in matrix):
                    yield f"a matrix of consistency.{system}.{benchmark} is not {side} by {side}"
    for name in ("trained_on", "published"):
        for system in getattr(results, name):
            if system not in results.systems:
                yield f"{name} names {system}, which 'systems' does not have"
