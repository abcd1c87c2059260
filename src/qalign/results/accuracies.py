"""The tables of accuracies: in full, and for a narrow terminal, where languages are rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..evaluation.answer_language import UNTOLD
from ..evaluation.rules import MAIN, RULES, described
from ..evaluation.scores import AVERAGE, NON_ENGLISH, interval, wilson
from ..languages import STUDY
from ..training.config import FEW_STEPS
from .tables import Table
from .titles import Titles
from .view import accuracy, other_rules, rules_in_words

RESULTS = "Results"
"""The title of the table of results."""
SIZES = ("7B", "13B")
"""Of the published models."""
FEW = 100
"""Problems below which the uncertainty of one language is said."""
IN_QUESTIONS_LANGUAGE = "Answers in the language of the question"
IN_LANGUAGE = "in language"
_SHARE = "percent of the answers with words that are in the language of the question"
_OUTCOMES = {"wrong": "wrong", "unanswered": "no answer", "cut_off": "truncated"}

Scores = Mapping[str, Mapping[str, Any]]


def accuracy_table(found: Mapping[str, Any], titles: Titles) -> Table:
    """A row for each system and benchmark: every language, means, what went wrong, what was published."""
    seeds = len(found.get("seeds", ())) or 1  # `n` counts the answers under all of them
    rows = _rows(found)
    languages = _languages(row for _, _, row in rows)
    published = _with_published(found)
    means = _means(languages)
    columns = [
        "system", "benchmark", *(languages if len(languages) != 1 else []), *means.values(), *other_rules(found).values(),
        *_OUTCOMES.values(), *published,
    ]  # fmt: skip
    body = [
        [
            titles.system(name),
            titles.benchmark(benchmark),
            *(f"{accuracy(row[code]):.1f}" if code in row else "-" for code in languages if len(languages) != 1),
            *(_mean(row, code, seeds) for code in means),
            *_answers(row, other_rules(found)),
            *_published(found, name, benchmark, published),
        ]
        for benchmark, name, row in rows
    ]
    narrow = (summary_table(found, titles), *_language_tables(rows, languages, titles), _answer_table(found, titles))
    return Table(RESULTS, columns, body, _note(found, titles, seeds), narrow)


def summary_table(found: Mapping[str, Any], titles: Titles) -> Table:
    """A row for each system and benchmark: English, the other languages, all."""
    seeds = len(found.get("seeds", ())) or 1
    languages = _languages(row for _, _, row in _rows(found))
    means = _means(languages)
    columns = {
        **({"en": "English"} if len(languages) != 1 and "en" in languages else {}),
        **dict(reversed(means.items())),
    }
    body = [
        [
            titles.system(name),
            titles.benchmark(benchmark),
            *(_mean(row, code, seeds) for code in columns),
        ]
        for benchmark, name, row in _rows(found)
    ]
    return Table(RESULTS, ["system", "benchmark", *columns.values()], body, _note(found, titles, seeds))


def _means(languages: Sequence[str]) -> dict[str, str]:
    """The heads of the columns of means, by what they are over: none says the same as another, or as a language's column."""
    if len(languages) == 1:
        return {AVERAGE: f"{languages[0]} ± s.e."}
    return {AVERAGE: "average ± s.e.", **({NON_ENGLISH: "non-English"} if "en" in languages else {})}


def _mean(row: Scores, code: str, seeds: int) -> str:
    """A cell of the table: the average with its error, another score alone."""
    if code not in row:
        return "-"
    return with_error(row[AVERAGE], problems(row, seeds)) if code == AVERAGE else f"{accuracy(row[code]):.1f}"


def with_error(score: Mapping[str, Any], count: int, rule: str = MAIN) -> str:
    """`45.0 ± 2.1`; where all answers are alike, and the standard error 0, `0.0 (0.0 to 27.8)`, an interval by Wilson."""
    text = _plus_minus(score, rule)
    return text if "±" in text else f"{text} ({interval_text(score, count, rule)})"


def interval_text(score: Mapping[str, Any], count: int, rule: str = MAIN) -> str:
    """`0.0 to 27.8`: the 95% interval of an accuracy on `count` problems."""
    low, high = interval(accuracy(score, rule), score["standard_error"][rule], count)
    return f"{low:.1f} to {high:.1f}"


