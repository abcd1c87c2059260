"""Predictions that exist already, from whatever made them: read from a file to be scored like one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..corpora.files import rows
from ..errors import DataError
from ..languages import Language, language
from ..records import Finish, Judgement, Prediction, Problem
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
    unused: dict[str, None] = {}
    for where, row in rows(path):
        column = next((name for name in TEXT_COLUMNS if name in row), None)
        if column is None or not isinstance(row[column], str):
            raise DataError(
                f"{where}: no text in '{TEXT_COLUMNS[0]}' (or '{TEXT_COLUMNS[1]}'); it has {', '.join(row)}"
            )
        if row.get("id") in (None, ""):
            raise DataError(f"{where}: no 'id'; every prediction needs the id of its problem")
        code = row.get("language", default_language)
        if not isinstance(code, str):
            raise DataError(f"{where}: no 'language'; add the column, or give --language for the whole file")
        key = (code, str(row["id"]))
        gold = golds.pop(key, None) if problems is not None else row.get("gold")
        if gold is None:
            known = f"no problem {key[1]} in {code} of the benchmark" if problems is not None else "no 'gold'"
            raise DataError(f"{where}: {known}; give the gold answer as a column, or the right --benchmark")
        if key in judgements:
            raise DataError(f"{where}: the id {key[1]} ({code}) stands in the file twice")
        finish: Finish = _finish(row.get("finish"), where)
        prediction = Prediction(key[1], code, row[column], "", 0, finish)
        try:
            judgements[key] = judge_one(prediction, str(gold), language(code, table))
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        unused.update(dict.fromkeys(name for name in row if name not in (column, *OTHER_COLUMNS)))
    present = {code for code, _ in judgements}
    missing = [key for key in golds if key[0] in present]
    if missing:
        raise DataError(
            f"{path} has no prediction for {len(missing)} problems, the first of them {missing[0][1]} ({missing[0][0]})"
        )
    return Scored(list(judgements.values()), list(unused))


def _finish(value: object, where: str) -> Finish:
    if value in (None, "", "stop"):
        return "stop"
    if value == "length":
        return "length"
    raise DataError(f"{where}: finish is {value!r}; it must be 'stop' or 'length'")
