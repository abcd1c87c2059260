"""Which problem a prediction from elsewhere belongs to: by its id, by the order of the file, or by the question's text."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..corpora.columns import missing
from ..corpora.files import Row
from ..errors import DataError
from ..records import Problem
from ..untrusted import printable

JOINS = ("id", "order", "question")

TEXT_COLUMNS = (
    "response", "text", "prediction", "predict", "output", "outputs", "completion", "generation", "generated_text",
    "model_output", "model_answer", "model_response", "resps", "filtered_resps",
)  # fmt: skip
"""Columns that hold the answer. The first wins; of the others a file must have one alone.

`predict` is LLaMA-Factory's, `resps` and `filtered_resps` are lm-evaluation-harness's, and `outputs` is vLLM's.
"""
OTHER_COLUMNS = ("id", "custom_id", "doc_id", "gold", "language", "finish", "finish_reason", "filter")
"""Further columns that are read, next to `question` where it joins."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A row of a file of predictions, before it is known which problem it answers."""

    where: str
    language: str | None
    id: str | None
    question: str | None
    row: Row
    """Its columns, which an error names."""


Joined = list[Problem | None]
"""The problem of each row, in the order of the rows."""


def join(rows: Sequence[Answered], problems: Sequence[Problem], by: str | None, where: str) -> Joined:
    """The problem that each row answers, None where there is none.

    Args:
        rows: the predictions.
        problems: those of a benchmark.
        by: one of `JOINS`; by default the id, which must then match in every row.
        where: names the file in an error.

    Raises:
        DataError: the rows cannot be joined so, no row has a problem, or two rows have the same.
    """
    if by is not None:
        found = _JOINED[by](rows, problems)
        if all(problem is None for problem in found):
            raise DataError(f"no row of {where} belongs to a problem by {by}; {_advice(rows, problems, by)}")
        return found
    without = next((row for row in rows if row.id is None), None)
    if without is not None:
        raise lacking("id", without.row, without.where, _advice(rows, problems, "id"))
    found = _by_id(rows, problems)
    if not any(found):
        raise DataError(f"no id of {where} is that of a problem; {_advice(rows, problems, 'id')}")
    for row, problem in zip(rows, found, strict=True):
        if problem is None:
            raise DataError(
                f"{row.where}: no problem {printable(row.id or '')} in {row.language} of the test set; {found.count(None)} of "
                f"{len(rows)} rows have none: correct the ids, "
                "join by the text with --join question, or leave such rows out with --join id"
            )
    return found


def _by_id(rows: Sequence[Answered], problems: Sequence[Problem]) -> Joined:
    table = {(problem.language, problem.id): problem for problem in problems}
    places: dict[tuple[str, str], str] = {}
    found: Joined = []
    for row in rows:
        if row.id is None:
            raise lacking("id", row.row, row.where)
        key = (_language(row), row.id)
        if key in places:
            raise DataError(f"{row.where}: the id {row.id} ({key[0]}) stands twice, in {places[key]} already; keep one")
        places[key] = row.where
        found.append(table.get(key))
    return found


def _by_order(rows: Sequence[Answered], problems: Sequence[Problem]) -> Joined:
    queues: dict[str, list[Problem]] = {}
    for problem in problems:
        queues.setdefault(problem.language, []).append(problem)
    counts = Counter(_language(row) for row in rows)
    for code, count in counts.items():
        there = len(queues.get(code, ()))
        if there and count > there:
            raise DataError(
                f"{count} rows in {code} are more than the {there} problems; remove the others, or join by id"
            )
    queues = {code: queue[::-1] for code, queue in queues.items()}
    return [queues[code].pop() if (code := _language(row)) in queues else None for row in rows]


def _by_question(rows: Sequence[Answered], problems: Sequence[Problem]) -> Joined:
    """A question that a test set has twice is answered twice, in its order."""
    queues: dict[tuple[str, str], list[Problem]] = {}
    spoken: dict[str, set[str]] = {}
    for problem in reversed(problems):
        text = plain(problem.question)
        queues.setdefault((problem.language, text), []).append(problem)
        spoken.setdefault(text, set()).add(problem.language)
    places: dict[tuple[str, str], str] = {}
    found: Joined = []
    for row in rows:
        if row.question is None:
            raise lacking("question", row.row, row.where, "join by id or order")
        text = plain(row.question)
        codes = spoken.get(text, set())
        code = row.language or (next(iter(codes)) if len(codes) == 1 else None)
        if code is None and codes:
            raise DataError(f"{row.where}: the question is in {' and '.join(sorted(codes))}; add the column 'language'")
        key = (code or "", text)
        if key not in queues:
            found.append(None)
            continue
        if not queues[key]:
            raise DataError(f"{row.where}: the question stands twice, in {places[key]} already; keep one")
        places[key] = row.where
        found.append(queues[key].pop())
    return found


_JOINED: Mapping[str, Callable[[Sequence[Answered], Sequence[Problem]], Joined]] = {
    "id": _by_id,
    "order": _by_order,
    "question": _by_question,
}


def _advice(rows: Sequence[Answered], problems: Sequence[Problem], failed: str) -> str:
    """Which other joins would work, and for how many rows."""
    works = []
    for by in JOINS:
        if by != failed:
            try:
                count = sum(problem is not None for problem in _JOINED[by](rows, problems))
            except DataError:
                continue
            if count:
                works.append(f"--join {by} would match {count} of {len(rows)} rows")
    return ", ".join(works) or "no other join would match a row: give the test set that was answered"


def _language(row: Answered) -> str:
    if row.language is None:
        raise lacking("language", row.row, row.where, "give --language for the whole file")
    return row.language


def lacking(names: str | Sequence[str], row: Row, where: str, instead: str = "") -> DataError:
    """The error of a row without values in columns: a column is missing, or a cell is empty.

    Args:
        names: the columns.
        row: the row.
        where: its place.
        instead: what may be done in place of adding the columns.
    """
    names = [names] if isinstance(names, str) else names
    known = (*TEXT_COLUMNS, *OTHER_COLUMNS, "question")
    way = f", or {instead}" if instead else ""
    if names[0] in row:
        return DataError(f"{where}: no '{names[0]}' in this row; fill it in{way}")
    return DataError(missing(names, row, where, known, "add it" if len(names) == 1 else "add them") + way)


def plain(text: str) -> str:
    """A question as it is compared: composed characters, single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())
