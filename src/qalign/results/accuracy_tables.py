"""The tables of accuracies: in full, and for a narrow terminal, where languages are rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..evaluation.answer_language import UNTOLD
from ..evaluation.rules import MAIN, RULES
from ..evaluation.scores import AVERAGE, NON_ENGLISH, Score, wilson
from ..training.config import FEW_STEPS
from .accuracies import (
    OUTCOMES,
    accuracy,
    between,
    in_language,
    interval,
    interval_text,
    is_told,
    plus_minus,
    problems,
    rules_in_words,
    with_error,
)
from .schema import Content, Scores, TooLong, Trained, Untold, described, is_language
from .tables import Cell, Table
from .titles import Titles

RESULTS = "Results"
"""The title of the table of results."""
KEYS = ("system", "benchmark")
"""The columns that say what a row is of."""
SIZES = ("7B", "13B")
"""Of the published models."""
FEW = 100
"""Problems below which the uncertainty of one language is said."""
IN_QUESTIONS_LANGUAGE = "Answers in the language of the question"
IN_LANGUAGE = "in language"
_SHARE = "percent of the answers with words that are in the language of the question"

Rows = list[tuple[str, str, Scores]]
"""Benchmark, system, scores: all systems of a benchmark follow each other."""


def accuracy_table(content: Content, titles: Titles) -> Table:
    """A row for each system and benchmark: every language, means, what went wrong, what was published."""
    rows = _rows(content)
    languages = content.languages_on()
    means = _means(languages)
    singles = languages if len(languages) != 1 else []
    best = _best(rows)
    body = []
    for benchmark, name, scores in rows:
        count = problems(scores, content.repetitions)
        figures = [
            Cell(
                _mean(scores, code, count) if code in means else _figure(scores.get(code)),
                between(*interval(scores[code], count)) if code in scores else "",
                is_best=code in scores and accuracy(scores[code]) == best.get((benchmark, code)),
            )
            for code in (*singles, *means)
        ]
        body.append([*named(content, titles, name, benchmark), *figures, *_answers(content, name, benchmark, scores)])
    after = [*content.other_rules.values(), *OUTCOMES.values(), *_with_published(content)]
    columns = [*KEYS, *heads(singles, titles), *means.values(), *after]
    table = Table(RESULTS, columns, body, _note(content, titles))
    english = ["en"] if "en" in singles else []
    summary = replace(table.select([*KEYS, *english, *reversed(means.values())]), note=table.note)
    answers = replace(table.select([*KEYS, *after]), title="Answers")
    return replace(table, narrow=(summary, *table.turned("{}, by language", singles), answers))


def named(content: Content, titles: Titles, name: str, benchmark: str) -> list[str]:
    """The cells that say what a row is of, the system in its colour."""
    return [Cell(titles.system(name), slot=list(content.systems).index(name)), titles.benchmark(benchmark)]


def heads(languages: Iterable[str], titles: Titles) -> list[str]:
    """The heads of columns of languages."""
    return [Cell(code, name=titles.language(code)) for code in languages]


def _best(rows: Rows) -> dict[tuple[str, str], float]:
    """The highest accuracy by benchmark and group, where several systems were measured."""
    values: dict[tuple[str, str], list[float]] = {}
    for benchmark, _, scores in rows:
        for code, score in scores.items():
            values.setdefault((benchmark, code), []).append(accuracy(score))
    return {place: max(those) for place, those in values.items() if len(those) > 1}


def _means(languages: Sequence[str]) -> dict[str, str]:
    """The heads of the columns of means, by what they are over: none says the same as another, or as a language's column."""
    if len(languages) == 1:
        return {AVERAGE: f"{languages[0]} ± s.e."}
    return {AVERAGE: "average ± s.e.", **({NON_ENGLISH: "non-English"} if "en" in languages else {})}


def _figure(score: Score | None) -> str:
    return "-" if score is None else f"{accuracy(score):.1f}"


def _mean(scores: Scores, code: str, count: int) -> str:
    """A cell of the table: the average with its error, another score alone."""
    return with_error(scores[code], count) if code == AVERAGE and code in scores else _figure(scores.get(code))


def score_table(title: str, scores: Scores, note: Sequence[str] = ()) -> Table:
    """The scores of one set of predictions, a row a language; `note` are sentences that stand below first."""
    accuracies, answers = [], []
    rules = [name for name in next(iter(scores.values())).accuracy if name != MAIN]
    told = is_told([scores])
    languages = [code for code in scores if is_language(code)]
    means = (
        [] if len(languages) < 2 else [AVERAGE, *([NON_ENGLISH] if "en" in languages and len(languages) > 2 else [])]
    )
    for code, score in scores.items():
        if code not in (*languages, *means):
            continue  # a mean that is that of another row
        count = score.n if is_language(code) else problems(scores)
        name = code.replace("_", "-")
        values = [plus_minus(score.accuracy[rule], score.standard_error[rule]) for rule in (MAIN, *rules)]
        accuracies.append([name, f"{score.n:,}", values[0], interval_text(score, count), *values[1:]])
        counts = [f"{getattr(score, outcome):,}" for outcome in ("correct", *OUTCOMES)]
        answers.append([name, *counts, *([in_language(score)] if told else [])])
    columns = ["language", "n", f"{MAIN} ± s.e.", "95% interval", *(f"{rule} ± s.e." for rule in rules)]
    outcomes = ["correct", *OUTCOMES.values(), *([IN_LANGUAGE] if told else [])]
    sentences = [*note, rules_in_words(described()), f"Interval: of the {RULES[MAIN].title}, by Wilson."]
    sentences.append(f"{IN_LANGUAGE.capitalize()}: {_SHARE}." if told else f"{UNTOLD}.")
    narrow = (Table(title, columns, accuracies), Table("Answers", ["language", *outcomes], answers))
    rows = [[*left, *right[1:]] for left, right in zip(accuracies, answers, strict=True)]
    return Table(title, [*columns, *outcomes], rows, " ".join(sentences), narrow)


