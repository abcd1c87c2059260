"""Predictions that exist already, from whatever made them: read from a file to be scored like one's own."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..corpora.columns import identifier, language_of, number
from ..corpora.files import Row, place_of_names, rows
from ..errors import DataError
from ..languages import Language, likely
from ..records import Finish, Judgement, Prediction, Problem
from ..untrusted import check_surrogates, printable
from ..wording import counted
from .joining import OTHER_COLUMNS, TEXT_COLUMNS, Answered, Joined, join, lacking, plain
from .scores import judge_one


@dataclass(frozen=True, slots=True)
class Scored:
    """The judgements of a file, and what to say of it."""

    judgements: list[Judgement]
    unused: list[str]
    """Columns that were not read."""
    notes: list[str]
    """Sentences on the join, on rows without a problem, and on problems without a row."""


def score_file(
    path: Path,
    default_language: str | None,
    problems: Sequence[Problem] | None,
    table: Mapping[str, Language],
    by: str | None = None,
) -> Scored:
    """Judges the predictions of a JSONL, CSV or Parquet file.

    Columns: `response` (or another of `TEXT_COLUMNS`), `id`, `gold` (not needed with `problems`), `language` (not needed with
    `default_language`), `question` (to join by it), `finish` ("stop" or "length"; without it and without
    `finish_reason` every answer counts as finished).

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
    used = {
        place: (_text_column(row, where), *OTHER_COLUMNS, *(["question"] if by == "question" else []))
        for place, (where, row, _, _) in enumerate(read)
    }
    unused = dict.fromkeys(name for place, (_, row, _, _) in enumerate(read) for name in row if name not in used[place])
    columns = dict.fromkeys(names[0] for names in used.values())
    notes = [f"Answers were read from the column {column}." for column in columns if column != "response"]
    if problems is None:
        judged = _own_gold([(where, row, prediction) for where, row, prediction, _ in read], table, path)
        return Scored(judged, list(unused), notes)
    joined = join([answered for _, _, _, answered in read], problems, by, str(path))
    at_hand = {problem.language: table[problem.language] for problem in problems}
    judgements = []
    for (_, _, prediction, _), problem in zip(read, joined, strict=True):
        if problem is not None:
            assert problem.gold is not None, "a test set has gold answers"
            prediction = replace(prediction, id=problem.id, language=problem.language)
            judgements.append(judge_one(prediction, problem.gold, table[problem.language], at_hand))
    unmatched = [answered for (_, _, _, answered), problem in zip(read, joined, strict=True) if problem is None]
    if (by or "id") == "id":
        notes += _other_questions([answered for _, _, _, answered in read], joined)
    return Scored(judgements, list(unused), [*_notes(judgements, problems, unmatched, by or "id"), *notes])


def _own_gold(
    read: Sequence[tuple[str, Row, Prediction]], table: Mapping[str, Language], path: Path
) -> list[Judgement]:
    """The judgements of rows that have their gold answers."""
    elsewhere = (
        f"take gold answers from a test set: qalign score {shlex.quote(printable(str(path)))} --test MY-TEST.csv (or "
        "--benchmark NAME)"
    )
    judgements: list[Judgement] = []
    places: dict[tuple[str, str], str] = {}
    at_hand = {one.language: table[one.language] for _, _, one in read if one.language}
    # Ids join languages, and are not needed in one.
    by_place = not any("id" in row for _, row, _ in read) and len({one.language for _, _, one in read}) == 1
    for place, (where, row, prediction) in enumerate(read):
        if row.get("gold") in (None, ""):
            raise lacking("gold", row, where, elsewhere)
        if by_place:
            prediction = replace(prediction, id=str(place))
        if not prediction.id:
            raise lacking("id", row, where)
        if not prediction.language:
            raise lacking("language", row, where, "give --language for the whole file")
        key = (prediction.language, prediction.id)
        if key in places:
            raise DataError(f"{where}: the id {key[1]} ({key[0]}) stands twice, in {places[key]} already; keep one")
        places[key] = where
        judgements.append(judge_one(prediction, number(row, "gold", where), table[prediction.language], at_hand))
    return judgements


def _notes(
    judgements: Sequence[Judgement], problems: Sequence[Problem], unmatched: Sequence[Answered], by: str
) -> list[str]:
    """By what rows were joined and how many, what was left out, and how far it went."""
    notes = [f"Joined by {by}: {len(judgements):,} of {counted(len(judgements) + len(unmatched), 'row')}."]
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


def _other_questions(rows: Sequence[Answered], joined: Joined) -> list[str]:
    """A note on rows that id joins with a problem whose question is another than theirs: ids may count from 1 and not from 0."""
    pairs = [(row, problem) for row, problem in zip(rows, joined, strict=True) if problem is not None and row.question]
    others = [row for row, problem in pairs if plain(row.question or "") != plain(problem.question)]
    if not others:
        return []
    return [
        f"In {len(others):,} of {counted(len(pairs), 'row')} the question is not that of the problem with this id, first in "
        f"{others[0].where}: if the ids are others than those of the test set, use --join question."
    ]


def _prediction(
    row: Row, where: str, default_language: str | None, table: Mapping[str, Language]
) -> tuple[Prediction, Answered]:
    """The prediction that a row holds, and by what it may be joined; its id and language are empty where it has none."""
    if row and all(value in (None, "") for value in row.values()):
        raise DataError(f"{where} is empty: remove the line")
    column = _text_column(row, where)
    if not isinstance(row[column], str):
        raise DataError(
            f"{where}: no text in '{column}', which is {_shown(row[column])}; write it as a text, with \"\" for an empty answer"
        )
    check_surrogates(row[column], f"{where}: '{column}'")
    key = None if row.get("id") in (None, "") else identifier(row["id"], where)
    code = language_of(row.get("language"), where) or default_language
    if code is not None and code not in table:
        raise DataError(f"{where}: unknown language '{printable(code[:80])}': {likely(code, table)}")
    question = row.get("question")
    prediction = Prediction(key or "", code or "", row[column], "", 0, _finish(row, where))
    return prediction, Answered(where, code, key, question if isinstance(question, str) else None, row)


def _shown(value: object) -> str:
    return "null" if value is None else f"{value!r:.80}"


def _text_column(row: Row, where: str) -> str:
    """The column that holds the answer.

    Raises:
        DataError: there is none, or several may be meant.
    """
    if TEXT_COLUMNS[0] in row:
        return TEXT_COLUMNS[0]
    names = [name for name in TEXT_COLUMNS if name in row]
    if not names:
        raise lacking(TEXT_COLUMNS[0], row, where)
    if len(names) > 1:
        raise DataError(
            f"{place_of_names(where)}: {' and '.join(names)} may each hold the answer; rename the one that does to "
            f"'{TEXT_COLUMNS[0]}'"
        )
    return names[0]


def _finish(row: Row, where: str) -> Finish:
    """How an answer ended. `finish_reason` is what servers call it; all of their reasons but "length" are a finished answer."""
    value = row.get("finish")
    if value is None and row.get("finish_reason") == "length":
        return "length"
    if value is None or value in ("", "stop"):
        return "stop"
    if value == "length":
        return "length"
    raise DataError(f"{where}: finish is {value!r:.80}; it must be 'stop' or 'length'")
