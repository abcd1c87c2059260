"""Predictions that exist already, from whatever made them: read from a file to be scored like one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..corpora.columns import identifier, language_of, number
from ..corpora.files import Row, rows
from ..errors import DataError, nearest
from ..languages import Language
from ..records import Finish, Judgement, Prediction, Problem
from ..untrusted import check_surrogates, printable
from ..wording import counted
from .scores import judge_one

TEXT_COLUMNS = ("response", "text")
OTHER_COLUMNS = ("id", "gold", "language", "finish")


@dataclass(frozen=True, slots=True)
class Scored:
    """The judgements of a file, and the columns that were not used."""

    judgements: list[Judgement]
    unused: list[str]


def score_file(
    path: Path, default_language: str | None, problems: Sequence[Problem] | None, table: Mapping[str, Language]
) -> Scored:
    """Judges the predictions of a JSONL, CSV or Parquet file.

    Columns: `response` (or `text`), `id`, `gold` (not needed if `problems` give the gold answers by id), `language` (not
    needed if `default_language` is given), `finish` ("stop" or "length"; without it every answer counts as finished).

    Raises:
        DataError: a line lacks what is needed, an id stands twice, or a problem has no prediction.
    """
    golds = {(p.language, p.id): p.gold for p in problems or ()}
    judgements: dict[tuple[str, str], Judgement] = {}
    places: dict[tuple[str, str], str] = {}
    unused: dict[str, None] = {}
    for where, row in rows(path):
        prediction = _prediction(row, where, default_language, table)
        key = (prediction.language, prediction.id)
        if key in places:
            raise DataError(f"{where}: the id {key[1]} ({key[0]}) stands twice, in {places[key]} already; keep one")
        places[key] = where
        if problems is not None:
            gold = golds.pop(key, None)
            if gold is None:
                raise DataError(
                    f"{where}: no problem {key[1]} in {key[0]} of the benchmark; correct the id, or give the right --benchmark"
                )
        elif row.get("gold") in (None, ""):
            raise DataError(f"{where}: no 'gold'; give the gold answer as a column, or the --benchmark that has it")
        else:
            gold = number(row, "gold", where)
        judgements[key] = judge_one(prediction, gold, table[key[0]])
        unused.update(dict.fromkeys(name for name in row if name not in (_text_column(row), *OTHER_COLUMNS)))
    present = {code for code, _ in judgements}
    missing = [key for key in golds if key[0] in present]
    if missing:
        raise DataError(
            f"{path} has no prediction for {counted(len(missing), 'problem')}, the first of them {missing[0][1]} "
            f"({missing[0][0]})"
        )
    return Scored(list(judgements.values()), list(unused))


def _prediction(row: Row, where: str, default_language: str | None, table: Mapping[str, Language]) -> Prediction:
    """The prediction that a row holds."""
    column = _text_column(row)
    if column is None or not isinstance(row[column], str):
        has = (
            f"it has {', '.join(printable(name[:80]) for name in row)}"
            if column is None
            else f"'{column}' is {row[column]!r:.80}"
        )
        raise DataError(f"{where}: no text in '{TEXT_COLUMNS[0]}' (or '{TEXT_COLUMNS[1]}'); {has}")
    check_surrogates(row[column], f"{where}: '{column}'")
    if row.get("id") in (None, ""):
        raise DataError(f"{where}: no 'id'; every prediction needs the id of its problem")
    code = language_of(row.get("language"), where) or default_language
    if code is None:
        raise DataError(f"{where}: no 'language'; add the column, or give --language for the whole file")
    if code not in table:
        raise DataError(
            f"{where}: unknown language '{printable(code[:80])}': {nearest(code, table)} (or give --language-file)"
        )
    return Prediction(identifier(row["id"], where), code, row[column], "", 0, _finish(row.get("finish"), where))


def _text_column(row: Row) -> str | None:
    return next((name for name in TEXT_COLUMNS if name in row), None)


def _finish(value: object, where: str) -> Finish:
    if value is None or value in ("", "stop"):
        return "stop"
    if value == "length":
        return "length"
    raise DataError(f"{where}: finish is {value!r:.80}; it must be 'stop' or 'length'")
