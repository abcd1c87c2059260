"""From a row to a record: the columns of each role, and their checks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import DataError, closest, nearest
from ..numbers import parse_gold
from ..records import Document, Pair, Problem
from ..untrusted import check_surrogates, printable
from .files import place_of_names
from .table import PAIR_KINDS, Role


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a role."""

    needed: tuple[str, ...]
    """Columns that must be present."""
    known: tuple[str, ...]
    """Further columns that are allowed. Only `gold` is read."""


ANYWHERE = ("id", "language", "line")
"""Columns of every role: `id` joins translations of each other, `language` is a code, `line` is not read."""

# fmt: off
COLUMNS: Mapping[Role, Columns] = {
    "questions":    Columns(("question", "question_en"), ("answer", "answer_en")),
    "answers":      Columns(("answer", "answer_en"), ("question", "question_en")),
    "multilingual": Columns(("question", "answer"), ("question_en", "answer_en", "gold", "final", "final_ok")),
    "english":      Columns(("question", "answer"), ("gold", "final", "final_ok")),
    "general":      Columns(("text", "text_en"), ()),
    "test":         Columns(("question", "answer"), ("gold", "question_en", "equation", "final")),
    "text":         Columns(("text",), ()),
}
# fmt: on


ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    "question": ("problem", "query", "prompt", "instruction", "input"),
    "answer": ("solution", "output", "response", "completion", "target", "label", "final_answer", "reference"),
    "response": ("answer", "reply", "result"),
    "id": ("index", "idx", "problem_id", "question_id", "sample_id", "doc_id", "uid", "qid"),
    "language": ("lang", "language_code", "lang_code", "locale"),
    "gold": ("target", "reference", "label", "answer", "final_answer", "ground_truth", "expected", "solution"),
}
"""Names of our columns in other tools. An error advises to rename such a column where ours is missing."""

MOST_GUESSES = 3
"""The most columns of unknown names that an error offers to rename."""

SHOWN = 20
"""The most columns of a file that an error names."""

LONGEST_ID = 200
"""The most characters of an id."""


