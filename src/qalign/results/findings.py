"""What was seen, in sentences and tables: how systems compare, with intervals and p-values; agreement; claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from ..evaluation.scores import AVERAGE, NON_ENGLISH, interval, wilson
from ..evaluation.significance import Comparison, Estimate
from ..wording import counted
from .accuracy_tables import KEYS, accuracy, between, figure, heads, named, with_error
from .schema import Content, in_order, is_language
from .tables import Cell, Table, Whisker
from .titles import Titles

METHOD = "qalign-mono"
"""The system of the study, which is compared with each other one."""
ALL = 3
"""Others up to which every comparison is a sentence; of more, the best and the worst are."""


def findings(content: Content, titles: Titles) -> list[str]:
    """Sentences on how QAlign, or else the last system, compares with the others, for each benchmark.

    The choice cannot flatter: all comparisons are told, or the best and the worst of them.
    """
    systems = list(content.systems)
    if len(systems) < 2:
        return []
    method = METHOD if METHOD in systems else systems[-1]
    benchmarks = dict.fromkeys(row.benchmark for row in content.comparisons)
    return [
        _finding(content, titles, benchmark, row)
        for benchmark in benchmarks
        for row in _told([comparison(content, benchmark, NON_ENGLISH, method, name) for name in systems])
    ]


def _told(rows: Sequence[Comparison | None]) -> list[Comparison]:
    """The comparisons that become sentences, in the order of the systems."""
    known = [row for row in rows if row is not None]
    ranked = sorted(known, key=lambda row: row.difference)
    return known if len(known) <= ALL else [row for row in known if row in (ranked[0], ranked[-1])]


def headline(content: Content, titles: Titles) -> str:
    """What was seen, in one sentence: the first finding, or the first average where nothing was compared."""
    if content.findings:
        return content.findings[0]
    for name, benchmarks in content.systems.items():
        for benchmark, scores in benchmarks.items():
            languages = counted(sum(map(is_language, scores)), "language")
            return f"{titles.benchmark(benchmark)}, {languages}: {titles.system(name)} solves {accuracy(scores[AVERAGE]):.1f}%."
    return ""


def _finding(content: Content, titles: Titles, benchmark: str, others: Comparison) -> str:
    """One comparison: the languages other than English, then English, each with its own interval and p."""
    english = comparison(content, benchmark, "en", others.a, others.b)
    scores = [content.systems[name][benchmark] for name in (others.a, others.b)]
    languages = counted(sum(is_language(code) and code != "en" for code in scores[0]), "language")
    text = (
        f"{titles.benchmark(benchmark)}, {languages} other than English: {titles.system(others.a)} solves "
        f"{accuracy(scores[0][NON_ENGLISH]):.1f}% and {titles.system(others.b)} {accuracy(scores[1][NON_ENGLISH]):.1f}%, "
        f"{difference_text(others)}"
    )
    return f"{text}; in English {difference_text(english)}." if english else f"{text}."


def difference_text(row: Comparison) -> str:
    """`+31.2 points (95% interval 28.0 to 34.1, p < 0.001)`; no p where no problem tells two systems apart."""
    interval = f"95% interval {between(bounds(row))}"
    if is_same(row):
        return f"no difference on any problem ({interval})"
    return f"{row.difference:+.1f} points ({interval}, {p_text(row.p_adjusted)})"


def is_same(row: Comparison) -> bool:
    """Whether a comparison found no problem at all on which two systems differ."""
    return row.difference == row.low == row.high == 0


def bounds(row: Comparison | Estimate) -> tuple[float, float]:
    """The 95% interval of a difference, in points.

    Where all problems differ alike, every resample of the bootstrap is the same and its interval a point. Then Wilson's
    bound for 0 of n says how many problems might differ otherwise, by 100 points either way.
    """
    if row.low != row.high:
        return row.low, row.high
    odd = wilson(0.0, row.n)[1]
    middle = row.difference * (1 - odd / 100)
    return max(-100.0, middle - odd), min(100.0, middle + odd)


def p_text(p: float) -> str:
    """`p = 0.042`, or `p < 0.001`."""
    return f"p {'' if p < 0.001 else '= '}{p_value(p)}"


def p_value(p: float) -> str:
    """`0.042`, or `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def comparison(content: Content, benchmark: str, group: str, a: str, b: str) -> Comparison | None:
    """The comparison of a with b in one group, turned round if it was made the other way; None if there is none."""
    for row in content.comparisons:
        if (row.benchmark, row.group) == (benchmark, group) and {row.a, row.b} == {a, b}:
            if row.a == a:
                return row
            # Taken from 0, for -0.0 would be told as a loss.
            return msgspec.structs.replace(
                row, a=a, b=b, only_a=row.only_b, only_b=row.only_a,
                difference=0 - row.difference, low=0 - row.high, high=0 - row.low,
            )  # fmt: skip
    return None


DIFFERENCES = "Differences"
"""What the titles of tables of differences begin with."""
SIGNIFICANT = 0.05
_GROUPS = {NON_ENGLISH: "non-English", "en": "English"}
"""The groups of languages whose differences stand in every form of the results."""
_MCNEMAR = " (in English alone by McNemar's exact test)"
"""Of one run: means over several have no counts."""


def group_name(group: str, titles: Titles) -> str:
    """The name of a group of languages in a table of differences."""
    return _GROUPS.get(group) or ("all languages" if group == AVERAGE else titles.language(group))


def differences_table(content: Content, titles: Titles) -> Table:
    """Differences between systems, over the languages other than English and in English."""
    main = [row for row in content.comparisons if row.group in _GROUPS]
    exact = _MCNEMAR if any(row.only_a is not None for row in content.comparisons) else ""
    note = (
        "On the same problems, clustered by problem. Intervals by the paired bootstrap; p by a paired t test over problems"
        f"{exact}, after Holm's correction for the number of comparisons."
    )
    if any(row.low == row.high for row in main):
        note += (
            " Where all problems differ alike, the interval is Wilson's bound; without any difference there is no p."
        )
    others = [row.group for row in content.comparisons if row.group not in _GROUPS]
    groups = [AVERAGE] if AVERAGE in others else []
    details = [
        _differences(group_name(group, titles), [row for row in content.comparisons if row.group == group], titles)
        for group in [*groups, *in_order(filter(is_language, others))]
    ]
    return replace(_differences(f"{DIFFERENCES} between systems", main, titles), note=note, details=details)


def _differences(title: str, rows: Sequence[Comparison], titles: Titles) -> Table:
    """The differences of some groups of languages, their intervals drawn on one axis."""
    reach = max((abs(end) for row in rows for end in bounds(row)), default=0.0) or 1.0
    body = []
    for row in rows:
        low, high = bounds(row)
        whisker = Whisker(low / reach, row.difference / reach, high / reach, row.p_adjusted < SIGNIFICANT)
        alone = "" if row.only_a is None else f"right alone: {row.only_a:,} and {row.only_b:,}"
        body.append(
            [
                f"{titles.system(row.a)} - {titles.system(row.b)}",
                titles.benchmark(row.benchmark),
                group_name(row.group, titles),
                Cell(f"{row.difference:+.1f}", alone),
                Cell(between((low, high)), drawing=whisker),
                "-" if is_same(row) else Cell(p_value(row.p_adjusted), f"alone {p_value(row.p)}"),
            ]
        )
    columns = ["difference", "benchmark", "languages", "points", "95% interval", "p"]
    return Table(title, columns, body, section="comparisons")


def agreement_table(content: Content, titles: Titles) -> Table:
    """How far answers agree with those to the same problem in English."""
    title = "Consistency with English"
    rows = [
        (named(content, titles, system, benchmark), row.with_english, row.mean_with_english)
        for system, by_benchmark in content.consistency.items()
        for benchmark, row in by_benchmark.items()
        if row.mean_with_english
    ]
    languages = in_order(code for _, with_english, _ in rows for code in with_english)
    body, given_right = [], []
    for names, with_english, mean in rows:
        cells, shares = list(names), list(names)
        for row in (*map(with_english.get, languages), mean):
            if row is None:
                cells.append("-")
                shares.append("-")
                continue
            text = with_error(row.agree, row.standard_error, row.n) if row is mean else figure(row.agree)
            cells.append(Cell(text, between(interval(row.agree, row.standard_error, row.n))))
            shares.append(figure(row.agree_given_english_right))
        body.append(cells)
        given_right.append(shares)
    columns = [*KEYS, *heads(languages, titles), "mean ± s.e."]
    note = "Percent of problems with the same number as the answer to the English question, right or wrong."
    table = Table(title, columns, body, note, section="consistency")
    details = Table("Right where the English answer is right", [*columns[:-1], "mean"], given_right)
    return replace(table, narrow=table.turned(title + ": {}", columns[2:]), details=[details])


def claims_tables(content: Content) -> list[Table]:
    """The claims of the study with their verdicts, and those of which the study says nothing."""
    columns = ["claim", "verdict", "evidence"]
    return [
        Table(title, columns, rows, section="claims")
        for title, ours in (("The claims of the study, here", False), ("Tested too, and no claim of the study", True))
        if (rows := [[row.claim, row.verdict, row.evidence] for row in content.claims if row.ours is ours])
    ]
