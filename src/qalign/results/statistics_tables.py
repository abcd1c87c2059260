"""The tables of differences between systems, of agreement between languages, and of claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..evaluation.consistency import Agreement
from ..evaluation.scores import AVERAGE, NON_ENGLISH, interval
from ..evaluation.significance import Comparison
from .accuracies import between, plus_minus
from .accuracy_tables import KEYS, heads, named
from .findings import bounds, is_same, p_value
from .schema import Content, in_order, is_language
from .tables import Cell, Table, Whisker
from .titles import Titles

DIFFERENCES = "Differences"
"""What the titles of tables of differences begin with."""
SIGNIFICANT = 0.05
_GROUPS = {NON_ENGLISH: "non-English", "en": "English"}
"""The groups of languages whose differences stand in every form of the results."""


def group_name(group: str, titles: Titles) -> str:
    """The name of a group of languages in a table of differences."""
    return _GROUPS.get(group) or ("all languages" if group == AVERAGE else titles.language(group))


def differences_table(content: Content, titles: Titles) -> Table:
    """Differences between systems, over the languages other than English and in English."""
    main = [row for row in content.comparisons if row.group in _GROUPS]
    note = (
        "On the same problems, clustered by problem. Intervals by the paired bootstrap; p by a paired t test over problems"
        f"{_MCNEMAR if any(row.only_a is not None for row in content.comparisons) else ''}, after Holm's correction for the "
        "number of comparisons."
    )
    if any(row.low == row.high for row in main):
        note += (
            " Where all problems differ alike, the interval is Wilson's bound; without any difference there is no p."
        )
    others = dict.fromkeys(row.group for row in content.comparisons if row.group not in _GROUPS)
    details = [
        _differences(group_name(group, titles), [row for row in content.comparisons if row.group == group], titles)
        for group in [*(group for group in others if not is_language(group)), *in_order(filter(is_language, others))]
    ]
    table = _differences(f"{DIFFERENCES} between systems", main, titles)
    return replace(table, note=note, details=details)


_MCNEMAR = " (in English alone by McNemar's exact test)"
"""Of one run: means over several have no counts."""


def _differences(title: str, rows: Sequence[Comparison], titles: Titles) -> Table:
    """The differences of some groups of languages, their intervals drawn on one axis."""
    reach = max((abs(end) for row in rows for end in bounds(row)), default=0.0) or 1.0
    body = []
    for row in rows:
        low, high = bounds(row)
        is_decided = row.p_adjusted < SIGNIFICANT
        whisker = Whisker(low / reach, row.difference / reach, high / reach, is_decided)
        alone = "" if row.only_a is None else f"right alone: {row.only_a:,} and {row.only_b:,}"
        body.append(
            [
                f"{titles.system(row.a)} - {titles.system(row.b)}",
                titles.benchmark(row.benchmark),
                group_name(row.group, titles),
                Cell(f"{row.difference:+.1f}", alone),
                Cell(f"{low:.1f} to {high:.1f}", drawing=whisker),
                "-" if is_same(row) else Cell(p_value(row.p_adjusted), f"alone {p_value(row.p)}"),
            ]
        )
    columns = ["difference", "benchmark", "languages", "points", "95% interval", "p"]
    return Table(title, columns, body, section="comparisons")


def agreement_table(content: Content, titles: Titles) -> Table:
    """How far answers agree with those to the same problem in English."""
    title = "Consistency with English"
    rows = [
        (benchmark, name, row)
        for name, by_benchmark in content.consistency.items()
        for benchmark, row in by_benchmark.items()
        if row.mean_with_english
    ]
    languages = in_order(code for _, _, row in rows for code in row.with_english)

    body, given_right = [], []
    for benchmark, name, row in rows:
        agreements = [*(row.with_english.get(code) for code in languages), row.mean_with_english]
        figures = [_agreement(one, with_error=one is row.mean_with_english) for one in agreements]
        shares = [one and one.agree_given_english_right for one in agreements]
        body.append([*named(content, titles, name, benchmark), *figures])
        given_right.append(
            [*named(content, titles, name, benchmark), *("-" if share is None else f"{share:.1f}" for share in shares)]
        )
    columns = [*KEYS, *heads(languages, titles), "mean ± s.e."]
    note = "Percent of problems with the same number as the answer to the English question, right or wrong."
    table = Table(title, columns, body, note, section="consistency")
    details = Table("Right where the English answer is right", [*columns[:-1], "mean"], given_right)
    return replace(table, narrow=table.turned(title + ": {}", columns[2:]), details=[details])


def _agreement(row: Agreement | None, *, with_error: bool) -> str:
    if row is None:
        return "-"
    low, high = interval(row.agree, row.standard_error, row.n)
    if not with_error:
        text = f"{row.agree:.1f}"
    elif row.standard_error:
        text = plus_minus(row.agree, row.standard_error)
    else:
        text = f"{row.agree:.1f} ({low:.1f} to {high:.1f})"
    return Cell(text, between(low, high))


def claims_table(content: Content) -> Table:
    """The claims of the study with their verdicts."""
    rows = [[row.claim, row.verdict, row.evidence] for row in content.claims]
    return Table("The claims of the study, here", ["claim", "verdict", "evidence"], rows, section="claims")
