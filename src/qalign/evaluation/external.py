"""Predictions that exist already, from whatever made them: read from a file to be scored like one's own.

A prediction belongs to a problem by its id, by the order of the file, or by the question's text.
"""

from __future__ import annotations

import shlex
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..corpora.columns import identifier, language_of, missing, number
from ..corpora.files import Row, place_of_names, rows
from ..errors import DataError
from ..languages import Language, likely
from ..records import Finish, Judgement, Prediction, Problem
from ..untrusted import check_surrogates, printable
from ..wording import counted
from .scores import judge_one

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
    """Judges the predictions of a JSONL, CSV or Parquet file; docs/data.md says which columns it may have.

    Args:
        default_language: of rows without a language.
        problems: of a benchmark, whose gold answers are taken in place of a column `gold`.
        by: how rows and problems are joined (`JOINS`); by default by id, which every row must then share.

    Raises:
        DataError: a line lacks what is needed, an id stands twice, or rows and problems cannot be joined.
    """
    found, notes = _of_one_filter([(where, _flat(row)) for where, row in rows(path)])
    where, row = found[0]
    file = shlex.quote(printable(str(path)))
    elsewhere = f"take gold answers from a test set: qalign score {file} --test MY-TEST.csv (or --benchmark NAME)"
    ways = {"gold": elsewhere, "language": WHOLE_FILE, "id": "join by order or question, with --join"}
    needed = {
        "response": not any(name in row for name in TEXT_COLUMNS),
        "question": by == "question",
        "id": problems is not None and by in (None, "id"),
        "language": by != "question" and default_language is None,
        "gold": problems is None,
    }
    names = [name for name, is_needed in needed.items() if is_needed and name not in row]
    if len(names) > 1:  # all at once: one would be named after the other
        raise lacking(names, row, where, ", or ".join(ways[name] for name in names if name in ways))
    read = [_answered(row, where, default_language, table) for where, row in found]
    used = {"filtered_resps", *OTHER_COLUMNS, *(["question"] if by == "question" else [])}
    unused = dict.fromkeys(name for one in read for name in one.row if name not in {one.column, *used})
    columns = dict.fromkeys(one.column for one in read if one.column != "response")
    notes += [f"Answers were read from the column {column}." for column in columns]
    if problems is None:
        joined: Sequence[Problem | None] = _own_problems(read, elsewhere)
    else:
        joined = join(read, problems, by, str(path))
        notes = [*_notes(read, joined, problems, by or "id"), *notes]
    at_hand = {problem.language: table[problem.language] for problem in problems or joined if problem is not None}
    judgements = []
    for one, problem in zip(read, joined, strict=True):
        if problem is not None:
            prediction = Prediction(
                id=problem.id, language=problem.language, text=one.text, prompt_sha256="", tokens=0, finish=one.finish
            )
            judgements.append(judge_one(prediction, problem.gold or "", table[problem.language], at_hand))
    return Scored(judgements, list(unused), notes)


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


def _own_problems(read: Sequence[Answered], elsewhere: str) -> list[Problem]:
    """The problems of rows that have their gold answers. Ids join languages, and are not needed in one."""
    are_counted = not any("id" in one.row for one in read) and len({one.language for one in read}) == 1
    problems = []
    for place, one in enumerate(read):
        if one.row.get("gold") in (None, ""):
            raise lacking("gold", one.row, one.where, elsewhere)
        code, key = (one.spoken(), str(place)) if are_counted else one.key()
        gold = number(one.row, "gold", one.where)
        problems.append(Problem(id=key, language=code, question="", answer=None, gold=gold, source=""))
    if not are_counted:
        once(read)
    return problems


def _notes(
    read: Sequence[Answered], joined: Sequence[Problem | None], problems: Sequence[Problem], by: str
) -> list[str]:
    """By what rows were joined and how many, what was left out, how far it went, and questions that are others: ids may count
    from 1 and not from 0."""
    pairs = [(one, problem) for one, problem in zip(read, joined, strict=True) if problem is not None]
    notes = [f"Joined by {by}: {len(pairs):,} of {counted(len(read), 'row')}."]
    if unmatched := [one.where for one, problem in zip(read, joined, strict=True) if problem is None]:
        rows_left = counted(len(unmatched), "row")
        notes.append(f"Left out, without a problem by {by}: {rows_left}, the first {unmatched[0]}.")
    answered = Counter(problem.language for _, problem in pairs)
    asked = Counter(problem.language for problem in problems)
    subset = [f"{count:,} of {asked[code]:,} in {code}" for code, count in answered.items() if count < asked[code]]
    if subset:
        notes.append(f"A subset is scored:{' the first' if by == 'order' else ''} {', '.join(subset)}.")
    told = [(one, problem) for one, problem in pairs if one.question and by == "id"]
    if others := [one.where for one, problem in told if plain(one.question or "") != plain(problem.question)]:
        notes.append(
            f"In {len(others):,} of {counted(len(told), 'row')} the question is not that of the problem with this id, first "
            f"in {others[0]}: if the ids are others than those of the test set, use --join question."
        )
    return notes


def _answered(row: Row, where: str, default_language: str | None, table: Mapping[str, Language]) -> Answered:
    """The prediction that a row holds, and by what it may be joined."""
    if row and all(value in (None, "") for value in row.values()):
        raise DataError(f"{where} is empty: remove the line")
    column = _text_column(row, where)
    text, question = row[column], row.get("question")
    if isinstance(text, list) and len(text) > 1:
        raise DataError(f"{where}: '{column}' holds {len(text)} answers; keep one in each row")
    if not isinstance(text, str):
        shown = "null" if text is None else f"{text!r:.80}"
        advice = 'write it as a text, with "" for an empty answer'
        raise DataError(f"{where}: no text in '{column}', which is {shown}; {advice}")
    check_surrogates(text, f"{where}: '{column}'")
    key = None if row.get("id") in (None, "") else identifier(row["id"], where)
    code = language_of(row.get("language"), where) or default_language
    if code is not None and code not in table:
        raise DataError(f"{where}: unknown language '{printable(code[:80])}': {likely(code, table)}")
    question = question if isinstance(question, str) else None
    return Answered(
        where=where,
        row=row,
        column=column,
        text=text,
        finish=_finish(row, where),
        language=code,
        id=key,
        question=question,
    )


def _text_column(row: Row, where: str) -> str:
    """The column that holds the answer. Raises DataError where there is none, or several may be meant."""
    first = TEXT_COLUMNS[0]
    names = [name for name in TEXT_COLUMNS if name in row and (name != "filtered_resps" or "resps" not in row)]
    if not names:
        raise lacking(first, row, where)
    if len(names) > 1 and first not in names:
        which = " and ".join(names)
        raise DataError(
            f"{place_of_names(where)}: {which} may each hold the answer; rename the one that does to '{first}'"
        )
    return names[0]


def _finish(row: Row, where: str) -> Finish:
    """How an answer ended. `finish_reason` is what servers call it; all of their reasons but "length" are a finished answer."""
    value = row.get("finish")
    if value == "length" or (value is None and row.get("finish_reason") == "length"):
        return "length"
    if value in (None, "", "stop"):
        return "stop"
    raise DataError(f"{where}: finish is {value!r:.80}; it must be 'stop' or 'length'")


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
