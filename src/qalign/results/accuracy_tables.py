"""Accuracies in words, and their tables: in full, and for a narrow terminal, where languages are rows."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..evaluation import scores as statistics
from ..evaluation.answer_language import UNTOLD
from ..evaluation.extraction import MAIN, RULES
from ..evaluation.scores import AVERAGE, NON_ENGLISH, Score, wilson
from ..training.config import FEW_STEPS
from .schema import Content, Rule, Scores, TooLong, Trained, Untold, described, is_language
from .tables import Cell, Table
from .titles import Titles

RESULTS = "Results"
"""The title of the table of results."""
KEYS = ("system", "benchmark")
"""The columns that say what a row is of."""
SOURCE = "source"
SIZES = ("7B", "13B")
"""Of the published models."""
FEW = 100
"""Problems below which the uncertainty of one language is said."""
IN_QUESTIONS_LANGUAGE = "Answers in the language of the question"
IN_LANGUAGE = "in language"
_SHARE = "percent of the answers with words that are in the language of the question"
OUTCOMES = {"wrong": "wrong", "unanswered": "no answer", "cut_off": "truncated"}
"""What may become of an answer that is not right, with its name for people."""


def accuracy(score: Score, rule: str = MAIN) -> float:
    """The accuracy under a rule, in percent."""
    return score.accuracy[rule]


def problems(by_language: Scores, repetitions: int = 1) -> int:
    """The problems that each language has, the fewest where they differ; answers under several seeds count once."""
    counts = [score.n // repetitions for code, score in by_language.items() if is_language(code)]
    return min(counts, default=by_language[AVERAGE].n // repetitions if AVERAGE in by_language else 0)


def interval(score: Score, count: int, rule: str = MAIN) -> tuple[float, float]:
    """The 95% interval of an accuracy, by Wilson; `count` is what is independent where the standard error is 0."""
    return statistics.interval(accuracy(score, rule), score.standard_error[rule], count)


def between(ends: tuple[float, float]) -> str:
    """`0.0 to 27.8`: an interval."""
    return f"{ends[0]:.1f} to {ends[1]:.1f}"


def plus_minus(value: float, error: float) -> str:
    """`45.0 ± 2.1`, without an error where all answers are alike."""
    return f"{value:.1f} ± {error:.1f}" if error else f"{value:.1f}"


def with_error(value: float, error: float, count: int) -> str:
    """`45.0 ± 2.1`; where all of `count` are alike, and the standard error 0, `0.0 (0.0 to 27.8)`, an interval by Wilson."""
    text = plus_minus(value, error)
    return text if error else f"{text} ({between(statistics.interval(value, error, count))})"


def figure(value: float | None) -> str:
    """`45.0`, or a dash."""
    return "-" if value is None else f"{value:.1f}"


def is_told(rows: Iterable[Scores]) -> bool:
    """Whether it was told of any answers in which language they are."""
    return any(score.in_another is not None for scores in rows for score in scores.values())


def untold(systems: Mapping[str, Mapping[str, Scores]]) -> list[str]:
    """A note where of no answer it was told in which language it is."""
    rows = [scores for measured in systems.values() for scores in measured.values()]
    return [UNTOLD] if rows and not is_told(rows) else []


def rules_in_words(rules: Mapping[str, Rule]) -> str:
    """`Strict rule: numbers as the language writes them.`, for each rule."""
    texts = [(rule.title, rule.description) for rule in rules.values()]
    return " ".join(f"{title[:1].upper()}{title[1:]}: {text[:1].lower()}{text[1:]}" for title, text in texts)


def accuracy_table(content: Content, titles: Titles) -> Table:
    """A row for each system and benchmark: every language, means, what went wrong, what was published."""
    languages = content.languages_on()
    singles = languages if len(languages) != 1 else []
    means = {AVERAGE: f"{'average' if len(languages) != 1 else languages[0]} ± s.e."}
    if "en" in singles:
        means[NON_ENGLISH] = "non-English"
    sizes = SIZES if any(content.published.get(s, {}).get(b) for b, s, _ in content.measured()) else ()
    best = defaultdict(list)
    for benchmark, _, scores in content.measured():
        for code, score in scores.items():
            best[benchmark, code].append(accuracy(score))
    body: list[Sequence[str]] = []
    for benchmark, system, scores in content.measured():
        count, published = problems(scores, content.repetitions), content.published.get(system, {}).get(benchmark, {})
        row = named(content, titles, system, benchmark)
        for code in (*singles, *means):
            if code not in scores:
                row.append("-")
                continue
            score = scores[code]
            value, values = accuracy(score), best[benchmark, code]
            text = with_error(value, score.standard_error[MAIN], count) if code == AVERAGE else figure(value)
            is_best = len(values) > 1 and value == max(values)
            row.append(Cell(text, between(interval(score, count)), is_best=is_best))
        average = scores[AVERAGE]
        for rule in content.other_rules:
            is_there = rule in average.accuracy
            row.append(
                Cell(figure(average.accuracy[rule]), between(interval(average, count, rule))) if is_there else "-"
            )
        for outcome in OUTCOMES:
            number = getattr(average, outcome)
            row.append(Cell(f"{number:,}", f"{100 * number / average.n:.1f}%"))
        body.append([*row, *(figure(published.get(size)) for size in sizes)])
    after = [*content.other_rules.values(), *OUTCOMES.values(), *(f"published {size}" for size in sizes)]
    columns = [*KEYS, *heads(singles, titles), *means.values(), *after]
    if content.published_rows:
        columns.append(SOURCE)
        body = _with_published(content, titles, columns, body, means)
    table = Table(RESULTS, columns, body, " ".join(_notes(content, titles, is_published=bool(sizes))))
    english = ["en"] if "en" in singles else []
    source = [SOURCE] * bool(content.published_rows)
    summary = table.select([*KEYS, *english, *reversed(means.values()), *source])
    answers = replace(table.select([*KEYS, *after]), title="Answers")
    return replace(table, narrow=(summary, *table.turned("{}, by language", singles), answers))


def _with_published(
    content: Content, titles: Titles, columns: Sequence[str], rows: Sequence[Sequence[str]], means: Mapping[str, str]
) -> list[Sequence[str]]:
    """The rows of a run, after those of each benchmark the published ones, marked and with their source. `means` are the
    columns of averages."""
    found: list[Sequence[str]] = []
    for benchmark in content.benchmarks:
        title = titles.benchmark(benchmark)
        found += [[*row, "this run"] for row in rows if row[1] == title]
        for row in content.published_rows:
            if row.benchmark == benchmark:
                shown = {**row.accuracy, **{name: row.accuracy.get(code) for code, name in means.items()}}
                cells = [figure(shown.get(column)) for column in columns[2:-1]]
                found.append([f"{row.model} (published)", title, *cells, row.source])
    return found


def named(content: Content, titles: Titles, system: str, benchmark: str) -> list[str]:
    """The cells that say what a row is of, the system in its colour."""
    return [Cell(titles.system(system), slot=list(content.systems).index(system)), titles.benchmark(benchmark)]


def heads(languages: Iterable[str], titles: Titles) -> list[str]:
    """The heads of columns of languages."""
    return [Cell(code, name=titles.language(code)) for code in languages]


def score_table(title: str, scores: Scores, note: Sequence[str] = ()) -> Table:
    """The scores of one set of predictions, a row a language; `note` are sentences that stand below first."""
    languages = [code for code in scores if is_language(code)]
    shown = list(languages)  # a mean that is that of another row is left out
    if len(languages) > 1:
        shown += [AVERAGE, *([NON_ENGLISH] if "en" in languages and len(languages) > 2 else [])]
    rules = [MAIN, *(rule for rule in scores[shown[0]].accuracy if rule != MAIN)]
    told = is_told([scores])
    body = []
    for code in shown:
        score, name = scores[code], code.replace("_", "-")
        count = score.n if is_language(code) else problems(scores)
        first, *others = [plus_minus(score.accuracy[rule], score.standard_error[rule]) for rule in rules]
        counts = [f"{getattr(score, outcome):,}" for outcome in ("correct", *OUTCOMES)]
        spoken = [figure(score.in_language)] if told else []
        body.append([name, f"{score.n:,}", first, between(interval(score, count)), *others, *counts, *spoken])
    columns = ["language", "n", f"{rules[0]} ± s.e.", "95% interval", *(f"{rule} ± s.e." for rule in rules[1:])]
    outcomes = ["correct", *OUTCOMES.values(), *([IN_LANGUAGE] if told else [])]
    sentences = [*note, rules_in_words(described()), f"Interval: of the {RULES[MAIN].title}, by Wilson."]
    sentences.append(f"{IN_LANGUAGE.capitalize()}: {_SHARE}." if told else f"{UNTOLD}.")
    table = Table(title, [*columns, *outcomes], body, " ".join(sentences))
    return replace(
        table, narrow=(table.select(columns), replace(table.select(["language", *outcomes]), title="Answers"))
    )


def language_table(content: Content, titles: Titles) -> Table:
    """How many answers are in the language of their question, by system and language."""
    rows = [row for row in content.measured() if row[2][AVERAGE].in_another is not None]
    languages = [code for code in content.languages_on() if any(code in scores for *_, scores in rows)]
    groups = {AVERAGE: "average", **({NON_ENGLISH: "non-English"} if "en" in languages else {})}
    means = groups if len(languages) > 1 else {}
    body = []
    for benchmark, system, scores in rows:
        shares = [scores[code].in_language if code in scores else None for code in (*languages, *means)]
        body.append([*named(content, titles, system, benchmark), *map(figure, shares)])
    columns = [*KEYS, *heads(languages, titles), *means.values()]
    table = Table(IN_QUESTIONS_LANGUAGE, columns, body, f"{_SHARE.capitalize()}.")
    return replace(table, narrow=table.turned(IN_QUESTIONS_LANGUAGE + ": {}", columns[2:]))


def _notes(content: Content, titles: Titles, *, is_published: bool) -> Iterable[str]:
    """The sentences below the results."""
    counts = content.problems_on()
    run = ", ".join(f"{name} {value}" for name, value in content.run.items() if isinstance(value, str | int))
    word = "problem" if counts and counts[-1] == 1 else "problems"
    yield f"Accuracy in percent under the {content.rules[MAIN].title}; {span(counts)} {word} a language; {run}."
    yield rules_in_words(content.rules)
    if UNTOLD in content.notes:
        yield f"{UNTOLD}."
    subsets = [
        f"{max(corpus.kept.values()):,} of {max(corpus.counts.values()):,} of {corpus.name or corpus.corpus}"
        for corpus in content.corpora
        if re.search(r"-test-[0-9a-f]+$", corpus.folder) and 0 < sum(corpus.kept.values()) < sum(corpus.counts.values())
    ]
    if subsets:
        yield f"Only the first problems of a test set were asked: {', '.join(subsets)}."
    if counts and counts[0] < FEW:
        low, high = wilson(0.5, counts[0])
        yield f"So few problems say little: 50% in one language has the 95% interval {low:.0f} to {high:.0f}."
    if any(not scores[AVERAGE].standard_error[MAIN] for *_, scores in content.measured()):
        yield "Where all problems come out alike, brackets hold a 95% interval (Wilson)."
    yield from (f"{titles.short[name]} is {name}." for name in content.systems if name in titles.short)
    yield from (f"{titles.system(name)}: {text}." for name, text in content.remarks.items())
    for name, chain in content.trained_on.items():
        if chain and isinstance(chain[-1], Untold) and chain[-1].adopted_name:
            yield f"{titles.system(name)} is a checkpoint from elsewhere: {chain[-1].adopted_name}."
    trained = [stage for stage in content.training_stages().values() if isinstance(stage, Trained)]
    if left_out := too_long(stage.too_long for stage in trained):
        yield f"Training examples that were too long: {left_out}."
    if few := dict.fromkeys(f"{stage.stage} {stage.steps}" for stage in trained if stage.steps < FEW_STEPS):
        yield f"Few optimizer steps to learn from: {', '.join(few)}."
    if content.published_rows:
        yield "Rows marked published are figures of others, measured with other code, by the source that they name."
    if is_published:
        yield "Published: averages over ten languages of LLaMA-2 under the paper rule (arXiv 2401.07817)."


def span(counts: Sequence[int]) -> str:
    """`250`, `40 to 250`, or `no`: the least and the most of sorted counts."""
    return " to ".join(dict.fromkeys(f"{count:,}" for count in (*counts[:1], *counts[-1:]))) or "no"


def too_long(counts: Iterable[TooLong]) -> str:
    """`12 dropped, 3 truncated` from the counts of some stages, or nothing."""
    sums: Counter[str] = Counter()
    for by_treatment in counts:
        sums.update({treatment: sum(by_language.values()) for treatment, by_language in by_treatment.items()})
    words = {"drop": "dropped", "cut": "truncated"}
    return ", ".join(f"{sums[treatment]:,} {word}" for treatment, word in words.items() if sums[treatment])
