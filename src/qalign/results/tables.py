"""A table of text, written four ways. Cells may hold what a model or a user wrote: each writer escapes for its target."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ..untrusted import printable
from .fitted import fitted, one_line

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

Section = Literal["claims", "results", "consistency", "comparisons", "training", "models"]

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip

_FIGURES = re.compile(r"-|[+-]?\d[\d,]*(?:\.\d+)?(?: (?:±|to|->) [+-]?\d[\d,]*(?:\.\d+)?)?")
"""What our own cells hold that begins with a sign: a figure, a difference, an interval, or a dash for none."""
_FORMULA = re.compile(r"(?:^|(?<=[;|]))(?=[\s'\"\u2018-\u201f]*[=+@\uff1d\uff0b\uff0d\uff20-])")
"""The places before what may be a formula: a sign behind spaces and quotes."""


@dataclass(frozen=True, slots=True)
class Whisker:
    """A difference with its interval, on an axis from -1 to 1 that all of a table share."""

    low: float
    at: float
    high: float
    is_decided: bool


class Cell(str):
    """The text of a cell, with what the page alone shows of it."""

    below: str
    """A second line."""
    name: str
    """A name that stands in place of the text, with the text below."""
    is_best: bool
    """Whether it is the highest figure of its column."""
    slot: int | None
    """The place of a system among the colours."""
    drawing: Whisker | None
    """An interval that is drawn."""

    def __new__(cls, text: str, below: str = "", *, name: str = "", is_best: bool = False, slot: int | None = None,
                drawing: Whisker | None = None) -> Cell:  # fmt: skip
        cell = super().__new__(cls, text)
        cell.below, cell.name, cell.is_best, cell.slot, cell.drawing = below, name, is_best, slot, drawing
        return cell


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under column heads; the first column is set left, the others right. rich draws it at any width."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    """Text that stands below."""
    narrow: Sequence[Table] = ()
    """The tables that show the same on a terminal that is too narrow for this one."""
    section: Section = "results"
    """The part of the page where it stands."""
    details: Sequence[Table] = ()
    """Further tables that the page alone has, folded."""

    def at(self, places: Iterable[int]) -> Table:
        """The columns at some places."""
        places = list(places)
        columns, *rows = [[row[n] for n in places] for row in (self.columns, *self.rows)]
        return replace(self, columns=columns, rows=rows, narrow=())

    def select(self, columns: Iterable[str]) -> Table:
        """Some of the columns, with their heads in full."""
        table = self.at(map(self.columns.index, columns))
        return replace(table, columns=[name_of(column) for column in table.columns])

    def parts(self, column: str) -> dict[str, Table]:
        """A table for each text of a column, without that column and without those that are then empty."""
        if column not in self.columns:
            return {"": self}
        place = self.columns.index(column)
        parts = {}
        for text in dict.fromkeys(row[place] for row in self.rows):
            part = replace(self, rows=[row for row in self.rows if row[place] == text])
            parts[text] = part.at(
                n for n in range(len(self.columns)) if n != place and any(row[n] != "-" for row in part.rows)
            )
        return parts

    def turned(self, title: str, columns: Sequence[str]) -> list[Table]:
        """For each benchmark a table whose rows are some columns of this one. The title has `{}` for the benchmark."""
        tables = []
        for benchmark, part in self.parts("benchmark").items():
            across = [
                [name_of(head), *cells]
                for head, *cells in zip(part.columns, *part.rows, strict=True)
                if head in columns
            ]
            tables.append(Table(title.format(benchmark), ["language", *(row[0] for row in part.rows)], across))
        return [table for table in tables if table.rows]

    def markdown(self) -> str:
        """GitHub's Markdown."""
        rule = "|---" + "|---:" * (len(self.columns) - 1) + "|"
        lines = [f"**{as_markdown(self.title)}**", "", _bar(self.columns), rule, *map(_bar, self.rows)]
        return "\n".join([*lines, *(["", as_markdown(self.note)] if self.note else []), ""])

    def latex(self) -> str:
        """A `tabular` for booktabs."""
        head, *body = [" & ".join(map(_latex, row)) + r" \\" for row in (self.columns, *self.rows)]
        begin = r"\begin{tabular}{l" + "r" * (len(self.columns) - 1) + "}"
        lines = [
            f"% {one_line(self.title)}",
            begin,
            r"\toprule",
            head,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
        ]
        return "\n".join([*lines, *([f"% {one_line(self.note)}"] if self.note else []), ""])

    def csv(self) -> str:
        """Comma-separated values with the column heads first; no cell of them is a formula to a spreadsheet."""
        out = io.StringIO()
        rows = [map(without_formula, row) for row in (self.columns, *self.rows)]
        csv.writer(out, lineterminator="\n").writerows(rows)
        return out.getvalue()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield from fitted(self, options.max_width)


def name_of(column: str) -> str:
    """The head of a column in full."""
    return column.name or column if isinstance(column, Cell) else column


def _bar(cells: Sequence[str]) -> str:
    return "| " + " | ".join(as_markdown(cell).replace("|", r"\|") for cell in cells) + " |"


def without_formula(text: str) -> str:
    """The text of a cell with an apostrophe before what a spreadsheet would compute; numbers and intervals stay as they are.

    The rule is OWASP's ("CSV injection"), for spreadsheets that split cells at semicolons and tabs too.
    """
    text = printable(text)
    return text if _FIGURES.fullmatch(text) else _FORMULA.sub("'", text)


def as_markdown(text: str) -> str:
    """Text that Markdown shows as it stands."""
    return re.sub(r"([\\`*_<>\[\]])", r"\\\1", one_line(text))


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in one_line(text))
