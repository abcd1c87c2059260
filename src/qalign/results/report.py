"""Which tables the results have, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .accuracy_tables import RESULTS, accuracy_table, language_table
from .data_tables import corpora_table, mixture_table, rejections_table, training_table
from .schema import Content
from .statistics_tables import DIFFERENCES, agreement_table, claims_table, differences_table
from .tables import Table
from .titles import Titles


def tables(content: Content, titles: Titles) -> list[Table]:
    """All tables that have rows: results first, then statistics, training and data."""
    every = [
        accuracy_table(content, titles),
        differences_table(content, titles),
        agreement_table(content, titles),
        language_table(content, titles),
        claims_table(content),
        training_table(content, titles),
        mixture_table(content),
        rejections_table(content, titles),
        corpora_table(content),
    ]
    return [table for table in every if table.rows]


def last_tables(content: Content, titles: Titles, differences: bool = False) -> list[Table]:
    """The tables that a run ends with: the verdicts on claims, if there are such, and the results.

    A terminal too narrow for all languages gets English, the others and the average; `qalign report` shows the rest.

    Args:
        content: of the results.
        titles: names for people.
        differences: whether the tests of differences stand below the results.
    """
    results = accuracy_table(content, titles)
    results = replace(results, narrow=results.narrow[:1])
    tested = [differences_table(content, titles)] if differences and content.comparisons else []
    return [*([claims_table(content)] if content.claims else []), results, *tested]


def for_terminal(tables: Sequence[Table]) -> list[Table]:
    """Tables in the order of a terminal, where the last lines are seen first: results and differences stand at the end."""
    last = [table for table in tables if table.title == RESULTS or table.title.startswith(DIFFERENCES)]
    return [*reversed([table for table in tables if table not in last]), *last]
