"""Which problem a prediction from elsewhere belongs to: by its id, by the order of the file, or by the question's text."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..corpora.columns import missing
from ..corpora.files import Row
from ..errors import DataError
from ..records import Finish, Problem
from ..untrusted import printable

TEXT_COLUMNS = (
    "response", "text", "prediction", "predict", "output", "outputs", "completion", "generation", "generated_text",
    "model_output", "model_answer", "model_response", "resps", "filtered_resps",
)  # fmt: skip
"""Columns that hold the answer. The first wins; of the others a file must have one alone.

`predict` is LLaMA-Factory's, `resps` and `filtered_resps` are lm-evaluation-harness's, and `outputs` is vLLM's.
"""
OTHER_COLUMNS = ("id", "custom_id", "doc_id", "gold", "language", "finish", "finish_reason", "filter")
"""Further columns that are read, next to `question` where it joins."""
WHOLE_FILE = "give --language for the whole file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A row of a file of predictions, before it is known which problem it answers."""

    where: str
    row: Row
    column: str
    """Where the answer is."""
    text: str
    finish: Finish
    language: str | None
    id: str | None
    question: str | None

    def spoken(self) -> str:
        """The language, which has to be there."""
        if self.language is None:
            raise lacking("language", self.row, self.where, WHOLE_FILE)
        return self.language

    def key(self, instead: str = "") -> tuple[str, str]:
        """Language and id, which have to be there."""
        if self.id is None:
            raise lacking("id", self.row, self.where, instead)
        return self.spoken(), self.id


def join(rows: Sequence[Answered], problems: Sequence[Problem], by: str | None, where: str) -> list[Problem | None]:
    """The problem that each row of the file `where` answers, None where there is none.

    `by` is one of `JOINS`; by default the id, which must then match in every row.

    Raises DataError where the rows cannot be joined so, no row has a problem, or two rows have the same.
    """
    found = JOINS[by or "id"](rows, problems)
    if not any(found):
        what = f"row of {where} belongs to a problem by {by}" if by else f"id of {where} is that of a problem"
        raise DataError(f"no {what}; {_other_joins(rows, problems)}")
    if by is None and None in found:
        row = rows[found.index(None)]
        raise DataError(
            f"{row.where}: no problem {printable(row.id or '')} in {row.language} of the test set; {found.count(None)} of "
            f"{len(rows)} rows have none: correct the ids, join by the text with --join question, or leave such rows out "
            "with --join id"
        )
    return found


def once(rows: Sequence[Answered], instead: str = "") -> None:
    """Checks that each row has an id, and that none stands twice in a language."""
    places: dict[tuple[str, str], str] = {}
    for row in rows:
        code, key = row.key(instead)
        if before := places.get((code, key)):
            raise DataError(f"{row.where}: the id {key} ({code}) stands twice, in {before} already; keep one")
        places[code, key] = row.where


def _by_id(rows: Sequence[Answered], problems: Sequence[Problem]) -> list[Problem | None]:
    once(rows, "join by order or question, with --join")
    table = {(problem.language, problem.id): problem for problem in problems}
    return [table.get(row.key()) for row in rows]


def _by_order(rows: Sequence[Answered], problems: Sequence[Problem]) -> list[Problem | None]:
    queues: dict[str, list[Problem]] = {}
    for problem in reversed(problems):
        queues.setdefault(problem.language, []).append(problem)
    for code, count in Counter(row.spoken() for row in rows).items():
        if code in queues and count > len(queues[code]):
            there = len(queues[code])
            raise DataError(
                f"{count} rows in {code} are more than the {there} problems; remove the others, or join by id"
            )
    return [queues[code].pop() if (code := row.spoken()) in queues else None for row in rows]


def _by_question(rows: Sequence[Answered], problems: Sequence[Problem]) -> list[Problem | None]:
    """A question that a test set has twice is answered twice, in its order."""
    queues: dict[str, dict[str, list[Problem]]] = {}
    for problem in reversed(problems):
        queues.setdefault(plain(problem.question), {}).setdefault(problem.language, []).append(problem)
    places: dict[tuple[str, str], str] = {}
    found: list[Problem | None] = []
    for row in rows:
        if row.question is None:
            raise lacking("question", row.row, row.where, "join by id or order")
        text = plain(row.question)
        by_language = queues.get(text, {})
        code = row.language or ("" if len(by_language) != 1 else next(iter(by_language)))
        if not code and by_language:
            codes = " and ".join(sorted(by_language))
            raise DataError(f"{row.where}: the question is in {codes}; add the column 'language'")
        if code not in by_language:
            found.append(None)
            continue
        if not by_language[code]:
            raise DataError(f"{row.where}: the question stands twice, in {places[code, text]} already; keep one")
        places[code, text] = row.where
        found.append(by_language[code].pop())
    return found


JOINS: Mapping[str, Callable[[Sequence[Answered], Sequence[Problem]], list[Problem | None]]] = {
    "id": _by_id,
    "order": _by_order,
    "question": _by_question,
}


def _other_joins(rows: Sequence[Answered], problems: Sequence[Problem]) -> str:
    """Which joins would work, and for how many rows."""
    works = []
    for name, joined in JOINS.items():
        with suppress(DataError):
            if count := len(rows) - joined(rows, problems).count(None):
                works.append(f"--join {name} would match {count} of {len(rows)} rows")
    return ", ".join(works) or "no other join would match a row: give the test set that was answered"


def lacking(names: str | Sequence[str], row: Row, where: str, instead: str = "") -> DataError:
    """The error of a row without values in columns: they are missing, or a cell is empty. `instead` is another way out."""
    names = [names] if isinstance(names, str) else names
    way = f", or {instead}" if instead else ""
    if names[0] in row:
        return DataError(f"{where}: no '{names[0]}' in this row; fill it in{way}")
    known = (*TEXT_COLUMNS, *OTHER_COLUMNS, "question")
    return DataError(missing(names, row, where, known, "add it" if len(names) == 1 else "add them") + way)


def plain(text: str) -> str:
    """A question as it is compared: composed characters, single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())
