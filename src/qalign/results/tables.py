"""A table of text, written four ways. Cells may hold what a model or a user wrote: each writer escapes for its target.

At the width of a terminal words wrap, and figures never do. A table that is too wide is shown by its narrower versions, if it
has such, or in parts that repeat the first columns.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from rich.cells import cell_len

from ..untrusted import printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.text import Text

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


GAP = 3
"""Characters between two columns: a space, the line or its place, a space."""
WORD = 30
"""Characters from which on a single word may be broken anywhere to fit."""

_BREAK = re.compile(r"(?<=[^\W\d][/-])(?<!\b[0-9a-f]{8}-)(?=\w)(?![0-9a-f]{8}\b)")
"""Where a word may go on in the next line: behind a hyphen or a slash that follows a letter. A hash stays with its name, so that
names of runs and stages can be copied."""
_FIGURE = re.compile(r"[-+<>=±()\[\]%~\d.,:\s]|\bto\b|(?<=\d)[BKM]\b|\b(?:[KMGT]i?B|days?|h|min|s)\b")
"""What a cell of figures may hold: numbers, signs, units."""
UNKNOWN = ("", "-", "unknown")
"""What stands in the place of a figure that there is not."""


def one_line(text: str) -> str:
    """The text in one line without control characters."""
    return printable(" ".join(text.split()))


def fitted(table: Table, width: int) -> Iterator[RenderableType]:
    """What rich prints of a table, at most `width` characters wide. Nothing of a table without rows."""
    from rich.text import Text

    if not table.rows:
        return
    yield Text(one_line(table.title), style="italic")
    for number, part in enumerate(_parts(table, width)):
        if number:
            yield Text("")
        if part.title != table.title:
            yield Text(one_line(part.title), style="italic")
        yield from _drawn(part, width)
        if part.note and part.note != table.note:
            yield Text(one_line(part.note), style="dim")
    if table.note:
        yield Text(one_line(table.note), style="dim")


def is_figure(cell: str) -> bool:
    """Whether a cell holds numbers, with signs and units, and nothing else."""
    return any(character.isdigit() for character in cell) and not _FIGURE.sub("", cell)


def of_figures(table: Table) -> list[bool]:
    """Whether each column of a table holds figures, and dashes where there is none."""
    columns = list(zip(*table.rows, strict=True))[1:]
    return [
        False,
        *(any(map(is_figure, cells)) and all(c in UNKNOWN or is_figure(c) for c in cells) for cells in columns),
    ]


def _parts(table: Table, width: int) -> list[Table]:
    """The tables that show all of a table at a width."""
    if _widths(table, width) is not None:
        return [table]
    if table.narrow:
        return [part for narrow in table.narrow for part in _parts(narrow, width)]
    figures, count = of_figures(table), len(table.columns)
    keys = figures.index(True) if True in figures else 1  # columns at the left that say what a row is about
    parts, start = [], keys
    while start < count:
        end = start + 1
        while end < count and _widths(table.at([*range(keys), *range(start, end + 1)]), width) is not None:
            end += 1
        parts.append(table.at([*range(keys), *range(start, end)]))
        start = end
    return parts or [table]


def _widths(table: Table, width: int) -> list[int] | None:
    """The width of each column; None if a figure or a short word had to be broken."""
    least, most = [], []
    for head, holds_figures, *cells in zip(table.columns, of_figures(table), *table.rows, strict=True):
        texts = [one_line(text) for text in (head, *cells)]
        words = [piece for text in texts for word in text.split() for piece in _BREAK.split(word)]
        longest = min(max(map(cell_len, words), default=0), WORD)
        least.append(max([longest, *map(cell_len, texts[1:])]) if holds_figures else longest)
        most.append(max(map(cell_len, texts)))
    spare = width - GAP * (len(least) - 1) - sum(least)
    if spare < 0:
        return None
    wide = list(least)
    wanting = sorted(range(len(wide)), key=lambda number: most[number] - least[number])
    for place, number in enumerate(wanting):  # the column that wants least first: what it leaves goes to the others
        more = min(most[number] - least[number], spare // (len(wanting) - place))
        wide[number] += more
        spare -= more
    return wide


def _drawn(table: Table, width: int) -> Iterator[RenderableType]:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    widths = _widths(table, width)
    if widths is None:  # not even one column next to the first: a line for each cell
        for row in table.rows:
            for column, cell in zip(table.columns, row, strict=True):
                yield Text(f"{one_line(column)}: {one_line(cell)}")
        return
    drawn = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column, wide, holds_figures in zip(table.columns, widths, of_figures(table), strict=True):
        drawn.add_column(_wrapped(column, wide), justify="right" if holds_figures else "left", width=wide)
    for row in table.rows:
        drawn.add_row(*map(_wrapped, row, widths))
    yield drawn


def _wrapped(cell: str, width: int) -> Text:
    """A cell in lines, broken between words or, where a word is too long, behind a hyphen or a slash of it."""
    from rich.text import Text

    lines = [""]
    for word in one_line(cell).split(" "):
        pieces = [word] if cell_len(word) <= width else _BREAK.split(word)
        for number, piece in enumerate(pieces):
            space = " " if number == 0 and lines[-1] else ""
            if lines[-1] and cell_len(lines[-1] + space + piece) > width:
                lines.append(piece)
            else:
                lines[-1] += space + piece
    return Text("\n".join(lines))
