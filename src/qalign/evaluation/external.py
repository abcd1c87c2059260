"""Predictions that exist already, from whatever made them: read from a file to be scored like one's own."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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

WHOLE_FILE = "give --language for the whole file"
NESTED = ("body", "choices", "message", "content", "text")
"""Where an answer is in an object: the output of a batch, of a chat, or of vLLM."""


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

    The answer is in `response`, or in another of `TEXT_COLUMNS`. Rows have an `id` too. `problems` take the place of `gold`,
    and `default_language` that of `language`. To join by `question`, rows need it. `finish` is "stop" or "length". Without
    it and without `finish_reason`, every answer counts as finished.

    Args:
        path: the file.
        default_language: of rows without a language.
        problems: of a benchmark, whose gold answers are taken.
        table: the languages.
        by: how rows and problems are joined (`joining.JOINS`); by default by id, which every row must then share.

    Raises:
        DataError: a line lacks what is needed, an id stands twice, or rows and problems cannot be joined.
    """
    found, notes = _of_one_filter([(where, _flat(row)) for where, row in rows(path)])
    elsewhere = (
        f"take gold answers from a test set: qalign score {shlex.quote(printable(str(path)))} --test MY-TEST.csv (or "
        "--benchmark NAME)"
    )
    ways = {"gold": elsewhere, "language": WHOLE_FILE, "id": "join by order or question, with --join"}
    if len(names := _lacking_columns(found[0][1], default_language is not None, problems is not None, by)) > 1:
        raise lacking(names, found[0][1], found[0][0], ", or ".join(ways[name] for name in names if name in ways))
    read = [(where, row, *_prediction(row, where, default_language, table)) for where, row in found]
    used = {
        place: (_text_column(row, where), "filtered_resps", *OTHER_COLUMNS, *(["question"] if by == "question" else []))
        for place, (where, row, _, _) in enumerate(read)
    }
    unused = dict.fromkeys(name for place, (_, row, _, _) in enumerate(read) for name in row if name not in used[place])
    columns = dict.fromkeys(names[0] for names in used.values())
    notes += [f"Answers were read from the column {column}." for column in columns if column != "response"]
    if problems is None:
        judged = _own_gold([(where, row, prediction) for where, row, prediction, _ in read], table, elsewhere)
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


def _flat(row: Row) -> Row:
    """A row with its answer as a text, which other tools nest in lists and objects, and with its id as `id`."""
    column = next((name for name in TEXT_COLUMNS if isinstance(row.get(name), list | dict)), None)
    ids = [row[name] for name in ("custom_id", "id", "doc_id") if name in row]
    values: Row = {"id": ids[0]} if ids else {}
    if column is not None:
        levels = list(_levels(row[column]))
        reasons = [level["finish_reason"] for level in levels if isinstance(level, dict) and level.get("finish_reason")]
        values |= {column: levels[-1], **({"finish_reason": reasons[0]} if reasons else {})}
    return {**row, **values}


def _levels(value: object) -> Iterator[object]:
    """A value and what is nested in it, down to a text."""
    yield value
    if isinstance(value, list) and len(value) == 1:
        yield from _levels(value[0])
    elif isinstance(value, dict) and (name := next((name for name in NESTED if name in value), None)) is not None:
        yield from _levels(value[name])


def _of_one_filter(found: list[tuple[str, Row]]) -> tuple[list[tuple[str, Row]], list[str]]:
    """The rows of the first filter, and a note: lm-evaluation-harness writes each answer once for each filter."""
    filters = list(dict.fromkeys(str(row["filter"]) for _, row in found if "resps" in row and "filter" in row))
    if len(filters) < 2:
        return found, []
    kept = [(where, row) for where, row in found if str(row.get("filter")) == filters[0]]
    return kept, [f"The rows of the filter {printable(filters[0])} were read: those of others hold the same answers."]


def _lacking_columns(row: Row, has_language: bool, has_problems: bool, by: str | None) -> list[str]:
    """The columns that the first row lacks, all at once: one would be named after the other."""
    needed = {
        "response": not any(name in row for name in TEXT_COLUMNS),
        "question": by == "question",
        "id": has_problems and by in (None, "id"),
        "language": by != "question" and not has_language,
        "gold": not has_problems,
    }
    return [name for name, is_needed in needed.items() if is_needed and name not in row]


def _own_gold(
    read: Sequence[tuple[str, Row, Prediction]], table: Mapping[str, Language], elsewhere: str
) -> list[Judgement]:
    """The judgements of rows that have their gold answers."""
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
            raise lacking("language", row, where, WHOLE_FILE)
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
    if isinstance(row[column], list) and len(row[column]) > 1:
        raise DataError(f"{where}: '{column}' holds {len(row[column])} answers; keep one in each row")
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
    prediction = Prediction(
        id=key or "", language=code or "", text=row[column], prompt_sha256="", tokens=0, finish=_finish(row, where)
    )
    return prediction, Answered(
        where=where, language=code, id=key, question=question if isinstance(question, str) else None, row=row
    )


def _shown(value: object) -> str:
    return "null" if value is None else f"{value!r:.80}"


def _text_column(row: Row, where: str) -> str:
    """The column that holds the answer.

    Raises:
        DataError: there is none, or several may be meant.
    """
    if TEXT_COLUMNS[0] in row:
        return TEXT_COLUMNS[0]
    names = [name for name in TEXT_COLUMNS if name in row and (name != "filtered_resps" or "resps" not in row)]
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
