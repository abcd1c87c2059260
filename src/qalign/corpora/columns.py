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
from .files import Row, place_of_names
from .table import PAIR_KINDS, Role

# fmt: off
COLUMNS: Mapping[Role, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "questions":    (("question", "question_en"), ("answer", "answer_en")),
    "answers":      (("answer", "answer_en"), ("question", "question_en")),
    "multilingual": (("question", "answer"), ("question_en", "answer_en", "gold", "final", "final_ok")),
    "english":      (("question", "answer"), ("gold", "final", "final_ok", "source")),
    "general":      (("text", "text_en"), ()),
    "test":         (("question", "answer"), ("gold", "question_en", "equation", "final")),
    "text":         (("text",), ()),
}
# fmt: on
"""The columns that must be present, and further ones that may be. Of these only `gold` and `source` are read."""

ANYWHERE = ("id", "language", "line")
"""Columns of every role: `id` joins translations of each other, `language` is a code, `line` is not read."""

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

_BLANK = "\u115f\u1160\u2800\u3164\uffa0"
"""Invisible letters and signs: fillers of Hangul, the empty pattern of Braille."""
_COMMAS_BETWEEN_THOUSANDS = re.compile(r"(?![+$€£ ]*[+][+$€£ ]*[-−])[^,]*|[+-]?\d{1,3}(,\d{3})+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Found:
    """A row, before it is checked."""

    where: str
    """The file and line, for messages."""
    language: str
    ordinal: int
    """The number of earlier rows in the same file. It is the id where the row has none: parallel files are joined by line."""
    row: Row


class InvalidRow(DataError):
    """A row that can be dropped on request: a text is empty or an id repeated."""

    def __init__(self, where: str, reason: str) -> None:
        advice = "fix it, or have such rows dropped and listed: --set data.drop_invalid=true"
        super().__init__(f"{where}: {reason}; {advice}")
        self.where, self.reason = where, reason

    def __reduce__(self) -> tuple[type[InvalidRow], tuple[str, str]]:
        return type(self), (self.where, self.reason)  # so that a worker process can send it


def record(role: Role, found: Found, source: str) -> Pair | Problem | Document:
    """The record that a row holds. Raises InvalidRow for an empty text, and DataError for any other fault."""
    row, where, language = found.row, found.where, found.language
    needed, allowed = COLUMNS[role]
    known = (*needed, *allowed, *ANYWHERE)
    has_number = role == "test" and row.get("gold") is not None
    lacking = [name for name in needed if name not in row and not (name == "answer" and has_number)]
    if lacking:
        raise DataError(missing(lacking, row, where, known, f"{role} need {' and '.join(needed)}"))
    for name in row:
        if name not in known:
            advice = f"{nearest(name, known)} (see docs/data.md for {role})"
            raise DataError(f"{place_of_names(where)}: unknown column '{printable(name[:80])}': {advice}")
    key = identifier(row["id"], where) if "id" in row else str(found.ordinal)
    if role == "text":
        return Document(id=key, language=language, text=text_of(row, "text", where), source=source)
    if row.get("source") is not None:
        source = f"{source}: {text_of(row, 'source', where)}"
    first, second = needed
    text = text_of(row, first, where)
    if role in PAIR_KINDS:
        text_en = text_of(row, second, where)
        return Pair(id=key, language=language, text=text, text_en=text_en, kind=PAIR_KINDS[role], source=source)
    answer = None if role == "test" else text_of(row, second, where)
    if answer is None:
        gold: str | None = number(row, "gold" if has_number else second, where)
    else:
        gold = final_number(answer) if row.get("gold") is None else number(row, "gold", where)
    return Problem(id=key, language=language, question=text, answer=answer, gold=gold, source=source)


def missing(names: Sequence[str], row: Mapping[str, Any], where: str, known: Collection[str], otherwise: str) -> str:
    """The message about missing columns: the columns present, and those to rename, or else the advice `otherwise`.

    `known` are columns with another meaning.
    """
    renamed: dict[str, str] = {}
    for name in names:
        alike = ELSEWHERE.get(name, ())
        others = [other for other in row if (other not in known or other in alike) and other not in renamed]
        called = next((other for alias in alike for other in others if other.strip().casefold() == alias), None)
        meant = closest(name, others, cutoff=0.75) or called or closest(name, others)
        if meant is not None:
            renamed[meant] = name
    advice = [f"rename '{printable(old[:80])}' to '{new}'" for old, new in renamed.items()]
    left = [name for name in names if name not in renamed.values()]
    free = [f"'{printable(other[:80])}'" for other in row if other not in known and other not in renamed]
    if left and 0 < len(free) <= MOST_GUESSES:
        meant = f" to '{left[0]}' if it holds that" if len(left) == len(free) == 1 else " if they hold these"
        advice.append(f"rename {' and '.join(free)}{meant}")
    advice += [otherwise] if left else []
    shown = [printable(other[:80]) for other in list(row)[:SHOWN]] + ["..."] * (len(row) > SHOWN)
    quoted = " and ".join(filter(None, [", ".join(f"'{name}'" for name in names[:-1]), f"'{names[-1]}'"]))
    what = f"no column{'s' * (len(names) > 1)} {quoted} (found: {', '.join(shown) or 'none'})"
    return f"{place_of_names(where)}: {what}; {', '.join(advice)}"


def final_line(answer: str) -> str | None:
    """The text behind the last `####` up to the end of its line, or None."""
    _, mark, end = answer.rpartition("####")
    return end.strip().split("\n")[0].strip() if mark else None


def final_number(answer: str) -> str | None:
    """The number behind the last `####` of a worked answer, as written, or None."""
    text = final_line(answer)
    return text if text is not None and is_number(text) else None


def is_number(text: str) -> bool:
    """Whether scoring reads a text as a number. Thousands separators are allowed."""
    try:
        parse_gold(text)
    except DataError:
        return False
    return _COMMAS_BETWEEN_THOUSANDS.fullmatch(text) is not None and any(map(str.isdigit, text))


def identifier(value: Any, where: str) -> str:
    """The id that a cell holds: a text or a whole number. Raises DataError for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise DataError(f"{where}: 'id' is {_kind(value)}; it must be a text or a whole number")
    text = str(value)
    if is_blank(text):
        raise DataError(f"{where}: 'id' is empty; fill it in, or leave out the column to count rows")
    check_surrogates(text, f"{where}: 'id'")
    if text != text.strip() or any(unicodedata.category(character) == "Cc" for character in text):
        advice = "it must hold no control characters, and no white space around it"
        raise DataError(f"{where}: 'id' is {text[:80]!r}; {advice}")
    if len(text) > LONGEST_ID:
        raise DataError(f"{where}: 'id' has {len(text):,} characters, at most {LONGEST_ID}; give a shorter one")
    return text


def language_of(value: Any, where: str) -> str | None:
    """The code in a cell `language`, None where it is null or empty. Raises DataError if it is not a text."""
    if value is not None and not isinstance(value, str):
        raise DataError(f"{where}: 'language' is {_kind(value)}; it must be a code, such as bn")
    return value or None


def is_blank(text: str) -> bool:
    """Whether a text is empty or holds only white space and invisible characters."""
    return all(
        character.isspace() or unicodedata.category(character) in ("Cc", "Cf", "Mn") or character in _BLANK
        for character in text
    )


def text_of(row: Mapping[str, Any], name: str, where: str) -> str:
    """The text of a column. Raises InvalidRow if it is null or blank, DataError if it is no valid text."""
    value = row[name]
    if value is None:
        raise InvalidRow(where, f"'{name}' is null")
    if not isinstance(value, str):
        raise DataError(f"{where}: '{name}' is {_kind(value)}; it must be a text")
    if is_blank(value):
        raise InvalidRow(where, f"'{name}' is empty{' (it holds invisible characters alone)' * bool(value.strip())}")
    check_surrogates(value, f"{where}: '{name}'")
    if "\0" in value:
        raise DataError(f"{where}: '{name}' holds a NUL character; remove it")
    return value


def number(row: Mapping[str, Any], name: str, where: str) -> str:
    """A final number as the corpus writes it. Typed files lose a needless `.0`. Raises as `text_of`."""
    value = row[name]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(int(value) if value == value // 1 else value)
    text = text_of({name: value}, name, where).strip()
    if not is_number(text):
        shown = printable(text[:80]) + "..." * (len(text) > 80)
        raise DataError(f"{where}: '{name}' is '{shown}'; it must be a number in figures, such as 18, 2.5 or 1,200")
    return text


def _kind(value: Any) -> str:
    return "null" if value is None else f"of type {type(value).__name__}"
