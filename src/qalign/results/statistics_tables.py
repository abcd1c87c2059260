"""The tables of differences between systems, of agreement between languages, and of claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..evaluation.scores import AVERAGE, NON_ENGLISH, interval
from ..evaluation.significance import Comparison
from .accuracy_tables import KEYS, between, figure, heads, named, with_error
from .findings import bounds, is_same, p_value
from .schema import Content, in_order, is_language
from .tables import Cell, Table, Whisker
from .titles import Titles

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