def problems(scores: Scores, seeds: int = 1) -> int:
    """The problems that each language has, the fewest where they differ; answers under several seeds count once."""
    counts = [score["n"] // seeds for code, score in scores.items() if code not in (AVERAGE, NON_ENGLISH)]
    return min(counts, default=scores[AVERAGE]["n"] // seeds if AVERAGE in scores else 0)


def score_table(title: str, scores: Scores, note: Sequence[str] = ()) -> Table:
    """The scores of one set of predictions, a row a language; `note` are sentences that stand below first."""
    accuracies, answers = [], []
    rules = [name for name in next(iter(scores.values()))["accuracy"] if name != MAIN]
    told = any(score.get("in_another") is not None for score in scores.values())
    languages = [code for code in scores if code not in (AVERAGE, NON_ENGLISH)]
    means = (
        [] if len(languages) < 2 else [AVERAGE, *([NON_ENGLISH] if "en" in languages and len(languages) > 2 else [])]
    )
    for code, score in scores.items():
        if code not in (*languages, *means):
            continue  # a mean that is that of another row
        count = problems(scores) if code in (AVERAGE, NON_ENGLISH) else score["n"]
        name = code.replace("_", "-")
        figures = [_plus_minus(score, MAIN), interval_text(score, count), *(_plus_minus(score, rule) for rule in rules)]
        accuracies.append([name, f"{score['n']:,}", *figures])
        counts = [f"{score[outcome]:,}" for outcome in ("correct", *_OUTCOMES)]
        answers.append([name, *counts, *([in_language(score)] if told else [])])
    columns = ["language", "n", f"{MAIN} ± s.e.", "95% interval", *(f"{rule} ± s.e." for rule in rules)]
    outcomes = ["correct", *_OUTCOMES.values(), *([IN_LANGUAGE] if told else [])]
    said = [*note, rules_in_words(described(RULES)), f"Interval: of the {RULES[MAIN].title}, by Wilson."]
    if told:
        said.append(f"{IN_LANGUAGE.capitalize()}: {_SHARE}.")
    else:
        said.append(f"{UNTOLD}.")
    narrow = (Table(title, columns, accuracies), Table("Answers", ["language", *outcomes], answers))
    rows = [[*left, *right[1:]] for left, right in zip(accuracies, answers, strict=True)]
    return Table(title, [*columns, *outcomes], rows, " ".join(said), narrow)


def _plus_minus(score: Mapping[str, Any], rule: str) -> str:
    """`45.0 ± 2.1`, without an error where all answers are alike."""
    error, value = score["standard_error"][rule], f"{accuracy(score, rule):.1f}"
    return f"{value} ± {error:.1f}" if error else value


def in_language(score: Mapping[str, Any] | None) -> str:
    """`98.4`: the percent of answers in the language of the question, or a dash."""
    share = score and score.get("in_language")
    return "-" if share is None else f"{share:.1f}"


def language_table(found: Mapping[str, Any], titles: Titles) -> Table:
    """How many answers are in the language of their question, by system and language."""
    rows = [row for row in _rows(found) if row[2][AVERAGE].get("in_another") is not None]
    languages = _languages(row for _, _, row in rows)
    groups = {**{code: code for code in languages}, **_mean_heads(languages)}
    body = [
        [titles.system(name), titles.benchmark(benchmark), *(in_language(row.get(code)) for code in groups)]
        for benchmark, name, row in rows
    ]
    narrow = [
        Table(
            f"{IN_QUESTIONS_LANGUAGE}: {titles.benchmark(benchmark)}",
            ["language", *(titles.system(name) for name in by_system)],
            [
                [titles.group(code), *(in_language(row.get(code)) for row in by_system.values())]
                for code in groups
                if any(code in row for row in by_system.values())
            ],
        )
        for benchmark, by_system in _by_benchmark(rows).items()
    ]
    return Table(
        IN_QUESTIONS_LANGUAGE, ["system", "benchmark", *groups.values()], body, f"{_SHARE.capitalize()}.", narrow
    )


def _mean_heads(languages: Sequence[str]) -> dict[str, str]:
    """The heads of the columns of means, where there is more than one language."""
    if len(languages) < 2:
        return {}
    return {AVERAGE: "average", **({NON_ENGLISH: "non-English"} if "en" in languages else {})}


def agreement_table(found: Mapping[str, Any], titles: Titles) -> Table:
    """How far answers agree with those to the same problem in English."""
    rows = [
        (benchmark, name, row)
        for name, by_benchmark in found["consistency"].items()
        for benchmark, row in by_benchmark.items()
        if row["mean_with_english"]
    ]
    languages = _languages(row["with_english"] for _, _, row in rows)
    body = [
        [
            titles.system(name),
            titles.benchmark(benchmark),
            *(
                f"{row['with_english'][code]['agree']:.1f}" if code in row["with_english"] else "-"
                for code in languages
            ),
            _agreement(row["mean_with_english"]),
        ]
        for benchmark, name, row in rows
    ]
    title = "Consistency with English"
    narrow = [
        Table(
            f"{title}: {titles.benchmark(benchmark)}",
            ["language", *(titles.system(name) for name in by_system)],
            [
                *(
                    [
                        titles.language(code),
                        *(
                            f"{row['with_english'][code]['agree']:.1f}" if code in row["with_english"] else "-"
                            for row in by_system.values()
                        ),
                    ]
                    for code in languages
                ),
                ["mean ± s.e.", *(_agreement(row["mean_with_english"]) for row in by_system.values())],
            ],
        )
        for benchmark, by_system in _by_benchmark(rows).items()
    ]
    note = "Percent of problems with the same number as the answer to the English question, right or wrong."
    return Table(title, ["system", "benchmark", *languages, "mean ± s.e."], body, note, narrow)


def _agreement(row: Mapping[str, Any]) -> str:
    if row["standard_error"]:
        return f"{row['agree']:.1f} ± {row['standard_error']:.1f}"
    low, high = interval(row["agree"], 0.0, row["n"])
    return f"{row['agree']:.1f} ({low:.1f} to {high:.1f})"


def _rows(found: Mapping[str, Any]) -> list[tuple[str, str, Scores]]:
    """Benchmark, system, scores by language: all systems of a benchmark follow each other."""
    systems: Mapping[str, Mapping[str, Scores]] = found["systems"]
    benchmarks = dict.fromkeys(benchmark for scores in systems.values() for benchmark in scores)
    return [(b, name, scores[b]) for b in benchmarks for name, scores in systems.items() if b in scores]


def _by_benchmark(rows: Sequence[tuple[str, str, Any]]) -> dict[str, dict[str, Any]]:
    grouped: dict[str, dict[str, Any]] = {}
    for benchmark, name, row in rows:
        grouped.setdefault(benchmark, {})[name] = row
    return grouped


def _languages(rows: Any) -> list[str]:
    """The languages of some rows: the study's in its order, then others."""
    codes = dict.fromkeys(code for row in rows for code in row if code not in (AVERAGE, NON_ENGLISH))
    return [*(code for code in STUDY if code in codes), *(code for code in codes if code not in STUDY)]


def _language_tables(rows: Sequence[tuple[str, str, Scores]], languages: Sequence[str], titles: Titles) -> list[Table]:
    """For each benchmark a table with a row for each language and a column for each system."""
    return [
        Table(
            f"{titles.benchmark(benchmark)}, by language",
            ["language", *(titles.system(name) for name in by_system)],
            [
                [
                    titles.language(code),
                    *(f"{accuracy(row[code]):.1f}" if code in row else "-" for row in by_system.values()),
                ]
                for code in languages
                if any(code in row for row in by_system.values())
            ],
        )
        for benchmark, by_system in _by_benchmark(rows).items()
    ]


def _answer_table(found: Mapping[str, Any], titles: Titles) -> Table:
    """What became of the answers, and what was published."""
    published = _with_published(found)
    body = [
        [
            titles.system(name),
            titles.benchmark(b),
            *_answers(row, other_rules(found)),
            *_published(found, name, b, published),
        ]
        for b, name, row in _rows(found)
    ]
    columns = ["system", "benchmark", *other_rules(found).values(), *_OUTCOMES.values(), *published]
    return Table("Answers", columns, body)


def _answers(row: Scores, rules: Iterable[str]) -> list[str]:
    average = row[AVERAGE]
    measured = [f"{accuracy(average, rule):.1f}" if rule in average["accuracy"] else "-" for rule in rules]
    return [*measured, *(f"{average[outcome]:,}" for outcome in _OUTCOMES)]


def _with_published(found: Mapping[str, Any]) -> list[str]:
    """The columns of published figures, if a system has such on a benchmark that is there."""
    there = any(found["published"].get(name, {}).get(benchmark) for benchmark, name, _ in _rows(found))
    return [f"published {size}" for size in SIZES] if there else []


def _published(found: Mapping[str, Any], name: str, benchmark: str, columns: Sequence[str]) -> list[str]:
    figures = found["published"].get(name, {}).get(benchmark, {})
    sizes = [column.removeprefix("published ") for column in columns]
    return [f"{figures[size]:.1f}" if size in figures else "-" for size in sizes]


def _note(found: Mapping[str, Any], titles: Titles, seeds: int) -> str:
    rows = [row for _, _, row in _rows(found)]
    languages = _languages(rows)
    counts = sorted({row[code]["n"] // seeds for row in rows for code in languages if code in row})
    asked = " to ".join(dict.fromkeys(f"{count:,}" for count in (*counts[:1], *counts[-1:]))) or "no"
    word = "problem" if asked == "1" else "problems"
    main = found["rules"][MAIN]["title"]
    notes = [
        f"Accuracy in percent under the {main}; {asked} {word} a language; {_run_line(found['run'])}.",
        rules_in_words(found["rules"]),
    ]
    if UNTOLD in found.get("notes", ()):
        notes.append(f"{UNTOLD}.")
    if subsets := _subsets(found):
        notes.append(f"Only the first problems of a test set were asked: {subsets}.")
    if counts and counts[0] < FEW:
        low, high = wilson(0.5, counts[0])
        notes.append(f"So few problems say little: 50% in one language has the 95% interval {low:.0f} to {high:.0f}.")
    if any(not row[AVERAGE]["standard_error"][MAIN] for row in rows):
        notes.append("Where all problems come out alike, brackets hold a 95% interval (Wilson).")
    notes += [f"{titles.short[name]} is {name}." for name in found["systems"] if name in titles.short]
    stages = {stage["folder"]: stage for chain in found["trained_on"].values() for stage in chain}
    notes += [
        f"{titles.system(name)} is a checkpoint from elsewhere: {chain[-1]['adopted_name']}."
        for name, chain in found["trained_on"].items()
        if chain and chain[-1].get("adopted_name")
    ]
    if left_out := too_long(stage.get("too_long", {}) for stage in stages.values()):
        notes.append(f"Training examples that were too long: {left_out}.")
    short = [stage for stage in stages.values() if stage.get("steps", FEW_STEPS) < FEW_STEPS]
    if few := [f"{stage['stage']} {stage['steps']}" for stage in short]:
        notes.append(f"Few optimizer steps to learn from: {', '.join(dict.fromkeys(few))}.")
    if _with_published(found):
        notes.append("Published: averages over ten languages of LLaMA-2 under the paper rule (arXiv 2401.07817).")
    return " ".join(notes)


def _subsets(found: Mapping[str, Any]) -> str:
    """`40 of 250 of mgsm` for each test set of which not all problems were asked, or nothing."""
    return ", ".join(
        f"{max(corpus['kept'].values()):,} of {max(corpus['counts'].values()):,} of {corpus.get('name', corpus['corpus'])}"
        for corpus in found.get("corpora", ())
        if re.search(r"-test-[0-9a-f]+$", corpus["folder"]) and corpus["kept"]
        if sum(corpus["kept"].values()) < sum(corpus["counts"].values())
    )


def too_long(counts: Iterable[Mapping[str, Mapping[str, int]]]) -> str:
    """`12 dropped, 3 truncated` from the counts of some stages, or nothing."""
    sums: Counter[str] = Counter()
    for by_treatment in counts:
        for treatment, by_language in by_treatment.items():
            sums[treatment] += sum(by_language.values())
    words = {"drop": "dropped", "cut": "truncated"}
    return ", ".join(f"{sums[treatment]:,} {word}" for treatment, word in words.items() if sums[treatment])


def _run_line(run: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in run.items() if isinstance(value, str | int))
