"""Separators in a run of digits: of thousands, of decimals, of two numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

from .languages import Language

Value = Fraction | None
"""None: too long to read."""

GROUP_SPACE = "\u00a0"
"""The one space that stands for every narrow or no-break space between groups of digits."""

_MAX_DIGITS = 300  # Longer ones are no answers; they are skipped, since arithmetic on them is quadratic.


def split_run(run: str, offset: int, language: Language) -> Iterator[tuple[Value, int, int]]:
    """The numbers of a run such as `1.234,5`, each with its span."""
    matches = list(re.finditer("[0-9]+", run))
    digits = [match[0] for match in matches]
    marks = [_mark(run[one.end() : next_one.start()], next_one[0]) for one, next_one in pairwise(matches)]

    def piece(first: int, last: int, rest: str = "") -> tuple[Value, int, int]:
        """The number of groups `first` to `last`, with `rest` as its decimals."""
        final = last + 1 if rest else last
        value = decimal_value("".join(digits[first : last + 1]), rest)
        return value, offset + matches[first].start(), offset + matches[final].end()

    def tight(first: int, last: int) -> Iterator[tuple[Value, int, int]]:
        """The numbers of groups `first` to `last`, which have no spaces between them."""
        between = marks[first:last]
        groups = digits[first : last + 1]
        final = between[-1] if between else ""
        if not between:
            yield piece(first, last)
        elif len(between) == 1 and final != "|":
            thousands = final in language.groups or (language.decimal == "," and groups[1] == "000")
            if thousands and _grouped(groups, final, language):
                yield piece(first, last)
            elif final in ".,":
                yield piece(first, first, groups[1])
            else:  # the apostrophe of 5'10
                yield from (piece(first, first), piece(last, last))
        elif len(set(between)) == 1 and _grouped(groups, final, language):
            yield piece(first, last)
        elif {*between[:-1]} == {between[0]} != {final} <= {".", ","} and _grouped(groups[:-1], between[0], language):
            yield piece(first, last - 1, groups[-1])
        elif "," in between and len(set(between)) > 1:
            start = first
            for index in [*(i for i in range(first, last) if marks[i] == ","), last]:
                yield from tight(start, index)
                start = index + 1
        else:
            yield from (piece(index, index) for index in range(first, last + 1))

    first = 0
    while first < len(digits):
        last = first
        space = marks[first] if first < len(marks) and marks[first] in f" {GROUP_SPACE}" else None
        if space and _leads(digits[first]):
            while last < len(marks) and marks[last] == space and len(digits[last + 1]) == 3:
                last += 1
        if last > first:
            decimal = last < len(marks) and marks[last] in ".," and marks[last + 1 : last + 2] not in (["."], [","])
            yield piece(first, last, digits[last + 1] if decimal else "")
            last += decimal
        else:
            while last < len(marks) and marks[last] not in f" {GROUP_SPACE}":
                last += 1
            yield from tight(first, last)
        first = last + 1


def _mark(written: str, following: str) -> str:
    """The separator that LaTeX or full-width punctuation stands for."""
    full_width = "," if len(following) == 3 else "|"
    return {"，": full_width, "{,}": ",", ",\\!": ",", "\\,": GROUP_SPACE}.get(written, written)


def _leads(digits: str) -> bool:
    """Whether a group of digits can stand before groups of three."""
    return len(digits) <= 3 and digits[0] != "0"


def _grouped(groups: list[str], mark: str, language: Language) -> bool:
    if not _leads(groups[0]) or len(groups[-1]) != 3:
        return False
    inner = {len(group) for group in groups[1:-1]}
    return inner <= {3} or (language.indian_groups and mark == "," and inner == {2} and len(groups[0]) <= 2)


def decimal_value(whole: str, rest: str = "") -> Value:
    """The number with these digits around the decimal sign. None if too long."""
    rest = rest.rstrip("0")  # A model that repeats itself writes 1.000… without end.
    return Fraction(int(whole + rest), 10 ** len(rest)) if len(whole + rest) <= _MAX_DIGITS else None
