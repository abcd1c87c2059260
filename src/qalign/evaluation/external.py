"""Predictions that exist already, from whatever made them: read from a file to be scored like one's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..corpora.columns import identifier, language_of, number
from ..corpora.files import Row, rows
from ..errors import DataError, nearest
from ..languages import Language
from ..records import Finish, Judgement, Prediction, Problem
from ..untrusted import check_surrogates, printable
from ..wording import counted
from .joining import Answered, join
from .scores import judge_one

TEXT_COLUMNS = ("response", "text")
OTHER_COLUMNS = ("id", "gold", "language", "finish")


@dataclass(frozen=True, slots=True)
class Scored:
    """The judgements of a file, and what to say of it."""

    judgements: list[Judgement]
    unused: list[str]
    """Columns that were not read."""
    notes: list[str]
    """Sentences on rows without a problem, and on problems without a row."""


def score_file(
    path: Path,
    default_language: str | None,
    problems: Sequence[Problem] | None,
    table: Mapping[str, Language],
    by: str | None = None,
) -> Scored:
    """Judges the predictions of a JSONL, CSV or Parquet file.

    Columns: `response` (or `text`), `id`, `gold` (not needed with `problems`), `language` (not needed with
    `default_language`), `question` (to join by it), `finish` ("stop" or "length"; without it every answer counts as
    finished).

    Args:
        path: the file.
        default_language: of rows without a language.
        problems: of a benchmark, whose gold answers are taken.
        table: the languages.
        by: how rows and problems are joined (`joining.JOINS`); by default by id, which every row must then share.

    Raises:
        DataError: a line lacks what is needed, an id stands twice, or rows and problems cannot be joined.
    """
    read = [(where, row, *_prediction(row, where, default_language, table)) for where, row in rows(path)]
    unused = dict.fromkeys(
        name
        for _, row, _, _ in read
        for name in row
        if name not in (_text_column(row), *OTHER_COLUMNS) and not (by == "question" and name == "question")
    )
    if problems is None:
        return Scored(
            _own_gold([(where, row, prediction) for where, row, prediction, _ in read], table), list(unused), []
        )
    joined = join([answered for _, _, _, answered in read], problems, by, str(path))
    judgements = []
    for (_, _, prediction, _), problem in zip(read, joined, strict=True):
        if problem is not None:
            assert problem.gold is not None, "a test set has gold answers"
            prediction = replace(prediction, id=problem.id, language=problem.language)
            judgements.append(judge_one(prediction, problem.gold, table[problem.language]))
    unmatched = [answered for (_, _, _, answered), problem in zip(read, joined, strict=True) if problem is None]
    return Scored(judgements, list(unused), _notes(judgements, problems, unmatched, by or "id"))


def _own_gold(read: Sequence[tuple[str, Row, Prediction]], table: Mapping[str, Language]) -> list[Judgement]:
    """The judgements of rows that have their gold answers."""
    judgements: list[Judgement] = []
    places: dict[tuple[str, str], str] = {}
    for where, row, prediction in read:
        key = (prediction.language, prediction.id)
        if not prediction.id:
            raise DataError(f"{where}: no 'id'; every prediction needs the id of its problem")
        if not prediction.language:
            raise DataError(f"{where}: no 'language'; add the column, or give --language for the whole file")
        if key in places:
            raise DataError(f"{where}: the id {key[1]} ({key[0]}) stands twice, in {places[key]} already; keep one")
        places[key] = where
        if row.get("gold") in (None, ""):
            raise DataError(f"{where}: no 'gold'; give the gold answer as a column, or the --benchmark that has it")
        judgements.append(judge_one(prediction, number(row, "gold", where), table[prediction.language]))
    return judgements


def _notes(
    judgements: Sequence[Judgement], problems: Sequence[Problem], unmatched: Sequence[Answered], by: str
) -> list[str]:
    """What a join left out, and how far it went."""
    notes = []
    if unmatched:
        rows_left = counted(len(unmatched), "row")
        notes.append(f"Left out, without a problem by {by}: {rows_left}, the first {unmatched[0].where}.")
    answered = Counter(judgement.language for judgement in judgements)
    asked = Counter(problem.language for problem in problems)
    subset = [f"{count:,} of {asked[code]:,} in {code}" for code, count in answered.items() if count < asked[code]]
    if subset:
        first = " the first" if by == "order" else ""
        notes.append(f"A subset is scored:{first} {', '.join(subset)}.")
    return notes


def _prediction(
    row: Row, where: str, default_language: str | None, table: Mapping[str, Language]
) -> tuple[Prediction, Answered]:
    """The prediction that a row holds, and by what it may be joined; its id and language are empty where it has none."""
    column = _text_column(row)
    if column is None or not isinstance(row[column], str):
        has = (
            f"it has {', '.join(printable(name[:80]) for name in row)}"
            if column is None
            else f"'{column}' is {row[column]!r:.80}"
        )
        raise DataError(f"{where}: no text in '{TEXT_COLUMNS[0]}' (or '{TEXT_COLUMNS[1]}'); {has}")
    check_surrogates(row[column], f"{where}: '{column}'")
    key = None if row.get("id") in (None, "") else identifier(row["id"], where)
    code = language_of(row.get("language"), where) or default_language
    if code is not None and code not in table:
        raise DataError(
            f"{where}: unknown language '{printable(code[:80])}': {nearest(code, table)} (or give --language-file)"
        )
    question = row.get("question")
    prediction = Prediction(key or "", code or "", row[column], "", 0, _finish(row.get("finish"), where))
    return prediction, Answered(where, code, key, question if isinstance(question, str) else None)


def _text_column(row: Row) -> str | None:
    return next((name for name in TEXT_COLUMNS if name in row), None)


def _finish(value: object, where: str) -> Finish:
    if value is None or value in ("", "stop"):
        return "stop"
    if value == "length":
        return "length"
    raise DataError(f"{where}: finish is {value!r:.80}; it must be 'stop' or 'length'")