def language_table(content: Content, titles: Titles) -> Table:
    """How many answers are in the language of their question, by system and language."""
    rows = [row for row in _rows(content) if row[2][AVERAGE].in_another is not None]
    languages = list(dict.fromkeys(code for code in content.languages_on() if any(code in row[2] for row in rows)))
    groups = {AVERAGE: "average", **({NON_ENGLISH: "non-English"} if "en" in languages else {})}
    shown = [*languages, *(groups if len(languages) > 1 else ())]
    body = [
        [*named(content, titles, name, benchmark), *(in_language(scores.get(code)) for code in shown)]
        for benchmark, name, scores in rows
    ]
    columns = [*KEYS, *heads(languages, titles), *(groups[code] for code in shown[len(languages) :])]
    table = Table(IN_QUESTIONS_LANGUAGE, columns, body, f"{_SHARE.capitalize()}.")
    return replace(table, narrow=table.turned(IN_QUESTIONS_LANGUAGE + ": {}", columns[2:]))


def _rows(content: Content) -> Rows:
    return [(b, name, scores) for b in content.benchmarks for name, scores in content.scores_on(b).items()]


def _answers(content: Content, name: str, benchmark: str, scores: Scores) -> list[str]:
    """Accuracy under the other rules, what went wrong and what was published, of one system on one benchmark."""
    average, count = scores[AVERAGE], problems(scores, content.repetitions)
    measured = [
        Cell(f"{average.accuracy[rule]:.1f}", between(*interval(average, count, rule)))
        if rule in average.accuracy
        else "-"
        for rule in content.other_rules
    ]
    counts = [getattr(average, outcome) for outcome in OUTCOMES]
    published = content.published.get(name, {}).get(benchmark, {})
    sizes = [column.removeprefix("published ") for column in _with_published(content)]
    return [
        *measured,
        *(Cell(f"{count:,}", f"{100 * count / (average.n or 1):.1f}%") for count in counts),
        *(f"{published[size]:.1f}" if size in published else "-" for size in sizes),
    ]


def _with_published(content: Content) -> list[str]:
    """The columns of published figures, if a system has such on a benchmark that is there."""
    known = any(content.published.get(name, {}).get(benchmark) for benchmark, name, _ in _rows(content))
    return [f"published {size}" for size in SIZES] if known else []


def _note(content: Content, titles: Titles) -> str:
    rows = [scores for _, _, scores in _rows(content)]
    counts = sorted(
        {score.n // content.repetitions for row in rows for code, score in row.items() if is_language(code)}
    )
    asked = " to ".join(dict.fromkeys(f"{count:,}" for count in (*counts[:1], *counts[-1:]))) or "no"
    word = "problem" if asked == "1" else "problems"
    run = ", ".join(f"{name} {value}" for name, value in content.run.items() if isinstance(value, str | int))
    notes = [
        f"Accuracy in percent under the {content.rules[MAIN].title}; {asked} {word} a language; {run}.",
        rules_in_words(content.rules),
    ]
    if UNTOLD in content.notes:
        notes.append(f"{UNTOLD}.")
    if subsets := _subsets(content):
        notes.append(f"Only the first problems of a test set were asked: {subsets}.")
    if counts and counts[0] < FEW:
        low, high = wilson(0.5, counts[0])
        notes.append(f"So few problems say little: 50% in one language has the 95% interval {low:.0f} to {high:.0f}.")
    if any(not row[AVERAGE].standard_error[MAIN] for row in rows):
        notes.append("Where all problems come out alike, brackets hold a 95% interval (Wilson).")
    notes += [f"{titles.short[name]} is {name}." for name in content.systems if name in titles.short]
    notes += [
        f"{titles.system(name)} is a checkpoint from elsewhere: {chain[-1].adopted_name}."
        for name, chain in content.trained_on.items()
        if chain and isinstance(chain[-1], Untold) and chain[-1].adopted_name
    ]
    trained = [stage for stage in content.training_stages().values() if isinstance(stage, Trained)]
    if left_out := too_long(stage.too_long for stage in trained):
        notes.append(f"Training examples that were too long: {left_out}.")
    if few := [f"{stage.stage} {stage.steps}" for stage in trained if stage.steps < FEW_STEPS]:
        notes.append(f"Few optimizer steps to learn from: {', '.join(dict.fromkeys(few))}.")
    if _with_published(content):
        notes.append("Published: averages over ten languages of LLaMA-2 under the paper rule (arXiv 2401.07817).")
    return " ".join(notes)


def _subsets(content: Content) -> str:
    """`40 of 250 of mgsm` for each test set of which not all problems were asked, or nothing."""
    return ", ".join(
        f"{max(corpus.kept.values()):,} of {max(corpus.counts.values()):,} of {corpus.name or corpus.corpus}"
        for corpus in content.corpora
        if re.search(r"-test-[0-9a-f]+$", corpus.folder) and corpus.kept
        if sum(corpus.kept.values()) < sum(corpus.counts.values())
    )


def too_long(counts: Iterable[TooLong]) -> str:
    """`12 dropped, 3 truncated` from the counts of some stages, or nothing."""
    sums: Counter[str] = Counter()
    for by_treatment in counts:
        for treatment, by_language in by_treatment.items():
            sums[treatment] += sum(by_language.values())
    words = {"drop": "dropped", "cut": "truncated"}
    return ", ".join(f"{sums[treatment]:,} {word}" for treatment, word in words.items() if sums[treatment])
