"""From a row to a record: which columns each role has, and what must hold of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import DataError, nearest
from ..numbers import parse_gold
from ..records import Document, Pair, Problem
from .table import PAIR_KINDS, Role


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that a role needs, and those it may have besides, which are not read (`gold` excepted)."""

    needed: tuple[str, ...]
    known: tuple[str, ...]


ANYWHERE = ("id", "language", "line")
"""Columns of every role: `id` joins translations of each other, `language` is a code, `line` is not read."""

# fmt: off
COLUMNS: Mapping[Role, Columns] = {
    "questions":    Columns(("question", "question_en"), ("answer", "answer_en")),
    "answers":      Columns(("answer", "answer_en"), ("question", "question_en")),
    "multilingual": Columns(("question", "answer"), ("question_en", "answer_en", "gold", "final", "final_ok")),
    "english":      Columns(("question", "answer"), ("gold", "final", "final_ok")),
    "general":      Columns(("text", "text_en"), ()),
    "test":         Columns(("question", "answer"), ("question_en", "equation", "final")),
    "text":         Columns(("text",), ()),
}
# fmt: on


class InvalidRow(DataError):
    """A row that can be dropped on request: a text in it is empty, or its id has been there before."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(
            f"{where}: {reason}; mend it, or have such rows dropped and listed: --set data.drop_invalid=true"
        )
        self.where = where
        self.reason = reason

    def __reduce__(self) -> tuple[type[InvalidRow], tuple[str, str]]:
        return type(self), (self.where, self.reason)  # so that it crosses from a worker process


def record(
    role: Role, row: Mapping[str, Any], *, where: str, language: str, ordinal: int, source: str
) -> Pair | Problem | Document:
    """The record that a row holds.

    `ordinal` counts the rows of the file from 0 and is the id where the row has none, so that parallel files without
    ids are joined by their lines.

    Raises:
        InvalidRow: a text is empty or null.
        DataError: a column is unknown or missing, a value is of the wrong type, a final number is no number.
    """
    columns = COLUMNS[role]
    known = (*columns.needed, *columns.known, *ANYWHERE)
    for name in row:
        if name not in known:
            raise DataError(f"{where}: unknown column '{name}': {nearest(name, known)} (see docs/data.md for {role})")
    for name in columns.needed:
        if name not in row:
            raise DataError(f"{where}: the column '{name}' is missing; {role} need {' and '.join(columns.needed)}")
    key = _id(row, where, ordinal)
    if role == "text":
        return Document(key, language, _text(row, "text", where), source)
    first, second = columns.needed
    if role in PAIR_KINDS:
        text, text_en = _text(row, first, where), _text(row, second, where)
        return Pair(key, language, text, text_en, PAIR_KINDS[role], source)
    question = _text(row, first, where)
    if role == "test":
        return Problem(key, language, question, None, _number(row, second, where), source)
    answer = _text(row, second, where)
    gold = final_number(answer) if row.get("gold") is None else _number(row, "gold", where)
    return Problem(key, language, question, answer, gold, source)


def final_number(answer: str) -> str | None:
    """The number behind the last `####` of a worked answer, as it is written; None if there is none."""
    _, mark, end = answer.rpartition("####")
    text = end.strip().split("\n")[0].strip()
    return text if mark and is_number(text) else None


_COMMAS_BETWEEN_THOUSANDS = re.compile(r"[^,]*|[+-]?\d{1,3}(,\d{3})+(\.\d+)?")


def is_number(text: str) -> bool:
    """Whether a text is a number in figures as scoring reads it, commas between thousands allowed."""
    try:
        parse_gold(text)
    except DataError:
        return False
    return _COMMAS_BETWEEN_THOUSANDS.fullmatch(text) is not None and any(character.isdigit() for character in text)


def _id(row: Mapping[str, Any], where: str, ordinal: int) -> str:
    if "id" not in row:
        return str(ordinal)
    value = row["id"]
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise DataError(f"{where}: 'id' is {_kind(value)}; it must be a text or a whole number")
    if not str(value).strip():
        raise DataError(f"{where}: 'id' is empty; fill it in, or leave out the column to count rows")
    return str(value)


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row[name]
    if value is None:
        raise InvalidRow(where, f"'{name}' is null")
    if not isinstance(value, str):
        raise DataError(f"{where}: '{name}' is {_kind(value)}; it must be a text")
    if not value.strip():
        raise InvalidRow(where, f"'{name}' is empty")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise DataError(f"{where}: '{name}' holds half of a character ({error.reason}); mend the text") from error
    return value


def _number(row: Mapping[str, Any], name: str, where: str) -> str:
    """A final number as the corpus writes it; a number that a typed file holds is written without a needless `.0`."""
    value = row[name]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    text = _text({name: value}, name, where).strip()
    if not is_number(text):
        raise DataError(f"{where}: '{name}' is '{text}'; it must be a number in figures, such as 18, 2.5 or 1,200")
    return text


def _kind(value: Any) -> str:
    return "null" if value is None else f"of type {type(value).__name__}"