class InvalidRow(DataError):
    """A row that can be dropped on request: a text is empty or an id repeated."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(
            f"{where}: {reason}; fix it, or have such rows dropped and listed: --set data.drop_invalid=true"
        )
        self.where = where
        self.reason = reason

    def __reduce__(self) -> tuple[type[InvalidRow], tuple[str, str]]:
        return type(self), (self.where, self.reason)  # so that a worker process can send it


def record(
    role: Role, row: Mapping[str, Any], *, where: str, language: str, ordinal: int, source: str
) -> Pair | Problem | Document:
    """The record that a row holds.

    Args:
        role: the role of the corpus.
        row: values by column.
        where: the place of the row, for messages.
        language: the code of its language.
        ordinal: the number of earlier rows in the file. It is the id where the row has none, so parallel files without ids
            are joined by line.
        source: the name of the corpus.

    Raises:
        InvalidRow: a text is empty or null.
        DataError: a column is unknown or missing, a value is of the wrong type, a final number is no number.
    """
    columns = COLUMNS[role]
    known = (*columns.needed, *columns.known, *ANYWHERE)
    has_number = role == "test" and row.get("gold") is not None
    lacking = [name for name in columns.needed if name not in row and not (name == "answer" and has_number)]
    if lacking:
        raise DataError(missing(lacking, row, where, known, f"{role} need {' and '.join(columns.needed)}"))
    for name in row:
        if name not in known:
            raise DataError(
                f"{place_of_names(where)}: unknown column '{printable(name[:80])}': {nearest(name, known)} (see "
                f"docs/data.md for {role})"
            )
    key = identifier(row["id"], where) if "id" in row else str(ordinal)
    if role == "text":
        return Document(id=key, language=language, text=text_of(row, "text", where), source=source)
    first, second = columns.needed
    if role in PAIR_KINDS:
        text, text_en = text_of(row, first, where), text_of(row, second, where)
        return Pair(id=key, language=language, text=text, text_en=text_en, kind=PAIR_KINDS[role], source=source)
    question = text_of(row, first, where)
    if role == "test":
        return Problem(
            id=key,
            language=language,
            question=question,
            answer=None,
            gold=number(row, "gold" if has_number else second, where),
            source=source,
        )
    answer = text_of(row, second, where)
    gold = final_number(answer) if row.get("gold") is None else number(row, "gold", where)
    return Problem(id=key, language=language, question=question, answer=answer, gold=gold, source=source)


def missing(names: Sequence[str], row: Mapping[str, Any], where: str, known: Collection[str], otherwise: str) -> str:
    """The message about missing columns: the columns present, and those to rename.

    Args:
        names: the missing columns, all at once.
        row: the columns present.
        where: the place of the row.
        known: columns with another meaning.
        otherwise: the advice where no column is a likely match.
    """
    renamed: dict[str, str] = {}
    for name in names:
        alike = ELSEWHERE.get(name, ())
        others = [other for other in row if (other not in known or other in alike) and other not in renamed]
        folded = {other.strip().casefold(): other for other in reversed(others)}
        called = next((folded[other] for other in alike if other in folded), None)
        meant = closest(name, others, cutoff=0.75) or called or closest(name, others)
        if meant is not None:
            renamed[meant] = name
    left = [name for name in names if name not in renamed.values()]
    free = [f"'{printable(other[:80])}'" for other in row if other not in known and other not in renamed]
    advice = [f"rename '{printable(old[:80])}' to '{new}'" for old, new in renamed.items()]
    if len(left) == len(free) == 1:
        advice.append(f"rename {free[0]} to '{left[0]}' if it holds that")
    elif left and 0 < len(free) <= MOST_GUESSES:
        advice.append(
            f"rename {' and '.join(free)} if they hold these" if free[1:] else f"rename {free[0]} if it is one"
        )
    advice += [otherwise] if left else []
    shown = [printable(other[:80]) for other in list(row)[:SHOWN]] + (["..."] if len(row) > SHOWN else [])
    what = f"column{'s' * (len(names) > 1)} {_quoted(names)}"
    return f"{place_of_names(where)}: no {what} (found: {', '.join(shown) or 'none'}); {', '.join(advice)}"


def _quoted(names: Sequence[str]) -> str:
    """`'id'`, or `'id' and 'gold'`."""
    return " and ".join(filter(None, [", ".join(f"'{name}'" for name in names[:-1]), f"'{names[-1]}'"]))


def final_number(answer: str) -> str | None:
    """The number behind the last `####` of a worked answer, as written, or None."""
    text = final_line(answer)
    return text if text is not None and is_number(text) else None


def final_line(answer: str) -> str | None:
    """The text behind the last `####` up to the end of its line, or None."""
    _, mark, end = answer.rpartition("####")
    return end.strip().split("\n")[0].strip() if mark else None


_COMMAS_BETWEEN_THOUSANDS = re.compile(r"(?![+$€£ ]*[+][+$€£ ]*[-−])[^,]*|[+-]?\d{1,3}(,\d{3})+(\.\d+)?")


def is_number(text: str) -> bool:
    """Whether scoring reads a text as a number. Thousands separators are allowed."""
    try:
        parse_gold(text)
    except DataError:
        return False
    return _COMMAS_BETWEEN_THOUSANDS.fullmatch(text) is not None and any(character.isdigit() for character in text)


def identifier(value: Any, where: str) -> str:
    """The id that a cell holds: a text or a whole number.

    Raises:
        DataError: it has another type, is empty, is longer than `LONGEST_ID`, or is not valid text.
    """
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise DataError(f"{where}: 'id' is {_kind(value)}; it must be a text or a whole number")
    if isinstance(value, str):
        if is_blank(value):
            raise DataError(f"{where}: 'id' is empty; fill it in, or leave out the column to count rows")
        check_surrogates(value, f"{where}: 'id'")
        if value != value.strip():
            raise DataError(f"{where}: 'id' begins or ends with white space; take it away")
        if any(unicodedata.category(character) == "Cc" for character in value):
            raise DataError(f"{where}: 'id' is '{printable(value[:80])}'; it must hold no control characters")
    if len(str(value)) > LONGEST_ID:
        raise DataError(f"{where}: 'id' has {len(str(value)):,} characters, at most {LONGEST_ID}; give a shorter one")
    return str(value)


def language_of(value: Any, where: str) -> str | None:
    """The code in a cell `language`. None where the cell is null or empty.

    Raises:
        DataError: it is not a text.
    """
    if value is not None and not isinstance(value, str):
        raise DataError(f"{where}: 'language' is {_kind(value)}; it must be a code, such as bn")
    return value or None


def is_blank(text: str) -> bool:
    """Whether a text is empty or holds only white space and invisible characters."""
    return all(
        character.isspace() or unicodedata.category(character) in ("Cc", "Cf", "Mn") or character in _BLANK
        for character in text
    )


_BLANK = "\u115f\u1160\u2800\u3164\uffa0"
"""Invisible letters and signs: fillers of Hangul, the empty pattern of Braille."""


def text_of(row: Mapping[str, Any], name: str, where: str) -> str:
    """The text of a column.

    Raises:
        InvalidRow: it is null or blank.
        DataError: it has another type, or holds half of a surrogate pair or a NUL character.
    """
    value = row[name]
    if value is None:
        raise InvalidRow(where, f"'{name}' is null")
    if not isinstance(value, str):
        raise DataError(f"{where}: '{name}' is {_kind(value)}; it must be a text")
    if is_blank(value):
        raise InvalidRow(
            where, f"'{name}' is empty" + (" (it holds invisible characters alone)" if value.strip() else "")
        )
    check_text(value, f"{where}: '{name}'")
    return value


def check_text(text: str, where: str) -> None:
    """Checks a text.

    Raises:
        DataError: it cannot be written as UTF-8, or holds a NUL character.
    """
    check_surrogates(text, where)
    if "\0" in text:
        raise DataError(f"{where} holds a NUL character; remove it")


def number(row: Mapping[str, Any], name: str, where: str) -> str:
    """A final number as the corpus writes it. Typed files lose a needless `.0`.

    Raises:
        InvalidRow: it is null or empty.
        DataError: it is not a number.
    """
    value = row[name]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    text = text_of({name: value}, name, where).strip()
    if not is_number(text):
        shown = printable(text[:80]) + ("..." if len(text) > 80 else "")
        raise DataError(f"{where}: '{name}' is '{shown}'; it must be a number in figures, such as 18, 2.5 or 1,200")
    return text


def _kind(value: Any) -> str:
    return "null" if value is None else f"of type {type(value).__name__}"
