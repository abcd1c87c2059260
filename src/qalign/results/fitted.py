"""The layout of a table at the width of a terminal: words wrap, figures never do.

A table that is too wide is shown by its narrower versions, if it has such, or in parts that repeat the first columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.cells import cell_len

from ..untrusted import printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from .tables import Table

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
